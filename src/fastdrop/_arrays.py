"""What fastdrop accepts: dtypes, layouts, overlap, shapes, masks and flags.

`_convert` makes plain arrays of arguments; these two modules raise all errors about arrays. Every
check runs before anything is written and before a generator moves. Messages read
``<argument> has to be <expected>, but got <what came>``.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from ._convert import as_input as as_input
from ._convert import check_unmasked, type_name
from ._convert import itself as itself
from ._overlap import overlap, overlaps_itself, same_layout

Array: TypeAlias = npt.NDArray[Any]
NoiseShape: TypeAlias = Sequence[int | None]

KINDS: Final = ("float32", "float64", "float16", "bfloat16")
HALF_KINDS: Final = ("float16", "bfloat16")

# NumPy's limit on axes, and the elements an array can have.
_MAX_AXES = 64
_MAX_ELEMENTS = sys.maxsize
# The most axes of `ndarray.flat`, by which the Python backends read strided arrays. Arrays with
# more lose their axes of length 1: 33 longer axes would be more elements than any memory holds.
FLAT_AXES = 32

# bfloat16 comes from ml_dtypes, which fastdrop does not import: its dtype is added when first met.
_kind_by_dtype: dict[np.dtype[Any], str] = {np.dtype(kind): kind for kind in KINDS[:3]}


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    scalar = dtype.type
    module = scalar.__module__.partition(".")[0]
    return scalar.__name__ == "bfloat16" and module == "ml_dtypes" and dtype.itemsize == 2


def kind_of(dtype: np.dtype[Any], argument: str = "x") -> str:
    """Name of the element type, one of `KINDS`; TypeError for every other dtype."""
    if (kind := _kind_by_dtype.get(dtype)) is not None:
        return kind
    if _is_bfloat16(dtype) and dtype.isnative:
        _kind_by_dtype[dtype] = "bfloat16"
        return "bfloat16"
    if not dtype.isnative and (dtype.newbyteorder("=") in _kind_by_dtype or _is_bfloat16(dtype)):
        raise TypeError(
            f"{argument} has to be in the machine's native byte order, but got dtype {dtype}"
        )
    expected = "float16, bfloat16, float32 or float64"
    raise TypeError(f"{argument} has to have dtype {expected}, but got {dtype}")


def whose(argument: str) -> str:
    """The name of an argument in front of what it has."""
    return f"{argument}'" if argument.endswith("s") else f"{argument}'s"


def storage(array: Array, kind: str) -> Array:
    """`array` as the backends take it: 16-bit floats as a uint16 view of the same memory."""
    if array.ndim > FLAT_AXES:
        array = array.squeeze()
    return array.view(np.uint16) if kind in HALF_KINDS else array


def storage_shape(mask_shape: tuple[int, ...], array: Array) -> tuple[int, ...]:
    """The shape of a mask for `array`, with the axes that `storage` leaves of it.

    Whatever else has a number for each axis, as steps and indices have, loses the same ones.
    """
    if array.ndim <= FLAT_AXES:
        return mask_shape
    return tuple(m for m, n in zip(mask_shape, array.shape, strict=True) if n != 1)


def as_operand(value: npt.ArrayLike, argument: str = "x") -> Array:
    """`value` as a plain ndarray of a dtype that operations take, whose shape may be looked at."""
    array = as_input(value, argument)
    kind_of(array.dtype, argument)
    return array


def as_operand_like(value: npt.ArrayLike, x: Array, argument: str, of: str = "x") -> Array:
    """`value` as a plain ndarray of the shape and dtype of `x`, which the caller knows as `of`."""
    return as_operand_of(value, x, x.shape, argument, of, f"{whose(of)} shape")


def as_operand_of(
    value: npt.ArrayLike,
    x: Array,
    shape: tuple[int, ...],
    argument: str,
    of: str = "x",
    words: str = "the shape",
) -> Array:
    """`value` as a plain ndarray of the dtype of `x` and a shape that other operands ask for."""
    array = as_input_like(value, x, argument, of)
    if array.shape != shape:
        raise ValueError(f"{argument} has to have {words} {shape}, but got {array.shape}")
    return array


def as_weights(value: npt.ArrayLike, x: Array) -> Array:
    """`value` as a matrix of (outputs, inputs), where inputs are the last axis of `x`."""
    check_rank(x, 1, None)
    array = as_input_like(value, x, "w")
    if array.ndim != 2 or array.shape[1] != x.shape[-1]:
        words = f"the shape (outputs, {x.shape[-1]}) for x's shape {x.shape}"
        raise ValueError(f"w has to have {words}, but got {array.shape}")
    return array


def as_input_like(value: npt.ArrayLike, x: Array, argument: str, of: str = "x") -> Array:
    """`value` as a plain ndarray of the dtype of `x`."""
    array = as_input(value, argument)
    if array.dtype != x.dtype:
        raise TypeError(
            f"{argument} has to have {whose(of)} dtype {x.dtype}, but got {array.dtype}"
        )
    return array


def check_written(array: Array, argument: str) -> None:
    """Raise unless `array` can be written: writeable, and without elements that share memory."""
    if not array.flags.writeable:
        raise ValueError(f"{argument} has to be writeable, but got a read-only array")
    if overlaps_itself(array):
        raise ValueError(
            f"{argument} has to have each element at a place of its own in memory, but got an "
            f"array that overlaps itself (shape {array.shape}, strides {array.strides})"
        )


def check_inplace(value: object, argument: str = "x") -> Array:
    """`value` as an array that may be changed in place (its dtype is left to `kind_of`)."""
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{argument} has to be a NumPy array to be changed in place, but got {type_name(value)}"
        )
    check_unmasked(value, argument)
    return value if type(value) is np.ndarray else np.asarray(value)


def check_out(out: object, x: Array, argument: str = "x") -> Array:
    """`out` as an array that the result of an operation on `x` may be written to.

    `argument` is what the caller knows `x` by.
    """
    if out is x:
        check_written(x, "out")
        return x
    array = _check_form(out, x.dtype, x.shape, argument, f"{whose(argument)} shape")
    check_overlap(array, x, argument)
    return array


def check_overlap(out: Array, x: Array, argument: str) -> None:
    """Raise where `out` overlaps an operand of its shape and dtype in part."""
    if overlap(out, x) and not same_layout(out, x):
        raise ValueError(
            f"out has to be {argument} itself or share no memory with it, "
            f"but got an array that overlaps {argument} in part"
        )


def out_apart(
    out: object, x: Array, shape: tuple[int, ...], apart: dict[str, Array], words: str = "the shape"
) -> Array:
    """`out` as an array of x's dtype for a result of `shape`, apart from what is read for it.

    A new array for None.
    """
    if out is None:
        return np.empty(shape, x.dtype)
    array = _check_form(out, x.dtype, shape, "x", words)
    for argument, operand in apart.items():
        if overlap(array, operand):
            raise ValueError(
                f"out has to share no memory with {argument}, but got an array that overlaps it"
            )
    return array


def _check_form(
    out: object, dtype: np.dtype[Any], shape: tuple[int, ...], argument: str, shape_words: str
) -> Array:
    """`out` as an array, if it has the dtype of `argument` and the shape of the result."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out has to be a NumPy array, but got {type_name(out)}")
    check_unmasked(out, "out")
    array = out if type(out) is np.ndarray else np.asarray(out)
    if array.dtype != dtype:
        raise TypeError(f"out has to have {whose(argument)} dtype {dtype}, but got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"out has to have {shape_words} {shape}, but got {array.shape}")
    check_written(array, "out")
    return array


def check_rank(array: Array, least: int, most: int | None, argument: str = "x") -> None:
    """Raise unless `array` has `least` to `most` axes; None is no upper limit."""
    if least <= array.ndim <= (array.ndim if most is None else most):
        return
    if most is None:
        words = f"at least {least} axis" if least == 1 else f"at least {least} axes"
    else:
        words = f"{least} axes" if least == most else f"{least} or {most} axes"
    raise ValueError(f"{argument} has to have {words}, but got shape {array.shape}")


def axis_in(axis: int, shape: tuple[int, ...], argument: str, of: str = "x") -> int:
    """`axis` counted from the front, if `shape`, that of what the caller knows as `of`, has it."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"{argument} has to be an axis of {of}, which has shape {shape}, but got {axis}"
        )
    return axis % len(shape)


def axes_in(axes: object, shape: tuple[int, ...], argument: str, of: str) -> tuple[int, ...]:
    """Axes in C order, counted from the front: `axes` is one, a tuple of them, or None for all."""
    if axes is None:
        return tuple(range(len(shape)))
    words = "an integer, a tuple of integers or None"
    some = axes if isinstance(axes, tuple | list) else (axes,)
    found = [axis_in(check_integer(axis, argument, words), shape, argument, of) for axis in some]
    if len(set(found)) != len(found):
        raise ValueError(f"{argument} has to name each axis of {of} once, but got {axes}")
    if not found:
        raise ValueError(f"{argument} has to name at least one axis of {of}, but got {axes}")
    return tuple(sorted(found))


def check_count(value: object, argument: str) -> int:
    """`value` as an integer of at least 1."""
    count = check_integer(value, argument)
    if count < 1:
        raise ValueError(f"{argument} has to be at least 1, but got {count}")
    return count


def check_flag(value: object, argument: str) -> bool:
    """`value` as a bool: bool, numpy.bool or an integer 0 or 1."""
    if value is True or value is False:
        return value
    if isinstance(value, (int, np.bool_, np.integer)) and (value == 0 or value == 1):
        return bool(value)
    came = value if isinstance(value, (int, np.integer)) else type(value).__name__
    raise TypeError(f"{argument} has to be True or False, but got {came}")


def check_integer(value: object, argument: str, words: str = "an integer") -> int:
    """`value` as an integer, which a bool is not."""
    if type(value) is int:  # the common case, at a fifth of the price of those below
        return value
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument} has to be {words}, but got bool")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument} has to be {words}, but got {type(value).__name__}") from None


check_axis = check_integer  # whether an array has it is left to `axis_in`


def lengths_of(shape: object, argument: str, words: str) -> tuple[int, ...]:
    """The integers of a tuple or list, or of one integer."""
    axes = shape if isinstance(shape, tuple | list) else (shape,)
    return tuple(check_integer(n, argument, words) for n in axes)


def check_elements(lengths: tuple[int, ...], argument: str) -> None:
    """Whether an array can have these lengths."""
    # NumPy's bound leaves out axes of length 0, so that an empty array may have no huge axis.
    if math.prod(n for n in lengths if n) > _MAX_ELEMENTS:
        raise ValueError(
            f"{argument} has to give at most {_MAX_ELEMENTS} elements, but got {lengths}"
        )


def check_shape(shape: object) -> tuple[tuple[int, ...], int]:
    """`shape` as a tuple, and how many elements an array of that shape has."""
    lengths = lengths_of(shape, "shape", "an integer or a tuple of integers")
    if any(n < 0 for n in lengths):
        raise ValueError(f"shape has to have no negative lengths, but got {lengths}")
    if len(lengths) > _MAX_AXES:
        raise ValueError(f"shape has to have at most {_MAX_AXES} axes, but got {len(lengths)}")
    check_elements(lengths, "shape")
    return lengths, math.prod(lengths)


def noise_shape_form(noise_shape: object) -> tuple[int | None, ...] | None:
    """What can be checked of `noise_shape` without an array: integers >= 0 or None."""
    words = "a tuple of integers or None"
    if noise_shape is None:
        return None
    if not isinstance(noise_shape, tuple | list):
        raise TypeError(f"noise_shape has to be {words}, but got {type(noise_shape).__name__}")
    form = tuple(
        None if n is None else check_integer(n, "noise_shape", f"{words} in each axis")
        for n in noise_shape
    )
    if any(n is not None and n < 0 for n in form):
        raise ValueError(f"noise_shape has to have no negative lengths, but got {form}")
    return form


def check_noise_shape(noise_shape: object, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`noise_shape` with as many axes as `shape`, each 1 or the length in `shape`."""
    form = noise_shape_form(noise_shape)
    if form is None:
        return shape
    missing = len(shape) - len(form)
    if missing < 0:
        raise ValueError(
            f"noise_shape has to have at most the {len(shape)} axes of x, but got {form}"
        )
    pairs = list(zip(form, shape[missing:], strict=True))
    if any(n not in (None, 1, length) for n, length in pairs):
        raise ValueError(
            f"noise_shape has to be broadcastable to x's shape {shape}, but got {form}"
        )
    return (1,) * missing + tuple(length if n is None else n for n, length in pairs)


def check_mask(mask: npt.ArrayLike, x: Array) -> tuple[Array, bool]:
    """`mask` as an array for `x`, and whether it is packed."""
    array = as_input(mask, "mask")
    if array.dtype == np.bool_:
        if array.shape != x.shape:
            raise ValueError(f"mask has to have x's shape {x.shape}, but got {array.shape}")
        return array, False
    if array.dtype != np.uint8:
        raise TypeError(
            f"mask has to have dtype bool, or uint8 for packed bits, but got {array.dtype}"
        )
    if array.ndim != 1:
        raise ValueError(
            f"mask has to be 1-D where its bits are packed, but got shape {array.shape}"
        )
    size = (x.size + 7) // 8
    if array.size != size:
        raise ValueError(
            f"mask has to have {size} bytes for the {x.size} packed bits of x, but got {array.size}"
        )
    used = x.size % 8
    if used and int(array[-1]) >> used:
        raise ValueError(
            f"mask has to have zeros in the last {8 - used} bits of its last byte, which are "
            f"padding, but got {int(array[-1]):#010b}"
        )
    return np.ascontiguousarray(array), True


def score_mask(mask: npt.ArrayLike, scores: Array) -> Array:
    """A mask for `scores`, bool or of their dtype, as a view of their shape; nothing is copied."""
    array = as_input(mask, "mask")
    if array.dtype != np.bool_ and array.dtype != scores.dtype:
        raise TypeError(
            f"mask has to have dtype bool, or scores' dtype {scores.dtype} where it is added, "
            f"but got {array.dtype}"
        )
    try:
        return np.broadcast_to(array, scores.shape)
    except ValueError:
        raise ValueError(
            f"mask has to be broadcastable to scores' shape {scores.shape}, but got {array.shape}"
        ) from None


def check_apart(read: Array, written: Array, argument: str) -> None:
    """Raise where an operand of another shape overlaps `written`."""
    if overlap(read, written):
        raise ValueError(
            f"{argument} has to share no memory with the array that is written, "
            "but got one that overlaps it"
        )
