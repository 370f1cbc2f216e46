"""What compiles: parts of kernels, and kernels, kept in Numba's cache where that can be written."""

from collections.abc import Callable
from typing import Any, TypeVar

try:
    import numba
    from numba.extending import register_jitable
except ImportError:
    raise
except Exception as error:
    # What a damaged installation raises, an OSError of llvmlite for one, means the same: not here.
    raise ImportError(f"numba cannot be imported: {error!r}") from error

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

VERSION: str = numba.__version__


def jit(function: F) -> F:
    """A function for Numba to compile, alone or as a part of another, when it is needed."""
    part: F = register_jitable(function)
    return part


def compiled(function: Callable[..., T], *signature: Any) -> Callable[..., T]:
    """``function`` compiled for ``signature``, from Numba's cache where there is one."""
    kernel: Callable[..., T]
    try:
        kernel = numba.njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):
        # No directory for the cache can be written, or it is full.
        kernel = numba.njit(signature, nogil=True)(function)
    return kernel
