"""The C API: dropout for code in C, Cython, Numba or through `ctypes`, without linking to anything.

Four functions take numbers and addresses alone. They return 0, or -1 and write nothing, where the
dtype is none of `DTYPES`, `p` is not in [0, 1], or the positions pass 2**64; that the memory is of
the size and type that they are told is the caller's word.

===============  ================================================================================
fd_dropout_at    ``(dtype, x, y, n, p, seed, stream, offset)``: what `fastdrop.dropout` computes of
                 n contiguous elements at x, into y, which is x or apart from it
fd_mask_bits_at  ``(bits, n, p, seed, stream, offset)``: the mask, packed in ``(n + 7) // 8`` bytes
fd_mask_bool_at  ``(mask, n, p, seed, stream, offset)``: the mask, n bytes of 0 or 1
fd_fields_at     ``(fields, n, seed, stream, offset)``: n int16, the stream that decides
===============  ================================================================================

They are drawn by the compiled core, whichever backend is set, in as many threads as
`fastdrop.set_num_threads` says, and need no GIL. Importing this module raises ImportError where
there is no core.

- C: include ``fastdrop.h`` from `fastdrop.get_include`, and take the table of functions by
  ``PyCapsule_Import(FD_API_CAPSULE, 0)``.
- Cython: ``from fastdrop.capi cimport fd_dropout_at, FD_f32``.
- Numba and `ctypes`: ``fastdrop.capi.functions["fd_dropout_at"].ctypes``.

>>> import numpy as np
>>> import fastdrop
>>> from fastdrop import capi
>>> x = np.ones(8, np.float32)
>>> dropout = capi.functions["fd_dropout_at"].ctypes
>>> dropout(capi.DTYPES["float32"], x.ctypes.data, x.ctypes.data, x.size, 0.5, 1, 0, 0)
0
>>> bool((x == fastdrop.dropout(np.ones(8, np.float32), 0.5, rng=fastdrop.Key(1))).all())
True
"""

import ctypes
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

__all__ = ["C_API", "DTYPES", "Function", "functions"]

try:
    from . import _core
except ImportError as error:
    raise ImportError(
        f"the C API needs fastdrop's compiled core, which is not there: {error}"
    ) from error


class Function(NamedTuple):
    """A function of the C API: where it lies, and its type in the terms of `ctypes`."""

    address: int
    restype: Any
    argtypes: tuple[Any, ...]

    @property
    def ctypes(self) -> Any:
        """The function for `ctypes`, which Numba's ``@njit`` can call too; it releases the GIL."""
        return ctypes.CFUNCTYPE(self.restype, *self.argtypes)(self.address)


DTYPES: Final[Mapping[str, int]] = MappingProxyType(
    {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
)
"""The numbers that stand for dtypes, ``FD_f32`` and so on in C."""

_PLACE = (ctypes.c_uint64,) * 3
_MASK = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double, *_PLACE)
_ARGUMENTS = {
    "fd_dropout_at": (ctypes.c_int, ctypes.c_void_p, *_MASK),
    "fd_mask_bits_at": _MASK,
    "fd_mask_bool_at": _MASK,
    "fd_fields_at": (ctypes.c_void_p, ctypes.c_size_t, *_PLACE),
}

_exported, C_API = _core.exported()

functions: Final[Mapping[str, Function]] = MappingProxyType(
    {
        name: Function(address, ctypes.c_int, _ARGUMENTS[name])
        for name, (_, address) in _exported.items()
    }
)
"""The functions by their names in C."""

# Where `cimport` and numba.extending.get_cython_function_address look.
__pyx_capi__: Final = {name: capsule for name, (capsule, _) in _exported.items()}
