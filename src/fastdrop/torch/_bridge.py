"""From tensors to kernels: which tensors can be taken, and how a kernel gets at their memory.

Nothing is copied. Where the compiled core runs, it reads addresses and strides out of DLPack's C
exchange table, or asks the tensor for them where PyTorch has no such table. Everything else, and
every other backend, works on NumPy arrays over the tensors' memory.

All functions here take plain tensors, without gradient, batch or tracing: `_autograd` and `_ops`
see to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from torch._C._functorch import is_legacy_batchedtensor

from fastdrop import _arrays
from fastdrop._plan import make_plan
from fastdrop._rng import Key
from fastdrop.elementwise import draw_and_apply

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
    return x.dtype in KINDS and x.device.type == "cpu" and x.layout is torch.strided


def _size_by_attributes(x: torch.Tensor) -> int:
    """What `_core.tensor_size` tells, where there is no core."""
    plain = taken(x) and not x.is_neg() and not is_legacy_batchedtensor(x)
    return x.numel() if plain else -1


def _no_dropout_tensor(*arguments: object) -> bool:  # noqa: ARG001 - as in _core
    return False


def _no_threads_to_limit(n: int) -> int:
    return n


if TYPE_CHECKING:

    def tensor_size(x: torch.Tensor) -> int:
        """How many elements `x` has; -1 where the core cannot take it as it is."""

    def dropout_tensor(
        x: torch.Tensor, y: torch.Tensor, p: float, seed: int, stream: int, offset: int
    ) -> bool:
        """Dropout of `x` into `y` in the core; False, and nothing written, where it cannot run."""

    def _limit_threads(n: int) -> int: ...

else:
    try:
        from fastdrop._core import bind_tensors, dropout_tensor, tensor_size
        from fastdrop._core import limit_threads as _limit_threads

        bind_tensors(
            getattr(torch.Tensor, "__dlpack_c_exchange_api__", None),
            {kind: dtype for dtype, kind in KINDS.items()},
            torch.get_num_threads,
        )
    except ImportError:
        tensor_size, dropout_tensor = _size_by_attributes, _no_dropout_tensor
        _limit_threads = _no_threads_to_limit


def array_of(x: torch.Tensor) -> Array:
    """The memory of `x` as backends take it: 16-bit floats as uint16."""
    x = x.detach()
    array: Array = (x.view(torch.uint16) if x.dtype in _HALVES else x).numpy()
    return array


@contextmanager
def torch_threads() -> Iterator[None]:
    """Let kernels use no more threads than PyTorch does."""
    before = _limit_threads(torch.get_num_threads())
    try:
        yield
    finally:
        _limit_threads(before)


def dropout_arrays(
    x: torch.Tensor, y: torch.Tensor, p: float, key: Key, mask_shape: tuple[int, ...]
) -> None:
    """Dropout of `x` into `y` by the backend in use; `mask_shape` is 1 along shared axes."""
    kind = KINDS[x.dtype]
    array, result = array_of(x), array_of(y)
    shape = _arrays.storage_shape(mask_shape, array)
    source, target = _arrays.storage(array, kind), _arrays.storage(result, kind)
    with torch_threads():
        draw_and_apply(source, target, kind, make_plan(p, kind), key, shape)
