"""What is measured of the family: a statement for every variant, and PyTorch's way if there is one.

``bench_family`` measures them on every implementation, and ``family`` makes a table of them.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import fastdrop
from fastdrop._arrays import Array
from fastdrop._throughput import P
from fastdrop.variants import BY_FUNCTION

from . import measure
from .measure import QUICK
from .peers import BLOCK, TORCH_BLOCKS, TORCH_PRODUCT

FLOAT32 = np.dtype(np.float32)
SAMPLES = 4 if QUICK else 16

IMAGES = (4, 64, 28, 28) if QUICK else (32, 256, 28, 28)
IMAGES_LAST = (4, 28, 28, 64) if QUICK else (32, 28, 28, 256)
LARGE_IMAGES = (1, 8, 112, 112) if QUICK else (8, 64, 112, 112)
VOLUMES = (2, 16, 8, 16, 16) if QUICK else (8, 64, 16, 28, 28)
SEQUENCES = (8, 32, 256) if QUICK else (64, 128, 512)
SHORT_SEQUENCES = (64, 16, 64) if QUICK else (4096, 16, 64)
SHORTER_SEQUENCES = (64, 4, 64) if QUICK else (4096, 4, 64)
PAIRS = (1024, 2, 2) if QUICK else (1 << 18, 2, 2)
"""What is shared least: two elements each, in twos."""
SMALL = (1, 4, 4)
"""What is measured is the call."""
SIGNALS = (8, 32, 256) if QUICK else (64, 512, 128)
MATRIX = (64, 1024) if QUICK else (1024, 1024)
TABLE = (1000, 200) if QUICK else (10_000, 400)
SCORES = (2, 2, 128, 128) if QUICK else (8, 6, 256, 256)
STACK = (SAMPLES, 1 << 12) if QUICK else (SAMPLES, 1 << 16)
PRODUCT = (8, 128, 128) if QUICK else (64, 1024, 1024)
"""Samples, outputs and inputs of a linear layer."""

MULTIPLY = "np.multiply(x, s, out={})"


class Case(NamedTuple):
    """Something to measure: a statement, the shape of ``x``, and PyTorch's statement.

    ``{}`` stands for the array that the result is written to, also in the limit.
    """

    what: str
    ours: str
    shape: tuple[int, ...]
    torch: str | None = None
    limit: str = MULTIPLY
    in_place: bool = False
    """Whether it is measured in place too: whether x stays what it is, however often."""

    @property
    def function(self) -> str:
        """The public function that is called."""
        return self.ours.partition("(")[0]

    def call(self, out: str) -> str:
        """Our statement, with the result written to ``out``."""
        return f"fastdrop.{self.ours.format(out)}"


def _case(
    what: str,
    function: str,
    shape: tuple[int, ...],
    torch: str | None = None,
    *options: str,
    act: str | None = None,
) -> Case:
    """The case of a declared variant: its operands are ``x`` and ``h``, a bias is ``b``."""
    variant = BY_FUNCTION[function]
    arguments = list("xh"[: len(variant.operands)])
    if act is not None:
        arguments += ["b", repr(act)]
    arguments += ["p", *options, "rng=key" if variant.repeats else "rng=rng"]
    if variant.results == 1:
        arguments.append("out={}")
    in_place = variant.operation in ("scale", "affine") and not variant.repeats
    limit = MULTIPLY if len(variant.operands) == 1 else "np.add(x, h, out={})"
    return Case(what, f"{function}({', '.join(arguments)})", shape, torch, limit, in_place)


def _noise(shape: str) -> str:
    """The usual way to share decisions: multiply with a small tensor of noise."""
    return f"t * torch.empty({shape}).bernoulli_(1 - p).div_(1 - p)"


_DROPOUT = "F.dropout(t, p, True)"
_PER_FEATURE = _noise("(t.shape[0], 1, t.shape[2])")
_ACTIVATIONS = {
    "relu": "F.relu(t + b_torch)",
    "gelu": "F.gelu(t + b_torch)",
    "gelu_tanh": "F.gelu(t + b_torch, approximate='tanh')",
    "silu": "F.silu(t + b_torch)",
}

_WRITTEN = [
    _case("plain", "dropout", MATRIX, _DROPOUT),
    _case("weights", "drop_connect", MATRIX, _DROPOUT),
    _case("attention", "attention_dropout", SCORES, _DROPOUT),
    # Decisions shared along axes.
    _case("channels of sequences", "dropout1d", SIGNALS, "F.dropout1d(t, p, True)"),
    _case("channels, 16 elements", "dropout1d", SMALL, "F.dropout1d(t, p, True)"),
    _case("channels of images", "dropout2d", IMAGES, "F.dropout2d(t, p, True)"),
    _case(
        "channels of images, last", "dropout2d", IMAGES_LAST, None, "data_format='channels_last'"
    ),
    _case("channels of volumes", "dropout3d", VOLUMES, "F.dropout3d(t, p, True)"),
    _case("features of sequences", "variational_dropout", SEQUENCES, _PER_FEATURE),
    _case("features of short sequences", "variational_dropout", SHORT_SEQUENCES, _PER_FEATURE),
    _case("features of shorter sequences", "variational_dropout", SHORTER_SEQUENCES, _PER_FEATURE),
    _case("features of pairs", "variational_dropout", PAIRS, _PER_FEATURE),
    _case("paths", "drop_path", IMAGES, _noise("(t.shape[0], 1, 1, 1)")),
    _case("rows of a table", "embedding_dropout", TABLE, _noise("(t.shape[0], 1)")),
    # Blocks.
    _case("blocks of sequences", "drop_block1d", SIGNALS, None, str(BLOCK)),
    _case("blocks of images", "drop_block2d", IMAGES, TORCH_BLOCKS, str(BLOCK)),
    _case("blocks of large images", "drop_block2d", LARGE_IMAGES, None, str(BLOCK)),
    _case("blocks of volumes", "drop_block3d", VOLUMES, None, str(BLOCK)),
    # What computes more than a product.
    _case("alpha", "alpha_dropout", MATRIX, "F.alpha_dropout(t, p, True)"),
    _case("alpha, gradient", "alpha_dropout_backward", MATRIX),
    _case(
        "alpha of channels",
        "feature_alpha_dropout",
        IMAGES,
        "F.feature_alpha_dropout(t, p, True)",
    ),
    _case("alpha of channels, gradient", "feature_alpha_dropout_backward", IMAGES),
    _case("addition", "dropout_add", MATRIX, "F.dropout(t, p, True) + h_torch"),
    _case("zoneout", "zoneout", MATRIX, "torch.where(torch.rand_like(t) < p, h_torch, t)"),
    _case("zoneout, gradients", "zoneout_backward", MATRIX),
    _case(
        "noise, multiplied",
        "gaussian_dropout",
        MATRIX,
        "t * (1 + (p / (1 - p)) ** 0.5 * torch.randn_like(t))",
    ),
    _case("noise, added", "gaussian_noise", MATRIX, "t + p * torch.randn_like(t)"),
    *(
        _case(
            f"bias and {act}",
            "bias_act_dropout",
            MATRIX,
            f"F.dropout({theirs}, p, True)",
            act=act,
        )
        for act, theirs in _ACTIVATIONS.items()
    ),
    *(
        _case(f"bias and {act}, gradients", "bias_act_dropout_backward", MATRIX, act=act)
        for act in _ACTIVATIONS
    ),
    # Algorithms of their own.
    Case(
        "softmax",
        "softmax_dropout(x, p, scale=0.125, rng=rng, out={})",
        SCORES,
        "F.dropout(torch.softmax(t * 0.125, -1), p, True)",
    ),
    Case(
        "softmax, gradient",
        "softmax_dropout_backward(x, h, p, scale=0.125, rng=key, out={})",
        SCORES,
    ),
    Case(
        "product",
        "dropconnect_linear(a, w, None, p, rng=rng, out=c)",
        PRODUCT,
        TORCH_PRODUCT,
        "np.matmul(a, w.T, out=c)",
    ),
    Case(
        "product, gradients",
        "dropconnect_linear_backward(c, a, w, p, rng=key)",
        PRODUCT,
        None,
        "(c @ w, c.T @ a)",
    ),
    Case(
        "samples of one array",
        f"dropout_samples(x[0], p, {SAMPLES}, rng=rng, out={{}})",
        STACK,
        "F.dropout(t[0].expand(t.shape), p, True)",
        "np.multiply(x[0], s, out={})",
    ),
    # Every norm is above the limit, which falls from call to call.
    *(
        Case(
            f"norms of {what}",
            f"max_norm_(x, next(limits), {axis})",
            MATRIX,
            f"t.renorm_(2, {1 - axis}, next(limits))",
            "np.multiply(x, s, out=x)",
        )
        for what, axis in (("rows", 1), ("columns", 0))
    ),
]

_OTHERS = BY_FUNCTION.keys() - {case.function for case in _WRITTEN}
CASES = [
    *_WRITTEN,
    *(_case(name.replace("_", " "), name, MATRIX) for name in sorted(_OTHERS)),
]
"""Of a variant that nothing is written of above, the function on a matrix."""


def family() -> Iterator[Case]:
    """The rows of the table: the first case of a function, with activations that of each.

    Gradients, twins for sequences and volumes, and norms are measured but have no row, nor has what
    follows from a declaration alone.
    """
    for function, cases in itertools.groupby(_WRITTEN, lambda case: case.function):
        if not function.endswith(("1d", "3d", "_backward", "norm_")):
            yield from itertools.islice(cases, None if function == "bias_act_dropout" else 1)


def _filled(name: str, shape: tuple[int, ...], seed: int) -> Array:
    """Normal variates in memory that the next array of this name gets again."""
    array = measure.array(name, math.prod(shape), FLOAT32).reshape(shape)
    np.random.default_rng(seed).standard_normal(out=array, dtype=np.float32)
    return array


def falling_limits() -> Iterator[float]:
    """For `max_norm_`: from 1 on, each a little smaller."""
    return ((1 - 2.0**-20) ** n for n in itertools.count())


def names_for(case: Case) -> dict[str, object]:
    """The arrays of a case: ``x``, ``y`` and ``h`` of its shape, a bias ``b``, and factors."""
    names: dict[str, object] = {
        "np": np,
        "fastdrop": fastdrop,
        "rng": fastdrop.Generator(1),
        "key": fastdrop.Key(1, 0, 0),
        "p": P,
        "s": np.float32(1),
        "limits": falling_limits(),
    }
    if case.shape == PRODUCT:
        samples, outputs, inputs = case.shape
        return names | {
            "a": _filled("x", (samples, inputs), 1),
            "w": _filled("y", (outputs, inputs), 2),
            "c": _filled("h", (samples, outputs), 3),
        }
    return names | {
        "x": _filled("x", case.shape, 1),
        "y": _filled("y", case.shape, 2),
        "h": _filled("h", case.shape, 3),
        "b": _filled("b", case.shape[-1:], 4),
    }


def work(case: Case) -> int:
    """Elements of ``x``, or products of an element and a weight."""
    return math.prod(case.shape)


PAST_THE_CACHE = [
    case
    for case in CASES
    if case.shape == MATRIX and case.torch is not None
    if case.function in BY_FUNCTION
    if BY_FUNCTION[case.function].operation in ("affine", "add", "select")
]
"""What computes more than a product, where its stores decide."""
