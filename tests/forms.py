"""The table's cases in other forms: of few elements, with every activation, parts of the whole.

`cases` says what a variant takes and computes; `on_torch` and `on_jax` call it in their faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cases import BIG, CASES, Arrays, Case
from formulas import Shape

from fastdrop import layers

Cut = tuple[slice, ...]
Window = tuple[Shape, tuple[int, ...]]

ACTS = ("none", "relu", "gelu", "gelu_tanh", "silu")
_FEW = {0: (), 1: (7,), 2: (5, 4), 3: (2, 3, 6), 4: (2, 3, 4, 5), 5: (2, 2, 3, 3, 4)}


def reshaped(case: Case, shape: Shape) -> Case:
    """With operands of this shape, and a bias that fits; formula and decisions stay behind."""
    shapes = {
        name: shape if of == case.shape else shape[len(shape) - len(of) :]
        for name, of in case.shapes.items()
    }
    return case._replace(shapes=shapes)


def small(case: Case) -> Case:
    """With few elements, for derivatives by finite differences."""
    return reshaped(case, tuple(map(min, case.shape, _FEW[len(case.shape)])))


def with_acts(case: Case) -> list[Case]:
    """The case with each activation, for those that have one; its formula is that of its own."""
    if "act" not in case.options:
        return [case]
    return [case._replace(options={**case.options, "act": act}) for act in ACTS]


def without_bias(case: Case) -> Case:
    shapes = {name: shape for name, shape in case.shapes.items() if name != "bias"}
    return case._replace(shapes=shapes)


# --- Layers ---------------------------------------------------------------------------------------

LAYERS = [case for case in CASES if case.variant.layer and case.shape]
"""The cases that have a layer."""


def layer_class(case: Case) -> Any:
    return getattr(layers, case.variant.layer)


def layer(case: Case, rate: Any = 0.4, rng: Any = 1) -> Any:
    return layer_class(case)(**{case.rate: rate}, **case.options, rng=rng)


# --- Parts ----------------------------------------------------------------------------------------


def windowed(cases: list[Case]) -> list[Case]:
    """Those of which parts can be computed; with activations, with and without a bias."""
    taking = [case for case in cases if case.takes("window") and case.shape]
    found = [form for case in taking for form in with_acts(case)]
    return [*found, *(without_bias(case) for case in taking if "bias" in case.shapes)]


def wholes(case: Case) -> list[Case]:
    """The case, and in one and two axes what decides for each element by itself."""
    if case.shape != BIG or case.decisions is not None:
        return [case]
    return [case, reshaped(case, (9001,)), reshaped(case, (37, 251))]


def cuts(shape: Shape) -> Iterator[Cut]:
    """Parts: all of it, first axes alone, last axes alone, inner ones, single elements."""
    every = [slice(0, n) for n in shape]
    inner = [slice(n // 3, n // 3 + max(n // 2, 1)) for n in shape]
    yield tuple(every)
    yield tuple(inner)
    yield (*inner[:1], *every[1:])
    yield (*every[:-1], *inner[-1:])
    yield tuple(slice(n - 1, n) for n in shape)


def inner(shape: Shape) -> Cut:
    """A part that lacks something at either end of each axis, where that is longer than one."""
    return list(cuts(shape))[1]


def window_of(shape: Shape, cut: Cut) -> Window:
    return shape, tuple(one.start for one in cut)


def part(operands: Arrays, cut: Cut) -> Arrays:
    """The parts of operands of a shape, and of a bias."""
    return {name: x[cut[len(cut) - x.ndim :]] for name, x in operands.items()}
