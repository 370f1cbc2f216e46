"""Bad input of every variant: what has to be, what came, no effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bad_input import APART, OVERLAPS, RANKS, Bad, Scene, check, parametrize, refusals, values
from cases import FIRST, Case

import fastdrop

T, V = TypeError, ValueError
F32 = np.float32


def of_the_first(case: Case) -> Any:
    """The function of its first array alone: the others fit it."""

    def call(x: Any, p: Any = 0.5, training: Any = True, **options: Any) -> object:
        first, *others = case.variant.operands
        fits = isinstance(x, np.ndarray)
        given = {first: x, **{name: np.zeros_like(x) if fits else x for name in others}}
        if "bias" in case.shapes:
            given["bias"] = np.zeros(x.shape[-1:], x.dtype) if fits else None
        return case(given, p, training=training, **options)

    return call


def of_the_array(case: Case) -> list[Bad]:
    """What every function of arrays refuses; and of other ranks than its own, if it has some."""
    f, x = of_the_first(case), case.variant.operands[0]
    words, shapes = RANKS.get(case.name, ("", []))
    of_ranks = values(
        f"{case.name}-rank",
        lambda s, shape: f(s.full(F32, shape), rng=s.rng),
        *((shape, V, f"{words}, but got shape {shape}") for shape in shapes),
    )
    small = tuple(2 + i % 2 for i in range(len(case.shape)))
    return [*refusals(case.name, f, x, small, case.takes("out")), *of_ranks]


def rows(name: str, *rows: tuple[Any, type[Exception], str]) -> list[Bad]:
    return [Bad(f"{name}-{i}", *row) for i, row in enumerate(rows)]


def of_the_second(case: Case) -> list[Bad]:
    """What every function of two arrays refuses in the second."""
    first, second = case.variant.operands
    bias = {"bias": None} if "bias" in case.shapes else {}

    def f(x: Any, y: Any, training: bool = True, **options: Any) -> object:
        return case({first: x, second: y, **bias}, 0.5, training=training, rng=1, **options)

    dtype = f"{second} has to have {first}'s dtype float32, but got float64"
    shape, two = f"{second} has to have {first}'s shape", np.ones((2, 4), F32)
    return rows(
        case.name,
        (lambda s: f(s.x, np.ones((3, 4)), out=s.out), T, dtype),
        (lambda s: f(s.x, [1.0], out=s.out), T, dtype),
        (lambda s: f(s.x, np.ones(4, F32), out=s.out), V, f"{shape} (3, 4), but got (4,)"),
        (lambda s: f(s.full(F32, (1, 4)), s.x, out=s.out), V, f"{shape} (1, 4), but got (3, 4)"),
        (lambda s: f(s.x, s.part(0), out=s.part(1)), V, f"out has to be {second} {OVERLAPS}"),
        (lambda s: f(s.x, two, False, out=s.out), V, f"{shape} (3, 4), but got (2, 4)"),
    )


f, g = fastdrop.bias_act_dropout, fastdrop.bias_act_dropout_backward
noise: Any = fastdrop.gaussian_noise
dropout: Any = fastdrop.dropout
dropout_: Any = fastdrop.dropout_
FORMATS = 'data_format has to be "channels_first" or "channels_last", but got '
BLOCKS = "block_size has to be "
MODES = 'mode has to be "inverted" or "standard", but got '
PATHS = 'mode has to be "row" or "batch", but got '
SHAPE = "noise_shape has to have "
INTEGERS = "noise_shape has to be a tuple of integers or None"
BROADCASTABLE = "noise_shape has to be broadcastable to x's shape (3, 4), but got "
ACTS = 'act has to be "none", "relu", "gelu", "gelu_tanh" or "silu", but got '
AXIS = "has to be an axis of x, which has shape (3, 4), but got "
AT_1 = "p has to be less than 1, where the noise is infinite, but got 1"
FINITE = "std has to be a finite number, but got "
BIAS = "bias has to have the shape (4,) of x's last axis, but got "
DTYPE = "bias has to have x's dtype float32, but got "
RANK = "x has to have at least 1 axis where there is a bias, but got shape "


OPTIONS = [
    *values(
        "noise-shape",
        lambda s, v: dropout(s.x, rng=s.rng, out=s.out, noise_shape=v),
        ((1, 3, 4), V, f"{SHAPE}at most the 2 axes of x, but got (1, 3, 4)"),
        ((3, 2), V, f"{BROADCASTABLE}(3, 2)"),
        ((0, 4), V, f"{BROADCASTABLE}(0, 4)"),
        ((-1, 4), V, f"{SHAPE}no negative lengths, but"),
        (4, T, f"{INTEGERS}, but got int"),
        ("34", T, f"{INTEGERS}, but"),
        ((1.0, 4), T, f"{INTEGERS} in each axis, but got float"),
        ((True, 4), T, f"{INTEGERS} in each axis, but got bool"),
    ),
    *values(
        "data-format",
        lambda s, v: fastdrop.dropout1d(s.x, rng=s.rng, out=s.out, data_format=v),
        ("NCHW", V, f"{FORMATS}'NCHW'"),
        (None, V, f"{FORMATS}None"),
        (np.ones(2), V, FORMATS),
    ),
    *(
        bad
        for t in (True, False)
        for bad in values(
            f"block-size-{t}",
            lambda s, v, t=t: fastdrop.drop_block1d(s.x, 0.5, v, t, rng=s.rng, out=s.out),
            (0, V, f"{BLOCKS}at least 1, but got 0"),
            (-(2**70), V, f"{BLOCKS}at least 1, but got -1180591620717411303424"),
            (3.0, T, f"{BLOCKS}an integer, but got float"),
            (True, T, f"{BLOCKS}an integer, but got bool"),
            (None, T, f"{BLOCKS}an integer, but got NoneType"),
            ((3, 3), T, f"{BLOCKS}an integer, but got tuple"),
        )
    ),
    *values(
        "time-axis",
        lambda s, v: fastdrop.variational_dropout(s.x, rng=s.rng, time_axis=v),
        (2, V, f"{AXIS}2"),
        (-3, V, f"{AXIS}-3"),
        (True, T, "time_axis has to be an integer, but got bool"),
        (1.0, T, "time_axis has to be an integer, but got float"),
        (None, T, "time_axis has to be an integer, but got NoneType"),
    ),
    *values(
        "std",
        lambda s, v: noise(s.x, v, rng=s.rng, out=s.out),
        (np.nan, V, f"{FINITE}nan"),
        (np.inf, V, f"{FINITE}inf"),
        (1e39, V, f"{FINITE}1e+39"),
        (-0.1, V, "std has to be at least 0, but got -0.1"),
        ("1", T, "std has to be a real number, but got str"),
        (np.ones(2), T, "std has to be a real number, but got ndarray"),
        (True, T, "std has to be a real number, but got bool"),
    ),
    *rows(
        "option",
        (lambda s: dropout_(s.x, rng=s.rng, noise_shape=(3, 2)), V, f"{BROADCASTABLE}(3, 2)"),
        (lambda s: dropout(s.x, 0.5, False, noise_shape=(2, 4)), V, f"{BROADCASTABLE}(2, 4)"),
        (lambda s: dropout(s.x, rng=s.rng, mode="upside"), V, f"{MODES}'upside'"),
        (lambda s: dropout_(s.x, 0.5, False, rng=s.rng, mode=None), V, f"{MODES}None"),
        (lambda s: fastdrop.dropout1d(s.x, 0.5, False, data_format="x"), V, FORMATS),
        (lambda s: fastdrop.drop_path(s.x, out=s.out, mode="rows"), V, f"{PATHS}'rows'"),
        (lambda s: fastdrop.gaussian_dropout(s.x, 1, rng=s.rng), V, AT_1),
        (lambda s: fastdrop.gaussian_dropout(s.x, 1.0, False, rng=s.rng), V, AT_1),
        (lambda s: noise(s.x, -1, False, out=s.out), V, "std has to be at least 0, but got -1"),
        (lambda s: f(s.x, None, "tanh", rng=s.rng, out=s.out), V, f"{ACTS}'tanh'"),
        (lambda s: f(s.x, None, None, rng=s.rng, out=s.out), V, f"{ACTS}None"),
        (lambda s: g(s.x, s.x, act=np.ones(2), rng=1, out=s.out), V, ACTS),
        (lambda s: f(s.x, np.ones(4), rng=s.rng, out=s.out), T, f"{DTYPE}float64"),
        (lambda s: f(s.x, np.ones(3, F32), rng=s.rng, out=s.out), V, f"{BIAS}(3,)"),
        (lambda s: g(s.x, s.x, np.ones((1, 4), F32), rng=1, out=s.out), V, f"{BIAS}(1, 4)"),
        (lambda s: f(F32(1), s.full(F32, ()), rng=s.rng), V, f"{RANK}()"),
        (lambda s: f(s.x, s.out[0], rng=s.rng, out=s.out), V, f"bias {APART}"),
    ),
]


@parametrize(
    [bad for case in FIRST for bad in of_the_array(case)]
    + [bad for case in FIRST if len(case.variant.operands) == 2 for bad in of_the_second(case)]
    + OPTIONS
)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)


def test_a_scene_that_changes_is_found() -> None:
    """What `check` rests on."""
    for change in (lambda s: s.x.fill(0), lambda s: s.rng.spawn(1), lambda s: s.buffer.fill(0)):
        scene = Scene()
        change(scene)
        with pytest.raises(AssertionError):
            scene.check()
