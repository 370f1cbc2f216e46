"""Others at the same work, and the limits themselves: NumPy, PyTorch, JAX; float32."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import ALL_SIZES, SIZES, Bench
from .peers import PEERS, MissingError, Peer

LIMITS = {"in place": measure.LIMIT_IN_PLACE, "out of place": measure.LIMIT_OUT_OF_PLACE}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.who}, {peer.what}")
def test_peer(benchmark: BenchmarkFixture, peer: Peer, size: str) -> None:
    n = ALL_SIZES[size]
    names = measure.names_for(n, np.dtype(np.float32))
    x = names["x"]
    assert isinstance(x, np.ndarray)
    try:
        names |= peer.extend(x)
    except MissingError as error:
        pytest.skip(str(error))
    measure.run(
        benchmark,
        Bench(
            who=peer.who,
            what=peer.what,
            statement=peer.statement,
            limit=LIMITS[peer.what],
            names=names,
            n=n,
            moved=2 * x.nbytes,
        ),
    )
