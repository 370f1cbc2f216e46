"""Bad input of every variant: what has to be, what came, no effect."""

from __future__ import annotations

from typing import Any

import numpy as np
from bad_input import (
    APART,
    OVERLAPS,
    RANKS,
    Bad,
    Scene,
    check,
    parametrize,
    refusals,
    values,
)
from cases import FIRST, Case

import fastdrop

T, V = TypeError, ValueError
F32 = np.float32


def small(case: Case) -> tuple[int, ...]:
    """A shape of few elements that the function takes."""
    return tuple(2 + i % 2 for i in range(len(case.shape)))


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


def general(case: Case) -> list[Bad]:
    """What every function of arrays refuses."""
    f, x = of_the_first(case), case.variant.operands[0]
    return refusals(case.name, f, x, small(case), case.takes("out"))


def of_the_second(case: Case) -> list[Bad]:
    """What every function of two arrays refuses in the second."""
    first, second = case.variant.operands
    bias = {"bias": None} if "bias" in case.shapes else {}

    def f(x: Any, y: Any, p: float = 0.5, training: bool = True, **options: Any) -> object:
        return case({first: x, second: y, **bias}, p, training=training, **options)

    dtype = f"{second} has to have {first}'s dtype float32, but got float64"
    shape = f"{second} has to have {first}'s shape"
    return [
        *values(
            f"{case.name}-second",
            lambda s, v: f(s.x, v, rng=1, out=s.out),
            (np.ones((3, 4)), T, dtype),
            ([1.0], T, dtype),
            (np.ones(4, F32), V, f"{shape} (3, 4), but got (4,)"),
        ),
        Bad(
            f"{case.name}-the-first-is-smaller",
            lambda s: f(s.full(F32, (1, 4)), s.x, rng=1, out=s.out),
            V,
            f"{shape} (1, 4), but got (3, 4)",
        ),
        Bad(
            f"{case.name}-overlap",
            lambda s: f(s.x, s.part(0), rng=1, out=s.part(1)),
            V,
            f"out has to be {second} {OVERLAPS}",
        ),
        Bad(
            f"{case.name}-in-evaluation",
            lambda s: f(s.x, s.full(F32, (2, 4)), 0.5, False, rng=1, out=s.out),
            V,
            f"{shape} (3, 4), but got (2, 4)",
        ),
    ]


PAIRS = [case for case in FIRST if len(case.variant.operands) == 2]


@parametrize(
    [bad for case in FIRST for bad in general(case)]
    + [bad for case in PAIRS for bad in of_the_second(case)]
)
def test_operands_and_out(case: Bad) -> None:
    check(case)


def of_ranks() -> list[Bad]:
    return [
        Bad(
            f"{case.name}-{len(shape)}-axes",
            lambda s, case=case, d=shape: of_the_first(case)(s.full(F32, d), rng=s.rng),
            V,
            f"{RANKS[case.name][0]}, but got shape {shape}",
        )
        for case in FIRST
        if case.name in RANKS
        for shape in RANKS[case.name][1]
    ]


f, g = fastdrop.bias_act_dropout, fastdrop.bias_act_dropout_backward
noise: Any = fastdrop.gaussian_noise
FORMATS = 'data_format has to be "channels_first" or "channels_last", but got '
BLOCKS = "block_size has to be "
SHAPE = "noise_shape has to have "
INTEGERS = "noise_shape has to be a tuple of integers or None"
BROADCASTABLE = "noise_shape has to be broadcastable to x's shape (3, 4), but got "
ACTS = 'act has to be "none", "relu", "gelu", "gelu_tanh" or "silu", but got '
AXIS = "has to be an axis of x, which has shape (3, 4), but got "
AT_1 = "p has to be less than 1, where the noise is infinite, but got 1"
FINITE = "std has to be a finite number, but got "


def block(training: bool) -> Any:
    return lambda s, v: fastdrop.drop_block1d(s.x, 0.5, v, training, rng=s.rng, out=s.out)


def shaped(function: Any, **more: Any) -> Any:
    return lambda s, v: function(s.x, rng=s.rng, noise_shape=v, **more)


OPTIONS = [
    *values(
        "noise-shape",
        lambda s, v: fastdrop.dropout(s.x, rng=s.rng, out=s.out, noise_shape=v),
        ((1, 3, 4), V, f"{SHAPE}at most the 2 axes of x, but got (1, 3, 4)"),
        ((3, 2), V, f"{BROADCASTABLE}(3, 2)"),
        ((0, 4), V, f"{BROADCASTABLE}(0, 4)"),
        ((-1, 4), V, f"{SHAPE}no negative lengths, but"),
        (4, T, f"{INTEGERS}, but got int"),
        ("34", T, f"{INTEGERS}, but"),
        ((1.0, 4), T, f"{INTEGERS} in each axis, but got float"),
        ((True, 4), T, f"{INTEGERS} in each axis, but got bool"),
    ),
    *values("noise-shape-in-place", shaped(fastdrop.dropout_), ((3, 2), V, f"{BROADCASTABLE}(3")),
    *values(
        "noise-shape-in-evaluation",
        shaped(fastdrop.dropout, training=False),
        ((2, 4), V, f"{BROADCASTABLE}(2, 4)"),
    ),
    *values(
        "mode",
        lambda s, v: fastdrop.dropout(s.x, rng=s.rng, mode=v),
        ("upside", V, 'mode has to be "inverted" or "standard", but got \'upside\''),
    ),
    *values(
        "mode-in-place",
        lambda s, v: fastdrop.dropout_(s.x, 0.5, False, rng=s.rng, mode=v),
        (None, V, 'mode has to be "inverted" or "standard", but got None'),
    ),
    *values(
        "data-format",
        lambda s, v: fastdrop.dropout1d(s.x, rng=s.rng, out=s.out, data_format=v),
        ("NCHW", V, f"{FORMATS}'NCHW'"),
        (None, V, f"{FORMATS}None"),
        (np.ones(2), V, FORMATS),
    ),
    *values(
        "data-format-in-evaluation",
        lambda s, v: fastdrop.dropout1d(s.x, 0.5, False, data_format=v),
        ("x", V, FORMATS),
    ),
    *(
        bad
        for training in (True, False)
        for bad in values(
            f"block-size-{training}",
            block(training),
            (0, V, f"{BLOCKS}at least 1, but got 0"),
            (-(2**70), V, f"{BLOCKS}at least 1, but got -1180591620717411303424"),
            (3.0, T, f"{BLOCKS}an integer, but got float"),
            (True, T, f"{BLOCKS}an integer, but got bool"),
            (None, T, f"{BLOCKS}an integer, but got NoneType"),
            ((3, 3), T, f"{BLOCKS}an integer, but got tuple"),
        )
    ),
    *values(
        "path-mode",
        lambda s, v: fastdrop.drop_path(s.x, rng=s.rng, out=s.out, mode=v),
        ("rows", V, 'mode has to be "row" or "batch", but got \'rows\''),
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
    *values("noise-p", lambda s, v: fastdrop.gaussian_dropout(s.x, v, rng=s.rng), (1, V, AT_1)),
    *values(
        "noise-p-in-evaluation",
        lambda s, v: fastdrop.gaussian_dropout(s.x, v, False, rng=s.rng),
        (1.0, V, AT_1),
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
    *values(
        "std-in-evaluation",
        lambda s, v: noise(s.x, v, False, rng=s.rng, out=s.out),
        (-1, V, "std has to be at least 0, but got -1"),
    ),
    *values(
        "act",
        lambda s, v: f(s.x, None, v, rng=s.rng, out=s.out),
        ("tanh", V, f"{ACTS}'tanh'"),
        (None, V, f"{ACTS}None"),
    ),
    *values("act-slope", lambda s, v: g(s.x, s.x, act=v, rng=1, out=s.out), (np.ones(2), V, ACTS)),
    *values(
        "bias",
        lambda s, v: f(s.x, v, rng=s.rng, out=s.out),
        (np.ones(4), T, "bias has to have x's dtype float32, but got float64"),
        (np.ones(3, F32), V, "bias has to have the shape (4,) of x's last axis, but got (3,)"),
    ),
    *values(
        "bias-of-the-gradient",
        lambda s, v: g(s.x, s.x, v, rng=1, out=s.out),
        (np.ones((1, 4), F32), V, "bias has to have the shape (4,) of x's last axis, but got (1"),
    ),
    Bad(
        "bias-and-no-axis",
        lambda s: f(F32(1), s.full(F32, ()), rng=s.rng),
        V,
        "x has to have at least 1 axis where there is a bias, but got shape ()",
    ),
    Bad("bias-overlaps", lambda s: f(s.x, s.out[0], rng=s.rng, out=s.out), V, f"bias {APART}"),
]


@parametrize(of_ranks() + OPTIONS)
def test_ranks_and_options(case: Bad) -> None:
    check(case)


def test_a_scene_that_changes_is_found() -> None:
    """What `check` rests on."""
    for change in (lambda s: s.x.fill(0), lambda s: s.rng.spawn(1), lambda s: s.buffer.fill(0)):
        scene = Scene()
        change(scene)
        try:
            scene.check()
        except AssertionError:
            continue
        raise AssertionError("nothing was found")
