"""The element-wise operations of a backend as functions, for tests that call one by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop import backends
from fastdrop._plan import Affine, Plan
from fastdrop.backends.call import Bias, Call, steps_of
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

    def dropout_affine(
        self, x: np.ndarray, out: np.ndarray, kind: str, key: Key, plan: Plan, affine: Affine
    ) -> None:
        self.module.run(Call("affine", kind, (x,), (out,), tuple(affine), key, plan))

    def apply_affine(
        self,
        x: np.ndarray,
        out: np.ndarray,
        kind: str,
        bits: np.ndarray,
        mask_shape: tuple[int, ...],
        affine: Affine,
    ) -> None:
        steps = steps_of(mask_shape)
        self.module.run(Call("affine", kind, (x,), (out,), tuple(affine), steps=steps, mask=bits))

    def dropout_add(
        self,
        x: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        kind: str,
        key: Key | None,
        plan: Plan,
    ) -> None:
        self.module.run(Call("add", kind, (x, residual), (out,), (plan.scale,), key, plan))

    def zoneout(
        self, a: np.ndarray, b: np.ndarray, out: np.ndarray, kind: str, key: Key, plan: Plan
    ) -> None:
        self.module.run(Call("select", kind, (a, b), (out,), (), key, plan))

    def zoneout_split(
        self, dy: np.ndarray, a: np.ndarray, b: np.ndarray, kind: str, key: Key, plan: Plan
    ) -> None:
        self.module.run(Call("split", kind, (dy,), (a, b), (), key, plan))

    def mix(
        self, a: np.ndarray, b: np.ndarray, out: np.ndarray, kind: str, keep: float, drop: float
    ) -> None:
        self.module.run(Call("mix", kind, (a, b), (out,), (keep, drop)))

    def unmix(
        self, dy: np.ndarray, a: np.ndarray, b: np.ndarray, kind: str, keep: float, drop: float
    ) -> None:
        self.module.run(Call("unmix", kind, (dy,), (a, b), (keep, drop)))

    def bias_act(
        self,
        x: np.ndarray,
        out: np.ndarray,
        kind: str,
        act: str,
        bias: Bias,
        key: Key | None,
        plan: Plan,
    ) -> None:
        call = Call("act", kind, (x,), (out,), (plan.scale,), key, plan, act=act, bias=bias)
        self.module.run(call)

    def bias_act_slope(
        self,
        x: np.ndarray,
        dy: np.ndarray,
        out: np.ndarray,
        kind: str,
        act: str,
        bias: Bias,
        key: Key | None,
        plan: Plan,
    ) -> None:
        numbers = (plan.scale,)
        call = Call("act_slope", kind, (x, dy), (out,), numbers, key, plan, act=act, bias=bias)
        self.module.run(call)

    def gaussian_dropout(
        self,
        x: np.ndarray,
        out: np.ndarray,
        kind: str,
        key: Key,
        deviation: float,
        steps: tuple[int, ...] | None = None,
    ) -> None:
        self.module.run(Call("noise_factor", kind, (x,), (out,), (deviation,), key, steps=steps))

    def gaussian_noise(
        self,
        x: np.ndarray,
        out: np.ndarray,
        kind: str,
        key: Key,
        deviation: float,
        steps: tuple[int, ...] | None = None,
    ) -> None:
        self.module.run(Call("noise_add", kind, (x,), (out,), (deviation,), key, steps=steps))


def of(name: str) -> Operations:
    """The operations of a backend by its name."""
    return Operations(backends.load(name))
