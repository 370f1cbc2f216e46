"""A model with this package's layers in the place of Keras'."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Final

import keras

from . import layers
from ._enable import enabled
from ._private import Functional

__all__ = ["replace"]

_OURS: Final[dict[str, Any]] = {name: getattr(layers, name) for name in layers.__all__}
_THEIRS: Final[dict[type, Any]] = {
    getattr(keras.layers, name): ours for name, ours in _OURS.items()
}
_INSIDE: Final = ("dropout", "recurrent_dropout")
"""What layers that drop inside call their rates."""


def _changed(config: Any) -> Any:
    """A layer's configuration with our layers in the place of Keras', at any depth."""
    if isinstance(config, dict):
        if config.get("module") == "keras.layers" and config.get("class_name") in _OURS:
            ours = _OURS[config["class_name"]].from_config(config["config"])
            return keras.saving.serialize_keras_object(ours)
        return {key: _changed(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_changed(value) for value in config)
    return config


def _rates(config: Any) -> Iterator[float]:
    """The rates that a layer drops with inside, by its configuration."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key in _INSIDE and isinstance(value, int | float):
                yield value
            else:
                yield from _rates(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _rates(value)


def replace(model: Any) -> Any:
    """Clone a model, with this package's layers in the place of Keras' that drop.

    Replaced are ``Dropout``, ``SpatialDropout1D``, ``2D`` and ``3D``, ``AlphaDropout``,
    ``GaussianDropout`` and ``GaussianNoise`` of Keras, also within other models and within layers
    that wrap them, such as ``TimeDistributed``; subclasses of them are not. The clone has weights
    and seed generators of its own, with the values that the model's have now, and is compiled as
    the model is, with a new optimizer.

    Parameters
    ----------
    model : keras.Sequential or a functional keras.Model
        It stays as it is.

    Returns
    -------
    keras.Model
        The clone, by ``keras.models.clone_model``.

    Raises
    ------
    TypeError
        `model` is neither: Keras can clone no other.

    Warns
    -----
    UserWarning
        Layers that drop inside, such as ``LSTM`` and ``MultiHeadAttention``, where `enable` is not
        on: only that reaches them.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)]
    ... )
    >>> clone = fastdrop.keras.replace(model)
    >>> [type(layer).__module__ for layer in clone.layers]
    ['keras.src.layers.core.dense', 'fastdrop.keras.layers']
    """
    if not isinstance(model, keras.Sequential | Functional):
        raise TypeError(
            "model has to be a keras.Sequential or a functional keras.Model, but got "
            f"{type(model).__name__}: fastdrop.keras.enable() reaches models of every kind"
        )
    left = []

    def clone_layer(layer: Any) -> Any:
        config = layer.get_config()
        if type(layer) in _THEIRS:
            return _THEIRS[type(layer)].from_config(config)
        if any(_rates(config)):
            left.append(layer.name)
        return type(layer).from_config(_changed(config))

    clone = keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
    for new, old in zip(_values(clone), _values(model), strict=True):
        new.assign(old)
    if left and not enabled():
        warnings.warn(
            f"what these layers drop inside is still Keras': {', '.join(left)}; "
            "fastdrop.keras.enable() reaches it",
            stacklevel=2,
        )
    return clone


def _values(model: Any) -> list[Any]:
    """Weights and the states of seed generators."""
    measured = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in measured]
