"""The examples with PyTorch run, and say what they have to say."""

from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from fresh import example

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.heavy
transformer = partial(example, "train_transformer.py", timeout=600)


def many(*arguments: str, folder: Path) -> CompletedProcess[str]:
    pytest.importorskip("matplotlib")
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    return example("many_processes.py", *arguments, folder=folder, timeout=900)


def test_the_transformer(tmp_path: Path) -> None:
    """It trains."""
    done = transformer("--quick", folder=tmp_path)
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


def test_one_training_in_several_processes(tmp_path: Path) -> None:
    """With fastdrop's dropout it is the same one."""
    done = many("--quick", "--output", "figure.svg", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "two, " in line]
    apart = {(dropout, way): float(last.split()[0]) for dropout, way, _, _, last in rows}
    ways = ("two, data", "two, tensor", "two, sequence")
    assert set(apart) == {(dropout, way) for dropout in ("PyTorch", "fastdrop") for way in ways}
    for way in ways:
        assert apart["fastdrop", way] < 1e-5  # sums in another order, and nothing else
        assert apart["PyTorch", way] > 1e-3
    assert "<svg" in (tmp_path / "figure.svg").read_text("utf-8")[:1000]


def test_bad_arguments(tmp_path: Path) -> None:
    words = transformer("--steps", "0", folder=tmp_path).stderr
    assert "--steps and --threads have to be at least 1" in words
    words = transformer("--shapes", "8x", folder=tmp_path).stderr
    assert "invalid shape_of value: '8x'" in words
    assert "--steps has to be at least 1" in many("--steps", "0", folder=tmp_path).stderr
