"""Strides, ranks and shared masks: an array's layout never changes what an element becomes."""

import itertools
import math

import numpy as np
import operations
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import STORAGE, Guarded, difference, same_bits

from fastdrop._rates import make_plan
from fastdrop.stream import Key

KINDS = tuple(STORAGE)
SHAPES = ((), (0,), (1,), (7,), (4096,), (3, 0, 5), (1, 1), (65, 67), (5, 1, 9), (2, 3, 129, 11))


def filled(shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Different finite numbers, by their bits."""
    i = np.arange(math.prod(shape), dtype=np.uint64)
    if STORAGE[kind].itemsize == 2:
        return (i % 12000 + 9000).astype(np.uint16).reshape(shape)
    return (i * 0.37 - 100).astype(STORAGE[kind]).reshape(shape)


def layouts(shape: tuple[int, ...], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Arrays of one shape and dtype in memory of every kind; their elements are arbitrary."""
    ndim = len(shape)
    # With an ellipsis the index of no axes is an array too, not a scalar.
    every_other = (..., *(slice(1, None, 2) for _ in shape))
    odd = np.empty(math.prod(shape) * dtype.itemsize + 1, np.uint8)[1:]
    result = {
        "C": np.empty(shape, dtype),
        "Fortran": np.empty(shape, dtype, order="F"),
        "strided": np.empty([2 * n + 1 for n in shape], dtype)[every_other],
        "reversed": np.empty(shape, dtype)[(..., *(slice(None, None, -1) for _ in shape))],
        "odd bytes": odd.view(dtype).reshape(shape),
        "field": np.empty(shape, [("a", np.uint8), ("b", dtype), ("c", np.uint8)])["b"],
    }
    if ndim > 1:
        axes = (*range(1, ndim), 0)
        rotated = np.empty([shape[a] for a in axes], dtype)
        result["rotated"] = rotated.transpose(np.argsort(axes))
        result["last reversed"] = np.empty(shape, dtype)[..., ::-1]
        result["rows apart"] = np.empty((*shape[:-1], shape[-1] + 3), dtype)[..., : shape[-1]]
    return result


def check(got: np.ndarray, wanted: np.ndarray, kind: str, *case: object) -> None:
    assert same_bits(got, wanted, kind), f"{case}: {difference(got, wanted)}"


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_every_layout(impl, reference, kind):
    key, plan = Key(1, 2, 77), make_plan(0.4, kind)
    for shape in SHAPES:
        values = filled(shape, kind)
        wanted = np.empty_like(values)
        reference.dropout(values, wanted, kind, key, plan)
        pairs = itertools.product(layouts(shape, values.dtype), repeat=2)
        for i, (x_layout, out_layout) in enumerate(pairs):
            if values.size > 10000 and i % 3 and x_layout != out_layout:
                continue  # the large shapes meet a third of the pairs
            x = layouts(shape, values.dtype)[x_layout]
            out = layouts(shape, values.dtype)[out_layout]
            x[...] = values
            impl.dropout(x, out, kind, key, plan)
            check(out, wanted, kind, shape, x_layout, out_layout)
            check(x, values, kind, shape, x_layout, out_layout, "x was written")
            if x_layout == out_layout:
                impl.dropout(x, x, kind, key, plan)
                check(x, wanted, kind, shape, x_layout, "in place")


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_between_the_elements_stays(impl, kind):
    memory = np.full((40, 101), 7, STORAGE[kind])
    inside = memory[2:38:3, 5:90:2]
    inside[...] = 9
    outside = np.ones(memory.shape, np.bool_)
    outside[2:38:3, 5:90:2] = False
    plan = make_plan(0.5, kind)
    for call in (
        lambda: impl.dropout(inside, inside, kind, Key(1), plan),
        lambda: impl.apply_bool(inside, inside, kind, np.eye(12, 43, dtype=np.bool_), 1.0),
        lambda: impl.apply_packed(
            inside, inside, kind, np.full(65, 255, np.uint8), inside.shape, 1.0
        ),
        lambda: impl.scale(inside, inside, kind, 0.5),
    ):
        call()
        assert np.all(memory[outside] == 7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_mask_is_one_decision_along_its_axes(impl, reference, kind):
    for shape in SHAPES:
        x = filled(shape, kind)
        for shared in itertools.product((False, True), repeat=len(shape)):
            mask_shape = tuple(1 if s else n for s, n in zip(shared, shape, strict=True))
            keep = np.random.default_rng(4).random(mask_shape) < 0.6
            packed = np.packbits(keep, bitorder="little")
            wanted = np.empty_like(x)
            reference.scale(x, wanted, kind, 1.5)
            wanted[~np.broadcast_to(keep, shape)] = 0
            for name, into in layouts(shape, x.dtype).items():
                into[...] = x
                impl.apply_packed(into, into, kind, packed, mask_shape, 1.5)
                check(into, wanted, kind, shape, mask_shape, name)
            out = np.empty_like(x)
            impl.apply_packed(x, out, kind, packed, mask_shape, 1.5)
            check(out, wanted, kind, shape, mask_shape)
            impl.apply_bool(x, out, kind, np.broadcast_to(keep, shape), 1.5)
            check(out, wanted, kind, shape, mask_shape, "broadcast bool")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bool_mask_may_have_any_layout(impl, reference, kind):
    for shape in SHAPES:
        x = filled(shape, kind)
        keep = np.random.default_rng(4).random(shape) < 0.6
        wanted = np.empty_like(x)
        reference.scale(x, wanted, kind, 1.5)
        wanted[~keep] = 0
        for mask_layout, mask in layouts(shape, np.dtype(np.bool_)).items():
            mask[...] = keep
            mask.flags.writeable = False
            for name, out in layouts(shape, x.dtype).items():
                impl.apply_bool(x, out, kind, mask, 1.5)
                check(out, wanted, kind, shape, mask_layout, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bool_mask_may_hold_any_byte_but_zero(impl, reference, kind):
    """As a bool view of an image's bytes does: whatever is not 0 keeps."""
    x = filled((5, 77), kind)
    values = np.random.default_rng(5).choice(np.array([0, 1, 2, 128, 255], np.uint8), x.shape)
    wanted = np.empty_like(x)
    reference.scale(x, wanted, kind, 1.5)
    wanted[values == 0] = 0
    for name, mask in layouts(x.shape, np.dtype(np.uint8)).items():
        mask[...] = values
        out = np.empty_like(x)
        impl.apply_bool(x, out, kind, mask.view(np.bool_), 1.5)
        check(out, wanted, kind, x.shape, name)


@pytest.mark.parametrize("kind", KINDS)
def test_large_strided_and_masked_arrays(impl, reference, kind):
    """More elements than a chunk of any backend, in memory that no chunk is contiguous in."""
    values = filled((723, 811), kind)
    key, plan = Key(1, 2, 4095), make_plan(0.3, kind)
    keep = np.empty(values.shape, np.bool_)
    reference.mask_bool(keep, key, plan)
    wanted = np.empty_like(values)
    reference.apply_bool(values, wanted, kind, keep, plan.scale)
    packed = np.packbits(keep, bitorder="little")
    for name, into in layouts(values.shape, values.dtype).items():
        into[...] = values
        impl.dropout(into, into, kind, key, plan)
        check(into, wanted, kind, name, "dropout")
        into[...] = values
        impl.apply_packed(into, into, kind, packed, values.shape, plan.scale)
        check(into, wanted, kind, name, "packed")


@st.composite
def permuted(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]:
    """The lengths of memory's axes, an order of them, and along which a mask is shared."""
    ndim = draw(st.integers(2, 5))
    lengths: list[int] = []
    for _ in range(ndim):
        room = max(1, 20000 // math.prod(lengths))
        usual = [n for n in (1, 2, 3, 8, 64) if n <= room]
        lengths.append(draw(st.integers(1, min(room, 3000)) | st.sampled_from(usual)))
    lengths = draw(st.permutations(lengths))
    axes = draw(st.permutations(range(ndim)))
    return tuple(lengths), tuple(axes), tuple(draw(st.booleans()) for _ in range(ndim))


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    case=permuted(),
    kind=st.sampled_from(KINDS),
    offset=st.integers(0, 2**64 - 1),
    p=st.floats(0, 1),
    in_place=st.booleans(),
)
def test_dense_memory_in_any_order(impl, case, kind, offset, p, in_place):
    """What a transposed or channels-last array is: the mask follows the order of the elements."""
    lengths, axes, shared = case
    reference = operations.of("numpy")
    key, plan = Key(1, 2, offset), make_plan(p, kind)
    values = filled(lengths, kind).transpose(axes)
    ordered = values.copy(order="C")
    wanted = np.empty_like(ordered)
    reference.dropout(ordered, wanted, kind, key, plan)
    x = filled(lengths, kind).transpose(axes)
    out = x if in_place else np.empty(lengths, x.dtype).transpose(axes)
    impl.dropout(x, out, kind, key, plan)
    check(out, wanted, kind, case, "drawn")

    mask_shape = tuple(1 if s else n for s, n in zip(shared, x.shape, strict=True))
    bits = np.empty((math.prod(mask_shape) + 7) // 8, np.uint8)
    reference.mask_packed(bits, math.prod(mask_shape), key, plan)
    reference.apply_packed(ordered, wanted, kind, bits, mask_shape, plan.scale)
    x[...] = values
    impl.apply_packed(x, out, kind, bits, mask_shape, plan.scale)
    check(out, wanted, kind, case, "packed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run", [2, 3, 5, 8, 9, 31, 33, 63, 64, 65, 100, 130, 784, 9000])
def test_shared_rows_of_every_length(impl, reference, kind, run):
    """A decision for each row, a row of decisions for all, and both under another axis."""
    rows = 9000 // run + 3
    for shape, mask_shape in (
        ((rows, run), (rows, 1)),
        ((rows, run), (1, run)),
        ((3, rows, run), (3, 1, run)),
        ((3, rows, run), (1, rows, 1)),
        ((2, 2, 700 // run + 2, run), (2, 1, 700 // run + 2, 1)),
        ((rows // 5 + 1, 5, run), (rows // 5 + 1, 1, run)),
        ((2, 9, 9000 // (9 * run) + 1, run), (2, 1, 9000 // (9 * run) + 1, 1)),
    ):
        x = filled(shape, kind)
        keep = np.random.default_rng(run).random(mask_shape) < 0.6
        wanted = np.empty_like(x)
        reference.scale(x, wanted, kind, 1.5)
        wanted[~np.broadcast_to(keep, shape)] = 0
        packed = np.packbits(keep, bitorder="little")
        for misalignment in (0, 4, 24):
            into = Guarded(x.size, x.dtype, misalignment)
            out = into.array.reshape(shape)
            impl.apply_packed(x, out, kind, packed, mask_shape, 1.5)
            check(out, wanted, kind, shape, mask_shape, misalignment)
            out[...] = x
            impl.apply_packed(out, out, kind, packed, mask_shape, 1.5)
            check(out, wanted, kind, shape, mask_shape, misalignment, "in place")
            assert into.intact()
