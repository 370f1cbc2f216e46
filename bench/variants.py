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


class Variant(NamedTuple):
    """A row of the table: what a variant is called, how its gradient is had, and its case."""

    name: str
    function: str
    layer: str | None
    backward: str
    case: str


def _noise(shape: str) -> str:
    """The usual way to share decisions: multiply with a small tensor of noise."""
    return f"t * torch.empty({shape}).bernoulli_(1 - p).div_(1 - p)"


_DROPOUT = "F.dropout(t, p, True)"
_BIAS_ACT = "bias_act_dropout(x, b, '{}', p, rng=rng, out={{}})"
_BIAS_ACT_BACKWARD = "bias_act_dropout_backward(x, h, b, '{}', p, rng=key, out={{}})"
_PRODUCT = "dropconnect_linear(a, w, None, p, rng=rng, out=c)"
_PRODUCT_BACKWARD = "dropconnect_linear_backward(c, a, w, p, rng=key)"
_ACTIVATIONS = {
    "relu": "F.relu(t + b_torch)",
    "gelu": "F.gelu(t + b_torch)",
    "gelu_tanh": "F.gelu(t + b_torch, approximate='tanh')",
    "silu": "F.silu(t + b_torch)",
}

CASES = [
    Case("plain", "dropout(x, p, rng=rng, out={})", MATRIX, _DROPOUT, in_place=True),
    Case("weights", "drop_connect(x, p, rng=rng, out={})", MATRIX, _DROPOUT, in_place=True),
    Case("attention", "attention_dropout(x, p, rng=rng, out={})", SCORES, _DROPOUT, in_place=True),
    Case(
        f"{SAMPLES} samples",
        f"dropout_samples(x[0], p, {SAMPLES}, rng=rng, out={{}})",
        STACK,
        "F.dropout(t[0].expand(t.shape), p, True)",
        "np.multiply(x[0], s, out={})",
    ),
    # Decisions shared along axes.
    Case(
        "channels of sequences",
        "dropout1d(x, p, rng=rng, out={})",
        SIGNALS,
        "F.dropout1d(t, p, True)",
        in_place=True,
    ),
    Case(
        "channels, 16 elements",
        "dropout1d(x, p, rng=rng, out={})",
        SMALL,
        "F.dropout1d(t, p, True)",
        in_place=True,
    ),
    Case(
        "channels of images",
        "dropout2d(x, p, rng=rng, out={})",
        IMAGES,
        "F.dropout2d(t, p, True)",
        in_place=True,
    ),
    Case(
        "channels of images, last",
        "dropout2d(x, p, data_format='channels_last', rng=rng, out={})",
        IMAGES_LAST,
        in_place=True,
    ),
    Case(
        "channels of volumes",
        "dropout3d(x, p, rng=rng, out={})",
        VOLUMES,
        "F.dropout3d(t, p, True)",
        in_place=True,
    ),
    *(
        Case(
            f"features of {what}",
            "variational_dropout(x, p, rng=rng, out={})",
            shape,
            _noise("(t.shape[0], 1, t.shape[2])"),
            in_place=True,
        )
        for what, shape in (
            ("sequences", SEQUENCES),
            ("short sequences", SHORT_SEQUENCES),
            ("shorter sequences", SHORTER_SEQUENCES),
            ("pairs", PAIRS),
        )
    ),
    Case(
        "paths",
        "drop_path(x, p, rng=rng, out={})",
        IMAGES,
        _noise("(t.shape[0], 1, 1, 1)"),
        in_place=True,
    ),
    Case(
        "rows of a table",
        "embedding_dropout(x, p, rng=rng, out={})",
        TABLE,
        _noise("(t.shape[0], 1)"),
        in_place=True,
    ),
    # Blocks.
    Case(
        "blocks of sequences",
        f"drop_block1d(x, p, {BLOCK}, rng=rng, out={{}})",
        SIGNALS,
        in_place=True,
    ),
    Case(
        "blocks of images",
        f"drop_block2d(x, p, {BLOCK}, rng=rng, out={{}})",
        IMAGES,
        TORCH_BLOCKS,
        in_place=True,
    ),
    Case(
        "blocks of large images",
        f"drop_block2d(x, p, {BLOCK}, rng=rng, out={{}})",
        LARGE_IMAGES,
        in_place=True,
    ),
    Case(
        "blocks of volumes",
        f"drop_block3d(x, p, {BLOCK}, rng=rng, out={{}})",
        VOLUMES,
        in_place=True,
    ),
    # What computes more than a product.
    Case(
        "alpha",
        "alpha_dropout(x, p, rng=rng, out={})",
        MATRIX,
        "F.alpha_dropout(t, p, True)",
        in_place=True,
    ),
    Case("alpha, gradient", "alpha_dropout_backward(x, p, rng=key, out={})", MATRIX),
    Case(
        "alpha of channels",
        "feature_alpha_dropout(x, p, rng=rng, out={})",
        IMAGES,
        "F.feature_alpha_dropout(t, p, True)",
        in_place=True,
    ),
    Case(
        "addition",
        "dropout_add(x, h, p, rng=rng, out={})",
        MATRIX,
        "F.dropout(t, p, True) + h_torch",
        "np.add(x, h, out={})",
    ),
    Case(
        "zoneout",
        "zoneout(x, h, p, rng=rng, out={})",
        MATRIX,
        "torch.where(torch.rand_like(t) < p, h_torch, t)",
        "np.add(x, h, out={})",
    ),
    Case(
        "noise, multiplied",
        "gaussian_dropout(x, p, rng=rng, out={})",
        MATRIX,
        "t * (1 + (p / (1 - p)) ** 0.5 * torch.randn_like(t))",
    ),
    Case(
        "noise, added",
        "gaussian_noise(x, 0.1, rng=rng, out={})",
        MATRIX,
        "t + 0.1 * torch.randn_like(t)",
    ),
    Case("zoneout, gradients", "zoneout_backward(x, p, rng=key)", MATRIX),
    *(
        Case(f"bias and {act}", _BIAS_ACT.format(act), MATRIX, f"F.dropout({theirs}, p, True)")
        for act, theirs in _ACTIVATIONS.items()
    ),
    *(
        Case(f"bias and {act}, gradients", _BIAS_ACT_BACKWARD.format(act), MATRIX)
        for act in _ACTIVATIONS
    ),
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
    Case("product", _PRODUCT, PRODUCT, TORCH_PRODUCT, "np.matmul(a, w.T, out=c)"),
    Case("product, gradients", _PRODUCT_BACKWARD, PRODUCT, None, "(c @ w, c.T @ a)"),
]

THE_SAME = "the same call"

FAMILY = [
    Variant("plain", "dropout", "Dropout", THE_SAME, "plain"),
    Variant("spatial", "dropout2d", "SpatialDropout2D", THE_SAME, "channels of images"),
    Variant(
        "variational (locked)",
        "variational_dropout",
        "VariationalDropout",
        THE_SAME,
        "features of sequences",
    ),
    Variant("stochastic depth", "drop_path", "DropPath", THE_SAME, "paths"),
    Variant("embedding", "embedding_dropout", "EmbeddingDropout", THE_SAME, "rows of a table"),
    Variant("DropBlock", "drop_block2d", "DropBlock2D", THE_SAME, "blocks of images"),
    Variant("alpha", "alpha_dropout", "AlphaDropout", "alpha_dropout_backward", "alpha"),
    Variant(
        "alpha, whole channels",
        "feature_alpha_dropout",
        "FeatureAlphaDropout",
        "feature_alpha_dropout_backward",
        "alpha of channels",
    ),
    Variant("DropConnect", "drop_connect", "DropConnect", THE_SAME, "weights"),
    Variant(
        "DropConnect per sample",
        "dropconnect_linear",
        "DropConnectLinear",
        "dropconnect_linear_backward",
        "product",
    ),
    Variant("attention weights", "attention_dropout", "AttentionDropout", THE_SAME, "attention"),
    Variant(
        "softmax, dropout",
        "softmax_dropout",
        "SoftmaxDropout",
        "softmax_dropout_backward",
        "softmax",
    ),
    Variant("dropout, addition", "dropout_add", "DropoutAdd", "dropout", "addition"),
    *(
        Variant(
            f"bias, {act}, dropout",
            "bias_act_dropout",
            "BiasActDropout",
            "bias_act_dropout_backward",
            f"bias and {act}",
        )
        for act in _ACTIVATIONS
    ),
    Variant("zoneout", "zoneout", "Zoneout", "zoneout_backward", "zoneout"),
    Variant("Gaussian", "gaussian_dropout", "GaussianDropout", THE_SAME, "noise, multiplied"),
    Variant("Gaussian noise", "gaussian_noise", "GaussianNoise", "dy itself", "noise, added"),
    Variant("Monte Carlo samples", "dropout_samples", None, THE_SAME, f"{SAMPLES} samples"),
]


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
