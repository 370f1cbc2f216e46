"""The same bits whatever the calling thread has set: flushed subnormals, another rounding mode.

Helpers that are started with such modes: test_environment.c.
"""

import itertools
import random
from typing import Any

import numpy as np
import pytest
from modes import ROUNDINGS, in_force, odd, unavailable
from support import DTYPES, is_nan

import fastdrop
from fastdrop import Key
from fastdrop._rates import evaluation_scale, make_plan

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

KINDS = ("float32", "float64", "float16", "bfloat16")
PROBABILITIES = (0.1, 0.3, 0.5, 0.7, 0.9)


def values(dtype: np.dtype[Any], n: int = 10_000) -> np.ndarray:
    """Numbers of every size, half of them subnormal: any bits but those of a nan."""
    size, kind = dtype.itemsize, dtype.name
    digits = {"float32": 23, "float64": 52, "float16": 10, "bfloat16": 7}[kind]
    stored = np.frombuffer(np.random.default_rng(1).bytes(n * size), f"u{size}").copy()
    stored[::2] &= (1 << digits) - 1
    stored[is_nan(stored if size == 2 else stored.view(dtype), kind)] = 0
    return stored.view(dtype)


def results(x: np.ndarray, p: float) -> list[bytes]:
    """What the public functions make of it, by the compiled front and by the general path."""
    key = Key(3, 4, 4_095)
    with np.errstate(all="ignore"):
        found = (
            fastdrop.dropout(x, p, rng=key),
            fastdrop.dropout_(x.copy(), p, rng=key),
            fastdrop.dropout(x[::3], p, rng=key),
            fastdrop.dropout(x, p, False, mode="standard"),
            fastdrop.dropout(x.reshape(100, -1), p, rng=key, noise_shape=(None, 1)),
            fastdrop.apply_mask(x, np.arange(x.size) % 3 > 0, p),
            fastdrop.dropout_mask(x.size, p, rng=key),
        )
    return [y.tobytes() for y in found]


def test_the_modes_are_in_force() -> None:
    before = in_force()
    assert before == (False, 0.1)
    found = set()
    for rounding in ROUNDINGS:
        with odd(rounding):
            found.add((rounding, *in_force()))
    assert found == {
        ("down", True, np.nextafter(0.1, 0)),
        ("up", True, 0.1),
        ("to zero", True, np.nextafter(0.1, 0)),
    }
    assert in_force() == before


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_results(impl: Any, dtype: np.dtype[Any], rounding: str) -> None:
    if impl.name in ("numpy", "numba"):
        pytest.skip(f"the {impl.name} backend follows the calling thread's modes, as documented")
    x = values(dtype)
    for p in PROBABILITIES:
        want = results(x, p)
        with odd(rounding):
            got = results(x, p)
        assert [a == b for a, b in zip(got, want, strict=True)] == [True] * len(want), p


def test_plans() -> None:
    source = random.Random(1)
    chosen = [source.random() for _ in range(300)] + [2.0**-40, 1 - 2.0**-40]
    for rounding in ROUNDINGS:
        with odd(rounding):
            # nothing that was computed before, and may be remembered, can help
            chosen = [float(np.nextafter(p, 1)) for p in chosen]
            plans = [make_plan(p, kind) for p in chosen for kind in KINDS]
            scales = [evaluation_scale(p, kind) for p in chosen for kind in KINDS]
        pairs = itertools.product(chosen, KINDS)
        for (p, kind), plan, scale in zip(pairs, plans, scales, strict=True):
            number = np.float64 if kind == "float64" else np.float32
            assert plan.scale == number(1 / (1 - p)), (rounding, p)
            assert scale == number(1 - p), (rounding, p)
