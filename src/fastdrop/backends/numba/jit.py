"""Compiling kernels and their parts, with Numba's cache where it can be written."""

from collections.abc import Callable
from typing import Any, TypeVar

try:
    import numba
    from numba.extending import register_jitable
except ImportError:
    raise
except Exception as error:
    # A damaged installation may raise anything (llvmlite: OSError); treat it as not installed.
    raise ImportError(f"numba cannot be imported: {error!r}") from error

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

VERSION: str = numba.__version__


def jit(function: F) -> F:
    """A function for Numba to compile, alone or as a part of another, when it is needed."""
    part: F = register_jitable(function)
    return part


def compiled(function: Callable[..., T], name: str, *signature: Any) -> Callable[..., T]:
    """``function`` compiled for ``signature``, from Numba's cache where there is one.

    ``name`` tells it from others of its code and signature: those share an index of the cache, in
    which two processes that compile at a time may take each other's file for their own.
    """
    function.__qualname__ += f".{name}"
    kernel: Callable[..., T]
    try:
        kernel = numba.njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):
        # No directory for the cache can be written, or it is full.
        kernel = numba.njit(signature, nogil=True)(function)
    return kernel
