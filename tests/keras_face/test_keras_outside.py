"""Keras' own tests, which its wheel has, with ours in the place of its layers and its dropout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from on_keras import BACKEND, keras

pytestmark = pytest.mark.outside

SOURCE = Path(keras.__file__).parent / "src"
FOLDERS = ("layers/regularization", "layers/attention", "layers/rnn", "random")

# One in 22 streams is outside of the 2 sigma that it allows for the rate of 10,000 elements.
MAY_FAIL = {"DropoutTest::test_dropout_rescaling"}


def run(folder: str, report: Path, *options: str) -> dict[str, str]:
    """What became of each of Keras' tests."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "enabling_plugin", "-p", "no:cacheprovider",
            "-c", os.devnull, "--rootdir", str(SOURCE), "-o", "python_files=*_test.py",
            "--import-mode=importlib", "-q", "-rA", "--tb=line", "--continue-on-collection-errors",
            *options, str(SOURCE / folder),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        cwd=report,
        env={**os.environ, "KERAS_BACKEND": BACKEND, "PYTHONPATH": path},
    )  # fmt: skip
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*?::(\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return {name: verdict for verdict, name in found}


@pytest.mark.parametrize("folder", FOLDERS)
def test_keras_own_tests(folder: str, tmp_path: Path) -> None:
    """All that pass without us pass with us."""
    ours = run(folder, tmp_path, "--fastdrop")
    failed = {name for name, verdict in ours.items() if verdict != "PASSED"} - MAY_FAIL
    if failed:
        theirs = run(folder, tmp_path)
        failed -= {name for name, verdict in theirs.items() if verdict != "PASSED"}
    assert not failed
    assert len(ours) > 15
