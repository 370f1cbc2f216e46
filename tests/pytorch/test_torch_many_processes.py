"""The example of one training in several processes: with fastdrop's dropout it is the same one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fresh import example

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("matplotlib")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    return example("many_processes.py", *arguments, folder=folder, timeout=900)


@pytest.mark.heavy
def test_quick_run(tmp_path: Path) -> None:
    done = run("--quick", "--output", "figure.svg", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "two, " in line]
    apart = {(dropout, way): float(last.split()[0]) for dropout, way, _, _, last in rows}
    ways = ("two, data", "two, tensor", "two, sequence")
    assert set(apart) == {(dropout, way) for dropout in ("PyTorch", "fastdrop") for way in ways}
    for way in ways:
        assert apart["fastdrop", way] < 1e-5  # sums in another order, and nothing else
        assert apart["PyTorch", way] > 1e-3
    assert "<svg" in (tmp_path / "figure.svg").read_text("utf-8")[:1000]


@pytest.mark.heavy
def test_bad_arguments(tmp_path: Path) -> None:
    assert "--steps has to be at least 1" in run("--steps", "0", folder=tmp_path).stderr
