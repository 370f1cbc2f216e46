"""Monte Carlo dropout: what a network makes of its input, again and again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, Final

import torch
from torch import Tensor, nn

from fastdrop import _arrays
from fastdrop._samples import Library, Result, Samples

from ._replace import _check_model
from ._seeding import forked
from ._switches import Switches, Undo, drawn_state, switches, training

__all__ = ["MonteCarloResult", "mc_dropout"]


class MonteCarloResult(Result[Tensor]):
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


_LIBRARY: Final = Library[Tensor](
    zeros_like=torch.zeros_like,
    sqrt=torch.sqrt,
    entropy=lambda probabilities: torch.special.entr(probabilities).sum(-1),
    positive=lambda values: values.clamp(min=0),
)


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
    `nn.MultiheadAttention` and recurrent modules, and modules whose code asks for `training` and
    speaks of dropout, as ``F.dropout(x, p, self.training)`` does, stochastic depth and DropBlock of
    other libraries, or attention that passes a probability on. Every other module evaluates, batch
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

    Warns
    -----
    UserWarning
        The model drew no random number, or all samples are equal, so that the deviation of 0 says
        nothing; a part of the model was traced or frozen in evaluation, where its dropout is off
        for good.

    Notes
    -----
    Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation: Representing Model
    Uncertainty in Deep Learning", ICML 2016, section 4. Mean and deviation are computed in one
    pass, after Welford.

    What a module of another library does in training beyond dropout cannot be known. Where the
    result is no tensor, an error is raised or the module's buffers change, such modules are left in
    evaluation, and a warning says so.

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
    drawn = Samples(_LIBRARY, "model's result", probabilities)
    found = switches(model)
    with (
        nullcontext() if seed is None else forked(seed),
        training(model, found) as without_likely,
        torch.no_grad(),
    ):
        before = drawn_state(model)
        for n in range(samples):
            value = model(x) if n else _first(model, x, found, without_likely)
            drawn.add(_as_float64(value))
        drew = drawn_state(model) != before
    result = MonteCarloResult(*drawn.result())
    std = result.std
    _warn(found, drew, samples, certain=std.numel() > 0 and not std.any())
    return result


def _first(model: nn.Module, x: Any, found: Switches, without_likely: Callable[[], None]) -> object:
    """The first sample, which shows whether the modules that likely drop do nothing else."""
    if not found.likely:
        return model(x)
    undo, value = Undo(found), None
    with suppress(Exception):  # which comes again below, where it is the model's own
        value = model(x)
    if isinstance(value, Tensor) and not value.is_complex() and not undo.needed():
        return value
    undo()
    without_likely()
    why = "was left in evaluation: in training it, or one like it, does more than drop"
    found.off.update(dict.fromkeys(found.likely, why))
    return model(x)


def _warn(found: Switches, drew: bool, samples: int, certain: bool) -> None:
    """Say what makes a result that looks certain, or less uncertain than the model is."""
    words = []
    if not drew and (certain or samples == 1):
        words.append("The model drew no random number, so that its deviation says nothing.")
    elif certain and samples > 1:
        words.append("The model drew random numbers, but all samples are equal.")
    if words:
        on = [*found.certain, *(name for name in found.likely if name not in found.off)]
        shown = ", ".join(on[:5]) + (", ..." if len(on) > 5 else "")
        words.append(
            f"Modules in training were: {shown}; see whether they are called, and their p is not 0."
            if on
            else "No module was found whose dropout could be switched on: call fastdrop.torch's or "
            "PyTorch's dropout, with the `training` of the module that calls it."
        )
    if found.off:
        words.append("; ".join(f"{name} {why}" for name, why in found.off.items()) + ".")
    if words:
        warnings.warn("mc_dropout: " + " ".join(words), stacklevel=3)


def _as_float64(value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.is_complex():
        came = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"model's result has to be a tensor of real numbers, but got {came}")
    return value.to(torch.float64)
