"""Settings of the process: how many threads compute, and a report of what runs and why."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, overload

import numpy as np

from . import backends, stream
from ._arrays import check_integer

__all__ = ["get_include", "get_num_threads", "set_num_threads", "show_config"]

_core: ModuleType | None = None
_core_error = ""
try:
    _core = importlib.import_module("fastdrop._core")
except ImportError as error:
    _core_error = f"{type(error).__name__}: {error}"

MAX_THREADS = 1024
THREADS_VARIABLE = "FASTDROP_NUM_THREADS"
ISA_VARIABLE = "FASTDROP_ISA"
PREFETCH_VARIABLE = "FASTDROP_PREFETCH"
ISA_NAMES = ("avx512", "avx2", "neon", "vec128", "scalar")


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # respects taskset, cpusets and batch systems
    return os.cpu_count() or 1


def _checked_threads(n: int, argument: str, came: object) -> int:
    if not 1 <= n <= MAX_THREADS:
        raise ValueError(f"{argument} has to be between 1 and {MAX_THREADS}, but got {came!r}")
    return n


def _initial_threads() -> int:
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if not text:
        return min(_usable_cpus(), MAX_THREADS)
    if not re.fullmatch("[+-]?[0-9]{1,18}", text):
        raise ValueError(
            f"{THREADS_VARIABLE} has to be an integer between 1 and {MAX_THREADS}, but got {text!r}"
        )
    return _checked_threads(int(text), THREADS_VARIABLE, text)


def _check_variables() -> None:
    """Refuse variables that only the compiled core can follow where it is not there."""
    if _core is not None:
        return
    for variable, values, words in (
        (PREFETCH_VARIABLE, ("0", "1"), "0 or 1"),
        (ISA_VARIABLE, ISA_NAMES, f"one of {', '.join(ISA_NAMES)}"),
    ):
        value = os.environ.get(variable)
        if value and value not in values:
            raise ValueError(f"{variable} has to be {words}, but got {value!r}")
        if value:
            raise RuntimeError(
                f"{variable}={value}, but the compiled core is not there: {_core_error}"
            )


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, in the whole process.

    The result of a call has the same bits for every number of threads. Arrays that are too
    small to profit stay on the calling thread.

    Parameters
    ----------
    n : int
        Number of threads, the calling one included, from 1 to 1024. At import it is the value of
        the variable FASTDROP_NUM_THREADS, or else the number of CPUs that the process may run on.

    Returns
    -------
    None

    Raises
    ------
    TypeError, ValueError
        `n` is not an integer, or not between 1 and 1024.

    Examples
    --------
    >>> import fastdrop
    >>> before = fastdrop.get_num_threads()
    >>> fastdrop.set_num_threads(1)
    >>> fastdrop.get_num_threads()
    1
    >>> fastdrop.set_num_threads(before)
    """
    global _threads
    count = check_integer(n, "n")
    _threads = _checked_threads(count, "n", count)
    if _core is not None:
        _core.set_num_threads(count)


def get_num_threads() -> int:
    """Return how many threads a call may use, the calling one included.

    Returns
    -------
    int
        As `set_num_threads` says.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.get_num_threads() >= 1
    True
    """
    return _threads


def _numba_version() -> str | None:
    try:
        return importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return None


def _split(reasons: dict[str, str | None]) -> dict[str, Any]:
    return {
        "available": [name for name, reason in reasons.items() if reason is None],
        "unavailable": {name: why for name, why in reasons.items() if why is not None},
    }


def _instruction_sets() -> dict[str, Any]:
    if _core is None:
        return {"active": None, **_split(dict.fromkeys(ISA_NAMES, _core_error))}
    return {"active": _core.get_isa(), **_split(_core.isas())}


def _config() -> dict[str, Any]:
    from . import __version__

    active = backends.active()
    return {
        "version": __version__,
        "stream_version": stream.VERSION,
        "backend": {
            "active": backends.name_of(active),
            **_split(backends.available()),
            "details": active.info(),
        },
        "instruction_sets": _instruction_sets(),
        "prefetch": None if _core is None else _core.get_prefetch(),
        "threads": get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": _numba_version(),
        "environment": {
            name: os.environ[name]
            for name in (backends.VARIABLE, ISA_VARIABLE, PREFETCH_VARIABLE, THREADS_VARIABLE)
            if name in os.environ
        },
    }


def _choice_lines(title: str, choice: dict[str, Any]) -> list[str]:
    if choice["active"] is None:
        return [f"{title + ':':18}none: {_core_error}"]
    lines = [f"{title + ':':18}{choice['active']}"]
    lines += [f"    {name:12}available" for name in choice["available"]]
    lines += [f"    {name:12}no: {why}" for name, why in choice["unavailable"].items()]
    return lines


def _text(config: dict[str, Any]) -> str:
    numba = config["numba"] or "not installed"
    lines = [
        f"fastdrop {config['version']}, random stream version {config['stream_version']}",
        f"Python {config['python']}, NumPy {config['numpy']}, Numba {numba}",
        *_choice_lines("backend", config["backend"]),
        *_choice_lines("instruction set", config["instruction_sets"]),
        f"{'prefetch:':18}{'yes' if config['prefetch'] else 'no'}",
        f"{'threads:':18}{config['threads']}",
    ]
    lines += [f"{name}={value}" for name, value in config["environment"].items()]
    return "\n".join(lines)


@overload
def show_config(mode: None = None) -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: Literal["dicts"] | None = None) -> dict[str, Any] | None:
    """Print what runs, what could, and why the rest could not: every backend is loaded to see.

    Parameters
    ----------
    mode : {None, "dicts"}, default None
        None prints a text; "dicts" returns the same as a dict.

    Returns
    -------
    dict or None
        For "dicts": "version", "stream_version", "backend" and "instruction_sets" (each with
        the name that is "active", a list of those "available" and a dict of those "unavailable"
        with the reasons), "prefetch" (whether loops prefetch in software, as the processor gains by
        it; None without the compiled core), "threads", the versions of "python", "numpy" and
        "numba", and the variables of fastdrop set in the "environment".

    Raises
    ------
    ValueError
        `mode` is neither None nor "dicts".

    Examples
    --------
    >>> import fastdrop
    >>> "numpy" in fastdrop.show_config(mode="dicts")["backend"]["available"]
    True
    """
    if mode is not None and mode != "dicts":
        raise ValueError(f'mode has to be None or "dicts", but got {mode!r}')
    if mode == "dicts":
        return _config()
    print(_text(_config()))
    return None


def get_include() -> str:
    """Return the folder of ``fastdrop.h``, for compilers: `fastdrop.capi` says how it is used.

    Returns
    -------
    str
        The folder, which belongs to the installed package.

    Raises
    ------
    RuntimeError
        There is no compiled core, and so no C API.

    Examples
    --------
    >>> import os
    >>> import fastdrop
    >>> os.listdir(fastdrop.get_include())
    ['fastdrop.h']
    """
    if _core is None:
        raise RuntimeError(
            f"fastdrop.h comes with the compiled core, which is not there: {_core_error}"
        )
    assert _core.__file__ is not None
    return str(Path(_core.__file__).parent / "include")


_check_variables()
_threads = _initial_threads()
if _core is not None:
    _core.set_num_threads(_threads)
