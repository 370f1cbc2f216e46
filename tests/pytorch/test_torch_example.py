"""The transformer trains, and the example says what it has to say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_transformer.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not EXAMPLE.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


@pytest.mark.heavy
def test_quick_run() -> None:
    done = run("--quick")
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
def test_bad_arguments() -> None:
    assert "--steps and --threads have to be at least 1" in run("--steps", "0").stderr
    assert "invalid shape_of value: '8x'" in run("--shapes", "8x").stderr
