"""Every public function and layer that takes arrays, with arrays that it takes.

Tests of what holds everywhere go over these two tables. What is declared comes from `cases`, and
algorithms of their own are listed here.
"""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import FIRST, Case
from forms import layer_class, small

import fastdrop
from fastdrop import layers

Shape = tuple[int, ...]
NOTHING: Mapping[str, Any] = MappingProxyType({})


def arrays(shapes: dict[str, Shape], dtype: Any = np.float32) -> dict[str, np.ndarray]:
    """Operands by name: masks are bool, all else has the dtype."""
    return {
        name: np.ones(shape, np.bool_)
        if name == "mask"
        else np.linspace(0.25 + i, 1 + i, int(np.prod(shape))).reshape(shape).astype(dtype)
        for i, (name, shape) in enumerate(shapes.items())
    }


class Operation(NamedTuple):
    function: Callable[..., Any]
    shapes: dict[str, Shape]
    """The operands that are arrays; all but masks have one dtype."""
    options: Mapping[str, Any] = NOTHING
    returned: str | None = None
    """The operand that evaluation returns itself."""
    written: str | None = None
    """The operand that is changed in place."""
    result: Shape | None = None
    """The result's shape, where it is not that of the first operand."""

    @property
    def name(self) -> str:
        return self.function.__name__

    def takes(self, argument: str) -> bool:
        return argument in inspect.signature(self.function).parameters

    def default(self, argument: str) -> Any:
        return inspect.signature(self.function).parameters[argument].default

    def operands(self, dtype: Any = np.float32) -> dict[str, np.ndarray]:
        return arrays(self.shapes, dtype)

    def out(self) -> np.ndarray:
        return np.full(self.result or next(iter(self.shapes.values())), 7, np.float32)

    def __call__(self, operands: dict[str, Any], rng: Any = 1, **options: Any) -> Any:
        """Call with what the function needs, where `options` do not say otherwise."""
        arguments = {**self.options, **operands}
        if self.takes("rng"):
            arguments["rng"] = rng
        return self.function(**{**arguments, **options})


def _network(x: Any, rng: Any) -> Any:
    return fastdrop.dropout(x, 0.5, rng=rng)


def _options(case: Case) -> dict[str, Any]:
    return {**case.options, "std": 0.5} if case.rate == "std" else dict(case.options)


def of_declared(case: Case) -> Operation:
    returned = case.variant.operands[0] if case.evaluated is None else None
    return Operation(case.function, small(case).shapes, _options(case), returned)


ROWS = {"x": (4, 6)}
OPERATIONS = [
    *(of_declared(case) for case in FIRST),
    Operation(fastdrop.apply_mask, {**ROWS, "mask": (4, 6)}, {"p": 0.5}),
    Operation(fastdrop.dropconnect_linear, {**ROWS, "w": (3, 6), "bias": (3,)}, {}, result=(4, 3)),
    Operation(fastdrop.dropconnect_linear_backward, {"dy": (4, 3), **ROWS, "w": (3, 6)}),
    Operation(fastdrop.dropout_, ROWS, {}, "x", written="x"),
    Operation(fastdrop.dropout_samples, ROWS, {"p": 0.5, "samples": 2}, result=(2, 4, 6)),
    Operation(fastdrop.max_norm_, {"w": (4, 6)}, {"c": 1.0}, written="w"),
    Operation(fastdrop.mc_dropout, ROWS, {"fn": _network, "samples": 2}),
    Operation(fastdrop.softmax_dropout, {"scores": (4, 6), "mask": (4, 6)}),
    Operation(fastdrop.softmax_dropout_backward, {"dy": (4, 6), "scores": (4, 6), "mask": (4, 6)}),
    Operation(fastdrop.sparsity, {"a": (4, 6)}),
]
NO_ARRAYS = {
    "Generator", "Key", "MonteCarloResult", "Sparsity", "backend", "default_generator",
    "dropout_mask", "get_include", "get_num_threads", "layers", "manual_seed", "set_backend",
    "set_num_threads", "show_config",
}  # fmt: skip


class LayerCase(NamedTuple):
    cls: Callable[..., Any]
    shapes: dict[str, Shape]
    options: Mapping[str, Any] = NOTHING
    result: Shape | None = None
    returned: bool = True
    """Whether evaluation returns the input itself, and then `backward` the gradient."""

    @property
    def name(self) -> str:
        return self.cls.__name__

    def make(self, rng: Any = 1) -> Any:
        return self.cls(**self.options, rng=rng)

    def operands(self) -> dict[str, np.ndarray]:
        return arrays(self.shapes)

    def gradient(self) -> np.ndarray:
        return np.ones(self.result or next(iter(self.shapes.values())), np.float32)


def layer_of(case: Case) -> LayerCase:
    shapes = small(case).shapes
    return LayerCase(layer_class(case), shapes, _options(case), returned=case.evaluated is None)


LINEAR = {"w": np.ones((3, 6), np.float32), "bias": np.ones(3, np.float32)}
LAYERS = [
    *(layer_of(case) for case in FIRST if case.variant.layer),
    LayerCase(layers.DropConnectLinear, ROWS, LINEAR, result=(4, 3), returned=False),
    LayerCase(layers.SoftmaxDropout, {"scores": (4, 6), "mask": (4, 6)}, returned=False),
]

# The tables as parameters of tests.
EACH = [pytest.param(o, id=o.name) for o in OPERATIONS]
RETURNING = [pytest.param(o, id=o.name) for o in OPERATIONS if o.returned]
WITH_OUT = [pytest.param(o, id=o.name) for o in OPERATIONS if o.takes("out")]
OPERANDS = [pytest.param(o, name, id=f"{o.name}-{name}") for o in OPERATIONS for name in o.shapes]
# `mc_dropout` hands its x to the function as it is.
CHECKED = [p for p in OPERANDS if p.id != "mc_dropout-x"]
ALL_LAYERS = [pytest.param(case, id=case.name) for case in LAYERS]
