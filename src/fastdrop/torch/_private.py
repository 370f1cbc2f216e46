"""All of PyTorch that fastdrop uses and that is not public, with what replaces it where it is gone.

The other modules take private names from here and from nowhere else (a test sees to it), so that a
new PyTorch is looked at in one place. PyTorch 2.8, 2.13 and 2.14 have all of them. Where a later
one has lost a name for which there is a replacement of the same meaning, that is used; without the
others fastdrop cannot work, and the import says which is missing.

Attributes of objects cannot be listed by import. They are: `Tensor._base`, `Tensor._is_zerotensor`,
`Node._sequence_nr`, `Library._destroy`, `forward_ad._current_level` (below 0 where no forward-mode
AD is going on), and DLPack's `Tensor.__dlpack_c_exchange_api__`, new in PyTorch 2.10, without which
`_bridge` asks the tensors themselves.

Nor can what `_recompute` reads off the stack: names of functions and of their variables in
`torch.utils.checkpoint`. `knows_checkpoints` says whether they are there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import torch
from torch.autograd import forward_ad

__all__ = [
    "RUNS_CHECKPOINTS",
    "CustomOpDef",
    "DeviceContext",
    "DisableFuncTorch",
    "DisableTorchDispatch",
    "DisableTorchFunction",
    "DispatchKey",
    "DispatchKeySet",
    "DropoutNd",
    "FakeTensor",
    "FunctionalTensor",
    "TorchDispatchMode",
    "TorchDispatchModeKey",
    "TransformType",
    "current_graph_task_id",
    "disable_dynamo",
    "forward_ad",
    "get_dispatch_mode",
    "get_function_stack_at",
    "get_interpreter_stack",
    "get_overloaded_args",
    "get_sequence_nr",
    "get_tracing_state",
    "get_unwrapped",
    "increment_version",
    "is_functional_tensor",
    "is_functorch_wrapped_tensor",
    "is_fwd_grad_enabled",
    "is_key_included",
    "is_legacy_batchedtensor",
    "knows_checkpoints",
    "len_torch_dispatch_stack",
    "len_torch_function_stack",
    "make_autograd_impl",
    "peek_interpreter_stack",
    "pop_torch_function_stack",
    "push_on_torch_function_stack",
    "reset_code_caches",
    "scaled_dot_product_attention",
    "top_saved_tensors_default_hooks",
    "transforms_active",
    "unwrap_dead_wrappers",
    "writable_view",
]

# Each name below its comment, not by the alphabet.
# isort: off
try:
    # Whether a tensor stands for another one, as in functionalization.
    from torch import _is_functional_tensor as is_functional_tensor

    # The keys of a call, for kernels that PyTorch tells none; context managers that leave out
    # classes and modes of functions, modes of operators, and transforms.
    from torch._C import DisableTorchFunction, DispatchKey, DispatchKeySet
    from torch._C import _DisableFuncTorch as DisableFuncTorch
    from torch._C import _DisableTorchDispatch as DisableTorchDispatch

    # The backward pass that runs just now, by number; -1 is none.
    from torch._C import _current_graph_task_id as current_graph_task_id

    # The mode that makes FakeTensors, if it is on.
    from torch._C import _get_dispatch_mode as get_dispatch_mode

    # The modes of Python that see functions, one by one: to ask them, and to put them aside.
    from torch._C import _get_function_stack_at as get_function_stack_at

    # Whether tangents are followed, where there are any.
    from torch._C import _is_fwd_grad_enabled as is_fwd_grad_enabled

    # How many modes of Python see operators and functions. No public name tells.
    from torch._C import _len_torch_dispatch_stack as len_torch_dispatch_stack
    from torch._C import _len_torch_function_stack as len_torch_function_stack
    from torch._C import _pop_torch_function_stack as pop_torch_function_stack
    from torch._C import _push_on_torch_function_stack as push_on_torch_function_stack
    from torch._C import _TorchDispatchModeKey as TorchDispatchModeKey

    # The number that autograd gives to the next node, and the hooks by which checkpoints save.
    from torch._C._autograd import _get_sequence_nr as get_sequence_nr
    from torch._C._autograd import (
        _top_saved_tensors_default_hooks as top_saved_tensors_default_hooks,
    )

    # Which transforms of torch.func go on, and what is inside of their tensors.
    from torch._C._functorch import (
        TransformType,
        get_interpreter_stack,
        get_unwrapped,
        is_functorch_wrapped_tensor,
        peek_interpreter_stack,
    )

    # PyTorch's own attention: programs replace the public name.
    from torch._C._nn import scaled_dot_product_attention

    # torch.compiler.disable, without the import of the compiler.
    from torch._compile import _disable_dynamo as disable_dynamo

    # An operator's rule for gradients, to add one for tangents on top of it.
    from torch._library.autograd import make_autograd_impl
    from torch._library.custom_ops import CustomOpDef

    # What compilers put in the place of tensors.
    from torch._subclasses.fake_tensor import FakeTensor
    from torch._subclasses.functional_tensor import FunctionalTensor

    # The base of PyTorch's dropout modules, by which those that are not ours are found.
    from torch.nn.modules.dropout import _DropoutNd as DropoutNd

    # Whether a tracer records operators before autograd: its mode counts among no others.
    from torch._C import _dispatch_tls_is_dispatch_key_included as is_key_included

    # Whose class of all arguments takes part in a call.
    from torch.overrides import _get_overloaded_args as get_overloaded_args

    # The mode of `with torch.device(...)`, and the base of modes that see operators.
    from torch.utils._device import DeviceContext
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError as error:
    raise ImportError(
        f"fastdrop.torch cannot work with PyTorch {torch.__version__}: a private name that it "
        f"needs is missing ({error}); PyTorch 2.8 and 2.13 have it"
    ) from error
# isort: on

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


def reset_code_caches() -> None:
    """Forget compiled code, where the compiler has been imported."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset_code_caches()


RUNS_CHECKPOINTS = ("checkpoint", "_checkpoint_impl")
"""The function that runs a part that may be computed again: the second from PyTorch 2.14 on."""


def knows_checkpoints() -> bool:
    """Whether `torch.utils.checkpoint` has the functions and variables that `_recompute` reads."""
    found = set()
    for name, member in vars(torch.utils.checkpoint).items():
        function = inspect.unwrap(member) if callable(member) else None
        if (
            not isinstance(function, FunctionType)
            or function.__module__ != "torch.utils.checkpoint"
        ):
            continue
        code = function.__code__
        if name in RUNS_CHECKPOINTS and "gen" in _variables(code):
            found.add("runs")
        if "new_frame" in _variables(code):
            found.add("makes records")
    hook = getattr(torch.utils.checkpoint, "_checkpoint_hook", object)
    for code in _inner(getattr(hook.__init__, "__code__", None)):
        if code.co_name == "pack_hook" and "frame" in code.co_freevars:
            found.add("saves")
        if code.co_name == "unpack_hook" and {"frame", "gid"} <= _variables(code):
            found.add("computes again")
    return found == {"runs", "makes records", "saves", "computes again"}


def _variables(code: CodeType) -> set[str]:
    return {*code.co_varnames, *code.co_cellvars, *code.co_freevars}


def _inner(code: CodeType | None) -> Iterator[CodeType]:
    constants = () if code is None else code.co_consts
    return (constant for constant in constants if isinstance(constant, CodeType))
