"""Strides, ranks and shared masks: an array's layout never changes what an element becomes.

Of arrays of few elements, with everything around them: test_arrays.py.
"""

import math

import computing
import numpy as np
import operations
import pytest
from computing import KINDS, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Guarded, check_bits

from fastdrop._rates import make_plan
from fastdrop.stream import Key

SHAPES = ((0,), (1,), (7,), (4096,), (3, 0, 5), (1, 1), (65, 67), (5, 1, 9), (2, 3, 129, 11))


def filled(shape: tuple[int, ...], kind: str) -> np.ndarray:
    return np.resize(numbers(kind, 1), shape)


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """Also at odd bytes, and in steps that are no multiple of an element."""
    odd = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    field = np.empty(x.shape, [("a", np.uint8), ("b", x.dtype), ("c", np.uint8)])["b"]
    odd[...] = field[...] = x
    return computing.layouts(x) | {"odd bytes": odd, "field": field}


def scaled(reference, x: np.ndarray, kind: str, keep: np.ndarray) -> np.ndarray:
    """What the reference makes of it without a mask, and 0 where it is dropped."""
    wanted = np.empty_like(x)
    reference.scale(x, wanted, kind, 1.5)
    wanted[~np.broadcast_to(keep, x.shape)] = 0
    return wanted


@pytest.mark.parametrize("kind", KINDS)
def test_a_bool_mask_may_have_any_layout_and_hold_any_byte_but_zero(impl, reference, kind):
    """As a bool view of an image's bytes does: whatever is not 0 keeps."""
    for shape in SHAPES:
        x = filled(shape, kind)
        values = np.random.default_rng(4).choice(np.array([0, 1, 2, 128, 255], np.uint8), shape)
        masks = layouts(values) | {"broadcast": np.broadcast_to(values[:1], shape)}
        for mask_layout, mask in masks.items():
            mask.flags.writeable = False
            wanted = scaled(reference, x, kind, mask != 0)
            for name, out in layouts(x).items():
                out[...] = x[..., ::-1]
                impl.apply_bool(x, out, kind, mask.view(np.bool_), 1.5)
                check_bits(out, wanted, kind, shape, mask_layout, name)


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
    for name, into in layouts(values).items():
        out = np.ones_like(values)
        impl.dropout(into, out, kind, key, plan)
        check_bits(out, wanted, kind, name, "from")
        check_bits(into, values, kind, name, "was written")
        impl.dropout(into, into, kind, key, plan)
        check_bits(into, wanted, kind, name, "dropout")
        into[...] = values
        impl.apply_packed(into, into, kind, packed, values.shape, plan.scale)
        check_bits(into, wanted, kind, name, "packed")


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
    check_bits(out, wanted, kind, case, "drawn")

    mask_shape = tuple(1 if s else n for s, n in zip(shared, x.shape, strict=True))
    bits = np.empty((math.prod(mask_shape) + 7) // 8, np.uint8)
    reference.mask_packed(bits, math.prod(mask_shape), key, plan)
    reference.apply_packed(ordered, wanted, kind, bits, mask_shape, plan.scale)
    x[...] = values
    impl.apply_packed(x, out, kind, bits, mask_shape, plan.scale)
    check_bits(out, wanted, kind, case, "packed")


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
        wanted = scaled(reference, x, kind, keep)
        packed = np.packbits(keep, bitorder="little")
        for misalignment in (0, 4, 24):
            into = Guarded(x.size, x.dtype, misalignment)
            out = into.array.reshape(shape)
            impl.apply_packed(x, out, kind, packed, mask_shape, 1.5)
            check_bits(out, wanted, kind, shape, mask_shape, misalignment)
            out[...] = x
            impl.apply_packed(out, out, kind, packed, mask_shape, 1.5)
            check_bits(out, wanted, kind, shape, mask_shape, misalignment, "in place")
            assert into.intact()
