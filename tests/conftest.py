"""What all tests share: the fixture ``impl``, once for every backend and instruction set."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import operations
import pytest
from operations import Operations
from support import ISAS, core_or_skip

from fastdrop import backends, stream

# Keras takes its backend from here, once for a process. Its default, TensorFlow, is not tested.
os.environ.setdefault("KERAS_BACKEND", "torch")

IMPLEMENTATIONS = ("numpy", "numba", *(f"c-{isa}" for isa in ISAS))


class Implementation(Operations):
    """A backend, and for ``c`` one instruction set."""

    def __init__(self, name: str, module: backends.Backend) -> None:
        super().__init__(module)
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _module_or_skip(name: str) -> backends.Backend:
    try:
        return backends.load(name)
    except ImportError as error:
        pytest.skip(f"the {name} backend cannot run here: {error}")


@pytest.fixture(params=IMPLEMENTATIONS)
def impl(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """Each implementation, also made the one that the public functions use; or a visible skip."""
    name = request.param
    backend, _, isa = name.partition("-")
    if not isa:
        module = _module_or_skip(backend)
        with backends.backend(backend):
            yield Implementation(name, module)
        return
    core = core_or_skip()
    reason = core.isas().get(isa, "not part of this build")
    if reason is not None:
        pytest.skip(f"{name} cannot run here: {reason}")
    module = _module_or_skip(backend)
    before = core.get_isa()
    core.set_isa(isa)
    try:
        with backends.backend(backend):
            yield Implementation(name, module)
    finally:
        core.set_isa(before)


@pytest.fixture(params=["python", "compiled"])
def twin(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Keys and generators as they are in Python, and as they are compiled."""
    module = stream if request.param == "python" else core_or_skip()
    return SimpleNamespace(Key=module.Key, Generator=module.Generator)


@pytest.fixture
def reference() -> Operations:
    """The NumPy backend, which the others are compared with."""
    return operations.of("numpy")
