"""Every declared variant with arrays that it takes, and what its definition computes of them.

Decisions and formulas are written here from the publications and the docstrings, not from
`variants.py`: a wrong declaration is found. What holds for every variant is tested over `CASES`.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
from support import COMPUTE

import fastdrop
from fastdrop import Key
from fastdrop.backends.numpy import functions
from fastdrop.variants import DROPOUT_STANDARD, VARIANTS, Variant

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]
NOTHING: Mapping[str, Any] = MappingProxyType({})
KEY = Key(11, 22, 3 * 4096 + 5)
BLOCK = 4096
SPECIAL = (np.inf, -np.inf, np.nan, -0.0, 0.0, 1e-45)


class Given(NamedTuple):
    """What a formula knows beside the operands, which have the type that is computed in."""

    p: float
    real: Any
    drawn: Any = None
    """For each element whether it is kept, or a normal variate."""

    def scaled(self, x: np.ndarray) -> np.ndarray:
        return x * self.real(1 / (1 - self.p) if self.p < 1 else 1)

    def where_kept(self, x: np.ndarray, dropped: Any = 0) -> np.ndarray:
        return np.where(self.drawn, x, self.real(dropped))


# --- Formulas -------------------------------------------------------------------------------------


def scaled(g: Given, x: np.ndarray) -> Any:
    return g.where_kept(g.scaled(x))


def unscaled(g: Given, x: np.ndarray) -> Any:
    return g.where_kept(x)


def mean(g: Given, x: np.ndarray) -> Any:
    return x * g.real(1 - g.p)


def by_blocks(g: Given, x: np.ndarray) -> Any:
    kept = np.count_nonzero(g.drawn)
    return g.where_kept(x * g.real(np.float64(x.size) / np.float64(kept) if kept else 0))


SATURATION = -1.7580993408473766  # the value that SELU tends to


def alpha_constants(p: float) -> tuple[float, float, float]:
    """a, b, and what a dropped element becomes."""
    a = 1 / math.sqrt((1 - p) * (1 + p * SATURATION**2))
    b = -a * SATURATION * p
    return a, b, a * SATURATION + b


def alpha(g: Given, x: np.ndarray) -> Any:
    a, b, dropped = alpha_constants(g.p) if g.p < 1 else (0, 0, 0)
    return g.where_kept(x * g.real(a) + g.real(b), dropped)


def alpha_slope(g: Given, dy: np.ndarray) -> Any:
    return g.where_kept(dy * g.real(alpha_constants(g.p)[0] if g.p < 1 else 0))


def to_infinity(g: Given, scores: np.ndarray) -> Any:
    return g.where_kept(scores, -np.inf)


def noise_factor(g: Given, x: np.ndarray) -> Any:
    return x * (1 + g.real(math.sqrt(g.p / (1 - g.p))) * g.drawn)


def noise_term(g: Given, x: np.ndarray) -> Any:
    return x + g.real(g.p) * g.drawn


def added(g: Given, x: np.ndarray, residual: np.ndarray) -> Any:
    return g.where_kept(g.scaled(x)) + residual


def added_all(_: Given, x: np.ndarray, residual: np.ndarray) -> Any:
    return x + residual


def selected(g: Given, h_new: np.ndarray, h_old: np.ndarray) -> Any:
    return np.where(g.drawn, h_new, h_old)


def mixed(g: Given, h_new: np.ndarray, h_old: np.ndarray) -> Any:
    return h_new * g.real(1 - g.p) + h_old * g.real(g.p)


def split(g: Given, dy: np.ndarray) -> Any:
    return g.where_kept(dy), np.where(g.drawn, g.real(0), dy)


def shares(g: Given, dy: np.ndarray) -> Any:
    return dy * g.real(1 - g.p), dy * g.real(g.p)


def relu(g: Given, x: np.ndarray, bias: np.ndarray) -> Any:
    return g.where_kept(g.scaled(relu_all(g, x, bias)))


def relu_all(_: Given, x: np.ndarray, bias: np.ndarray) -> Any:
    return np.maximum(x + bias, 0)


def relu_slope(g: Given, dy: np.ndarray, x: np.ndarray, bias: np.ndarray) -> Any:
    return g.where_kept(relu_slope_all(g, g.scaled(dy), x, bias))


def relu_slope_all(_: Given, dy: np.ndarray, x: np.ndarray, bias: np.ndarray) -> Any:
    return dy * (x + bias > 0)


# --- What is drawn --------------------------------------------------------------------------------


def block_mask(shape: Shape, axes: int, block: int, p: float, key: Key) -> np.ndarray:
    """Algorithm 1 of DropBlock: a seed with probability gamma, a block of zeros for each."""
    lengths, gamma = shape[-axes:], Fraction(p) / block**axes
    for n in lengths:
        gamma *= Fraction(n, n - block + 1)
    seed = ~fastdrop.dropout_mask(corners(shape, axes, block), float(gamma), rng=key)
    keep = np.ones(shape, np.bool_)
    for place in np.argwhere(seed):
        planes, corner = place[:-axes], place[-axes:]
        keep[(*planes, *(slice(i, i + block) for i in corner))] = False
    return keep


def corners(shape: Shape, axes: int, block: int) -> Shape:
    return (*shape[:-axes], *(n - block + 1 for n in shape[-axes:]))


@functools.cache
def _fields(seed: int, stream: int, block: int) -> np.ndarray:
    rows = oracle.Stream(seed, stream).outputs(block)
    return np.array([r >> 16 * q & 0xFFFF for row in rows for r in row for q in range(4)], "u4")


def variates(n: int, key: Key) -> np.ndarray:
    """What stream.md says: element i has the fields at offset + 2 i and the next position."""
    blocks = range(key.offset // BLOCK, -(-(key.offset + 2 * n) // BLOCK))
    whole = np.concatenate([_fields(key.seed, key.stream, b % 2**52) for b in blocks])
    mine = whole[key.offset % BLOCK :][: 2 * n]
    return functions.normal(mine[::2] | mine[1::2] << np.uint32(16))


# --- The table ------------------------------------------------------------------------------------


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
        return (0.0, 0.3, 0.75) if self.formula is noise_factor else (0.0, 0.3, 0.75, 1.0)

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

    def __call__(
        self, operands: Mapping[str, Any], p: float = 0.4, *args: Any, **options: Any
    ) -> Any:
        options = {**operands, self.rate: p, **self.options, **options}
        if self.repeats:
            options.setdefault("rng", KEY)
        return self.function(*args, **options)

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


def results(value: Any) -> list[np.ndarray]:
    return list(value) if isinstance(value, tuple) else [value]


BIG: Shape = (37, 11, 13)  # more elements than a block of the stream has
LAST = {"data_format": "channels_last"}
RELU = {"act": "relu"}


def _of(name: str, shape: Shape, decisions: Shape | None = None, **options: Any) -> Case:
    operand = {"drop_connect": "w", "embedding_dropout": "table", "attention_dropout": "weights"}
    return Case(name, {operand.get(name, "x"): shape}, scaled, decisions, options)


def _blocks(shape: Shape, axes: int, size: int) -> Case:
    return Case(f"drop_block{axes}d", {"x": shape}, by_blocks, None, {"block_size": size})


CASES = [
    _of("dropout", BIG),
    _of("dropout", BIG, (37, 1, 13), noise_shape=(None, 1, 13)),
    _of("dropout", BIG, (1, 11, 13), noise_shape=(11, 13)),
    Case("dropout", {"x": BIG}, unscaled, None, {"mode": "standard"}, mean),
    Case(
        "dropout",
        {"x": BIG},
        unscaled,
        (37, 1, 13),
        {"mode": "standard", "noise_shape": (None, 1, 13)},
        mean,
    ),
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
    Case("alpha_dropout", {"x": BIG}, alpha),
    Case("alpha_dropout_backward", {"dy": BIG}, alpha_slope),
    *(
        Case(f"feature_alpha_dropout{back}", {x: shape}, formula, decisions)
        for back, x, formula in (("", "x", alpha), ("_backward", "dy", alpha_slope))
        for shape, decisions in (((11, 7, 5, 13), (11, 7, 1, 1)), ((60, 90), (60, 90)))
    ),
    Case("drop_key", {"scores": (2, 3, 30, 29)}, to_infinity),
    Case("drop_key_backward", {"dy": (2, 3, 30, 29)}, unscaled),
    Case("gaussian_dropout", {"x": BIG}, noise_factor),
    Case("gaussian_noise", {"x": BIG}, noise_term),
    Case("dropout_add", {"x": BIG, "residual": BIG}, added, evaluated=added_all),
    Case("zoneout", {"h_new": BIG, "h_old": BIG}, selected, evaluated=mixed),
    Case("zoneout_backward", {"dy": BIG}, split, evaluated=shares),
    Case("bias_act_dropout", {"x": BIG, "bias": (13,)}, relu, None, RELU, relu_all),
    Case(
        "bias_act_dropout_backward",
        {"dy": BIG, "x": BIG, "bias": (13,)},
        relu_slope,
        None,
        RELU,
        relu_slope_all,
    ),
]
FIRST = [next(rows) for _, rows in itertools.groupby(CASES, key=lambda case: case.name)]
"""One case of each function."""

PLAIN = [
    case.variant
    for case in FIRST
    if case.variant.layer
    and case.variant.decisions is None
    and len(case.shapes) == 1
    and not case.options
    and case.rate == "p"
]
"""Variants of one array of any shape, with no argument of their own: their rows in the tables of
other tests are alike."""


def parametrize(cases: list[Case] = CASES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[str(case) for case in cases])
