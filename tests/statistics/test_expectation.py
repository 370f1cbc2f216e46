"""The mean of dropout(x) over many calls is x.

A kept element always becomes the same value v, and is kept a binomial number of times. So the sum
over calls is v times that number, and the test of the mean is a binomial test of the sum / v:
exact, and without an assumption about a variance. For float32 and float64, v is x / (1 - p): the
mean is x. A 16-bit result is rounded: there v is the rounded x times scale, and the mean is v times
1 - p.
"""

import numpy as np
import pytest
from binomial import believe, deviations, surprises

import fastdrop
from fastdrop._rates import make_plan

SIZE = 2**12
CALLS = 2**13
# In standard deviations: of an element's mean that is 0.05 of it at p = 0.1; of the mean over all
# elements, 7.5e-4 of it.
ERROR = 13

pytestmark = pytest.mark.usefixtures("on_fastest")


def dtype_of(kind: str) -> np.dtype:
    if kind == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(kind)


def some_values(kind: str) -> np.ndarray:
    """Of both signs, from 1e-3 to 1e3."""
    rng = np.random.default_rng(81)
    sign = rng.choice([-1.0, 1.0], SIZE)
    return (sign * 10 ** rng.uniform(-3, 3, SIZE)).astype(dtype_of(kind))


def rounded_product(x: np.ndarray, scale: float) -> np.ndarray:
    compute = np.float64 if x.dtype == np.float64 else np.float32
    return (x.astype(compute) * compute(scale)).astype(x.dtype).astype(np.float64)


def when_kept(x: np.ndarray, kind: str, p: float) -> np.ndarray:
    """The value v: what one finds where x is kept, if the mean is right."""
    if kind in ("float32", "float64"):
        return x.astype(np.float64) / (1 - p)
    return rounded_product(x, make_plan(p, kind).scale)


def kept_times(total: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From sums over calls: how often each element was kept, then all of them; and of how many."""
    times = total / v
    n = np.full(SIZE + 1, CALLS)
    n[-1] = CALLS * SIZE
    return np.rint(np.append(times, times.sum())).astype(np.int64), n


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_mean_of_dropout_is_x(kind, p):
    x = some_values(kind)
    generator = fastdrop.Generator(82)
    out = np.empty_like(x)
    total = np.zeros(SIZE)
    for _ in range(CALLS):
        total += fastdrop.dropout(x, p, rng=generator, out=out)
    counts, n = kept_times(total, when_kept(x, kind, p))
    believe(f"mean of {kind} {p}", counts, n, 1 - p, deviations(n, np.float64(1 - p), ERROR))


@pytest.mark.parametrize(
    ("kind", "p", "scale"),
    [
        pytest.param("bfloat16", 0.1, "bfloat16", id="scale in bfloat16"),
        pytest.param("float32", 0.1, 1.0, id="no scale"),
        pytest.param("float16", 0.3, 1 / 0.3, id="p for 1 - p"),
    ],
)
def test_mean_finds_a_wrong_scale(kind, p, scale):
    """PyTorch's, with a scale rounded to bfloat16, is 0.16 % too small."""
    x = some_values(kind)
    if scale == "bfloat16":
        scale = float(dtype_of(kind).type(1 / (1 - p)))
    wrong = rounded_product(x, scale)
    generator = fastdrop.Generator(83)
    masks = (fastdrop.dropout_mask(SIZE, p, rng=generator) for _ in range(CALLS))
    total = sum(np.where(mask, wrong, 0.0) for mask in masks)
    counts, n = kept_times(total, when_kept(x, kind, p))
    assert surprises(counts[-1:], n[-1:], 1 - p, comparisons=SIZE + 1)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_mean_of_dropconnect_is_the_product(p):
    """With ones for x, w and dy, results times 1 - p are numbers of kept connections."""
    samples, outputs, inputs, calls = 16, 12, 50, 500
    x, w = np.ones((samples, inputs)), np.ones((outputs, inputs))
    dy = np.ones((samples, outputs))
    generator = fastdrop.Generator(84)
    totals = [np.zeros(outputs), np.zeros(inputs), np.zeros((outputs, inputs))]
    for _ in range(calls):
        key = generator.reserve(samples * outputs * inputs)
        y = fastdrop.dropconnect_linear(x, w, p=p, rng=key)
        dx, dw, _ = fastdrop.dropconnect_linear_backward(dy, x, w, p, rng=key)
        for total, found in zip(totals, (y.sum(axis=0), dx.sum(axis=0), dw), strict=True):
            total += found
    counts = np.concatenate([total.reshape(-1) for total in totals]) * (1 - p)
    n = np.repeat(
        calls * samples * np.array([inputs, outputs, 1]), [outputs, inputs, outputs * inputs]
    )
    counts = np.rint(counts).astype(np.int64)
    believe(f"dropconnect {p}", counts, n, 1 - p, deviations(n, np.float64(1 - p), ERROR))
