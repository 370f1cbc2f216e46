"""PyTorch's own dropout operators, computed here: for the whole process, until it is ended."""

from __future__ import annotations

from typing import Final

from fastdrop._switch import Handle, Switch

from ._kernels import DROPOUT_KERNELS
from ._kernels_drawing import ATTENTION_KERNELS, BERNOULLI_KERNELS, NATIVE_KERNELS
from ._overriding import Overriding, mark_compiled_code

__all__ = ["disable", "enable"]

_KERNELS: Final = {
    "dropout": (*DROPOUT_KERNELS, *NATIVE_KERNELS, *ATTENTION_KERNELS),
    "bernoulli": BERNOULLI_KERNELS,
}

_active: Final[dict[str, Overriding]] = {}


def _settle(asked: set[str]) -> None:
    """Register what a handle asks for, and take back what none asks for any more."""
    if asked == _active.keys():
        return
    for part in _active.keys() - asked:
        _active.pop(part).end()
    for part in sorted(asked - _active.keys()):
        _active[part] = Overriding(_KERNELS[part])
    mark_compiled_code(",".join(sorted(_active)))


_switch: Final = Switch("fastdrop.torch.enable", _settle)


def enable(*, bernoulli: bool = True) -> Handle:
    """Let PyTorch's own dropout operators be computed by fastdrop, whoever calls them.

    From here on ``torch.nn.functional.dropout``, ``torch.nn.Dropout`` and their kind, attention
    with dropout, recurrent layers between each other, and code of others that calls them
    (Transformers, timm, TorchScript, compiled and exported models) draw and compute here what they
    drop, in all threads. No module is replaced and no model is changed.

    Parameters
    ----------
    bernoulli : bool, default True
        Also for ``Tensor.bernoulli_(p)``, by which stochastic depth and DropBlock draw. PyTorch
        composes dropout of it within the transforms of `torch.func` and for tensor subclasses:
        False leaves that, too, to PyTorch.

    Returns
    -------
    handle
        An object with a method ``disable()`` and an attribute ``active``, which is a context
        manager too. Calls may be nested, and may overlap: PyTorch's kernels are back when the last
        handle has ended, or after `fastdrop.torch.disable`.

    Raises
    ------
    TypeError
        `bernoulli` is not a bool.

    Notes
    -----
    Computed here are tensors of float16, bfloat16, float32 and float64 in the CPU's memory, with a
    probability between 0 and 1. Everything else is PyTorch's, to the bit: other devices, dtypes and
    layouts, evaluation, p = 0 and p = 1, empty tensors, attention without dropout.

    ``torch.manual_seed`` decides the masks: those of `fastdrop.torch.dropout` and its kind after
    the same seed. A kept value is what it is there, and dropped elements are +0.0.

    Code that `torch.compile` has compiled is compiled again after a change. A child process of a
    fork inherits the state, a spawned one does not.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> x = torch.ones(8)
    >>> with fastdrop.torch.enable():
    ...     _ = torch.manual_seed(1)
    ...     y = torch.nn.functional.dropout(x, 0.5)
    >>> _ = torch.manual_seed(1)
    >>> torch.equal(y, fastdrop.torch.dropout(x, 0.5))
    True

    For the rest of the process:

    >>> handle = fastdrop.torch.enable()
    >>> handle
    <fastdrop.torch.enable(): active>
    >>> fastdrop.torch.disable()
    >>> handle.active
    False
    """
    if not isinstance(bernoulli, bool):
        raise TypeError(f"bernoulli has to be a bool, but got {type(bernoulli).__name__}")
    return _switch.begin("dropout", *(("bernoulli",) if bernoulli else ()))


def disable() -> None:
    """Give PyTorch's own kernels back: end every handle of `enable`.

    Calling it where nothing is enabled does nothing.

    Examples
    --------
    >>> import fastdrop.torch
    >>> _ = fastdrop.torch.enable()
    >>> fastdrop.torch.disable()
    """
    _switch.end_all()
