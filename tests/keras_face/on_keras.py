"""What the tests of the Keras face share: they run on the backend that KERAS_BACKEND names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

keras = pytest.importorskip(
    "keras", reason="Keras or its backend is not installed", exc_type=ImportError
)

import fastdrop  # noqa: E402
import fastdrop.keras as fk  # noqa: E402
from fastdrop.variants import BY_FUNCTION  # noqa: E402

BACKEND = keras.config.backend()

needs_gradients = pytest.mark.skipif(
    BACKEND == "numpy", reason="Keras neither trains nor differentiates on NumPy"
)


def numpy(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Exact in every dtype, none of them 0."""
    n = int(np.prod(shape))
    return ((np.arange(n) % 120 + 8) / 8).reshape(shape).astype(dtype)


def gradient(function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Of `function` at `x`, for what comes back."""
    if BACKEND == "torch":
        import torch

        leaf = keras.ops.convert_to_tensor(x).clone().requires_grad_()
        (found,) = torch.autograd.grad(function(leaf), leaf, keras.ops.convert_to_tensor(dy))
        return numpy(found)
    import jax

    _, pullback = jax.vjp(function, keras.ops.convert_to_tensor(x))
    (found,) = pullback(keras.ops.convert_to_tensor(dy))
    return numpy(found)


class Case(NamedTuple):
    """A layer, and the function of `fastdrop` that gives its results for a key."""

    name: str
    shape: tuple[int, ...]
    options: dict[str, Any]
    """The layer's: the rate, and others."""
    function: str
    more: Mapping[str, Any] = MappingProxyType({})
    """The function's, beside the rate."""

    @property
    def layer(self) -> Any:
        return getattr(fk, self.name)

    def make(self, **options: Any) -> Any:
        return self.layer(**{**self.options, **options})

    def by(self, function: str, x: np.ndarray, key: fastdrop.Key) -> np.ndarray:
        rate = next(iter(self.options.values()))
        found: np.ndarray = getattr(fastdrop, function)(x, rate, rng=key, **self.more)
        return found

    def forward(self, x: np.ndarray, rng: fastdrop.Key) -> np.ndarray:
        return self.by(self.function, x, rng)

    def gradient(self, dy: np.ndarray, key: fastdrop.Key) -> np.ndarray:
        """As the declaration says it is computed."""
        how = BY_FUNCTION[self.function].gradient
        if how == "identity":
            return dy
        return self.by(self.function if how == "same" else how, dy, key)


HALF, SOME = {"rate": 0.5}, {"rate": 0.3}
LAST, FIRST = {"data_format": "channels_last"}, {"data_format": "channels_first"}
ROW, COLUMN, PLANE = ({"noise_shape": s} for s in ((None, 1, 5), (None, 7, 1), (7, 5)))
CASES = [
    Case("Dropout", (6, 70), SOME, "dropout"),
    Case("Dropout", (6, 7, 5), HALF | ROW, "dropout", {"noise_shape": (6, 1, 5)}),
    Case("Dropout", (6, 7, 5), HALF | PLANE, "dropout", {"noise_shape": (1, 7, 5)}),
    Case("SpatialDropout1D", (6, 7, 5), SOME, "dropout1d", LAST),
    Case("SpatialDropout2D", (6, 3, 4, 5), SOME | LAST, "dropout2d", LAST),
    Case("SpatialDropout2D", (6, 5, 3, 4), SOME | FIRST, "dropout2d", FIRST),
    Case("SpatialDropout3D", (6, 3, 2, 4, 5), SOME | LAST, "dropout3d", LAST),
    Case("SpatialDropout3D", (6, 5, 3, 2, 4), SOME | FIRST, "dropout3d", FIRST),
    Case("AlphaDropout", (6, 70), SOME, "alpha_dropout"),
    Case("AlphaDropout", (6, 7, 5), SOME | COLUMN, "feature_alpha_dropout"),
    Case("GaussianDropout", (6, 70), SOME, "gaussian_dropout"),
    Case("GaussianNoise", (6, 70), {"stddev": 0.3}, "gaussian_noise"),
]
EACH = [pytest.param(case, id=f"{case.name} {list(case.options.values())}") for case in CASES]
