"""What all tests share: the fixture ``impl``, once for every backend and instruction set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import operations
import pytest
from operations import Operations
from support import ISAS, core_or_skip

from fastdrop import backends, stream

# Keras takes its backend from here, once for a process. Its default, TensorFlow, is not tested.
os.environ.setdefault("KERAS_BACKEND", "torch")

IMPLEMENTATIONS = ("numpy", "numba", *(f"c-{isa}" for isa in ISAS))


@contextmanager
def _instruction_set(isa: str) -> Iterator[None]:
    core = core_or_skip()
    reason = core.isas().get(isa, "not part of this build")
    if reason is not None:
        pytest.skip(f"{isa} cannot run here: {reason}")
    before = core.get_isa()
    core.set_isa(isa)
    try:
        yield
    finally:
        core.set_isa(before)


@pytest.fixture(params=IMPLEMENTATIONS)
def impl(request: pytest.FixtureRequest) -> Iterator[Operations]:
    """Each implementation, also made the one that the public functions use; or a visible skip."""
    backend, _, isa = request.param.partition("-")
    try:
        found = operations.of(backend)
    except ImportError as error:
        pytest.skip(f"the {backend} backend cannot run here: {error}")
    found.name = request.param
    with _instruction_set(isa) if isa else nullcontext(), backends.backend(backend):
        yield found


@pytest.fixture(params=["python", "compiled"])
def twin(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Keys and generators as they are in Python, and as they are compiled."""
    module = stream if request.param == "python" else core_or_skip()
    return SimpleNamespace(Key=module.Key, Generator=module.Generator)


@pytest.fixture
def reference() -> Operations:
    """The NumPy backend, which the others are compared with."""
    return operations.of("numpy")
