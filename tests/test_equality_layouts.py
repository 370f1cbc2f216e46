"""Large arrays in memory of every kind: a layout never changes what an element becomes.

Arrays of few elements, and all around them: test_arrays.py. Kernels with loops of their own for
memory in another order, and for rows that are shared: test_layouts.c and
test_threads.c.
"""

import computing
import numpy as np
import pytest
from computing import KINDS, numbers
from support import check_bits

from fastdrop._rates import make_plan
from fastdrop.stream import Key


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """Also at odd bytes, and in steps that are no multiple of an element."""
    odd = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    field = np.zeros(x.shape, [("a", np.uint8), ("b", x.dtype), ("c", np.uint8)])["b"]
    odd[...] = field[...] = x
    return computing.layouts(x) | {"odd bytes": odd, "field": field}


@pytest.mark.parametrize("kind", KINDS)
def test_large_strided_and_masked_arrays(impl, reference, kind):
    """More elements than a chunk of any backend, in memory that no chunk is contiguous in."""
    values = np.resize(numbers(kind, 1), (723, 811))
    key, plan = Key(1, 2, 4095), make_plan(0.3, kind)
    keep = np.empty(values.shape, np.bool_)
    reference.mask_bool(keep, key, plan)
    scaled = np.empty_like(values)
    reference.scale(values, scaled, kind, plan.scale)

    def check(out: np.ndarray, decisions: np.ndarray, *what: object) -> None:
        check_bits(out, np.where(decisions, scaled, scaled.dtype.type(0)), kind, *what)
        out[...] = 1

    out = np.ones_like(values)
    for name, x in layouts(values).items():
        impl.dropout(x, out, kind, key, plan)
        check(out, keep, name, "from")
        check_bits(x, values, kind, name, "was written")
        impl.dropout(x, x, kind, key, plan)
        check(x, keep, name, "in place")
        for own in (keep, keep[:, :1], keep[:1]):
            packed = np.packbits(own, bitorder="little")
            impl.apply_packed(values, x, kind, packed, own.shape, plan.scale)
            check(x, own, name, "packed", own.shape)
        if name == "field":
            assert not x.base["a"].any()
            assert not x.base["c"].any()
    # As a bool view of an image's bytes is: whatever is not 0 keeps.
    kept = np.random.default_rng(5).choice(np.array([1, 2, 128, 255], np.uint8), keep.shape) * keep
    for name, mask in layouts(kept).items():
        mask.flags.writeable = False
        impl.apply_bool(values, out, kind, mask.view(np.bool_), plan.scale)
        check(out, keep, name, "bool")
