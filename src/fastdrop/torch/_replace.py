"""Swap the dropout modules of a model for fastdrop's, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import _swap
from ._private import DropoutNd
from ._profile import Drawn, profile
from .modules.attention import MultiheadAttention
from .modules.base import Drops

__all__ = ["Report", "replace", "restore"]


@dataclass(frozen=True)
class Report:
    """What `replace` did to a model; ``str`` gives it as lines of text.

    Parameters
    ----------
    replaced : tuple of str
        The modules that are fastdrop's now, by their names in the model.
    left : dict of str to str
        The modules whose dropout is still PyTorch's, and why.
    drawn : Drawn or None
        What one forward pass drew, where an example was given; only that says what the model calls.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.1))
    >>> print(fastdrop.torch.replace(model))
    replaced:
        1
    """

    replaced: tuple[str, ...]
    left: dict[str, str]
    drawn: Drawn | None = None

    def __str__(self) -> str:
        lines = ["replaced:", *(f"    {name}" for name in self.replaced or ("none",))]
        if self.left:
            lines += ["left:", *(f"    {name}: {why}" for name, why in self.left.items())]
        if self.drawn is not None:
            lines.append(str(self.drawn))
        return "\n".join(lines)


def _why_left(module: nn.Module) -> str | None:
    """Why the dropout that `module` does itself stays PyTorch's; None where it does none."""
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        return "is compiled by TorchScript" if name in {t.__name__ for t in _swap.KNOWN} else None
    if isinstance(module, nn.RNNBase) and module.dropout > 0:
        return "drops between its layers inside PyTorch's operator"
    return None


def _drops(module: nn.Module) -> bool:
    """Whether `module` is a dropout module, or one with dropout inside, of PyTorch's or others'."""
    if isinstance(module, torch.jit.ScriptModule | Drops | MultiheadAttention):
        return False
    if isinstance(module, nn.MultiheadAttention):
        return module.dropout > 0
    if isinstance(module, DropoutNd):
        return True
    return _swap.known(type(module)) is not None


def replace(model: nn.Module, *, example: Any = None) -> Report:
    """Let every dropout module of a model be computed by fastdrop, in place.

    The modules stay the same objects of PyTorch's classes, with their names, hooks and settings:
    each gets a `forward` of its own, so does `torch.nn.MultiheadAttention`, where it drops.
    What knows PyTorch's modules knows them as before: `torch.fx`, quantization, `torch.export`,
    `isinstance`; TorchScript compiles PyTorch's dropout. `restore` undoes it. Parameters and
    buffers are the same, and `state_dict` stays as it is.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which holds dropout modules at any depth.
    example : object, optional
        What the model can be called with: a tuple of arguments, a dict of keyword arguments, or
        one argument. The model is then run once, in training and without gradients, and the report
        says how many random numbers fastdrop and PyTorch drew in it, and in which modules. Modes,
        buffers and generators are as before afterwards.

    Returns
    -------
    Report
        What was replaced, and what does dropout that could not be: the recurrent modules, which
        drop inside PyTorch's own operators, subclasses of PyTorch's modules, and modules whose
        `forward` something else has put there. Without `example`, calls of functions such as
        ``torch.nn.functional.dropout`` in the code of modules are not in it, and whether a module
        is called is not known.

    Raises
    ------
    TypeError
        `model` is not a module.
    ValueError
        `model` is a dropout module itself.
    Exception
        Whatever the model raises for `example`; nothing is replaced then.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> layer = torch.nn.TransformerEncoderLayer(16, 2, dropout=0.1)
    >>> print(fastdrop.torch.replace(layer))
    replaced:
        self_attn
        dropout
        dropout1
        dropout2
    >>> fastdrop.torch.restore(layer)
    ('self_attn', 'dropout', 'dropout1', 'dropout2')
    >>> print(fastdrop.torch.replace(layer, example=torch.ones(5, 3, 16)).drawn)
    drawn in one training pass:
        by fastdrop: 31350 elements
            self_attn (MultiheadAttention): 150
            dropout1 (Dropout): 240
            dropout (Dropout): 30720
            dropout2 (Dropout): 240
        by PyTorch: 0 elements
    """
    _check_model(model)
    if isinstance(model, DropoutNd):
        raise ValueError(  # noqa: TRY004 - it is a module
            "model has to hold dropout modules, but got one: make a fastdrop.torch."
            f"{type(model).__name__} in its place"
        )
    replaced, left = [], {}
    for name, module in model.named_modules():
        if _swap.is_swapped(module):
            continue
        why = _swap.swap(module) if _drops(module) else _why_left(module)
        if why is not None:
            left[name] = why
        elif _swap.is_swapped(module):
            replaced.append(name)
    if example is None:
        return Report(tuple(replaced), left)
    try:
        drawn = profile(model, example)
    except BaseException:
        for name in replaced:
            _swap.unswap(model.get_submodule(name))
        raise
    return Report(tuple(replaced), left, drawn)


def restore(model: nn.Module) -> tuple[str, ...]:
    """Undo `replace`: give the modules that it changed back to PyTorch.

    Modules that were fastdrop's before `replace` stay so.

    Parameters
    ----------
    model : torch.nn.Module
        A model that `replace` was called on, or a copy of it.

    Returns
    -------
    tuple of str
        The names of the modules that were given back.

    Raises
    ------
    TypeError
        `model` is not a module.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.1), fastdrop.torch.Dropout(0.2))
    >>> fastdrop.torch.replace(model).replaced
    ('0',)
    >>> fastdrop.torch.restore(model)
    ('0',)
    >>> type(model[0]) is torch.nn.Dropout
    True
    """
    _check_model(model)
    return tuple(name for name, module in model.named_modules() if _swap.unswap(module))


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model has to be a torch.nn.Module, but got {type(model).__name__}")
