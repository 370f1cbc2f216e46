"""The machine and versions that saved figures depend on, without paths."""

import importlib.metadata
import platform
import re
from pathlib import Path
from typing import Any

import fastdrop
from fastdrop._throughput import cpu_name

PACKAGES = ("numpy", "numba", "torch", "jax", "flax", "keras")

# Of the hundred flags of a processor, those that decide what vector code can run.
_VECTORS = re.compile(r"(?:sse|ssse|avx|fma|f16c|bmi|amx|asimd|neon|sve|fphp|bf16)\w*|sme\d?")


def versions() -> dict[str, str | None]:
    """Of Python, fastdrop, and those that it is compared with; None: not installed."""
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "fastdrop": fastdrop.__version__,
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def cpu_flags(cpuinfo: str | None = None) -> list[str]:
    """The processor's vector instructions as Linux names them; empty where it does not run."""
    text = _read(Path("/proc/cpuinfo")) if cpuinfo is None else cpuinfo
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return sorted(flag for flag in line[1].split() if _VECTORS.fullmatch(flag)) if line else []


def caches() -> dict[str, str]:
    """The sizes of one CPU's data caches, as Linux tells them."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if _read(index / "type") != "Instruction":
            found[f"L{_read(index / 'level')}"] = _read(index / "size")
    return found


def about() -> dict[str, Any]:
    """Everything together, ready for JSON."""
    return {
        "cpu_name": cpu_name(),
        "cpu_flags": cpu_flags(),
        "caches": caches(),
        "architecture": platform.machine(),
        "operating_system": platform.system(),
        "fastdrop": fastdrop.show_config(mode="dicts"),
        "versions": versions(),
    }
