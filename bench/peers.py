"""The same work done with others' tools: a statement and its names for each.

Each runs on one thread, as fastdrop does by default in the benchmarks.
"""

import importlib
import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from fastdrop import _throughput
from fastdrop._arrays import Array


class Peer(NamedTuple):
    """Somebody's way to the result; ``extend`` makes the names that its statement needs."""

    who: str
    what: str
    statement: str
    extend: Callable[[Array], dict[str, object]]


def _import(name: str) -> ModuleType:
    """Import a framework without its warnings, which the test settings would make errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name} is not installed: {error}")


def _nothing(_: Array) -> dict[str, object]:
    return {}


def torch_names(x: Array) -> dict[str, object]:
    """``t``, a tensor over x's memory, and ``F``."""
    torch = _import("torch")
    torch.set_num_threads(1)
    return {"F": torch.nn.functional, "t": torch.from_numpy(x)}


def jax_names(x: Array) -> dict[str, object]:
    """``jax_dropout``, compiled, and its arguments."""
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", one_thread)
    jax = _import("jax")

    def dropout(key: Any, a: Any) -> Any:
        keep = jax.random.bernoulli(key, 1 - _throughput.P, a.shape)
        return jax.numpy.where(keep, a / (1 - _throughput.P), 0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {
            "jax_dropout": jax.jit(dropout),
            "key": jax.random.key(1),
            "j": jax.numpy.asarray(x),
        }
        eval(JAX, dict(names))
    return names


JAX = "jax_dropout(key, j).block_until_ready()"
TORCH_IN_PLACE = "F.dropout(t, p, True, True)"

PEERS = [
    Peer("np.multiply", "in place", _throughput.LIMIT, _nothing),
    Peer("np.multiply", "out of place", "np.multiply(x, s, out=y)", _nothing),
    Peer("np.copyto", "out of place", _throughput.COPY, _nothing),
    Peer("NumPy by hand", "out of place", _throughput.BY_HAND, _nothing),
    Peer("PyTorch", "in place", TORCH_IN_PLACE, torch_names),
    Peer("PyTorch", "out of place", "F.dropout(t, p, True)", torch_names),
    Peer("JAX", "out of place", JAX, jax_names),
]
