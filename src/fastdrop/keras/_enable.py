"""Keras' own dropout, computed here: for the whole process, until it is ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import keras

from fastdrop._switch import Handle, Switch

from ._draw import DROPOUT, drawn
from ._private import PROBE, Replaced

__all__ = ["disable", "enable"]

_active: Final[list[Replaced]] = []


def _ours(keras_dropout: Callable[..., Any]) -> Callable[..., Any]:
    def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        if inputs is PROBE:
            return inputs
        # Somebody may have kept this function, and call it when it has been ended.
        if _active and 0 < rate < 1:
            y = drawn(DROPOUT, inputs, rate, noise_shape, seed)
            if y is not None:
                return y
        return keras_dropout(inputs, rate, noise_shape=noise_shape, seed=seed)

    return dropout


def _settle(asked: set[str]) -> None:
    if bool(asked) == bool(_active):
        return
    if asked:
        _active.append(Replaced(_ours))
    else:
        _active.pop().end()
    # PyTorch's compiled code is guarded by the function that it calls. JAX keeps what it traced.
    if keras.config.backend() == "jax":
        sys.modules["jax"].clear_caches()


_switch: Final = Switch("fastdrop.keras.enable", _settle)


def enabled() -> bool:
    """Whether Keras' own dropout is computed here."""
    return bool(_active)


def enable() -> Handle:
    """Let Keras' own dropout be computed by fastdrop, whoever calls it.

    From here on ``keras.layers.Dropout`` and its spatial kind, ``keras.random.dropout``, attention,
    ``MultiHeadAttention``, ``LSTM``, ``GRU`` and layers of others that call them draw and compute
    here what they drop. No layer is replaced and no model is changed.

    Returns
    -------
    handle
        An object with a method ``disable()`` and an attribute ``active``, which is a context
        manager too. Calls may be nested, and may overlap: Keras' function is back when the last
        handle has ended, or after `fastdrop.keras.disable`.

    Raises
    ------
    RuntimeError
        This version of Keras does not reach its dropout by the function that is replaced.

    Notes
    -----
    Computed here are floating-point tensors in the CPU's memory with a rate between 0 and 1, on the
    backends NumPy, PyTorch and JAX. Everything else is Keras', to the bit: TensorFlow and OpenVINO,
    other devices, evaluation, rates 0 and 1. So are ``AlphaDropout``, ``GaussianDropout`` and
    ``GaussianNoise``, which do not go through that function: use this package's layers, or
    `replace`.

    The mask follows from the state of Keras' ``SeedGenerator``: seed and number of calls are seed
    and stream of a `fastdrop.Key`.

    On JAX its caches are emptied, so that functions which were compiled before are traced again:
    switch once, not in every step.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = keras.layers.Dropout(0.5, seed=1)
    >>> with fastdrop.keras.enable():
    ...     y = layer(np.ones(8, "float32"), training=True)
    >>> keras.ops.convert_to_numpy(y)
    array([0., 0., 2., 0., 0., 2., 0., 0.], dtype=float32)

    For the rest of the process:

    >>> handle = fastdrop.keras.enable()
    >>> handle
    <fastdrop.keras.enable(): active>
    >>> fastdrop.keras.disable()
    >>> handle.active
    False
    """
    return _switch.begin("dropout")


def disable() -> None:
    """Give Keras' own dropout back: end every handle of `enable`.

    Calling it where nothing is enabled does nothing.

    Examples
    --------
    >>> import fastdrop.keras
    >>> _ = fastdrop.keras.enable()
    >>> fastdrop.keras.disable()
    """
    _switch.end_all()
