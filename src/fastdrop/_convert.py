"""From what a caller passed to a plain ndarray, or the error that names what came.

The arrays of a subclass of ndarray are taken as plain ones on the same memory. Masked arrays are
refused: all that fastdrop could do is compute with the numbers under the mask and lose it.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

# The attributes that `numpy.asarray` looks for in an object that is no array and no sequence.
_NUMPY_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__")

# DLPack's numbers of the devices whose memory the CPU reads: CPU, pinned for CUDA and for ROCm,
# managed by CUDA.
_READABLE_DEVICES = (1, 3, 11, 13)


def as_input(value: npt.ArrayLike, argument: str = "x") -> npt.NDArray[Any]:
    """`value` as a plain ndarray, converted as `numpy.asarray` does, or by DLPack."""
    if type(value) is np.ndarray:
        return value
    check_unmasked(value, argument)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    try:
        array = _from_dlpack(value) if _has_dlpack_alone(value) else np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # __array__ and __dlpack__ are other people's code
        _refuse(value, argument, f"{type_name(value)} ({error})", error)
    if array.dtype == np.object_:
        # NumPy makes an array of objects of whatever it does not know.
        came = type_name(value)
        if array.ndim and array.size:
            came = f"{came} of {_strange_element(array)}"
        _refuse(value, argument, came, None)
    return array


def itself(value: object, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The caller's own array, of whatever subclass, where `array` was made of one.

    Evaluation returns this, so that ``dropout(x, training=False) is x``.
    """
    return value if isinstance(value, np.ndarray) else array


def check_unmasked(value: object, argument: str) -> None:
    """Refuse a masked array, and lists and tuples that hold one."""
    # numpy.ma is imported lazily: where it is not, there can be no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is None or not _holds(value, masked.MaskedArray, set()):
        return
    raise TypeError(
        f"{argument} has to be an array without a mask, but got {type_name(value)}: pass its "
        "filled(...) or its data, and mask the result where that is wanted"
        if isinstance(value, np.ndarray)
        else f"{argument} has to be an array without a mask, "
        f"but got {type_name(value)} of masked arrays"
    )


def type_name(value: object) -> str:
    """The type's name as users write it: with its package, without the private modules inside."""
    kind = type(value)
    modules = [part for part in kind.__module__.split(".") if not part.startswith("_")]
    if kind.__module__ == "builtins":
        modules = []
    return ".".join([*modules, kind.__qualname__])


def _holds(value: object, kind: type, seen: set[int]) -> bool:
    """Whether `value` is of a kind, or has one in its lists and tuples (which may hold itself)."""
    if isinstance(value, kind):
        return True
    if not isinstance(value, list | tuple) or id(value) in seen:
        return False
    seen.add(id(value))
    # Look at the set of types first: a list of a million numbers has one type.
    types = [t for t in set(map(type, value)) if issubclass(t, (kind, list, tuple))]
    return bool(types) and any(_holds(v, kind, seen) for v in value if type(v) in types)


def _has_dlpack_alone(value: object) -> bool:
    """Whether DLPack is the only way that an object has to show its numbers."""
    kind = type(value)
    return hasattr(kind, "__dlpack__") and not any(hasattr(kind, n) for n in _NUMPY_PROTOCOLS)


def _from_dlpack(value: Any) -> npt.NDArray[Any]:
    # Asked first, because exporting from an accelerator may wait for its work to end.
    device, number = value.__dlpack_device__()
    if int(device) not in _READABLE_DEVICES:
        raise TypeError(f"on DLPack's device ({int(device)}, {number}), not in the CPU's memory")
    return np.from_dlpack(value)


def _strange_element(array: npt.NDArray[Any]) -> str:
    """The type of the first element for which NumPy has no dtype."""
    for element in array.flat:
        if not isinstance(element, int | float | complex | str | bytes | np.generic):
            return type_name(element)
    return "objects"


def _refuse(value: object, argument: str, came: str, error: Exception | None) -> NoReturn:
    kind = ValueError if isinstance(error, ValueError) else TypeError
    hint = ""
    if error is not None and type(value).__module__.partition(".")[0] == "torch":
        hint = "; tensors are what fastdrop.torch takes"
    raise kind(
        f"{argument} has to be an array or something that numpy.asarray makes one of, "
        f"but got {came}{hint}"
    ) from error
