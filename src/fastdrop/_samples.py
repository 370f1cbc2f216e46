"""What the samples of Monte Carlo dropout say together: of arrays and of tensors alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np

Values = TypeVar("Values")
"""Arrays or tensors."""

# How far from 1 the sum of probabilities may be: 16-bit floats are that coarse.
_TOLERANCE: Final = 0.01


@dataclass(frozen=True, eq=False)
class Result(Generic[Values]):
    """What `mc_dropout` returns; the public classes say more."""

    mean: Values
    std: Values
    samples: int
    entropy: Values | None
    mutual_information: Values | None


@dataclass(frozen=True)
class Library(Generic[Values]):
    """Functions that NumPy and PyTorch call differently."""

    zeros_like: Callable[[Values], Values]
    sqrt: Callable[[Values], Values]
    entropy: Callable[[Values], Values]
    """Along the last axis, in nats; what is impossible counts for nothing."""
    positive: Callable[[Values], Values]
    """0 instead of what is less."""


class _Moments:
    """Mean and standard deviation of float64 values that come one after another, after Welford."""

    mean: Any

    def __init__(self, library: Library[Any], whose: str) -> None:
        self.library, self.whose = library, whose
        self.count = 0

    def add(self, value: Any) -> None:
        if not self.count:
            self.mean = self.library.zeros_like(value)
            self._squares = self.library.zeros_like(value)
        elif value.shape != self.mean.shape:
            raise ValueError(
                f"{self.whose} has to have the same shape for every sample, "
                f"but got {tuple(value.shape)} after {tuple(self.mean.shape)}"
            )
        self.count += 1
        # What is infinite or nan in a sample is so in the result, without a warning.
        with np.errstate(invalid="ignore", over="ignore"):
            difference = value - self.mean
            self.mean += difference / self.count
            self._squares += difference * (value - self.mean)

    def std(self) -> Any:
        return self.library.sqrt(self._squares / self.count)


class Samples(Generic[Values]):
    """The samples so far; errors call each of them `whose`."""

    def __init__(self, library: Library[Values], whose: str, probabilities: bool) -> None:
        self._library, self._whose, self._probabilities = library, whose, probabilities
        self._moments, self._entropies = _Moments(library, whose), _Moments(library, whose)

    def add(self, value: Values) -> None:
        """One more, in float64."""
        self._moments.add(value)
        if self._probabilities:
            self._check_probabilities(value)
            self._entropies.add(self._library.entropy(value))

    def _check_probabilities(self, value: Any) -> None:
        words = "has to be probabilities, which are not negative and sum to 1 along the last axis"
        if value.ndim == 0:
            raise ValueError(f"{self._whose} {words}, but got a single number")
        # Written so that a nan fails too.
        if not ((value >= 0).all() and (abs(value.sum(-1) - 1) <= _TOLERANCE).all()):
            raise ValueError(f"{self._whose} {words}, but got other numbers")

    def result(self) -> tuple[Values, Values, int, Values | None, Values | None]:
        """What `Result` is made of."""
        mean, entropy, information = self._moments.mean, None, None
        if self._probabilities:
            entropy = self._library.entropy(mean)
            # Never negative, but for rounding.
            information = self._library.positive(entropy - self._entropies.mean)
        return mean, self._moments.std(), self._moments.count, entropy, information
