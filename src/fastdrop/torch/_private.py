"""All of PyTorch that fastdrop uses and that is not public, with what replaces it where it is gone.

The other modules take private names from here and from nowhere else (a test sees to it), so that a
new PyTorch is looked at in one place. PyTorch 2.8 and 2.13 have all of them. Where a later one has
lost a name for which there is a replacement of the same meaning, that is used; without the others
fastdrop cannot work, and the import says which is missing.

Attributes of objects cannot be listed by import. They are: `Tensor._base`, `Tensor._is_zerotensor`,
`forward_ad._current_level` (below 0 where no forward-mode AD is going on), and DLPack's
`Tensor.__dlpack_c_exchange_api__`, new in PyTorch 2.10, without which `_bridge` asks the tensors
themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

__all__ = [
    "DropoutNd",
    "forward_ad",
    "get_tracing_state",
    "increment_version",
    "is_legacy_batchedtensor",
    "len_torch_dispatch_stack",
    "len_torch_function_stack",
    "transforms_active",
    "unwrap_dead_wrappers",
    "writable_view",
]

try:
    # How many modes of Python see operators and functions. No public name tells.
    from torch._C import _len_torch_dispatch_stack as len_torch_dispatch_stack
    from torch._C import _len_torch_function_stack as len_torch_function_stack

    # The base of PyTorch's dropout modules, by which those that are not ours are found.
    from torch.nn.modules.dropout import _DropoutNd as DropoutNd
except ImportError as error:
    raise ImportError(
        f"fastdrop.torch cannot work with PyTorch {torch.__version__}: a private name that it "
        f"needs is missing ({error}); PyTorch 2.8 and 2.13 have it"
    ) from error

try:
    # Whether vmap, grad or another transform of torch.func is going on.
    from torch._C import _are_functorch_transforms_active as transforms_active
except ImportError:

    def transforms_active() -> bool:
        """The same, by the stack of transforms."""
        return torch._C._functorch.peek_interpreter_stack() is not None


try:
    # The state of torch.jit.trace, or None.
    from torch._C import _get_tracing_state as get_tracing_state
except ImportError:
    # True or False, where the other is a state or None: it is only asked whether there is one.
    from torch.jit import is_tracing as get_tracing_state  # type: ignore[attr-defined]

try:
    # Tell autograd that a tensor was written behind its back.
    from torch._C import _increment_version as increment_version
except ImportError:
    from torch.autograd.graph import increment_version  # type: ignore[assignment]

try:
    # Whether a tensor is that of `torch._vmap_internals`, by which PyTorch batches gradients.
    from torch._C._functorch import is_legacy_batchedtensor
except ImportError:

    def is_legacy_batchedtensor(tensor: torch.Tensor) -> bool:  # noqa: ARG001
        """No tensor is, where PyTorch does not know of them any more."""
        return False


try:
    # The tensors inside of wrappers whose transform has ended.
    from torch._functorch.utils import unwrap_dead_wrappers
except ImportError:

    def unwrap_dead_wrappers(args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same, one by one."""
        unwrap = torch._C._functorch.unwrap_if_dead
        return tuple(unwrap(a) if isinstance(a, torch.Tensor) else a for a in args)


try:
    # How a view was made: autograd lets some be written to by nobody.
    from torch._C._autograd import CreationMeta, _get_creation_meta
except ImportError:

    def writable_view(x: torch.Tensor) -> bool:  # noqa: ARG001
        """Whether autograd lets a view be written to; left to the operator, which tells later."""
        return True

else:

    def writable_view(x: torch.Tensor) -> bool:
        """Whether autograd lets a view be written to: not where it is one of several, say."""
        kind: object = _get_creation_meta(x)
        return kind == CreationMeta.DEFAULT
