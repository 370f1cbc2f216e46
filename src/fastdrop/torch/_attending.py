"""A call of attention: what is computed here, what is PyTorch's, and who else has a say.

PyTorch's own function is looked up once, in the module that defines it: programs put other ones,
ours among them, in the place of `torch.nn.functional.scaled_dot_product_attention`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_compiling, is_dynamo_compiling
from torch.overrides import TorchFunctionMode, has_torch_function

from fastdrop._rates import check_factor

from ._attention import attended, attention_op, composed
from ._autograd import is_ordinary, keepable, outside
from ._bridge import PLAIN, check_stored, is_distributed, readable, taken
from ._call import word_for
from ._ops import key_tensor
from ._private import (
    FakeTensor,
    FunctionalTensor,
    TransformType,
    forward_ad,
    get_interpreter_stack,
    get_overloaded_args,
    get_tracing_state,
    is_functional_tensor,
    len_torch_dispatch_stack,
    len_torch_function_stack,
    pop_torch_function_stack,
    push_on_torch_function_stack,
    scaled_dot_product_attention,
    transforms_active,
)
from ._seeding import AnyGenerator, Seed
from ._seen import CAUSAL, EVERYTHING, Band

PYTORCHS: Final = scaled_dot_product_attention


class Call(NamedTuple):
    """The arguments of attention, checked."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    p: float
    band: Band
    scale: float | None
    grouped: bool

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        return self[:4]

    @property
    def is_pytorchs(self) -> bool:
        """Whether PyTorch's function has arguments for it, so that no mask need be made."""
        return self.band == EVERYTHING or (self.band == CAUSAL and self.mask is None)


def by_pytorch(call: Call) -> Tensor:
    """The call as PyTorch's own function has it; a band that it does not know becomes a mask."""
    mask, band = call.mask, call.band
    if not call.is_pytorchs:
        query, key = call.query, call.key
        mask = band.masked(mask, query.shape[-2], key.shape[-2], query.device)
        band = EVERYTHING
    y: Tensor = PYTORCHS(
        call.query, call.key, call.value, mask, call.p, band == CAUSAL,
        scale=call.scale, enable_gqa=call.grouped,
    )  # fmt: skip
    return y


def attention(call: Call, generator: AnyGenerator, seed: Seed) -> Tensor:
    """Attention of any tensors."""
    if has_torch_function(call.tensors):
        return _offered(call, generator, seed)
    return _computed_or_not(call, generator, seed)


def _computed_or_not(call: Call, generator: AnyGenerator, seed: Seed) -> Tensor:
    y = computed(call, generator, seed)
    if y is not None:
        return y
    if call.p != 0.0 and any(is_distributed(x) for x in call.tensors if x is not None):
        raise NotImplementedError(
            "attention with dropout has to have whole tensors, but got a DTensor: PyTorch would "
            "drop the same weights in each shard. Give the shards by to_local(), each with a seed "
            "of its own, or redistribute them first"
        )
    _check_not_given(generator, seed)
    return by_pytorch(call)


def _check_not_given(generator: AnyGenerator, seed: Seed) -> None:
    if generator is not None or seed is not None:
        raise NotImplementedError(
            "generator and seed have to be left out for arguments that PyTorch's own operator "
            "takes, or refuses: it knows neither"
        )


# --- tensor-like classes and modes that override functions ---------------------------------------


class _InPlaceOfPyTorch(TorchFunctionMode):
    """Computes what is left of a call of PyTorch's function when others have had their say.

    Classes and modes know PyTorch's function by its identity, and so that one is what they are
    offered. What they call in turn comes here.
    """

    def __init__(self, generator: AnyGenerator, seed: Seed) -> None:
        super().__init__()
        self.generator, self.seed = generator, seed
        self.reached = False

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is not PYTORCHS:
            return function(*args, **kwargs)
        call = call_of(*args, **kwargs)
        if call is None:
            return PYTORCHS(*args, **kwargs)
        overriding = get_overloaded_args(call.tensors)
        if overriding and has_torch_function(call.tensors):
            with self:
                for x in overriding:
                    y = type(x).__torch_function__(function, types, args, kwargs)
                    if y is not NotImplemented:
                        return y
            return PYTORCHS(*args, **kwargs)  # which says that nobody takes it
        self.reached = True
        return _computed_or_not(call, self.generator, self.seed)


def call_of(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: Any = 0.0,
    is_causal: Any = False,
    *,
    scale: Any = None,
    enable_gqa: Any = False,
) -> Call | None:
    """A call of PyTorch's function, if it is one that may be computed here."""
    if dropout_p == 0.0 or (is_causal and attn_mask is not None):
        return None
    band = CAUSAL if is_causal else EVERYTHING
    return Call(query, key, value, attn_mask, float(dropout_p), band, scale, enable_gqa)


@contextmanager
def _below_all_modes(mode: TorchFunctionMode) -> Iterator[None]:
    """Let `mode` come after all others that are active."""
    modes = [pop_torch_function_stack() for _ in range(len_torch_function_stack())]
    for x in (mode, *reversed(modes)):
        push_on_torch_function_stack(x)
    try:
        yield
    finally:
        for _ in (mode, *modes):
            pop_torch_function_stack()
        for x in reversed(modes):
            push_on_torch_function_stack(x)


def _offered(call: Call, generator: AnyGenerator, seed: Seed) -> Tensor:
    """A call for which a class or a mode overrides functions."""
    if is_dynamo_compiling():  # which cannot put modes aside
        _check_not_given(generator, seed)
        return by_pytorch(call)
    ours = _InPlaceOfPyTorch(generator, seed)
    with _below_all_modes(ours):
        y = by_pytorch(call)
    if not ours.reached and call.p:
        _check_not_given(generator, seed)
    return y


# --- plain tensors -------------------------------------------------------------------------------


def computed(call: Call, generator: AnyGenerator = None, seed: Seed = None) -> Tensor | None:
    """Attention as it is computed here, or None for what PyTorch's own operator is to see.

    Nothing is drawn where the result is None.
    """
    tensors = [_autocast(x) for x in call.tensors]
    call = call._replace(query=tensors[0], key=tensors[1], value=tensors[2], mask=tensors[3])
    if not _fits(call, named=generator is not None or seed is not None):
        return None
    scale = call.scale
    if scale is not None:
        scale = check_factor(scale, "scale", "float64")
    with outside(call.query):
        return _attend(call, scale, generator, seed)


def _autocast(x: Any) -> Any:
    """An argument as autocast hands it to PyTorch's operator."""
    if not torch.is_autocast_enabled("cpu") or not isinstance(x, Tensor):
        return x
    if not x.is_floating_point() or x.dtype is torch.float64 or x.device.type != "cpu":
        return x
    return x.to(torch.get_autocast_dtype("cpu"))


def _is_known(x: Tensor, named: bool) -> bool:
    """Whether an operator of ours means something to the tensor's class.

    A class that takes operators apart may know PyTorch's alone, so that it is offered ours only
    where the call is `named` by a generator or a seed, for which PyTorch's has no arguments. What
    compilers put in place of tensors knows all, a FunctionalTensor inside of its mode alone.
    """
    if type(x) in PLAIN or type(x) is FakeTensor:
        return True
    if type(x) is FunctionalTensor:
        return is_compiling() or len_torch_dispatch_stack() > 0
    plain = torch.Tensor.__torch_dispatch__
    return named or getattr(type(x), "__torch_dispatch__", plain) is plain


def _fits(call: Call, named: bool) -> bool:
    """Whether the arguments are such as are computed here; PyTorch knows what to say to others."""
    query, key, value, mask = call.tensors
    for x in (query, key, value):
        if not isinstance(x, Tensor) or not taken(x) or x.is_nested or x.dim() < 2:
            return False
        if x.dtype is not query.dtype or not _is_known(x, named):
            return False
    if key.shape[-1] != query.shape[-1] or value.shape[-2] != key.shape[-2]:
        return False
    if call.grouped and not _divide(query, key, value):
        return False
    if mask is None:
        return True
    if not isinstance(mask, Tensor) or mask.device.type != "cpu" or not _is_known(mask, named):
        return False
    return mask.layout is torch.strided and mask.dtype in (torch.bool, torch.float32, query.dtype)


def _divide(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the heads of key and value can each serve as many of query's."""
    if query.dim() < 3 or key.dim() < 3 or value.dim() < 3:
        return False
    heads = query.shape[-3]
    return all(x.shape[-3] != 0 and heads % x.shape[-3] == 0 for x in (key, value))


def _transformed() -> bool:
    """Whether a transform of `torch.func` goes on that has to see operators of PyTorch."""
    if not transforms_active():
        return False
    return any(x.key() != TransformType.Functionalize for x in get_interpreter_stack() or ())


def _served(x: Tensor, call: Call) -> tuple[int, ...]:
    """The leading axes of key or value as they are to queries."""
    lead = tuple(x.shape[:-2])
    return (*lead[:-1], call.query.shape[-3]) if call.grouped else lead


def _attend(call: Call, scale: float | None, generator: AnyGenerator, seed: Seed) -> Tensor:
    given = [x for x in call.tensors if x is not None]
    ordinary = all(is_ordinary(x) and not is_functional_tensor(x) for x in given)
    query, key, value, mask = call.tensors
    if ordinary:
        check_stored(*given)
        if mask is not None:
            mask = readable(mask)  # before it is expanded
    if call.grouped and key.shape[-3] != value.shape[-3]:
        heads = math.lcm(key.shape[-3], value.shape[-3])
        key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
    scores = (query.shape[-2], key.shape[-2])
    masked = () if mask is None else (mask.shape[:-2],)
    lead = torch.broadcast_shapes(query.shape[:-2], _served(key, call), *masked)
    whole = torch.broadcast_shapes(lead, _served(value, call))
    if mask is not None:
        mask = keepable(mask).expand(*lead, *scores)
    learns = mask is not None and mask.requires_grad and torch.is_grad_enabled()
    followed = forward_ad._current_level >= 0 or (not ordinary and _transformed())
    drawing = call.p != 0.0 and math.prod((*lead, *scores)) != 0
    word = key_tensor((0, 0, 0))
    if drawing:
        word = _word(query, (*lead, *scores), generator, seed)
    if scale is None and query.shape[-1] == 0:
        scale = 1.0  # the scores are 0
    numbers = (call.p, *call.band, scale)
    if whole != lead or learns or followed:
        if lead != query.shape[:-2]:
            query = query.expand(*lead, *scores[:1], query.shape[-1])
        return composed(query, key, value, mask, word, *numbers)
    query = _of_four(query, lead)
    key, value = (
        _of_four(x, (*lead[:-1], x.shape[-3]) if call.grouped else lead) for x in (key, value)
    )
    mask = None if mask is None else _of_four(mask, lead)
    attend = attended if ordinary else attention_op
    y: Tensor = attend(query, key, value, mask, word, *numbers)
    return y if len(lead) == 2 else y.reshape(*lead, *y.shape[-2:])


def _word(query: Tensor, weights: tuple[int, ...], generator: AnyGenerator, seed: Seed) -> Tensor:
    """The key of a decision for each of the weights, given their shape."""
    if query.shape[-1] == 0:
        query = query.new_empty((*query.shape[:-1], 1))  # nothing is drawn for an empty tensor
    if get_tracing_state():
        # Numbers become constants of a trace, and tensors' shapes do not.
        like = query.detach()[..., :1].expand(*weights)
        return word_for(like, None, generator, seed)
    return word_for(query, math.prod(weights), generator, seed)


def _of_four(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """Batch and heads: the last of the leading axes are the heads."""
    if x.shape[:-2] != lead:
        x = x.expand(*lead, *x.shape[-2:])
    if len(lead) == 2:
        return x
    if len(lead) < 2:
        return x[(None,) * (2 - len(lead))]
    return x.flatten(0, -4)
