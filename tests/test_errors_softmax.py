"""Bad input of softmax with dropout: what has to be, what came, no effect."""

from typing import Any

import numpy as np
import pytest
from bad_input import Bad, check, refusals

import fastdrop

SHAPE = (3, 4)
forward: Any = fastdrop.softmax_dropout
backward: Any = fastdrop.softmax_dropout_backward

ARGUMENTS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("axis", {"axis": 2}, ValueError, "axis has to be an axis of scores, which has shape (3, 4)"),
    ("negative-axis", {"axis": -3}, ValueError, "axis has to be an axis of scores, which has"),
    ("axis-type", {"axis": 0.0}, TypeError, "axis has to be an integer, but got float"),
    ("axis-bool", {"axis": True}, TypeError, "axis has to be an integer, but got bool"),
    (
        "mask-dtype",
        {"mask": np.ones(4)},
        TypeError,
        "mask has to have dtype bool, or scores' dtype float32 where it is added, but got float64",
    ),
    (
        "mask-bytes",
        {"mask": np.ones(4, np.uint8)},
        TypeError,
        "mask has to have dtype bool, or scores' dtype float32 where it is added, but got uint8",
    ),
    (
        "mask-shape",
        {"mask": np.ones(3, bool)},
        ValueError,
        "mask has to be broadcastable to scores' shape (3, 4), but got (3,)",
    ),
    (
        "mask-axes",
        {"mask": np.ones((1, 3, 4), bool)},
        ValueError,
        "mask has to be broadcastable to scores' shape (3, 4), but got (1, 3, 4)",
    ),
    ("mask-ragged", {"mask": [[True], [True, True]]}, ValueError, "mask has to be an array or"),
    ("scale-type", {"scale": "2"}, TypeError, "scale has to be a real number, but got str"),
    ("scale-bool", {"scale": True}, TypeError, "scale has to be a real number, but got bool"),
    ("scale-nan", {"scale": np.nan}, ValueError, "scale has to be a finite number, but got nan"),
    ("scale-inf", {"scale": -np.inf}, ValueError, "scale has to be a finite number, but got -inf"),
    ("scale-large", {"scale": 1e39}, ValueError, "scale has to be a finite number, but got 1e+39"),
]

CASES = [
    *refusals("softmax", forward, "scores", SHAPE),
    *(
        Bad(
            f"softmax-{name}",
            lambda _, s, options=options: forward(s.x, rng=s.rng, out=s.out, **options),
            error,
            words,
        )
        for name, options, error, words in ARGUMENTS
    ),
    *(
        Bad(
            f"softmax-backward-{name}",
            lambda _, s, options=options: backward(s.x, s.x, rng=1, out=s.out, **options),
            error,
            words,
        )
        for name, options, error, words in ARGUMENTS
    ),
    Bad(
        "softmax-scalar",
        lambda _, s: forward(s.full(np.float32, ()), rng=s.rng),
        ValueError,
        "axis has to be an axis of scores, which has shape (), but got -1",
    ),
    Bad(
        "softmax-out-over-mask",
        lambda _, s: forward(
            s.x, mask=s.buffer[:12].reshape(SHAPE), rng=s.rng, out=s.buffer[:12].reshape(SHAPE)
        ),
        ValueError,
        "mask has to share no memory with the array that is written",
    ),
    Bad(
        "softmax-backward-dtype",
        lambda _, s: backward(s.full(np.float64), s.x, rng=1, out=s.out),
        TypeError,
        "dy has to have scores' dtype float32, but got float64",
    ),
    Bad(
        "softmax-backward-shape",
        lambda _, s: backward(s.full(np.float32, (4,)), s.x, rng=1, out=s.out),
        ValueError,
        "dy has to have scores' shape (3, 4), but got (4,)",
    ),
    Bad(
        "softmax-backward-generator",
        lambda _, s: backward(s.x, s.x, rng=s.rng, out=s.out),
        TypeError,
        "rng has to be what gave the forward pass its mask, a Key or a seed, but got Generator",
    ),
    Bad(
        "softmax-backward-nothing",
        lambda _, s: backward(s.x, s.x, rng=None, out=s.out),
        TypeError,
        "rng has to be what gave the forward pass its mask, a Key or a seed, but got NoneType",
    ),
    Bad(
        "softmax-backward-overlaps-scores",
        lambda _, s: backward(
            s.x, s.buffer[:12].reshape(SHAPE), rng=1, out=s.buffer[1:13].reshape(SHAPE)
        ),
        ValueError,
        "out has to be scores itself or share no memory with it, but got an array that",
    ),
    Bad(
        "softmax-backward-overlaps-dy",
        lambda _, s: backward(
            s.buffer[:12].reshape(SHAPE), s.x, rng=1, out=s.buffer[1:13].reshape(SHAPE)
        ),
        ValueError,
        "out has to be dy itself or share no memory with it, but got an array that",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_refused_without_effect(case: Bad) -> None:
    check(case, "exported")
