"""What a saved run says of the machine and the versions."""

from typing import Any

import pytest

from .machine import about


def pytest_benchmark_update_machine_info(
    config: pytest.Config,  # noqa: ARG001
    machine_info: dict[str, Any],
) -> None:
    """Add to what pytest-benchmark saves in a run's JSON file."""
    machine_info |= about()
