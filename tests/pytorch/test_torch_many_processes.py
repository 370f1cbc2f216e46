"""The example of one training in several processes: with fastdrop's dropout it is the same one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("matplotlib")

EXAMPLE = Path(__file__).parents[2] / "examples" / "many_processes.py"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if not EXAMPLE.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


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
