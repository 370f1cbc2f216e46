"""Layers that compute a declared variant: forward, and its gradient under the same key."""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike, check_window
from fastdrop.pipeline import run
from fastdrop.variants import BY_FUNCTION, Variant

from .base import PROBABILITY, Draw, Layer

Declared: TypeAlias = tuple[Variant, tuple[object, ...]]
"""A variant, and the option that its decisions depend on."""


class VariantLayer(Layer):
    """A layer that computes the variant that it declares in `_variant`."""

    _variant: ClassVar[Variant]
    _strength: ClassVar[str] = "p"
    """The argument that the variant's rate is made of; the others are its option."""

    _declared: Declared

    def _apply(self, settings: dict[str, Any]) -> None:
        super()._apply(settings)
        options = (value for name, value in settings.items() if name != self._strength)
        self._declared = self._variant, tuple(options)

    def _compute(
        self,
        declared: Declared,
        *inputs: npt.ArrayLike,
        act: tuple[object, Array | None] | None = None,
        held: Draw | None = None,
        window: WindowLike | None = None,
    ) -> Array:
        """The output for `inputs` under a new mask, or under the one of `held`."""
        variant, option = declared
        names = variant.operands
        x = _arrays.as_operand(inputs[0], names[0])
        operands: tuple[Array, ...] = (_arrays.itself(inputs[0], x),)
        if len(names) == 2:
            operands += (_arrays.as_operand_like(inputs[1], x, names[1], names[0]),)
        part = None if window is None else check_window(window, x.shape, names[0])
        whole = x if part is None else part.whole
        shape = None if variant.decisions is None else variant.decisions(whole, *option)
        training, out, draw = self.training, None, held
        if training and x.size:
            # Allocate first: a MemoryError must not advance the generator.
            out = np.empty_like(x, subok=False)
        if draw is None:
            key = None
            if training:
                decisions = whole.size if shape is None or not whole.size else math.prod(shape)
                key = self.generator.reserve(variant.positions * decisions)
            needed = declared if act is None else (x, act)
            draw = Draw(x.shape, self._values[self._strength], key, needed, part)
        y = run(variant, operands, draw.p, training, draw.key, out, draw.window, *option, act=act)
        self._memory.last = draw
        return y

    def _gradient(self, dy: npt.ArrayLike) -> Array:
        """The gradient that the declaration names, for the last forward; `run` says of several."""
        array, last = self._answered(dy)
        variant, option = last.needed
        if variant.gradient == "identity":
            return array
        if variant.gradient != "same":
            variant = BY_FUNCTION[variant.gradient]
        training = last.key is not None
        return run(variant, (array,), last.p, training, last.key, None, last.window, *option)


class WholeLayer(VariantLayer):
    """A layer of one input, which has to be the whole of it."""

    def forward(self, x: npt.ArrayLike) -> Array:
        """Drop in training, and evaluate otherwise.

        Parameters
        ----------
        x : array_like
            As for the function that the layer is named after, with the same errors.

        Returns
        -------
        ndarray
            Of x's shape and dtype; inverted evaluation returns `x` itself.
        """
        return self._compute(self._declared, x)

    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradient with respect to the input of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape; any dtype that
            `fastdrop.dropout` takes.

        Returns
        -------
        ndarray
            Of dy's shape and dtype; after an inverted evaluation, `dy` itself.

        Raises
        ------
        RuntimeError
            There was no `forward`.
        TypeError, ValueError
            A dtype that `fastdrop.dropout` does not take; another shape than the output's.
        """
        return self._gradient(dy)


class MaskedLayer(WholeLayer):
    """A layer of one input that is multiplied, or mapped, element by element."""

    p = PROBABILITY

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        self._configure(rng, p=p)

    def forward(self, x: npt.ArrayLike, *, window: WindowLike | None = None) -> Array:
        """Drop in training, and evaluate otherwise.

        Parameters
        ----------
        x, window
            As for the function that the layer is named after, with the same errors. With a
            `window`, `backward` computes the gradient of the part.

        Returns
        -------
        ndarray
            Of x's shape and dtype; inverted evaluation returns `x` itself.
        """
        return self._compute(self._declared, x, window=window)
