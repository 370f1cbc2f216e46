"""Swap the dropout modules of a model for fastdrop's, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from . import attention_module, modules

_TWINS: Final[dict[type[nn.Module], type[nn.Module]]] = {
    nn.Dropout: modules.Dropout,
    nn.Dropout1d: modules.Dropout1d,
    nn.Dropout2d: modules.Dropout2d,
    nn.Dropout3d: modules.Dropout3d,
    nn.AlphaDropout: modules.AlphaDropout,
    nn.FeatureAlphaDropout: modules.FeatureAlphaDropout,
    nn.MultiheadAttention: attention_module.MultiheadAttention,
}
_ORIGINALS: Final = {twin: original for original, twin in _TWINS.items()}

_OWN: Final = "is of a class of its own, {}, which may do something else"

# What `replace` leaves on a module, so that `restore` knows it from one that was fastdrop's before.
_MARK: Final = "_fastdrop_replaced"


@dataclass(frozen=True)
class Report:
    """What `replace` did to a model; ``str`` gives it as lines of text.

    Parameters
    ----------
    replaced : tuple of str
        The modules that are fastdrop's now, by their names in the model.
    left : dict of str to str
        The modules whose dropout is still PyTorch's, and why.

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

    def __str__(self) -> str:
        lines = ["replaced:", *(f"    {name}" for name in self.replaced or ("none",))]
        if self.left:
            lines += ["left:", *(f"    {name}: {why}" for name, why in self.left.items())]
        return "\n".join(lines)


def _why_left(module: nn.Module) -> str | None:
    """Why the dropout that `module` does itself stays PyTorch's; None where it does none."""
    if isinstance(module, nn.MultiheadAttention):
        own = module.dropout > 0 and type(module) not in _ORIGINALS
        return _OWN.format(type(module).__name__) if own else None
    if isinstance(module, nn.RNNBase) and module.dropout > 0:
        return "drops between its layers inside PyTorch's operator"
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        return "is compiled by TorchScript" if name in {t.__name__ for t in _TWINS} else None
    if isinstance(module, nn.modules.dropout._DropoutNd) and type(module) not in _ORIGINALS:
        return _OWN.format(type(module).__name__)
    return None


def replace(model: nn.Module) -> Report:
    """Let every dropout module of a model be computed by fastdrop, in place.

    The modules stay the same objects, with their names, hooks and settings; only their class
    changes, from `torch.nn.Dropout` to `fastdrop.torch.Dropout`, and so on; so does that of
    `torch.nn.MultiheadAttention`, where it drops. `restore` undoes it. Parameters and buffers are
    the same, and `state_dict` stays as it is.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which holds dropout modules at any depth.

    Returns
    -------
    Report
        What was replaced, and what does dropout that could not be: the recurrent modules, which
        drop inside PyTorch's own operators, and subclasses of PyTorch's modules. Calls of
        ``torch.nn.functional.dropout`` in the code of modules cannot be seen: they are not in the
        report.

    Raises
    ------
    TypeError
        `model` is not a module.
    ValueError
        `model` is a dropout module itself.

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
    """
    _check_model(model)
    if isinstance(model, nn.modules.dropout._DropoutNd):
        raise ValueError(  # noqa: TRY004 - it is a module
            "model has to hold dropout modules, but got one: make a fastdrop.torch."
            f"{type(model).__name__} in its place"
        )
    replaced, left = [], {}
    for name, module in model.named_modules():
        twin = _TWINS.get(type(module))
        if isinstance(module, nn.MultiheadAttention) and not module.dropout > 0:
            twin = None
        if twin is not None:
            module.__class__ = twin
            module.__dict__[_MARK] = True
            replaced.append(name)
        elif (why := _why_left(module)) is not None:
            left[name] = why
    return Report(tuple(replaced), left)


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
    restored = []
    for name, module in model.named_modules():
        if module.__dict__.pop(_MARK, False):
            module.__class__ = _ORIGINALS[type(module)]
            restored.append(name)
    return tuple(restored)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model has to be a torch.nn.Module, but got {type(model).__name__}")
