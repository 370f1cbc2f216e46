"""DTensors in several processes: see `sharding`. Parts cut by hand: test_torch_windows.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import fastdrop  # noqa: E402

TESTS = Path(__file__).parents[1]
CHECKS = {
    "shapes": 2, "generators": 2, "sums": 2, "refused": 2, "plans": 2, "data": 2,
    "enabled": 2, "recomputed": 2, "grid": 4, "shapes-of-three": 3,
    "family.tensors": 2, "family.pairs": 2, "family.modules": 2,
}  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("check", CHECKS)
def test_processes(check: str, tmp_path: Path) -> None:
    """The processes have nothing but their parts, and get what one device gets."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    family, dot, name = check.rpartition(".")
    program = Path(__file__).with_name(f"sharding_{family}.py" if dot else "sharding.py")
    meeting = tmp_path / "meeting"
    package = Path(fastdrop.__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(package), str(TESTS), os.environ.get("PYTHONPATH", "")]),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo"),
    }
    n = CHECKS[check]
    processes = [
        subprocess.Popen(
            [sys.executable, program, name.partition("-")[0], str(rank), str(n), str(meeting)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(n)
    ]
    try:
        reports = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, report in zip(processes, reports, strict=True):
        assert process.returncode == 0, report
        assert report.endswith("the same\n")
