"""Each test of the Keras face leaves Keras as it found it."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    if "fastdrop.keras" in sys.modules:
        sys.modules["fastdrop.keras"].disable()
