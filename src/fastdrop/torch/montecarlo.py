"""Monte Carlo dropout: what a network makes of its input, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastdrop import _arrays
from fastdrop.montecarlo import _TOLERANCE

from ._replace import _check_model
from ._seeding import forked
from .modules import Drops


@dataclass(frozen=True, eq=False)
class MonteCarloResult:
    """What `mc_dropout` found; `entropy` and `mutual_information` only for probabilities.

    Parameters
    ----------
    mean : Tensor
        Mean over the samples, in float64.
    std : Tensor
        Standard deviation over the samples (divided by their number), in float64.
    samples : int
        How many samples there were.
    entropy : Tensor or None
        Entropy of the mean, in nats, without the last axis: the whole uncertainty about the
        class.
    mutual_information : Tensor or None
        The part of the entropy that is due to the model: what is left after subtracting the
        samples' mean entropy, in nats.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    >>> result = fastdrop.torch.mc_dropout(model, torch.ones(2, 4), 10)
    >>> result.samples, result.mean.shape, result.entropy
    (10, torch.Size([2, 3]), None)
    """

    mean: Tensor
    std: Tensor
    samples: int
    entropy: Tensor | None
    mutual_information: Tensor | None


def _drops(module: nn.Module) -> bool:
    """Whether training differs from evaluation in this very module by dropout, and by nothing else.

    Transformer layers belong to them: in evaluation they take a fused operator without dropout in
    place of their modules.
    """
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return module.dropout > 0
    return isinstance(module, (nn.modules.dropout._DropoutNd, Drops, nn.TransformerEncoderLayer))


@contextmanager
def _only_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout in training, everything else in evaluation; afterwards all of it as it was."""
    before = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in before:
            module.training = _drops(module)
        yield
    finally:
        for module, training in before:
            module.training = training


def mc_dropout(
    model: nn.Module,
    x: Any,
    samples: int = 50,
    *,
    seed: int | None = None,
    probabilities: bool = False,
) -> MonteCarloResult:
    """Run a model with dropout several times, and return mean and spread of its output.

    While it runs, dropout modules train, PyTorch's own and fastdrop's, with what drops inside
    `nn.MultiheadAttention` and recurrent modules; every other module evaluates, batch
    normalisation too. Afterwards, and after an exception, all modules are as they were. No
    gradient is recorded.

    Parameters
    ----------
    model : torch.nn.Module
        Called as ``model(x)``. It returns a tensor of real numbers, always of one shape.
    x : object
        What `model` is given, as it is.
    samples : int, default 50
        How often `model` is called, at least once.
    seed : int, optional
        What PyTorch's default generator of the CPU starts from; it is put back afterwards. The
        first samples are then the same whatever their number. By default the samples draw from
        the generator as it is.
    probabilities : bool, default False
        Whether `model` returns probabilities of classes, along its last axis: the result then
        says how uncertain the classes are.

    Returns
    -------
    MonteCarloResult
        With `mean`, `std`, `samples`, and for probabilities `entropy` and `mutual_information`.

    Raises
    ------
    TypeError
        `model` is not a module or does not return a tensor of real numbers; `samples`, `seed` or
        `probabilities` of the wrong type.
    ValueError
        `samples` less than 1; results of different shapes, or that are no probabilities where
        they have to be.

    Notes
    -----
    Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation: Representing Model
    Uncertainty in Deep Learning", ICML 2016, section 4. Mean and deviation are computed in one
    pass, after Welford.

    Calls of ``torch.nn.functional.dropout`` in the code of a module follow the module's own
    `training`, and are off here.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).eval()
    >>> result = fastdrop.torch.mc_dropout(model, torch.ones(2, 4), 400, seed=1)
    >>> bool((result.mean - 1).abs().max() < 0.2)
    True
    >>> model[0].training
    False
    """
    _check_model(model)
    samples = _arrays.check_count(samples, "samples")
    probabilities = _arrays.check_flag(probabilities, "probabilities")
    moments, entropies = _Moments(), _Moments()
    with nullcontext() if seed is None else forked(seed), _only_dropout(model), torch.no_grad():
        for _ in range(samples):
            value = _as_float64(model(x))
            moments.add(value)
            if probabilities:
                _check_probabilities(value)
                entropies.add(_entropy(value))
    entropy = information = None
    if probabilities:
        entropy = _entropy(moments.mean)
        # Never negative, but for rounding.
        information = (entropy - entropies.mean).clamp(min=0)
    return MonteCarloResult(moments.mean, moments.std(), samples, entropy, information)


def _as_float64(value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.is_complex():
        came = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"model's result has to be a tensor of real numbers, but got {came}")
    return value.to(torch.float64)


class _Moments:
    """Mean and standard deviation of tensors that come one after another, after Welford."""

    def __init__(self) -> None:
        self._count = 0
        self._squares = self.mean = torch.zeros(0)

    def add(self, value: Tensor) -> None:
        if not self._count:
            self.mean, self._squares = torch.zeros_like(value), torch.zeros_like(value)
        elif value.shape != self.mean.shape:
            raise ValueError(
                "model's result has to have the same shape for every sample, "
                f"but got {tuple(value.shape)} after {tuple(self.mean.shape)}"
            )
        self._count += 1
        difference = value - self.mean
        self.mean += difference / self._count
        self._squares += difference * (value - self.mean)

    def std(self) -> Tensor:
        return (self._squares / self._count).sqrt()


def _check_probabilities(value: Tensor) -> None:
    words = "model's result has to be probabilities, which are not negative and sum to 1 along the "
    if value.dim() == 0:
        raise ValueError(f"{words}last axis, but got a single number")
    # Written so that a nan fails too.
    if not ((value >= 0).all() and ((value.sum(-1) - 1).abs() <= _TOLERANCE).all()):
        raise ValueError(f"{words}last axis, but got other numbers")


def _entropy(probabilities: Tensor) -> Tensor:
    """Along the last axis, in nats; what is impossible counts for nothing."""
    return torch.special.entr(probabilities).sum(-1)
