"""One primitive for all element-wise operations, and its rules.

For a given key every operation is linear in its operands, or linear plus something: its derivative
in a direction, and the transpose of that, are operations of the same list under the same decisions.
Nothing is kept but the key.
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.interpreters import ad, batching, mlir

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

    @property
    def given(self) -> int:
        """How many arguments come before the operands."""
        return 1 + self.has_start + self.has_p


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
    zeros = [type(t) is ad.Zero for t in directions]
    if all(zeros):
        return results, [ad.Zero(directions[0].aval.update(shape=y.shape)) for y in results]
    if call.operation == "noise_add":
        return results, list(directions)
    if call.operation == "add" and any(zeros):
        if zeros[0]:
            return results, [directions[1]]
        return results, bind(call._replace(operation="scale"), *given, directions[0])
    tangent = call._replace(operation=_TANGENT.get(call.operation, call.operation))
    instantiated = [
        jnp.zeros_like(x) if zero else t
        for x, t, zero in zip(reads, directions, zeros, strict=True)
    ]
    return results, bind(tangent, *given, *instantiated)


def _transpose(cotangents: Any, *arguments: Any, call: Call) -> list[Any]:
    given, reads = arguments[: call.given], arguments[call.given :]
    like = next((ct for ct in cotangents if type(ct) is not ad.Zero), None)
    if like is None:
        results = [ad.Zero(x.aval) if isinstance(x, ad.UndefinedPrimal) else None for x in reads]
    elif call.operation == "add":
        results = [*bind(call._replace(operation="scale"), *given, like), like]
    else:
        instantiated = [jnp.zeros_like(like) if type(ct) is ad.Zero else ct for ct in cotangents]
        transposed = call._replace(operation=_TRANSPOSE[call.operation])
        results = bind(transposed, *given, *instantiated)
    linear = [
        y if isinstance(x, ad.UndefinedPrimal) else None
        for x, y in zip(reads, results, strict=True)
    ]
    return [None] * call.given + linear


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
    # In place, where x is an intermediate result: XLA copies it before if something else needs it.
    # An argument of a compiled function is the caller's, and would always be copied.
    in_place = x.shape == y.shape and not isinstance(value.owner, ir.Block)
    aliases = {call.given: 0} if in_place else {}
    rule: Any = jax.ffi.ffi_lowering(TARGET, operand_output_aliases=aliases)
    threshold, fraction = call.plan
    return rule(
        ctx,
        *operands,
        operation=call.operation,
        plan=np.array([threshold, fraction, call.has_start, call.has_p], np.int64),
        numbers=np.array(call.numbers, np.float64),
        decisions=np.array(call.decisions, np.int64),
        whole=np.array(call.whole, np.int64),
    )


def _refuse(ctx: Any, *_operands: Any, call: Call) -> Any:
    platforms = ", ".join(ctx.module_context.platforms)
    raise NotImplementedError(
        f"fastdrop computes on CPUs, but {call.operation} is compiled for {platforms}: use "
        'jax.random there, or jax.default_device(jax.devices("cpu")[0])'
    )


mlir.register_lowering(primitive, _lower, platform="cpu")
mlir.register_lowering(primitive, _refuse)
