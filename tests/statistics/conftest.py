"""The public functions on the fastest backend, whatever the environment asks for."""

from collections.abc import Iterator

import masks
import pytest

from fastdrop import backends


@pytest.fixture
def on_fastest() -> Iterator[None]:
    with backends.backend(backends.name_of(masks.fastest())):
        yield
