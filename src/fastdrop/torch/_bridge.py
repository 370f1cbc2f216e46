"""From tensors to kernels: which tensors can be taken, and how a kernel gets at their memory.

Nothing is copied, but what is in no memory: `has_memory` decides. Where the compiled core runs, it
reads addresses and strides out of DLPack's C exchange table, or asks the tensor for them where
PyTorch has no such table. Everything else, and every other backend, works on NumPy arrays over the
tensors' memory.

All functions here take plain tensors, without gradient, batch or tracing: `_autograd` and `_ops`
see to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.compiler import is_compiling
from torch.overrides import BaseTorchFunctionMode, has_torch_function

from fastdrop import _arrays

from ._private import (
    DeviceContext,
    DisableTorchFunction,
    DispatchKey,
    FakeTensor,
    FunctionalTensor,
    forward_ad,
    get_function_stack_at,
    get_tracing_state,
    increment_version,
    is_functional_tensor,
    is_key_included,
    is_legacy_batchedtensor,
    len_torch_dispatch_stack,
    len_torch_function_stack,
    transforms_active,
)

if TYPE_CHECKING:
    from fastdrop._arrays import Array

KINDS: Final = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}
"""The dtypes that are computed here, by the names that backends know them by."""

_HALVES: Final = (torch.float16, torch.bfloat16)


def taken(x: torch.Tensor) -> bool:
    """Whether `x` is of a kind that is computed here; asks nothing that a tracer does not know."""
    plain = x.dtype in KINDS and x.device.type == "cpu" and x.layout is torch.strided
    return plain and not x.is_nested and (type(x) in PLAIN or not is_distributed(x))


def is_distributed(x: torch.Tensor) -> bool:
    """Whether `x` is a DTensor, whose shards PyTorch's own operators know of."""
    kind = type(x)
    return kind.__name__ == "DTensor" and kind.__module__.startswith("torch.distributed")


def kind_of(x: torch.Tensor) -> str:
    """What `taken` asks for, for errors."""
    kind = "a DTensor, " if is_distributed(x) else "a nested tensor, " if x.is_nested else ""
    return f"{kind}dtype {x.dtype}, device {x.device}, layout {x.layout}"


def no_window(x: torch.Tensor) -> NotImplementedError:
    return NotImplementedError(
        "window has to be left out within transforms, and for what is no strided tensor of "
        f"float16, bfloat16, float32 or float64 in the CPU's memory, but got {kind_of(x)}"
    )


# --- memory --------------------------------------------------------------------------------------

_LOW: Final = 1 << 32  # as in the core


def has_memory(x: torch.Tensor) -> bool:
    """Whether the elements of a plain tensor are in memory, and as they are there.

    Not so are those of a ZeroTensor, of a tensor whose sign is a flag or whose storage has been
    freed, and of what only stands for another tensor. The core asks the same of an address.
    """
    if x.is_neg() or x._is_zerotensor() or is_functional_tensor(x):
        return False
    return x.numel() == 0 or x.data_ptr() >= _LOW or _is_stored(x)


def _is_stored(x: torch.Tensor) -> bool:
    reach = sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
    end = (x.storage_offset() + reach + 1) * x.element_size()
    return end <= x.untyped_storage().nbytes()


def readable(x: torch.Tensor) -> torch.Tensor:
    """`x`, or a copy that is in memory.

    Raises
    ------
    RuntimeError
        The storage of `x` has been freed.
    """
    if tensor_size(x) > 0 or has_memory(x):
        return x
    check_stored(x)
    return x.resolve_neg().clone()


def check_stored(*tensors: torch.Tensor | None) -> None:
    """Refuse plain tensors whose storage has been freed, before anything is drawn."""
    for x in tensors:
        if x is None or x.numel() == 0 or x.data_ptr() >= _LOW:
            continue
        if not (x._is_zerotensor() or is_functional_tensor(x) or _is_stored(x)):
            raise RuntimeError(
                f"a tensor of shape {tuple(x.shape)} has to be in memory, "
                f"but its storage holds {x.untyped_storage().nbytes()} bytes"
            )


def _size_by_attributes(x: torch.Tensor) -> int:
    """What `_core.tensor_size` tells, where there is no core."""
    plain = taken(x) and not is_legacy_batchedtensor(x) and has_memory(x)
    return x.numel() if plain else -1


# --- who looks on --------------------------------------------------------------------------------


def _nothing(*arguments: object) -> None:  # noqa: ARG001 - where there is no core to take a call
    return None


def _setting_of_nothing(value: int) -> int:
    return value


WATCHED: Final = (
    transforms_active,
    len_torch_dispatch_stack,
    get_tracing_state,
    partial(is_key_included, DispatchKey.PreDispatch),
)
"""Functions of PyTorch of which one is true where more than autograd sees what is done."""

_IDLE: Final = (DeviceContext, BaseTorchFunctionMode)
"""Function modes that change nothing here: they act on functions that make tensors of numbers."""


def idle_modes() -> bool:
    """Whether all function modes that are on are of no concern here."""
    modes = (get_function_stack_at(i) for i in range(len_torch_function_stack()))
    return all(type(mode) in _IDLE for mode in modes)


def overridden(given: Sequence[object]) -> bool:
    """Whether a tensor-like class, or a mode, takes a function that is called with these."""
    if not has_torch_function(given):
        return False
    if is_compiling() or not len_torch_function_stack() or not idle_modes():
        return True
    return any(type(x) not in PLAIN and hasattr(x, "__torch_function__") for x in given)


PLAIN: Final = (torch.Tensor, torch.nn.Parameter)
"""The types of tensors that do not override what is done with them."""

TRACED: Final = (FakeTensor, FunctionalTensor)
"""What compilers put in place of plain tensors."""


def bind(table: object) -> None:
    """Tell the core of PyTorch; `table` is DLPack's C exchange table, or None to do without."""
    pytorch = SimpleNamespace(
        types=PLAIN,
        threads=torch.get_num_threads,
        new=torch.empty_like,
        touched=increment_version,
        grad_enabled=torch.is_grad_enabled,
        watched=WATCHED,
        modes=len_torch_function_stack,
        idle=idle_modes,
        quiet=DisableTorchFunction,
        forward_ad=forward_ad,
    )
    bind_tensors(table, {kind: dtype for dtype, kind in KINDS.items()}, pytorch)


if TYPE_CHECKING:

    def bind_tensors(table: object, dtypes: object, pytorch: object) -> None: ...

    def tensor_size(x: torch.Tensor) -> int:
        """How many elements `x` has; -1 where the core cannot take it as it is."""

    def dropout_tensor(
        x: torch.Tensor,
        y: torch.Tensor,
        p: float,
        seed: int,
        stream: int,
        offset: int,
        form: tuple[int, ...] | None,
    ) -> bool | None:
        """Dropout of `x` into `y` in the core; not true, and nothing written, where it cannot.

        `form` is the mask's shape, or None for that of `x`.
        """

    def drawn_tensor(
        x: torch.Tensor,
        p: float,
        inplace: bool,
        word: object,
        record: Callable[[torch.Tensor, tuple[float, int]], torch.Tensor],
    ) -> torch.Tensor | None:
        """A whole call in the core, in the common case; None, and nothing done, in any other."""

    def drawn_pair(x: torch.Tensor, draw: object) -> torch.Tensor | None:
        """Dropout by p and seed into a new tensor; None where the core cannot or may not."""

    def _limit_threads(n: int) -> int: ...

    def _fresh_outputs(fresh: bool) -> bool: ...

else:
    try:
        from fastdrop._core import (
            bind_tensors,
            drawn_pair,
            drawn_tensor,
            dropout_tensor,
            tensor_size,
        )
        from fastdrop._core import fresh_outputs as _fresh_outputs
        from fastdrop._core import limit_threads as _limit_threads
    except ImportError:
        bind_tensors = drawn_pair = drawn_tensor = dropout_tensor = _nothing
        tensor_size = _size_by_attributes
        _limit_threads = _fresh_outputs = _setting_of_nothing

bind(getattr(torch.Tensor, "__dlpack_c_exchange_api__", None))


class _Memory:
    """What NumPy makes an array over, and what keeps the tensor there while the array lives."""

    __slots__ = ("__array_interface__", "tensor")

    def __init__(self, x: torch.Tensor) -> None:
        size = x.element_size()
        self.tensor = x
        self.__array_interface__ = {
            "version": 3,
            "data": (x.data_ptr(), False),
            "shape": tuple(x.shape),
            "strides": None if x.is_contiguous() else tuple([n * size for n in x.stride()]),
            "typestr": _TYPES[x.dtype],
        }


_TYPES: Final = {
    torch.bool: "|b1",
    **{kind: np.dtype(np.uint16).str for kind in _HALVES},
    torch.float32: np.dtype(np.float32).str,
    torch.float64: np.dtype(np.float64).str,
}


def array_of(x: torch.Tensor) -> Array:
    """The memory of `x`, which has to have some, as backends take it: 16-bit floats as uint16.

    Not by `Tensor.numpy`: a storage that it has shown can never be resized again.
    """
    if x.numel() == 0:
        return np.empty(tuple(x.shape), _TYPES[x.dtype])
    return np.asarray(_Memory(x))


SMALL: Final = 4096
"""Fewer elements than this are computed by one thread, and stored in the cache."""


@contextmanager
def limits(fresh: bool) -> Iterator[None]:
    """Let backends use PyTorch's threads only, and know whether results are in new memory."""
    before, stale = _limit_threads(torch.get_num_threads()), _fresh_outputs(fresh)
    try:
        yield
    finally:
        _fresh_outputs(stale)
        _limit_threads(before)


def operands(
    reads: Sequence[torch.Tensor],
    writes: Sequence[torch.Tensor],
    mask_shape: tuple[int, ...] | None,
) -> tuple[str, tuple[Array, ...], tuple[Array, ...], tuple[int, ...] | None]:
    """Kind, arrays and the mask's shape as backends take them.

    All tensors have one shape. The first that is written is the first that is read, or new.
    """
    x, y = reads[0], writes[0]
    kind = KINDS[x.dtype]
    sources = [array_of(readable(read)) for read in reads]
    results = [sources[0] if y is x else array_of(y), *[array_of(more) for more in writes[1:]]]
    shape = None if mask_shape is None else _arrays.storage_shape(mask_shape, sources[0])
    if x.dim() > _arrays.FLAT_AXES:
        sources = [_arrays.storage(array, kind) for array in sources]
        results = [_arrays.storage(array, kind) for array in results]
    return kind, tuple(sources), tuple(results), shape
