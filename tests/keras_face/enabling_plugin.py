"""A plugin of pytest for Keras' own tests: ours in the place of what they test.

Keras' settings for its tests are not in its wheel: `requires_trainable_backend` is a mark of them.
"""

from __future__ import annotations

import keras
import pytest
from keras.src import layers


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_trainable_backend: skipped on NumPy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if keras.config.backend() == "numpy":
        for item in items:
            if item.get_closest_marker("requires_trainable_backend"):
                item.add_marker(pytest.mark.skip(reason="Keras does not train on NumPy"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("fastdrop"):
        import fastdrop.keras as ours

        ours.enable()
        for name in ours.__all__:
            if isinstance(getattr(ours, name), type):
                setattr(layers, name, getattr(ours, name))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fastdrop", action="store_true")
