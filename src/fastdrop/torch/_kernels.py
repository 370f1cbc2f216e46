"""PyTorch's dropout operators as kernels of fastdrop: what `enable` registers.

A kernel computes what is computed here and hands every other call to PyTorch's own kernel, which it
is made with. Dispatch keys say where a kernel stands: ``AutogradCPU`` is where a call from eager
code and from tracers arrives; ``CPU`` is where it arrives in inference mode, and from code in C++
that has left autograd behind. Before that, ``Python`` is where classes and modes are asked: there
DTensors arrive, whose shards PyTorch's operators know nothing of.

Composite operators reach transforms of `torch.func` and tensor subclasses in parts, of which
``bernoulli_`` is the one that draws. So these are reached by that operator's kernel, and see the
same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.compiler import is_exporting

from fastdrop.variants import ALPHA_DROPOUT, DROPOUT, Variant

from ._autograd import apply
from ._bridge import PLAIN, TRACED, drawn_tensor, is_distributed, taken
from ._call import call
from ._private import (
    FakeTensor,
    TorchDispatchModeKey,
    get_dispatch_mode,
    len_torch_function_stack,
    pop_torch_function_stack,
    push_on_torch_function_stack,
    transforms_active,
)
from ._seeding import WORD

Function: TypeAlias = Callable[..., Any]


class Kernel(NamedTuple):
    """An operator's kernel at a dispatch key. `make` is given PyTorch's own, and makes ours."""

    operator: str
    key: str
    make: Callable[[Function], Function]
    with_keyset: bool = False
    """Both get the set of dispatch keys as first argument. Only kernels that pass it on need it."""


def is_ours(x: Any) -> bool:
    """Whether `x` is a tensor whose draws are computed here, or traced to be."""
    if not isinstance(x, Tensor) or not taken(x) or transforms_active():
        return False
    if type(x) in PLAIN:
        return not x._is_zerotensor()
    # An exported program keeps PyTorch's operators, and can be run where fastdrop is not.
    return type(x) in TRACED and not is_exporting()


def is_shared_out(x: Any) -> bool:
    """Whether `x` is a DTensor whose shards may be computed here."""
    return is_distributed(x) and not transforms_active()


@contextmanager
def below(x: Tensor) -> Iterator[None]:
    """As it is below PyTorch's operators, for what is done there with `x`.

    Modes that override functions have had their turn. Fake tensors bring their mode with them.
    """
    modes = [pop_torch_function_stack() for _ in range(len_torch_function_stack())]
    alone = isinstance(x, FakeTensor) and get_dispatch_mode(TorchDispatchModeKey.FAKE) is None
    try:
        with x.fake_mode if alone else nullcontext():  # type: ignore[attr-defined]
            yield
    finally:
        for mode in reversed(modes):
            push_on_torch_function_stack(mode)


def _shared(x: Tensor) -> tuple[int, ...] | None:
    """The mask's shape for whole channels; None where there are none."""
    return (*x.shape[:2], *(1,) * (x.dim() - 2)) if x.dim() >= 2 else None


def drop(x: Tensor, p: float, inplace: bool, variant: Variant, features: bool) -> Tensor | None:
    """A draw of `x`, or None where it is PyTorch's."""
    if not 0.0 < p < 1.0 or not (is_ours(x) or is_shared_out(x)) or x.numel() == 0:
        return None
    form = _shared(x) if features else None
    if features and form is None:
        return None
    with below(x):
        return call(x, p, inplace, None, None, variant, form)


def _dropout(inplace: bool) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        def kernel(x: Tensor, p: float, train: bool) -> Tensor:
            y: Tensor | None
            if train:
                if p != 1.0:
                    y = drawn_tensor(x, p, inplace, WORD, apply)
                    if y is not None:
                        return y
                    y = drop(x, p, inplace, DROPOUT, False)
                    if y is not None:
                        return y
            elif 0.0 <= p <= 1.0:
                return x
            y = original(x, p, train)
            return y

        return kernel

    return make


def _dropping(inplace: bool, variant: Variant, features: bool) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        def kernel(x: Tensor, p: float, train: bool) -> Tensor:
            y = drop(x, p, inplace, variant, features) if train else None
            return original(x, p, train) if y is None else y

        return kernel

    return make


def unrecorded(make: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """The kernel below autograd, where nothing is recorded whatever a tensor asks for."""

    def made(original: Function) -> Function:
        kernel = make(original)

        def kernel_below(*args: Any, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled():
                return kernel(*args, **kwargs)
            with torch.no_grad():
                return kernel(*args, **kwargs)

        return kernel_below

    return made


def at_both(operator: str, make: Callable[[Function], Function]) -> tuple[Kernel, Kernel]:
    """An operator that PyTorch composes of others: it has no kernel of its own at either key."""
    return (
        Kernel(operator, "AutogradCPU", make),
        Kernel(operator, "CPU", unrecorded(make)),
    )


def for_shards(
    operator: str, make: Callable[[Function], Function], with_keyset: bool = False
) -> Kernel:
    """The kernel for DTensors below autograd; what else arrives there is for others."""

    def made(original: Function) -> Function:
        kernel = unrecorded(make)(original)

        def kernel_of_shards(*args: Any, **kwargs: Any) -> Any:
            chosen = kernel if is_shared_out(args[with_keyset]) else original
            return chosen(*args, **kwargs)

        return kernel_of_shards

    return Kernel(operator, "Python", made, with_keyset)


def at_all(operator: str, make: Callable[[Function], Function]) -> tuple[Kernel, ...]:
    """For DTensors too."""
    return (*at_both(operator, make), for_shards(operator, make))


DROPOUT_KERNELS: Final = (
    *at_all("dropout", _dropout(False)),
    *at_all("dropout_", _dropout(True)),
    *at_all("feature_dropout", _dropping(False, DROPOUT, True)),
    *at_all("feature_dropout_", _dropping(True, DROPOUT, True)),
    *at_all("alpha_dropout", _dropping(False, ALPHA_DROPOUT, False)),
    *at_all("alpha_dropout_", _dropping(True, ALPHA_DROPOUT, False)),
    *at_all("feature_alpha_dropout", _dropping(False, ALPHA_DROPOUT, True)),
    *at_all("feature_alpha_dropout_", _dropping(True, ALPHA_DROPOUT, True)),
)
"""Operators with the schema of `dropout`."""
