"""The transformer trains, and the example says what it has to say."""

import subprocess
from pathlib import Path

import pytest
from fresh import example

pytest.importorskip("torch", reason="PyTorch is not installed")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return example("train_transformer.py", *arguments, folder=folder, timeout=600)


@pytest.mark.heavy
def test_quick_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick")
    assert done.returncode == 0, done.stderr
    assert "2x64 tokens, 40 steps" in done.stdout
    assert "A quick run says nothing" in done.stdout
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if "%" in line}
    assert set(lines) == {"none", "PyTorch", "fastdrop", "fused"}
    for _, loss, held_out, seconds, *_ in lines.values():
        # Well below what knowing nothing costs, log(256) = 5.545: all of them learn.
        assert 2 < float(loss) < 5
        assert 2 < float(held_out) < 5
        assert float(seconds) > 0


@pytest.mark.heavy
def test_bad_arguments(tmp_path: Path) -> None:
    assert "--steps and --threads have to be at least 1" in run(tmp_path, "--steps", "0").stderr
    assert "invalid shape_of value: '8x'" in run(tmp_path, "--shapes", "8x").stderr
