"""Kernels in place of PyTorch's, and PyTorch's own again.

Registering and taking back is all that is done here, with what has to be forgotten each time:
Python's copies of the table of kernels, compiled code, and the names of compiled code on disk.
"""

from __future__ import annotations

import functools
import warnings
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import torch

from fastdrop import __version__

from ._draw import NAMED
from ._kernels import Kernel
from ._ops import draw_op, key_op, part_op
from ._private import DispatchKey, DispatchKeySet, reset_code_caches

_WARNING: Final = r"Warning only once for all operators,\s+other operators may also be overridden"
_ANY: Final = DispatchKeySet(DispatchKey.CPU)
"""For kernels of PyTorch that do not ask which keys a call had."""
_MARK: Final = "+fastdrop:"
# Code that was compiled for operators of another version calls them with their arguments.
_OPERATORS: Final = (key_op, draw_op._opoverload, part_op._opoverload)
_ARGUMENTS: Final = " ".join([*(str(operator._schema) for operator in _OPERATORS), *NAMED])
_VERSION: Final = f"@{__version__}-{zlib.crc32(_ARGUMENTS.encode()):08x}"


_KEPT: Final = 256
_ended: Final[deque[list[Any]]] = deque(maxlen=_KEPT)
"""Kernels that another thread may be about to run when they are taken back.

PyTorch frees a kernel while who called it waits for Python's lock, and runs then what lies there.
"""


class Overriding:
    """Kernels that stand in PyTorch's place until `end`."""

    def __init__(self, kernels: Iterable[Kernel]) -> None:
        self._kernels = tuple(kernels)
        own = [torch.library.get_kernel(f"aten::{k.operator}", k.key) for k in self._kernels]
        self._library = torch.library.Library("aten", "IMPL")
        # PyTorch gives its warning once in a process. Asked to warn always it does not count this
        # one, so that whoever overrides operators next is still told.
        always = torch.is_warn_always_enabled()
        torch.set_warn_always(True)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", _WARNING, UserWarning)
                for kernel, original in zip(self._kernels, own, strict=True):
                    call: Any = original.call_boxed
                    if not kernel.with_keyset:
                        call = functools.partial(call, _ANY)
                    self._library.impl(
                        kernel.operator,
                        kernel.make(call),
                        kernel.key,
                        with_keyset=kernel.with_keyset,
                    )
        finally:
            torch.set_warn_always(always)
        self._ours = [torch.library.get_kernel(f"aten::{k.operator}", k.key) for k in self._kernels]
        self._forget()

    def end(self) -> None:
        """Take the kernels back: what is called then is what was there before."""
        _ended.append(self._ours)
        self._library._destroy()
        self._forget()

    def _forget(self) -> None:
        for kernel in self._kernels:
            name, _, overload = kernel.operator.partition(".")
            packet = getattr(torch.ops.aten, name)
            getattr(packet, overload or "default")._dispatch_cache.clear()
        # Nothing that guards compiled code knows which kernels it was compiled with.
        reset_code_caches()


def mark_compiled_code(mark: str) -> None:
    """Keep compiled code on disk apart by what it was compiled with.

    PyTorch looks there by a graph's operators, before it asks what these are computed by. What it
    adds to the name of all compiled code is set for the process, and on top of that for a thread.
    """
    config: Any = torch.compiler.config
    entry = config._config["cache_key_tag"]
    whole = entry.env_value_default if isinstance(entry.env_value_default, str) else ""
    wanted = _marked(config.cache_key_tag, mark)
    entry.env_value_default = _marked(whole, mark)
    if config.cache_key_tag != wanted:
        config.cache_key_tag = wanted


def _marked(tag: str, mark: str) -> str:
    return tag.partition(_MARK)[0] + (_MARK + mark + _VERSION if mark else "")
