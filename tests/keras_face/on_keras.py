"""What the tests of the Keras face share: they run on the backend that KERAS_BACKEND names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

keras = pytest.importorskip(
    "keras", reason="Keras or its backend is not installed", exc_type=ImportError
)

import fastdrop  # noqa: E402
import fastdrop.keras as fk  # noqa: E402

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
    """A layer, and what it has to give for a key: the result, and the gradient."""

    layer: Any
    options: dict[str, Any]
    shape: tuple[int, ...]
    forward: Callable[..., np.ndarray]
    backward: Callable[..., np.ndarray] | None = None

    def make(self, **options: Any) -> Any:
        return self.layer(**{**self.options, **options})

    def gradient(self, dy: np.ndarray, key: fastdrop.Key) -> np.ndarray:
        return (self.backward or self.forward)(dy, rng=key)


def _channels(function: Callable[..., np.ndarray], p: float, where: str) -> Any:
    return lambda x, rng: function(x, p, rng=rng, data_format=where)


LAST, FIRST = "channels_last", "channels_first"
CASES = {
    "Dropout": Case(
        fk.Dropout, {"rate": 0.3}, (6, 70), lambda x, rng: fastdrop.dropout(x, 0.3, rng=rng)
    ),
    "Dropout, shared": Case(
        fk.Dropout,
        {"rate": 0.5, "noise_shape": (None, 1, 5)},
        (6, 7, 5),
        lambda x, rng: fastdrop.dropout(x, 0.5, rng=rng, noise_shape=(6, 1, 5)),
    ),
    "Dropout, fewer axes": Case(
        fk.Dropout,
        {"rate": 0.5, "noise_shape": (7, 5)},
        (6, 7, 5),
        lambda x, rng: fastdrop.dropout(x, 0.5, rng=rng, noise_shape=(1, 7, 5)),
    ),
    "SpatialDropout1D": Case(
        fk.SpatialDropout1D, {"rate": 0.4}, (6, 7, 5), _channels(fastdrop.dropout1d, 0.4, LAST)
    ),
    "SpatialDropout2D": Case(
        fk.SpatialDropout2D,
        {"rate": 0.4, "data_format": LAST},
        (6, 3, 4, 5),
        _channels(fastdrop.dropout2d, 0.4, LAST),
    ),
    "SpatialDropout2D, channels first": Case(
        fk.SpatialDropout2D,
        {"rate": 0.4, "data_format": FIRST},
        (6, 5, 3, 4),
        _channels(fastdrop.dropout2d, 0.4, FIRST),
    ),
    "SpatialDropout3D": Case(
        fk.SpatialDropout3D,
        {"rate": 0.4, "data_format": LAST},
        (6, 3, 2, 4, 5),
        _channels(fastdrop.dropout3d, 0.4, LAST),
    ),
    "SpatialDropout3D, channels first": Case(
        fk.SpatialDropout3D,
        {"rate": 0.4, "data_format": FIRST},
        (6, 5, 3, 2, 4),
        _channels(fastdrop.dropout3d, 0.4, FIRST),
    ),
    "AlphaDropout": Case(
        fk.AlphaDropout,
        {"rate": 0.3},
        (6, 70),
        lambda x, rng: fastdrop.alpha_dropout(x, 0.3, rng=rng),
        lambda dy, rng: fastdrop.alpha_dropout_backward(dy, 0.3, rng=rng),
    ),
    "AlphaDropout, shared": Case(
        fk.AlphaDropout,
        {"rate": 0.3, "noise_shape": (None, 7, 1)},
        (6, 7, 5),
        lambda x, rng: fastdrop.feature_alpha_dropout(x, 0.3, rng=rng),
        lambda dy, rng: fastdrop.feature_alpha_dropout_backward(dy, 0.3, rng=rng),
    ),
    "GaussianDropout": Case(
        fk.GaussianDropout,
        {"rate": 0.3},
        (6, 70),
        lambda x, rng: fastdrop.gaussian_dropout(x, 0.3, rng=rng),
    ),
    "GaussianNoise": Case(
        fk.GaussianNoise,
        {"stddev": 0.3},
        (6, 70),
        lambda x, rng: fastdrop.gaussian_noise(x, 0.3, rng=rng),
        lambda dy, rng: dy,  # noqa: ARG005
    ),
}
EACH = [pytest.param(case, id=name) for name, case in CASES.items()]
