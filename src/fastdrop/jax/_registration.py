"""XLA's registry of handlers, and who may be in it."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Final

import jax
import jaxlib

from fastdrop import _core

__all__ = ["register"]

TARGET: Final = "fastdrop"
"""What XLA knows the handler by, and what a compiled program asks for."""

_HANDLER = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


def add_handler(name: str, handler: Any) -> None:
    """Register `handler`, a function of `ctypes`, for CPUs.

    XLA's backend has to be there before: a handler of a version that XLA refuses is then an
    exception, and without a backend it would be the end of the CPU backend.
    """
    jax.devices("cpu")
    try:
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    except Exception as error:  # of many types, which change from version to version
        raise ImportError(
            f"jaxlib {jaxlib.__version__} refuses fastdrop's handler, which fits versions 0.1 to "
            "0.5 of XLA's foreign function interface and later ones that accept 0.5: those of "
            f"jaxlib 0.5 to 0.12. What XLA says: {error}"
        ) from error


@functools.cache
def register() -> None:
    """Make fastdrop's handler known to XLA; the functions of `fastdrop.jax` do it themselves.

    It is for programmes that call none of them before they run what was exported with `jax.export`
    or compiled elsewhere. XLA's CPU backend is initialised.

    Raises
    ------
    ImportError
        jaxlib's version of XLA's foreign function interface is none that the handler fits.
    RuntimeError
        JAX has no CPU backend (``JAX_PLATFORMS`` without ``cpu``).

    Examples
    --------
    >>> import fastdrop.jax
    >>> fastdrop.jax.register()
    """
    add_handler(TARGET, _HANDLER(_core.xla_handler()))
