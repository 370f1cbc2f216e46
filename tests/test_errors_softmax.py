"""Bad input of softmax with dropout: what has to be, what came, no effect."""

from typing import Any

import numpy as np
from bad_input import APART, OVERLAPS, Bad, check, parametrize, refusals

import fastdrop

T, V = TypeError, ValueError
F32 = np.float32
forward: Any = fastdrop.softmax_dropout
backward: Any = fastdrop.softmax_dropout_backward

AXIS = "axis has to be an axis of scores, which has shape"
DTYPE = "mask has to have dtype bool, or scores' dtype float32 where it is added, but got "
SHAPE = "mask has to be broadcastable to scores' shape (3, 4), but got "
FINITE = "scale has to be a finite number, but got "

# What both functions refuse.
ARGUMENTS: list[tuple[str, Any, type[Exception], str]] = [
    ("axis", 2, V, f"{AXIS} (3, 4)"),
    ("axis", -3, V, AXIS),
    ("axis", 0.0, T, "axis has to be an integer, but got float"),
    ("axis", True, T, "axis has to be an integer, but got bool"),
    ("mask", np.ones(4), T, f"{DTYPE}float64"),
    ("mask", np.ones(4, np.uint8), T, f"{DTYPE}uint8"),
    ("mask", np.ones(3, bool), V, f"{SHAPE}(3,)"),
    ("mask", np.ones((1, 3, 4), bool), V, f"{SHAPE}(1, 3, 4)"),
    ("mask", [[True], [True, True]], V, "mask has to be an array or"),
    ("scale", "2", T, "scale has to be a real number, but got str"),
    ("scale", True, T, "scale has to be a real number, but got bool"),
    ("scale", np.nan, V, f"{FINITE}nan"),
    ("scale", -np.inf, V, f"{FINITE}-inf"),
    ("scale", 1e39, V, f"{FINITE}1e+39"),
]
CASES = [
    *refusals("softmax", forward, "scores", (3, 4)),
    *(
        Bad(f"{name}-{argument}-{i}", lambda s, call=call, o={argument: v}: call(s, o), *error)
        for name, call in (
            ("forward", lambda s, options: forward(s.x, rng=s.rng, out=s.out, **options)),
            ("backward", lambda s, options: backward(s.x, s.x, rng=1, out=s.out, **options)),
        )
        for i, (argument, v, *error) in enumerate(ARGUMENTS)
    ),
    Bad("scalar", lambda s: forward(s.full(F32, ()), rng=s.rng), V, f"{AXIS} (), but got -1"),
    Bad(
        "out-over-mask",
        lambda s: forward(s.x, mask=s.part(0), rng=s.rng, out=s.part(0)),
        V,
        f"mask {APART}",
    ),
    Bad(
        "dy-dtype",
        lambda s: backward(s.full(float), s.x, rng=1, out=s.out),
        T,
        "dy has to have scores' dtype float32, but got float64",
    ),
    Bad(
        "dy-shape",
        lambda s: backward(s.full(F32, (4,)), s.x, rng=1, out=s.out),
        V,
        "dy has to have scores' shape (3, 4), but got (4,)",
    ),
    Bad(
        "out-overlaps-scores",
        lambda s: backward(s.x, s.part(0), rng=1, out=s.part(1)),
        V,
        f"out has to be scores {OVERLAPS}",
    ),
    Bad(
        "out-overlaps-dy",
        lambda s: backward(s.part(0), s.x, rng=1, out=s.part(1)),
        V,
        f"out has to be dy {OVERLAPS}",
    ),
]


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)
