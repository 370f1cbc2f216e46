"""What a saved run says of the machine and the versions."""

import importlib.metadata
from typing import Any

import pytest

import fastdrop
from fastdrop._throughput import cpu_name


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pytest_benchmark_update_machine_info(
    config: pytest.Config,  # noqa: ARG001
    machine_info: dict[str, Any],
) -> None:
    """Add to what pytest-benchmark saves in a run's JSON file."""
    machine_info["cpu_name"] = cpu_name()
    machine_info["fastdrop"] = fastdrop.show_config(mode="dicts")
    packages = ("numpy", "numba", "torch", "jax")
    machine_info["versions"] = {package: _version(package) for package in packages}
