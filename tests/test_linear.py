"""Linear layers with dropped connections: reference, definition, gradients, threads, the layer."""

import copy
import functools
import itertools

import numpy as np
import pytest
from cases import equal
from computing import KINDS, check_slopes
from support import STORAGE, alike, by_threads, difference, guarded, peak_of, same_bits, to_storage

import fastdrop
from fastdrop import Key, backends
from fastdrop._rates import make_plan

FLOATS = (np.float16, np.float32, np.float64)

# Samples, outputs and inputs: on both sides of a step, of a tile's rows, of a group of samples, of
# a chunk of inputs; and none of something.
SHAPES = (
    (1, 1, 1), (3, 5, 7), (2, 3, 31), (2, 3, 32), (2, 3, 33), (2, 3, 63), (2, 3, 64), (4, 9, 65),
    (9, 4, 127), (5, 130, 33), (40, 140, 64), (17, 40, 100), (3, 7, 1024), (2, 3, 4095),
    (2, 3, 4096), (2, 3, 4097), (3, 2, 8200), (130, 2, 3), (0, 3, 4), (9, 0, 3), (2, 3, 0),
)  # fmt: skip
OFFSETS = (0, 1, 63, 4095, 4096, 2**64 - 1_000_000)


def numbers(shape: tuple[int, ...], kind: str, which: int) -> np.ndarray:
    """Of many magnitudes, some of them special."""
    source = np.random.default_rng(which)
    values = source.standard_normal(shape) * np.exp2(source.integers(-9, 9, shape))
    flat = values.reshape(-1)
    flat[source.integers(0, max(1, flat.size), flat.size // 50)] = -0.0
    if which % 2 and flat.size > 200:  # in few sums: nan would hide what else is wrong
        flat[source.integers(0, flat.size, 3)] = [np.inf, np.nan, -np.inf]
    return to_storage(values, kind)


def arrays(shape: tuple[int, int, int], kind: str, which: int) -> list[np.ndarray]:
    """The input, weights, bias and gradient for a shape."""
    samples, outputs, inputs = shape
    sizes = ((samples, inputs), (outputs, inputs), (outputs,), (samples, outputs))
    return [numbers(size, kind, which * 5 + i) for i, size in enumerate(sizes)]


def computed(backend, kind, which, shape, offset, shared, at=0):
    """Operands and results, in memory that begins at byte `at` of a cache line."""
    key, plan = Key(3, 4, offset), make_plan(0.4, kind)
    samples, outputs, inputs = shape
    sizes = ((samples, outputs), (samples, outputs), (samples, inputs), (outputs, inputs))
    given = arrays(shape, kind, which) + [np.full(size, 7, STORAGE[kind]) for size in sizes]
    memory = [guarded(array, at + 3 * i) for i, array in enumerate(given)]
    x, w, bias, dy, y, plain, dx, dw = found = [band.array for band in memory]
    backend.dropconnect(x, w, bias, y, kind, key, plan, shared)
    backend.dropconnect(x, w, None, plain, kind, key, plan, shared)
    if inputs and samples and outputs:
        backend.dropconnect_dx(dy, w, dx, kind, key, plan, shared)
        backend.dropconnect_dw(dy, x, dw, kind, key, plan, shared)
    assert all(band.intact() for band in memory)
    for got, before in zip(found[:4], given[:4], strict=True):
        assert got.tobytes() == before.tobytes()
    return found


reference = functools.cache(functools.partial(computed, backends.load("numpy")))


@pytest.mark.parametrize("kind", KINDS)
def test_all_have_the_reference_s_bits(impl, kind):
    cases = [(shape, 4000 + i, i % 2 == 0, 0) for i, shape in enumerate(SHAPES)]
    cases += [((3, 5, 70), offset, False, 0) for offset in OFFSETS]
    cases += [((3, 9, 65), 77, True, at) for at in (1, 2, 4, 8, 20, 33)]
    for which, (*case, at) in enumerate(cases):
        wanted, found = reference(kind, which, *case), computed(impl, kind, which, *case, at)
        for i, (got, want) in enumerate(zip(found, wanted, strict=True)):
            assert same_bits(got, want, kind), (*case, at, i, difference(got, want))


def definition(x, w, bias, p, mask):
    """The formula, in float64."""
    y = np.einsum("noi,oi,ni->no", mask, w, x, dtype=np.float64)
    return (y / (1 - p) if p < 1 else y) + bias


def bound(x, w, bias, p, mask, u):
    """What the docstring allows for, with the rounding of the result."""
    n = x.shape[1]
    terms = definition(abs(x), abs(w), abs(bias), p, mask)
    return (n / 32 + 9) * (2.0**-53 if u == 2.0**-53 else 2.0**-24) * terms + u * terms


UNIT = {np.float16: 2.0**-11, np.float32: 2.0**-24, np.float64: 2.0**-53}


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("per_sample", [True, False])
def test_it_is_the_formula(dtype, per_sample):
    source = np.random.default_rng(5)
    x, w = source.standard_normal((7, 300)), source.standard_normal((11, 300))
    x, w, bias = x.astype(dtype), w.astype(dtype), source.standard_normal(11).astype(dtype)
    for p in (0.0, 0.3, 1.0):
        shape = (7, 11, 300) if per_sample else (1, 11, 300)
        mask = np.broadcast_to(fastdrop.dropout_mask(shape, p, rng=9), (7, 11, 300))
        exact = [a.astype(np.float64) for a in (x, w, bias)]
        got = fastdrop.dropconnect_linear(x, w, bias, p, per_sample=per_sample, rng=9)
        assert got.dtype == dtype
        error = abs(got.astype(np.float64) - definition(*exact, p, mask))
        assert (error <= bound(*exact, p, mask, UNIT[dtype])).all()


@pytest.mark.usefixtures("impl")
def test_what_is_dropped_counts_for_nothing():
    x, w = np.full((4, 50), np.inf, np.float32), np.ones((3, 50), np.float32)
    assert (fastdrop.dropconnect_linear(x, w, np.float32([1, 2, 3]), 1, rng=1) == [1, 2, 3]).all()
    x[:, 1:] = 1
    kept = fastdrop.dropout_mask((4, 3, 50), 0.5, rng=1)[:, :, 0]
    assert np.array_equal(np.isinf(fastdrop.dropconnect_linear(x, w, rng=1)), kept)


@pytest.mark.usefixtures("impl")
def test_layouts_and_shapes():
    source = np.random.default_rng(7)
    x, w = source.standard_normal((2, 3, 5, 70)), source.standard_normal((4, 70))
    bias = source.standard_normal(8)[::2]
    wanted = fastdrop.dropconnect_linear(x.reshape(30, 70), w, bias.copy(), 0.3, rng=1)
    wanted = wanted.reshape(2, 3, 5, 4)
    strided = np.empty((2, 3, 5, 8))[..., ::-2]
    for a, b, out in itertools.product(
        (x, np.asfortranarray(x), x[::-1].copy()[::-1]),
        (w, np.asfortranarray(w), np.repeat(w, 2, axis=1)[:, ::2]),
        (None, np.empty_like(wanted), strided),
    ):
        got = fastdrop.dropconnect_linear(a, b, bias, 0.3, rng=1, out=out)
        assert out is None or got is out
        assert np.array_equal(got, wanted)
    dx, *of_weights = fastdrop.dropconnect_linear_backward(wanted, x, w, 0.3, rng=1)
    rows = wanted.reshape(30, 4), x.reshape(30, 70)
    flat = fastdrop.dropconnect_linear_backward(*rows, w, 0.3, rng=1)
    assert equal((dx, *of_weights), (flat[0].reshape(x.shape), *flat[1:]))
    one = fastdrop.dropconnect_linear(x[0, 0, 0], w, bias, 0.3, rng=1)
    assert np.array_equal(one, wanted[0, 0, 0])
    assert fastdrop.dropconnect_linear([1.0, 2.0], [[3.0, 4.0]], p=0, rng=1).tolist() == [11.0]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("per_sample", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_by_finite_differences(per_sample, training):
    source = np.random.default_rng(8)
    x, w, dy, bias = (source.standard_normal(s) for s in ((3, 5), (4, 5), (3, 4), 4))
    options = {"p": 0.3, "training": training, "per_sample": per_sample, "rng": Key(8)}
    gradients = fastdrop.dropconnect_linear_backward(dy, x, w, **options)
    call = functools.partial(fastdrop.dropconnect_linear, **options)
    check_slopes(call, [x, w, bias], gradients, dy)


@pytest.mark.usefixtures("impl")
def test_evaluation_is_a_product():
    source, rng = np.random.default_rng(9), fastdrop.Generator(1)
    x, w, dy = (source.standard_normal(s).astype(np.float32) for s in ((6, 40), (3, 40), (6, 3)))
    bias = np.float32([1, 2, 3])
    y = fastdrop.dropconnect_linear(x, w, bias, 0.5, False, rng=rng)
    assert np.array_equal(y, x @ w.T + bias)
    dx, dw, db = fastdrop.dropconnect_linear_backward(dy, x, w, 0.5, False, rng=rng)
    for got, want in ((dx, dy @ w), (dw, dy.T @ x), (db, dy.sum(axis=0))):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    half = fastdrop.dropconnect_linear(*(a.astype(np.float16) for a in (x, w, bias)), 0.5, False)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, y, rtol=5e-3, atol=5e-3)
    assert rng.offset == 0


def test_what_a_generator_gives_away():
    x, w = np.ones((3, 50)), np.ones((40, 50))
    for per_sample, positions in ((True, 3 * 40 * 50), (False, 40 * 50)):
        rng = fastdrop.Generator(1)
        fastdrop.dropconnect_linear(x, w, per_sample=per_sample, rng=rng)
        assert rng.offset == -(-positions // 4096) * 4096
    rng = fastdrop.Generator(1)
    for a, b in ((x[:0], w), (x, w[:0]), (x[:, :0], w[:, :0])):
        for per_sample in (True, False):
            y = fastdrop.dropconnect_linear(a, b, per_sample=per_sample, rng=rng)
            assert not y.any()
            for training, key in ((True, 1), (False, None)):
                found = fastdrop.dropconnect_linear_backward(
                    y, a, b, training=training, per_sample=per_sample, rng=key
                )
                assert equal(found, (np.zeros_like(a), np.zeros_like(b), np.zeros(b.shape[:1])))
    assert rng.offset == 0


def test_threads_give_the_same_bits():
    for shape in ((70, 300, 333), (3, 17, 90_000)):
        x, w, _, dy = (a.astype(np.float32) for a in arrays(shape, "float64", 20))
        first, *others = by_threads(
            lambda x=x, w=w, dy=dy: (
                fastdrop.dropconnect_linear(x, w, p=0.3, rng=Key(1, 2, 33)),
                *fastdrop.dropconnect_linear_backward(dy, x, w, 0.3, rng=1),
            )
        )
        assert all(all(map(alike, other, first)) for other in others)


@pytest.mark.parametrize("backend", ["c", "numba", pytest.param("numpy", marks=pytest.mark.heavy)])
def test_no_mask_is_made(backend):
    """The mask of this call would take 32 MB as bools, 4 MB as bits."""
    x, w = np.ones((32, 1000), np.float32), np.ones((1000, 1000), np.float32)
    y = np.empty((32, 1000), np.float32)
    try:
        backends.load(backend)
    except ImportError as error:
        pytest.skip(str(error))
    with fastdrop.backend(backend):
        fastdrop.dropconnect_linear(x[:2], w, out=y[:2], rng=1)  # what is made once
        peak = peak_of(lambda: fastdrop.dropconnect_linear(x, w, out=y, rng=1))
    # The reference takes one sample's tile of weights and of decisions; C nothing but its stack.
    assert peak < {"c": 20_000, "numba": 1_000_000, "numpy": 4_000_000}[backend]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("per_sample", [True, False])
def test_forward_and_backward_are_the_functions(per_sample):
    """Also where the rate and the switch have changed in between."""
    source, generator = np.random.default_rng(1), fastdrop.Generator(1, 2, 8192)
    x, w, dy, bias = (source.standard_normal(s) for s in ((6, 9), (4, 9), (6, 4), 4))
    layer = fastdrop.layers.DropConnectLinear(w, bias, 0.4, per_sample=per_sample, rng=generator)
    for offset, training in ((8192, True), (8192 + 4096, True), (8192 + 2 * 4096, False)):
        how = {"training": training, "per_sample": per_sample, "rng": Key(1, 2, offset)}
        y = layer.train(training)(x)
        assert np.array_equal(y, fastdrop.dropconnect_linear(x, w, bias, 0.4, **how))
        layer.p = 0.9
        layer.train(not training)
        wanted = fastdrop.dropconnect_linear_backward(dy, x, w, 0.4, **how)
        for _ in range(2):  # asking again changes nothing
            assert equal((layer.backward(dy), layer.dw, layer.db), wanted)
        layer.p = 0.4
    assert generator.offset == 8192 + 2 * 4096


def test_weights_are_the_caller_s():
    x, w = np.ones((6, 9)), np.ones((4, 9))
    layer = fastdrop.layers.DropConnectLinear(w, p=0, rng=1)
    assert layer.w is w
    assert layer.bias is layer.dw is layer.db is None
    w[:] = 0
    assert not layer(x).any()
    layer.w = np.ones((2, 9))
    assert layer(x).shape == (6, 2)
    other = copy.deepcopy(layer)
    other.w[:] = 0
    assert layer.w.all()
