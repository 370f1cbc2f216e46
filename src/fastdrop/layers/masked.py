"""The layers that multiply with a mask: forward, and the same on the gradient."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop.elementwise import Mode, dropout

from .base import Draw
from .configured import ConfiguredLayer


class MaskedLayer(ConfiguredLayer):
    """A layer that is `dropout` with a mask whose shape depends on the input's.

    A subclass says in `_mask_shape` which shape the mask has.
    """

    _argument: ClassVar[str] = "x"  # what messages call the input

    @abstractmethod
    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        """The shape of the mask for `x`; raises what is wrong with x's shape."""

    def _dropout_mode(self) -> Mode:
        return "inverted"

    def forward(self, x: npt.ArrayLike) -> Array:
        """Drop in training, and evaluate otherwise.

        Parameters
        ----------
        x : array_like
            As for the function that the layer is named after.

        Returns
        -------
        ndarray
            Of x's shape and dtype; inverted evaluation returns `x` itself.

        Raises
        ------
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            A shape that the layer does not take.
        """
        array = _arrays.as_operand(x, self._argument)
        mask_shape = self._mask_shape(array)
        y = self._result(array)
        draw = self._draw(array, mask_shape)
        y = self._applied(_arrays.itself(x, array), draw, y)
        self._memory.last = draw
        return y

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
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `dy` has another shape than the output.
        """
        return self._gradient(*self._answered(dy))

    def _draw(self, array: Array, mask_shape: tuple[int, ...]) -> Draw:
        """Reserve a mask for `array`, or none in evaluation."""
        key = None
        if self.training:
            key = self.generator.reserve(math.prod(mask_shape) if array.size else 0)
        return Draw(array.shape, mask_shape, self._p, key)

    def _result(self, array: Array) -> Array | None:
        """Memory for the result of training: had before a generator moves."""
        return np.empty_like(array, subok=False) if self.training and array.size else None

    def _applied(self, array: Array, draw: Draw, out: Array | None = None) -> Array:
        # Without noise_shape, where it can be, a call is short.
        noise_shape = None if draw.mask_shape == draw.shape else draw.mask_shape
        training, mode = draw.key is not None, self._dropout_mode()
        return dropout(
            array, draw.p, training, rng=draw.key, out=out, noise_shape=noise_shape, mode=mode
        )

    def _gradient(self, dy: Array, draw: Draw) -> Array:
        """What `backward` gives: the same again, unless a subclass says otherwise."""
        return self._applied(dy, draw)
