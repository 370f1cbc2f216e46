"""The backends, and which of them is in use.

A backend is a module of this package with every operation of `operations.Backend`. All of them give
the same bits; they differ in speed and in what they need.
"""

import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from .operations import OPERATIONS, Backend

__all__ = ["NAMES", "OPERATIONS", "VARIABLE", "Backend", "active", "available", "backend"]
__all__ += ["load", "name_of", "set_backend"]

NAMES = ("c", "numba", "numpy")
"""Every backend, best first."""

VARIABLE = "FASTDROP_BACKEND"
"""The environment variable that names the backend to use."""


_lock = threading.RLock()
_active: Backend | None = None


def _check_name(name: object, source: str) -> None:
    if name not in NAMES:
        raise ValueError(f"{source} has to be one of {', '.join(NAMES)}, but got {name!r}")


def load(name: str) -> Backend:
    """The backend called ``name``; ImportError where it cannot run or is not complete."""
    _check_name(name, "backend")
    module = importlib.import_module(f"{__name__}.{name}")
    missing = [op for op in OPERATIONS if not callable(getattr(module, op, None))]
    if missing:
        raise ImportError(f"the {name} backend is not complete: it lacks {', '.join(missing)}")
    return cast("Backend", module)


def name_of(module: Backend) -> str:
    """The name that ``load`` knows ``module`` by."""
    full_name: str = cast("Any", module).__name__
    return full_name.rpartition(".")[2]


def available() -> dict[str, str | None]:
    """For every backend, why it cannot run here, or None where it can."""
    reasons: dict[str, str | None] = {}
    for name in NAMES:
        try:
            load(name)
            reasons[name] = None
        except ImportError as error:
            reasons[name] = _describe(error)
    return reasons


def active() -> Backend:
    """The backend in use; the first call chooses it."""
    if _active is None:
        with _lock:
            if _active is None:
                _use(_choose())
    return cast("Backend", _active)


def _use(module: Backend | None) -> None:
    """Make ``module`` the active backend; the compiled fronts may take calls only for "c"."""
    global _active
    _active = module
    core = sys.modules.get("fastdrop._core")
    if core is not None:
        core.enable(module is not None and name_of(module) == "c")


def set_backend(name: str) -> None:
    """Use the backend called `name` from now on, in the whole process.

    All backends give the same bits. By default the first of c, numba and numpy runs that can.

    Parameters
    ----------
    name : {"c", "numba", "numpy"}
        The environment variable FASTDROP_BACKEND sets the one to start with.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        `name` is none of these.
    ImportError
        The backend cannot run here.

    Examples
    --------
    >>> import fastdrop
    >>> before = fastdrop.show_config(mode="dicts")["backend"]["active"]
    >>> fastdrop.set_backend("numpy")
    >>> fastdrop.show_config(mode="dicts")["backend"]["active"]
    'numpy'
    >>> fastdrop.set_backend(before)
    """
    module = load(name)
    with _lock:
        _use(module)


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Use the backend called `name` inside a ``with`` statement, in the whole process.

    Parameters
    ----------
    name : {"c", "numba", "numpy"}
        As for `set_backend`.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        `name` is none of these.
    ImportError
        The backend cannot run here.

    Examples
    --------
    >>> import fastdrop
    >>> with fastdrop.backend("numpy"):
    ...     mask = fastdrop.dropout_mask(1000, 0.5, rng=1)
    >>> bool((mask == fastdrop.dropout_mask(1000, 0.5, rng=1)).all())
    True
    """
    before = _active
    set_backend(name)
    try:
        yield
    finally:
        with _lock:
            _use(before)


def _choose() -> Backend:
    wanted = os.environ.get(VARIABLE)
    if wanted:
        _check_name(wanted, VARIABLE)
        try:
            return load(wanted)
        except ImportError as error:
            what = f"{VARIABLE}={wanted}, but it cannot run: {_describe(error)}"
            raise ImportError(what) from error
    errors: list[str] = []
    for name in NAMES:
        try:
            module = load(name)
        except ImportError as error:
            errors.append(f"{name} cannot run ({_describe(error)})")
            continue
        if errors:
            warnings.warn(
                f"fastdrop falls back on its {name} backend, which gives the same results more "
                f"slowly: {'; '.join(errors)}. Set {VARIABLE}={name} to choose it without this "
                "warning.",
                RuntimeWarning,
                stacklevel=1,
            )
        return module
    raise ImportError(f"no backend of fastdrop can run: {'; '.join(errors)}")


def _describe(error: ImportError) -> str:
    return f"{type(error).__name__}: {error}"
