"""What the tests of the JAX face share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cases
import numpy as np
import pytest
from support import alike

import fastdrop

jax = pytest.importorskip("jax", reason="JAX is not installed")
fj = pytest.importorskip("fastdrop.jax", reason="no compiled module", exc_type=ImportError)
jnp = jax.numpy
equal = alike

KEY = fastdrop.Key(5, 6, 12345)
CASES = [case for case in cases.CASES if hasattr(fj, case.name)]
FIRST = [case for case in cases.FIRST if hasattr(fj, case.name)]

DTYPES = ["float16", "bfloat16", "float32", "float64"]


@contextmanager
def enough_bits(dtype: Any) -> Iterator[None]:
    """JAX makes float32 of float64 unless it is told not to."""
    enabled = jnp.dtype(dtype) == jnp.float64
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", enabled)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def in_numpy(case: cases.Case, operands: dict[str, Any], p: float = 0.4, **more: Any) -> np.ndarray:
    """What the NumPy function makes of JAX's arrays."""
    found: np.ndarray = case({k: np.asarray(v) for k, v in operands.items()}, p, **more)
    return found


def in_jax(case: cases.Case, operands: dict[str, Any], p: float = 0.4, **more: Any) -> Any:
    more = {case.rate: p, **case.options, **more}
    return getattr(fj, case.name)(**operands, **more)
