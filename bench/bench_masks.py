"""Masks alone: drawing them, and applying one that is there.

The limit of drawing is to fill as much memory; that of applying, NumPy's multiplication.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastdrop

from . import measure
from .measure import ALL_SIZES, FEW_SIZES, NAMES, Bench
from .peers import MASK_PEERS, MissingError, Peer

FLOAT32 = np.dtype(np.float32)


def bytes_of_mask(n: int, packed: bool) -> int:
    return (n + 7) // 8 if packed else n


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", FEW_SIZES)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "bool"])
def test_draw(benchmark: BenchmarkFixture, packed: bool, size: str, name: str) -> None:
    implementation = measure.implementation(name)
    n = ALL_SIZES[size]
    moved = bytes_of_mask(n, packed)
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"draw a {'packed' if packed else 'bool'} mask",
            statement=f"fastdrop.dropout_mask(x.size, p, rng=rng, packed={packed})",
            limit="mask.fill(1)",
            names={**measure.names_for(n, FLOAT32), "mask": np.zeros(moved, np.uint8)},
            n=n,
            moved=moved,
            dtype="uint8" if packed else "bool",
            implementation=implementation,
        ),
    )


@pytest.mark.parametrize("size", FEW_SIZES)
@pytest.mark.parametrize("peer", MASK_PEERS, ids=lambda peer: peer.who)
def test_draw_by_peer(benchmark: BenchmarkFixture, peer: Peer, size: str) -> None:
    """Beside filling bytes, as many as a bool mask has, whatever they write."""
    n = ALL_SIZES[size]
    names = {**measure.names_for(n, FLOAT32), "mask": np.zeros(n, np.uint8)}
    x = names["x"]
    assert isinstance(x, np.ndarray)
    try:
        names |= peer.extend(x)
    except MissingError as error:
        pytest.skip(str(error))
    measure.run(
        benchmark,
        Bench(
            who=peer.who, what=peer.what, statement=peer.statement, limit="mask.fill(1)",
            names=names, n=n, moved=n, dtype="bool",
        ),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", FEW_SIZES)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "bool"])
def test_apply(benchmark: BenchmarkFixture, packed: bool, size: str, name: str) -> None:
    implementation = measure.implementation(name)
    n = ALL_SIZES[size]
    mask = fastdrop.dropout_mask(n, 0.1, rng=1, packed=packed)
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"apply a {'packed' if packed else 'bool'} mask",
            statement="fastdrop.apply_mask(x, mask, p, out=y)",
            limit=measure.LIMIT_OUT_OF_PLACE,
            names={**measure.names_for(n, FLOAT32), "mask": mask},
            n=n,
            moved=2 * n * FLOAT32.itemsize + mask.nbytes,
            implementation=implementation,
        ),
    )
