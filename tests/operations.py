"""What masks and scales in a backend as functions, for tests that call one by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop import backends
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, steps_of
from fastdrop.stream import Key


class Operations:
    """A backend: `run` once for each operation, and the backend's own as they are."""

    def __init__(self, module: backends.Backend) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def dropout(self, x: np.ndarray, out: np.ndarray, kind: str, key: Key, plan: Plan) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (plan.scale,), key, plan))

    def scale(self, x: np.ndarray, out: np.ndarray, kind: str, scale: float) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (scale,)))

    def apply_packed(
        self,
        x: np.ndarray,
        out: np.ndarray,
        kind: str,
        bits: np.ndarray,
        mask_shape: tuple[int, ...],
        scale: float,
    ) -> None:
        steps = None if mask_shape == x.shape else steps_of(mask_shape)
        self.module.run(Call("scale", kind, (x,), (out,), (scale,), steps=steps, mask=bits))

    def apply_bool(
        self, x: np.ndarray, out: np.ndarray, kind: str, mask: np.ndarray, scale: float
    ) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (scale,), mask=mask))


def of(name: str) -> Operations:
    """The operations of a backend by its name."""
    return Operations(backends.load(name))
