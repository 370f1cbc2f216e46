"""Keras' own tests, which its wheel has, with ours in the place of its layers and its dropout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from fresh import failing, their_tests
from on_keras import BACKEND, keras

pytestmark = pytest.mark.outside

SOURCE = Path(keras.__file__).parent / "src"
FOLDERS = ("layers/regularization", "layers/attention", "layers/rnn", "random")

# One in 22 streams is outside of the 2 sigma that it allows for the rate of 10,000 elements.
MAY_FAIL = {"DropoutTest::test_dropout_rescaling"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_keras_own_tests(folder: str, tmp_path: Path) -> None:
    """All that pass without us pass with us."""
    options = "python_files=*_test.py", "--import-mode=importlib"
    plugin = Path(__file__).with_name("enabling_plugin.py")
    failed, count, _ = failing(
        partial(
            their_tests, SOURCE / folder, SOURCE, plugin, tmp_path, "-o", *options,
            "--continue-on-collection-errors", KERAS_BACKEND=BACKEND,
        )
    )  # fmt: skip
    assert not failed - MAY_FAIL
    assert count > 15
