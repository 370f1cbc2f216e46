"""One primitive for all element-wise operations, and its rules.

For a given key every operation but activations is linear in its operands, or linear plus something:
its derivative in a direction, and the transpose of that, are operations of the same list under the
same decisions. An activation's first derivative is one, too; from the second on, formulas of JAX
stand beside the draws. Nothing is kept but the key.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.interpreters import ad, batching, mlir

from fastdrop._bias import ACTIVATIONS

from ._registration import TARGET

Value: TypeAlias = Any
"""An array of JAX, or a tracer."""


class Call(NamedTuple):
    """What is static about a call; `backends.call` says what operations and numbers mean."""

    operation: str
    plan: tuple[int, int]
    """Threshold and fraction, whose 64 bits are read as a signed number."""
    numbers: tuple[float, ...]
    """Three, of which those behind an operation's own are 0."""
    decisions: tuple[int, ...]
    """The shape of the decisions: 1 along axes that share them."""
    whole: tuple[int, ...]
    """The shape of the array that the operands are a window of."""
    has_start: bool = False
    """Whether the start of a window comes behind the key."""
    has_p: bool = False
    """Whether p comes behind these."""
    act: int = 0
    """The number of the activation."""
    features: int = 0
    """The length of the bias, which comes behind these, lengthened; 0 without an activation."""

    @property
    def given(self) -> int:
        """How many arguments come before the operands."""
        return 1 + self.has_start + self.has_p + (self.features > 0)


primitive: Final = Primitive("fastdrop")
primitive.multiple_results = True

# What computes an operation's derivative in a direction, where that is another one; and what
# transposes operations that are linear.
_TANGENT: Final = {"affine": "scale"}
_TRANSPOSE: Final = {
    "scale": "scale",
    "noise_factor": "noise_factor",
    "select": "split",
    "split": "select",
    "mix": "unmix",
    "unmix": "mix",
}
_RESULTS: Final = {"split": 2, "unmix": 2}


def bind(call: Call, *arguments: Value) -> list[Value]:
    """The results of a call."""
    results: list[Value] = primitive.bind(*arguments, call=call)
    return results


@primitive.def_abstract_eval
def _abstract(*avals: Any, call: Call) -> list[Any]:
    leading, x = avals[0].ndim - 1, avals[call.given]
    lengths = np.broadcast_shapes(*[aval.shape[:leading] for aval in avals])
    return [x.update(shape=(*lengths, *x.shape[leading:]))] * _RESULTS.get(call.operation, 1)


@primitive.def_impl
def _evaluate(*arguments: Value, call: Call) -> list[Value]:
    with jax.disable_jit(False):  # or a caller's disable_jit() would lead back here
        results: list[Value] = _compiled(call)(*arguments)
    return results


@functools.lru_cache(maxsize=256)  # what JAX compiles for each of them is kept with it
def _compiled(call: Call) -> Any:
    return jax.jit(functools.partial(bind, call))


# --- derivatives ----------------------------------------------------------------------------------


def _differentiate(primals: Any, tangents: Any, *, call: Call) -> tuple[list[Any], list[Any]]:
    results = bind(call, *primals)
    given, reads = primals[: call.given], primals[call.given :]
    directions = tangents[call.given :]
    if call.features:
        return results, [_along(call, given, reads, tangents[call.given - 1], directions)]
    zeros = [_is_zero(t) for t in directions]
    if call.operation == "noise_add":
        return results, [_wide(directions[0], results[0])]
    if call.operation == "add" and any(zeros):
        if zeros[0]:
            return results, [_wide(directions[1], results[0])]
        return results, bind(call._replace(operation="scale"), *given, directions[0])
    tangent = call._replace(operation=_TANGENT.get(call.operation, call.operation))
    instantiated = [
        jnp.zeros_like(x) if zero else t
        for x, t, zero in zip(reads, directions, zeros, strict=True)
    ]
    return results, bind(tangent, *given, *instantiated)


def _is_zero(tangent: Any) -> bool:
    return type(tangent) is ad.Zero


def _wide(tangent: Any, like: Any) -> Any:
    """A tangent broadcast to another array's shape, and to the sharding that it may have."""
    if tangent.shape == like.shape:
        return tangent
    add = functools.partial(jnp.add, jnp.zeros_like(like))  # whose rule knows of shardings
    return jax.jvp(add, (jnp.zeros_like(tangent),), (tangent,))[1]


def _along(call: Call, given: Any, reads: Any, of_bias: Any, directions: Any) -> Any:
    """The derivative of an activation, or of its slope; not all of the directions are zero."""
    x, shift = reads[0], directions[0]  # of x + bias
    if not _is_zero(of_bias):
        wide = _behind(of_bias[..., : call.features], x.ndim)
        shift = _wide(wide, x) if _is_zero(shift) else wide + shift
    if call.operation == "act":
        slope = call._replace(operation="act_slope")
        return bind(slope, *given, x, shift)[0]
    parts = []
    if not _is_zero(directions[1]):
        parts += bind(call, *given, x, directions[1])
    if not _is_zero(shift):
        z = x.astype(_computed(x)) + _behind(given[-1][..., : call.features], x.ndim)
        curved = reads[1] * _curvature(ACTIVATIONS[call.act], z) * shift
        scale = call._replace(operation="scale", act=0, features=0)
        parts += bind(scale, *given[:-1], curved.astype(x.dtype))
    return sum(parts[1:], parts[0])


def _behind(rows: Any, ndim: int) -> Any:
    """Numbers for the last axis with as many axes in front of it as operands have."""
    leading = rows.ndim - 1
    return rows.reshape(*rows.shape[:leading], *[1] * (ndim - leading - 1), rows.shape[-1])


def _computed(x: Any) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


_FORMULAS: Final = {
    "none": lambda z: z,
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "silu": jax.nn.silu,
}


def _curvature(act: str, z: Any) -> Any:
    """An activation's second derivative."""
    along = functools.partial(jax.jvp, tangents=(jnp.ones_like(z),))
    slope = lambda z: along(_FORMULAS[act], (z,))[1]  # noqa: E731
    return along(slope, (z,))[1]


def _transpose(cotangents: Any, *arguments: Any, call: Call) -> list[Any]:
    given, reads = arguments[: call.given], arguments[call.given :]
    like = next((ct for ct in cotangents if not _is_zero(ct)), None)
    if like is None:
        results = [ad.Zero(x.aval) if ad.is_undefined_primal(x) else None for x in reads]
        return [None] * call.given + results
    if call.operation == "act_slope":
        results = [None, *bind(call, *given, reads[0], like)]
    elif call.operation == "add":
        results = [*bind(call._replace(operation="scale"), *given, like), like]
    else:
        instantiated = [jnp.zeros_like(like) if _is_zero(ct) else ct for ct in cotangents]
        transposed = call._replace(operation=_TRANSPOSE[call.operation])
        results = bind(transposed, *given, *instantiated)
    linear = [
        _summed(y, x.aval.shape) if ad.is_undefined_primal(x) else None
        for x, y in zip(reads, results, strict=True)
    ]
    return [None] * call.given + linear


def _summed(y: Any, shape: tuple[int, ...]) -> Any:
    """The sum over leading axes of which an operand has one for all."""
    axes = [d for d, (n, own) in enumerate(zip(y.shape, shape, strict=True)) if n != own]
    return y.sum(axes, keepdims=True) if axes else y


ad.primitive_jvps[primitive] = _differentiate
ad.primitive_transposes[primitive] = _transpose


# --- batches --------------------------------------------------------------------------------------


def _batch(arguments: Any, axes: Any, *, call: Call) -> tuple[list[Any], list[int]]:
    """One more leading axis, of length 1 where an argument is the same for all."""
    stacked = [
        jnp.expand_dims(x, 0) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(arguments, axes, strict=True)
    ]
    results = bind(call, *stacked)
    return results, [0] * len(results)


batching.primitive_batchers[primitive] = _batch


# --- compilation ----------------------------------------------------------------------------------


def _lower(ctx: Any, *operands: Any, call: Call) -> Any:
    x, y, value = ctx.avals_in[call.given], ctx.avals_out[0], operands[call.given]
    aliases = {call.given: 0} if x.shape == y.shape and _is_given_away(value) else {}
    rule: Any = jax.ffi.ffi_lowering(TARGET, operand_output_aliases=aliases)
    threshold, fraction = call.plan
    return rule(
        ctx,
        *operands,
        operation=call.operation,
        plan=np.array(
            [threshold, fraction, call.has_start, call.has_p, call.act, call.features], np.int64
        ),
        numbers=np.array(call.numbers, np.float64),
        decisions=np.array(call.decisions, np.int64),
        whole=np.array(call.whole, np.int64),
    )


def _is_given_away(value: Any) -> bool:
    """Whether the result may take a value's place, and XLA copies it where something else needs it.

    That is an intermediate result, or an argument that is donated. Others are the caller's, and
    would always be copied.
    """
    if not isinstance(value.owner, ir.Block):
        return True
    function = value.owner.owner
    if "arg_attrs" not in function.attributes:  # the body of a loop
        return False
    attributes = function.attributes["arg_attrs"][ir.BlockArgument(value).arg_number]
    return "tf.aliasing_output" in attributes or "jax.buffer_donor" in attributes


def _refuse(ctx: Any, *_operands: Any, call: Call) -> Any:
    platforms = ", ".join(ctx.module_context.platforms)
    raise NotImplementedError(
        f"fastdrop computes on CPUs, but {call.operation} is compiled for {platforms}: use "
        'jax.random there, or jax.default_device(jax.devices("cpu")[0])'
    )


# Cached, it would be lowered in a function of its own, which knows its operands as arguments alone.
_parameters = inspect.signature(mlir.register_lowering).parameters
_here: dict[str, Any] = {"cacheable": False} if "cacheable" in _parameters else {}
mlir.register_lowering(primitive, _lower, platform="cpu", **_here)
mlir.register_lowering(primitive, _refuse)
