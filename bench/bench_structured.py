"""Decisions that are shared along axes, and samples, beside the multiplication and PyTorch's way.

The limit is NumPy's multiplication over the same memory, whatever the shape of the mask.
"""

import math
from typing import NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import NAMES, QUICK, Bench
from .peers import MissingError, torch_names

FLOAT32 = np.dtype(np.float32)
SAMPLES = 4 if QUICK else 16
LIMIT_SAMPLES = "np.multiply(x_limit, s, out=y_limit.reshape(-1, *x_limit.shape))"


class Variant(NamedTuple):
    """A call, the shape it is measured on, and PyTorch's call where there is one."""

    what: str
    call: str
    shape: tuple[int, ...]
    torch: str | None = None


IMAGES = (4, 64, 28, 28) if QUICK else (32, 256, 28, 28)
IMAGES_LAST = (4, 28, 28, 64) if QUICK else (32, 28, 28, 256)
SEQUENCES = (8, 32, 256) if QUICK else (64, 128, 512)
TABLE = (1000, 200) if QUICK else (10_000, 400)
ATTENTION = (2, 2, 128, 128) if QUICK else (8, 6, 256, 256)
VOLUMES = (2, 16, 8, 16, 16) if QUICK else (8, 64, 16, 28, 28)

LAST = ", data_format='channels_last'"
VARIANTS = [
    Variant("channels of sequences", "dropout1d(x, p{})", SEQUENCES, "F.dropout1d(t, p, True{})"),
    Variant("channels of images", "dropout2d(x, p{})", IMAGES, "F.dropout2d(t, p, True{})"),
    Variant("channels of images, last", f"dropout2d(x, p{LAST}{{}})", IMAGES_LAST),
    Variant("channels of volumes", "dropout3d(x, p{})", VOLUMES, "F.dropout3d(t, p, True{})"),
    Variant("features of sequences", "variational_dropout(x, p{})", SEQUENCES),
    Variant("paths", "drop_path(x, p{})", IMAGES),
    Variant("rows of a table", "embedding_dropout(x, p{})", TABLE),
    Variant("attention", "attention_dropout(x, p{})", ATTENTION, "F.dropout(t, p, True{})"),
]
WAYS = {
    "in place": (", rng=rng, out=x", ", True", measure.LIMIT_IN_PLACE),
    "out of place": (", rng=rng, out=y", "", measure.LIMIT_OUT_OF_PLACE),
}
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.what)
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def names_for(shape: tuple[int, ...]) -> dict[str, object]:
    names = measure.names_for(math.prod(shape), FLOAT32)
    arrays = {name: value for name, value in names.items() if isinstance(value, np.ndarray)}
    return names | {name: array.reshape(shape) for name, array in arrays.items() if array.ndim}


@pytest.mark.parametrize("name", NAMES)
@EVERY_WAY
@EVERY_VARIANT
def test_shared(benchmark: BenchmarkFixture, variant: Variant, way: str, name: str) -> None:
    implementation = measure.implementation(name)
    n = math.prod(variant.shape)
    ours, _, limit = WAYS[way]
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{variant.what}, {way}",
            statement=f"fastdrop.{variant.call.format(ours)}",
            limit=limit,
            names=names_for(variant.shape),
            n=n,
            moved=2 * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )


@EVERY_WAY
@pytest.mark.parametrize(
    "variant", [variant for variant in VARIANTS if variant.torch], ids=lambda variant: variant.what
)
def test_torch(benchmark: BenchmarkFixture, variant: Variant, way: str) -> None:
    n = math.prod(variant.shape)
    names = names_for(variant.shape)
    x = names["x"]
    assert isinstance(x, np.ndarray)
    assert variant.torch is not None
    try:
        names |= torch_names(x)
    except MissingError as error:
        pytest.skip(str(error))
    _, theirs, limit = WAYS[way]
    measure.run(
        benchmark,
        Bench(
            who="PyTorch",
            what=f"{variant.what}, {way}",
            statement=variant.torch.format(theirs),
            limit=limit,
            names=names,
            n=n,
            moved=2 * x.nbytes,
        ),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1 << 12, 1 << 16] if QUICK else [1 << 16, 1 << 20], ids=str)
def test_samples(benchmark: BenchmarkFixture, n: int, name: str) -> None:
    implementation = measure.implementation(name)
    names = measure.names_for(n * SAMPLES, FLOAT32)
    x, y = names["x"], names["y"]
    assert isinstance(x, np.ndarray)
    assert isinstance(y, np.ndarray)
    names |= {"x": x[:n], "x_limit": x[:n], "y": y.reshape(SAMPLES, n)}
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{SAMPLES} samples",
            statement=f"fastdrop.dropout_samples(x, p, {SAMPLES}, rng=rng, out=y)",
            limit=LIMIT_SAMPLES,
            names=names,
            n=n * SAMPLES,
            moved=(SAMPLES + 1) * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )
