"""From a public function's arguments to a call of the primitive: `pipeline` for JAX's arrays.

The declarations of `variants` say what is computed, and the same functions make rates and decisions
of arguments. Everything that can be known while JAX traces is checked then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._bias import ACTIVATIONS, check_activation
from fastdrop._convert import type_name
from fastdrop._rates import Rate, no_scale, standard_rate
from fastdrop._rng import Key, resolve
from fastdrop._window import check_window
from fastdrop.stream import Key as PlainKey
from fastdrop.variants import Variant

from ._primitive import Call, bind
from ._registration import register

RNG: TypeAlias = "jax.Array | Key | int | None"
Window: TypeAlias = "tuple[Sequence[int], Sequence[int | jax.Array]] | None"

# What a p that is known only at run time can be handed to the kernels for.
_TRACED_P: Final = ("scale", "add", "select", "act")
_MAX_WORDS: Final = 4
# Elements by which a bias is lengthened, as `fd_bias` in C says.
_LONGER: Final = 4096


def run(
    variant: Variant,
    operands: tuple[Any, ...],
    p: Any,
    training: bool,
    rng: RNG,
    *option: object,
    act: tuple[object, Any] | None = None,
    window: Window = None,
) -> Any:
    """The work of a public function.

    `option` is what the variant's decisions depend on, `act` an activation and its bias.
    """
    names = variant.operands
    x = jnp.asarray(operands[0])
    kind = _arrays.kind_of(x.dtype, names[0])
    if not has_known_lengths(x):
        if variant.evaluation is None and not _arrays.check_flag(training, "training"):
            return x
        raise NotImplementedError(
            f"fastdrop computes arrays of known lengths alone, but {names[0]} has shape {x.shape}"
        )
    others = zip(operands[1:], names[1:], strict=True)
    reads = [x, *(_operand_like(value, x, name, names[0]) for value, name in others)]
    whole, start = (x.shape, None) if window is None else _check_window(window, x.shape, names[0])
    # An array of the whole's shape with the memory of one element: what decisions depend on.
    form: Array = np.broadcast_to(np.zeros((), x.dtype), whole)
    decisions = whole
    if variant.decisions is not None:
        decisions = variant.decisions(form, *option) or whole
    rate, traced = _rate(variant, p, kind)
    bias, features, activation = _activation(act, x)
    if not _arrays.check_flag(training, "training"):
        if variant.evaluation is None:
            return x
        if variant.evaluation.numbers is no_scale:  # whatever p is
            p, traced = 0.0, None
        rate = Rate(None, variant.evaluation.numbers(_static(p, traced), kind))
        words, start, traced = np.zeros((1,), np.uint32), None, None
        decisions, operation = whole, variant.evaluation.operation
    else:
        positions = math.prod(decisions) * variant.positions
        words, operation = _words(rng, positions), variant.operation
    threshold, fraction = (0, 0) if rate.plan is None else rate.plan[:2]
    numbers = (*rate.numbers, 0.0, 0.0, 0.0)[:3]
    call = Call(
        operation,
        (threshold, fraction - 2**64 if fraction >= 2**63 else fraction),
        numbers,
        decisions or (1,),
        whole or (1,),
        start is not None,
        traced is not None,
        activation,
        features,
    )
    register()
    given = [v for v in (words, start, traced, bias) if v is not None]
    if not x.ndim:
        reads = [value.reshape(1) for value in reads]
    results = [y.reshape(x.shape) for y in bind(call, *_alike(*given, *reads))]
    return results[0] if variant.results == 1 else tuple(results)


def has_known_lengths(x: Any) -> bool:
    """Whether all lengths are numbers: `jax.export` and Keras trace with symbols, too."""
    return all(isinstance(length, int) for length in x.shape)


def _operand_like(value: Any, x: jax.Array, name: str, of: str) -> jax.Array:
    array = jnp.asarray(value)
    if array.dtype != x.dtype:
        raise TypeError(f"{name} has to have {of}'s dtype {x.dtype}, but got {array.dtype}")
    if array.shape != x.shape:
        raise ValueError(f"{name} has to have {of}'s shape {x.shape}, but got {array.shape}")
    return array


def _activation(act: tuple[object, Any] | None, x: jax.Array) -> tuple[Any, int, int]:
    """The lengthened bias, the length of one, and the activation's number.

    Without a bias it is -0.0, the neutral element of addition.
    """
    if act is None:
        return None, 0, 0
    number, more = ACTIVATIONS.index(check_activation(act[0])), min(_LONGER, x.size)
    if act[1] is None:
        return jnp.full(1 + more, -0.0, x.dtype), 1, number
    bias = jnp.asarray(act[1])
    if bias.dtype != x.dtype:
        raise TypeError(f"bias has to have x's dtype {x.dtype}, but got {bias.dtype}")
    if not x.ndim:
        raise ValueError("x has to have at least 1 axis where there is a bias, but got shape ()")
    if bias.shape != x.shape[-1:]:
        raise ValueError(
            f"bias has to have the shape {x.shape[-1:]} of x's last axis, but got {bias.shape}"
        )
    if not bias.size:
        return jnp.zeros(1, x.dtype), 1, number
    return jnp.resize(bias, bias.size + more), bias.size, number


def _rate(variant: Variant, p: Any, kind: str) -> tuple[Rate, jax.Array | None]:
    """What is known of p now, and p itself where it is an array."""
    if not isinstance(p, jax.Array):
        return variant.rate(p, kind), None
    taken = variant.operation in _TRACED_P and variant.rate is not standard_rate
    if not taken or not jnp.issubdtype(p.dtype, jnp.floating) or p.ndim:
        raise TypeError(
            f"the rate of {variant.function} has to be a real number"
            f"{' or a scalar array of floating point' if taken else ''}"
            f", but got an array of dtype {p.dtype} and shape {p.shape}"
        )
    wide = p if p.dtype == jnp.float64 else p.astype(jnp.float32)
    return variant.rate(0.0, kind), jax.lax.stop_gradient(wide)


def _static(p: Any, traced: jax.Array | None) -> float:
    if traced is not None:
        raise TypeError(f"p has to be a real number in evaluation, but got {type_name(p)}")
    number: float = p
    return number


# --- keys -----------------------------------------------------------------------------------------


def _words(rng: Any, positions: int) -> Any:
    """The words of a key, as the handler takes them: 1, 2, 4, or with an offset 6."""
    if not isinstance(rng, jax.Array):
        if isinstance(rng, (int, np.integer, Key, PlainKey)):
            key = resolve(rng, positions)
            values = [key.seed >> 32, key.seed, key.stream >> 32, key.stream]
            values += [key.offset >> 32, key.offset]
            return np.array([value & 0xFFFFFFFF for value in values], np.uint32)
        if not isinstance(rng, np.ndarray):
            raise TypeError(
                "rng has to be a key of JAX, a fastdrop Key or an integer seed, "
                f"but got {type_name(rng)}: a Generator's reserve(n) gives a Key"
            )
    if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key):
        if rng.ndim:
            raise ValueError(f"rng has to be one key, but got keys of shape {rng.shape}: vmap them")
        words = jax.random.key_data(rng).reshape(-1)
    elif rng.dtype == jnp.uint32 and rng.ndim == 1 and rng.size:
        words = jnp.asarray(rng)
    else:
        raise TypeError(
            "rng has to be a key of JAX, typed or of one axis of uint32, a fastdrop Key or an "
            f"integer seed, but got an array of dtype {rng.dtype} and shape {rng.shape}"
        )
    return words if words.size in (1, 2, 4) else _folded(words)


def _folded(words: jax.Array) -> jax.Array:
    """Four words of any number: those behind the fourth are added to the first by exclusive or."""
    groups = jnp.pad(words, (0, -words.size % _MAX_WORDS)).reshape(-1, _MAX_WORDS)
    result = groups[0]
    for group in groups[1:]:
        result = result ^ group
    return result


# --- parts of larger arrays -----------------------------------------------------------------------


def _check_window(window: Any, part: tuple[int, ...], argument: str) -> tuple[tuple[int, ...], Any]:
    """The whole's shape, and where the part begins, as the handler takes it; None for one axis.

    What a trace does not know of the start is checked by the handler.
    """
    known = window
    if isinstance(window, (tuple, list)) and len(window) == 2 and np.iterable(window[1]):
        known = (window[0], [_known_start(n) for n in window[1]])
    whole, first = check_window(known, part, argument)
    if not first:
        return whole, None
    if all(not isinstance(n, jax.Array) for n in window[1]) and max(first) < 2**31:
        return whole, np.array(first, np.int32)
    dtype = jax.dtypes.canonicalize_dtype(np.int64)
    if max(first) > np.iinfo(dtype).max:
        raise OverflowError(
            f"window begins at {first}: without jax_enable_x64 JAX has no such numbers"
        )
    return whole, jnp.stack([jnp.asarray(n, dtype) for n in window[1]])


def _known_start(n: Any) -> Any:
    """What is known of a window's start along one axis; of an array that it is an integer."""
    if not isinstance(n, jax.Array):
        return n
    if n.ndim or not jnp.issubdtype(n.dtype, jnp.integer):
        raise TypeError(
            "window has to begin at integers, but got an array of dtype "
            f"{n.dtype} and shape {n.shape}"
        )
    return 0


def _alike(*arguments: Any) -> list[Any]:
    """Arguments that vary over the same axes of a mesh, inside of `jax.shard_map`.

    A gradient with respect to an operand that is the same on all devices is then summed over them.
    """
    arrays = [jnp.asarray(value) for value in arguments]
    varying = [_varying(value) for value in arrays]
    union = frozenset[Any]().union(*varying)
    return [
        value if own == union else _vary(value, tuple(sorted(union - own, key=str)))
        for value, own in zip(arrays, varying, strict=True)
    ]


def _varying(value: jax.Array) -> frozenset[Any]:
    typeof = getattr(jax, "typeof", None)
    return frozenset() if typeof is None else getattr(typeof(value), "vma", frozenset())


def _vary(value: jax.Array, axes: tuple[Any, ...]) -> jax.Array:
    if hasattr(jax.lax, "pcast"):
        result: jax.Array = jax.lax.pcast(value, axes, to="varying")
    else:
        result = jax.lax.pvary(value, axes)
    return result
