"""Every declared variant with arrays that it takes, and what its definition computes of them.

Decisions are written here, and formulas in `formulas`, from the publications and the docstrings,
not from `variants.py`: a wrong declaration is found. What holds for every variant is tested over
`CASES`.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import formulas as f
import numpy as np
import pytest
from formulas import Given, Shape, block_mask, corners, variates
from support import COMPUTE

import fastdrop
from fastdrop import Key
from fastdrop.variants import DROPOUT_STANDARD, VARIANTS, Variant

Arrays = dict[str, np.ndarray]
NOTHING: Mapping[str, Any] = MappingProxyType({})
KEY = Key(11, 22, 3 * 4096 + 5)
SPECIAL = (np.inf, -np.inf, np.nan, -0.0, 0.0, 1e-45)


class Case(NamedTuple):
    name: str
    """The function's."""
    shapes: dict[str, Shape]
    """The arrays that it takes, in the order of the formula's operands."""
    formula: Callable[..., Any]
    decisions: Shape | None = None
    """The shape of what is decided; None for each element by itself."""
    options: Mapping[str, Any] = NOTHING
    evaluated: Callable[..., Any] | None = None
    """What evaluation computes; None where it returns the first operand."""

    def __str__(self) -> str:
        options = [str(value) for value in self.options.values()]
        return " ".join([self.name, *options, str(self.shape)]).replace(" ", "-")

    @property
    def function(self) -> Callable[..., Any]:
        return getattr(fastdrop, self.name)

    @property
    def variant(self) -> Variant:
        if self.options.get("mode") == "standard":
            return DROPOUT_STANDARD
        return next(v for v in VARIANTS if v.function == self.name)

    @property
    def shape(self) -> Shape:
        return next(iter(self.shapes.values()))

    @property
    def rate(self) -> str:
        """What the argument is called that says how much is dropped, or how much noise is added."""
        return "std" if self.name == "gaussian_noise" else "p"

    @property
    def rates(self) -> tuple[float, ...]:
        """Some that it takes, with the ends."""
        return (0.0, 0.3, 0.75) if self.formula is f.noise_factor else (0.0, 0.3, 0.75, 1.0)

    @property
    def repeats(self) -> bool:
        """Whether it is a gradient, which needs a key."""
        return self.name.endswith("_backward")

    def takes(self, argument: str) -> bool:
        return argument in inspect.signature(self.function).parameters

    @property
    def axes(self) -> int:
        """How many axes blocks have, or 0."""
        return int(self.name[-2]) if self.name.startswith("drop_block") else 0

    @property
    def block(self) -> int:
        return min(self.options["block_size"], *self.shape[-self.axes :])

    @property
    def positions(self) -> int:
        """How many positions of the stream a call takes."""
        if self.axes:
            return math.prod(corners(self.shape, self.axes, self.block))
        n = math.prod(self.shape if self.decisions is None else self.decisions)
        return 2 * n if self.name.startswith("gaussian") else n

    def draw(self, p: float, key: Key) -> np.ndarray:
        """The decisions, or variates, for each element."""
        if self.axes:
            return block_mask(self.shape, self.axes, self.block, p, key)
        if self.name.startswith("gaussian"):
            return variates(math.prod(self.shape), key).reshape(self.shape)
        decisions = self.shape if self.decisions is None else self.decisions
        return np.broadcast_to(fastdrop.dropout_mask(decisions, p, rng=key), self.shape)

    def operands(self, dtype: Any = np.float32, special: bool = False) -> Arrays:
        """Of both signs and not near 0; or with special numbers among them."""
        source = np.random.default_rng(len(self.shapes))
        found = {}
        for name, shape in self.shapes.items():
            x = np.asarray(source.uniform(0.5, 2, shape) * source.choice([-1, 1], shape))
            if special and "bias" not in self.shapes:
                # A prime step: special numbers of two operands rarely meet, and are kept or not.
                flat = x.reshape(-1)[len(found) :: 11]
                flat[:] = np.resize(SPECIAL, flat.shape)
            with np.errstate(all="ignore"):
                found[name] = x.astype(dtype)
        return found

    def given(self, p: float, dtype: Any, drawn: Any = None) -> Given:
        real = COMPUTE[np.dtype(dtype).name]
        if drawn is not None and drawn.dtype != np.bool_:
            drawn = drawn.astype(real)
        return Given(p, real, drawn)

    def defined(self, operands: Arrays, p: float, key: Key | None) -> list[np.ndarray]:
        """The results of the formula, in training or without a key in evaluation."""
        dtype = next(iter(operands.values())).dtype
        given = self.given(p, dtype, None if key is None else self.draw(p, key))
        formula = self.formula if key is not None else self.evaluated
        wide = [operand.astype(given.real) for operand in operands.values()]
        with np.errstate(all="ignore"):
            found = results((formula or (lambda _, x: x))(given, *wide))
            return [np.asarray(y).astype(dtype) for y in found]

    def __call__(self, operands: Mapping[str, Any], p: float = 0.4, **options: Any) -> Any:
        options = {**operands, self.rate: p, **self.options, **options}
        if self.repeats:
            options.setdefault("rng", KEY)
        return self.function(**options)

    def gradients(self, operands: Arrays, dy: np.ndarray, p: float, **more: Any) -> list[Any]:
        """The gradient with respect to each operand, as the declaration says it is computed."""
        how = self.variant.gradient
        if how == "identity":
            return [dy]
        if how == "same":
            return [self({next(iter(operands)): dy}, p, **more)]
        function = getattr(fastdrop, how)
        takes = inspect.signature(function).parameters
        arguments = {**operands, **self.options, **more, "p": p, "dy": dy}
        if "dy" not in takes:
            arguments["x"] = dy
        found = results(function(**{k: v for k, v in arguments.items() if k in takes}))
        # What is only added has the gradient itself.
        return [*found, *[dy] * (len(operands) - len(found))]


def results(value: Any) -> list[Any]:
    """What a call gives: an array, several, or the fields of a record."""
    if dataclasses.is_dataclass(value):
        return list(vars(value).values())
    return list(value) if isinstance(value, tuple | list) else [value]


def equal(got: Any, wanted: Any) -> bool:
    """Whether all results are; the second one may be None, as a gradient of no bias is."""
    return all(itertools.starmap(np.array_equal, zip(results(got), results(wanted), strict=True)))


BIG: Shape = (37, 11, 13)  # more elements than a block of the stream has
LAST = {"data_format": "channels_last"}
RELU, STANDARD, SHARED = {"act": "relu"}, {"mode": "standard"}, {"noise_shape": (None, 1, 13)}


def _of(name: str, shape: Shape, decisions: Shape | None = None, **options: Any) -> Case:
    operand = {"drop_connect": "w", "embedding_dropout": "table", "attention_dropout": "weights"}
    return Case(name, {operand.get(name, "x"): shape}, f.scaled, decisions, options)


def _blocks(shape: Shape, axes: int, size: int) -> Case:
    return Case(f"drop_block{axes}d", {"x": shape}, f.by_blocks, None, {"block_size": size})


CASES = [
    _of("dropout", BIG),
    _of("dropout", BIG, (37, 1, 13), **SHARED),
    _of("dropout", BIG, (1, 11, 13), noise_shape=(11, 13)),
    Case("dropout", {"x": BIG}, f.unscaled, None, STANDARD, f.mean),
    Case("dropout", {"x": BIG}, f.unscaled, (37, 1, 13), STANDARD | SHARED, f.mean),
    _of("dropout1d", (30, 19, 11), (30, 19, 1)),
    _of("dropout1d", (19, 300), (19, 1)),
    _of("dropout1d", (30, 11, 19), (30, 1, 19), **LAST),
    _of("dropout1d", (300, 19), (1, 19), **LAST),
    _of("dropout2d", (11, 19, 5, 6), (11, 19, 1, 1)),
    _of("dropout2d", (19, 20, 15), (19, 1, 1)),
    _of("dropout2d", (11, 5, 6, 19), (11, 1, 1, 19), **LAST),
    _of("dropout2d", (20, 15, 19), (1, 1, 19), **LAST),
    _of("dropout3d", (7, 9, 4, 5, 6), (7, 9, 1, 1, 1)),
    _of("dropout3d", (9, 8, 9, 10), (9, 1, 1, 1)),
    _of("dropout3d", (7, 4, 5, 6, 9), (7, 1, 1, 1, 9), **LAST),
    _of("dropout3d", (8, 9, 10, 9), (1, 1, 1, 9), **LAST),
    _of("variational_dropout", (37, 11, 13), (37, 1, 13)),
    _of("variational_dropout", (11, 37, 13), (1, 37, 13), time_axis=0),
    _of("variational_dropout", (37, 11, 13), (37, 1, 13), time_axis=-2),
    _of("variational_dropout", (37, 131), (37, 1)),
    _of("drop_path", (130, 5, 8), (130, 1, 1)),
    _of("drop_path", (4099,), (4099,)),
    _of("drop_path", (4, 5, 8), (1, 1, 1), mode="batch"),
    _of("drop_path", (), (), mode="batch"),
    _of("drop_connect", (61, 83)),
    _of("embedding_dropout", (131, 37), (131, 1)),
    _of("attention_dropout", (2, 3, 30, 29)),
    _blocks((2, 3, 11), 1, 3),
    _blocks((5, 20), 1, 4),
    _blocks((2, 3, 5), 1, 7),  # shorter than the block
    _blocks((3, 3, 1), 1, 2),
    _blocks((2, 2, 200), 1, 9),
    _blocks((2, 3, 9, 10), 2, 3),
    _blocks((3, 12, 7), 2, 2),
    _blocks((2, 2, 3, 14), 2, 7),  # lower than the block
    _blocks((2, 2, 14, 3), 2, 7),
    _blocks((2, 3, 6, 65), 2, 5),
    _blocks((2, 3, 5, 7), 2, 1),
    _blocks((2, 2, 5, 4, 6), 3, 2),
    _blocks((3, 4, 5, 3), 3, 3),
    _blocks((2, 1, 3, 4, 66), 3, 7),
    Case("alpha_dropout", {"x": BIG}, f.alpha),
    Case("alpha_dropout_backward", {"dy": BIG}, f.alpha_slope),
    *(
        Case(f"feature_alpha_dropout{back}", {x: shape}, formula, decisions)
        for back, x, formula in (("", "x", f.alpha), ("_backward", "dy", f.alpha_slope))
        for shape, decisions in (((11, 7, 5, 13), (11, 7, 1, 1)), ((60, 90), (60, 90)))
    ),
    Case("drop_key", {"scores": (2, 3, 30, 29)}, f.to_infinity),
    Case("drop_key_backward", {"dy": (2, 3, 30, 29)}, f.unscaled),
    Case("gaussian_dropout", {"x": BIG}, f.noise_factor),
    Case("gaussian_noise", {"x": BIG}, f.noise_term),
    Case("dropout_add", {"x": BIG, "residual": BIG}, f.added, evaluated=f.added_all),
    Case("zoneout", {"h_new": BIG, "h_old": BIG}, f.selected, evaluated=f.mixed),
    Case("zoneout_backward", {"dy": BIG}, f.split, evaluated=f.shares),
    Case("bias_act_dropout", {"x": BIG, "bias": (13,)}, f.relu, None, RELU, f.relu_all),
    Case(
        "bias_act_dropout_backward",
        {"dy": BIG, "x": BIG, "bias": (13,)},
        f.relu_slope,
        None,
        RELU,
        f.relu_slope_all,
    ),
]
FIRST = [next(rows) for _, rows in itertools.groupby(CASES, key=lambda case: case.name)]
"""One case of each function."""


def parametrize(cases: list[Case] = CASES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[str(case) for case in cases])
