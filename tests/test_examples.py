"""The examples run, and say what they have to say. What dropout is worth is not tested here."""

import subprocess
from pathlib import Path

import pytest
from fresh import example


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    for module in ("matplotlib", "sklearn", "tqdm"):
        pytest.importorskip(module)
    return example("train_digits.py", *arguments, folder=directory)


@pytest.mark.heavy
def test_quick_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--output", "curves.png")
    assert done.returncode == 0, done.stderr
    for words in (
        "test error after 10 epochs, p = 0.5: mean ± spread over 2 seeds",
        "with dropout the mean error is",
        "seconds in dropout",
        "Dropout by hand took",
        "A quick run says nothing",
    ):
        assert words in done.stdout
    for variant in ("none", "fastdrop", "NumPy"):
        assert f"\n  {variant} " in done.stdout
    assert "20/20" in done.stderr  # the progress bar
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.heavy
def test_validation_is_judged_on_training_images(tmp_path: Path) -> None:
    done = run(tmp_path, "--seeds", "1", "--epochs", "1", "--validate")
    assert done.returncode == 0, done.stderr
    assert "validation error after 1 epochs" in done.stdout
    assert (tmp_path / "train_digits.png").exists()


@pytest.mark.heavy
def test_bad_argument(tmp_path: Path) -> None:
    done = run(tmp_path, "--p", "1")
    assert done.returncode == 2
    assert "--p has to be at least 0 and below 1, but got 1" in done.stderr
