"""DTensors in several processes: see `sharding`. Parts cut by hand: test_torch_windows.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import fastdrop  # noqa: E402
from fastdrop.torch._enable import _KERNELS  # noqa: E402

TESTS = Path(__file__).parents[1]
CHECKS = [
    *("shapes", "generators", "sums", "refused", "plans", "data", "recomputed"),
    *("enabled", "enabled_sums", "compiled"),
    *("tensors", "pairs", "modules"),
]


def test_every_operator_that_is_enabled_knows_shards() -> None:
    kernels = [kernel for part in _KERNELS.values() for kernel in part]
    named = {
        key: {k.operator for k in kernels if k.key == key} for key in ("AutogradCPU", "Python")
    }
    assert named["AutogradCPU"] <= named["Python"]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("check", "n"), [*((check, 2) for check in CHECKS), ("shapes", 3), ("grid", 4)]
)
def test_processes(check: str, n: int, tmp_path: Path) -> None:
    """The processes have nothing but their parts, and get what one device gets."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    path = [str(Path(fastdrop.__file__).parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")]
    variables = {"GLOO_SOCKET_IFNAME": "lo", **os.environ, "PYTHONPATH": os.pathsep.join(path)}
    program = [sys.executable, str(Path(__file__).with_name("sharding.py")), check]
    processes = [
        subprocess.Popen(
            [*program, str(rank), str(n), str(tmp_path / "meeting")],
            env=variables,
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
