"""What masks and scales in a backend as functions, for tests that call one by itself."""

from __future__ import annotations

from typing import Any

from fastdrop import backends
from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, steps_of
from fastdrop.stream import Key

Shape = tuple[int, ...]


class Operations:
    """A backend: `run` once for each operation, and the backend's own as they are."""

    def __init__(self, module: backends.Backend) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def dropout(self, x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (plan.scale,), key, plan))

    def scale(self, x: Array, out: Array, kind: str, scale: float) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (scale,)))

    def apply_packed(
        self, x: Array, out: Array, kind: str, bits: Array, mask_shape: Shape, scale: float
    ) -> None:
        steps = None if mask_shape == x.shape else steps_of(mask_shape)
        self.module.run(Call("scale", kind, (x,), (out,), (scale,), steps=steps, mask=bits))

    def apply_bool(self, x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
        self.module.run(Call("scale", kind, (x,), (out,), (scale,), mask=mask))


def of(name: str) -> Operations:
    """The operations of a backend by its name."""
    return Operations(backends.load(name))
