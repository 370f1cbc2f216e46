"""The examples run, and say what they have to say. What dropout is worth is not tested here."""

from functools import partial
from pathlib import Path

import pytest
from fresh import example

for module in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(module)

pytestmark = pytest.mark.heavy
run = partial(example, "train_digits.py")


def test_quick_run(tmp_path: Path) -> None:
    done = run("--quick", "--output", "curves.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (
        "test error after 10 epochs, p = 0.5: mean ± spread over 2 seeds",
        "with dropout the mean error is",
        "seconds in dropout",
        "Dropout by hand took",
        "A quick run says nothing",
        *(f"\n  {variant} " for variant in ("none", "fastdrop", "NumPy")),
    ):
        assert words in done.stdout
    assert "20/20" in done.stderr  # the progress bar
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_validation_is_judged_on_training_images(tmp_path: Path) -> None:
    done = run("--seeds", "1", "--epochs", "1", "--validate", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validation error after 1 epochs" in done.stdout
    assert (tmp_path / "train_digits.png").exists()


def test_bad_argument(tmp_path: Path) -> None:
    done = run("--p", "1", folder=tmp_path)
    assert done.returncode == 2
    assert "--p has to be at least 0 and below 1, but got 1" in done.stderr
