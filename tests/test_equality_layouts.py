"""Strides, ranks and shared masks: an array's layout never changes what an element becomes.

Arrays of few elements, and all around them: test_arrays.py. Of kernels with loops of their own for
memory in another order, and for rows that are shared: test_permuted.c and test_drive.c.
"""

import computing
import numpy as np
import pytest
from computing import KINDS, numbers
from support import check_bits

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
    rows, columns = keep[:, :1], keep[:1]
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
        for own in (rows, columns):
            bits = np.packbits(own, bitorder="little")
            impl.apply_packed(values, into, kind, bits, own.shape, 1.5)
            check_bits(into, scaled(reference, values, kind, own), kind, name, own.shape)
