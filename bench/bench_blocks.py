"""DropBlock beside the multiplication and the usual way in PyTorch, forward or backward alike."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import NAMES, QUICK, Bench
from .peers import BLOCK, TORCH_BLOCKS, MissingError, torch_block_names


class Variant(NamedTuple):
    """A function and the shape that it is measured on."""

    what: str
    function: str
    shape: tuple[int, ...]


FLOAT32 = np.dtype(np.float32)
IMAGES = (4, 64, 28, 28) if QUICK else (32, 256, 28, 28)
VARIANTS = [
    Variant("blocks of sequences", "drop_block1d", (8, 32, 256) if QUICK else (64, 512, 128)),
    Variant("blocks of images", "drop_block2d", IMAGES),
    Variant(
        "blocks of large images", "drop_block2d", (1, 8, 112, 112) if QUICK else (8, 64, 112, 112)
    ),
    Variant(
        "blocks of volumes", "drop_block3d", (2, 16, 8, 16, 16) if QUICK else (8, 64, 16, 28, 28)
    ),
]
WAYS = {
    "in place": ("x", measure.LIMIT_IN_PLACE),
    "out of place": ("y", measure.LIMIT_OUT_OF_PLACE),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def names_for(shape: tuple[int, ...]) -> dict[str, object]:
    names = measure.names_for(math.prod(shape), FLOAT32)
    return names | {
        name: value.reshape(shape) for name, value in names.items() if name in ("x", "y")
    }


@pytest.mark.parametrize("name", NAMES)
@EVERY_WAY
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.what)
def test_blocks(benchmark: BenchmarkFixture, variant: Variant, way: str, name: str) -> None:
    implementation = measure.implementation(name)
    n = math.prod(variant.shape)
    out, limit = WAYS[way]
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{variant.what}, {way}",
            statement=f"fastdrop.{variant.function}(x, p, {BLOCK}, rng=rng, out={out})",
            limit=limit,
            names=names_for(variant.shape),
            n=n,
            moved=2 * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )


def test_torch(benchmark: BenchmarkFixture) -> None:
    names = names_for(IMAGES)
    x = names["x"]
    assert isinstance(x, np.ndarray)
    try:
        names |= torch_block_names(x)
    except MissingError as error:
        pytest.skip(str(error))
    measure.run(
        benchmark,
        Bench(
            who="PyTorch",
            what="blocks of images, out of place",
            statement=TORCH_BLOCKS,
            limit=measure.LIMIT_OUT_OF_PLACE,
            names=names,
            n=x.size,
            moved=2 * x.nbytes,
        ),
    )
