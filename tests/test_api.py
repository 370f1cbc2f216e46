"""The public surface: names, signatures, what is returned, what is drawn."""

import fractions
import importlib.metadata
import inspect
import itertools
from typing import Any

import numpy as np
import pytest
from cases import CASES, FIRST, Case, parametrize
from fresh import output

import fastdrop
from fastdrop import Generator

NO = inspect.Parameter.empty

X = np.linspace(-1, 1, 60, dtype=np.float32).reshape(5, 12)
MODES: Any = ("inverted", "standard")
NEARLY_1: Any = fractions.Fraction(10**30 - 1, 10**30)  # rounded to 1


def test_names() -> None:
    """Which names there are, test_foreign_arrays.py and test_variants.py say."""
    assert len(set(fastdrop.__all__)) == len(fastdrop.__all__)
    assert dir(fastdrop) == sorted([*fastdrop.__all__, "__version__"])
    public = {name for name in vars(fastdrop) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(fastdrop, name))}
    assert public - modules == set(fastdrop.__all__) - {"layers"}


def signature_of(function: Any) -> str:
    found = inspect.signature(function, follow_wrapped=False)
    bare = [p.replace(annotation=NO) for p in found.parameters.values()]
    return str(found.replace(parameters=bare, return_annotation=NO))


@parametrize(FIRST)
def test_signatures_of_the_family(case: Case) -> None:
    """Arrays, the rate, the switch; then by name the generator, the result, options, the window."""
    own = {name for c in CASES if c.name == case.name for name in c.options}
    options = {
        "noise_shape": "None",
        "mode": "'row'" if case.name == "drop_path" else "'inverted'",
        "data_format": "'channels_first'",
        "time_axis": "1",
    }
    wanted = [
        *("bias=None" if name == "bias" else name for name in case.shapes),
        *["act='none'"] * ("act" in own),
        case.rate if case.rate == "std" else "p=0.5",
        *["block_size=7"] * ("block_size" in own),
        *("training=True", "*"),
        "rng" if case.repeats and case.evaluated is None else "rng=None",
        *["out=None"] * case.takes("out"),
        *(f"{name}={default}" for name, default in options.items() if name in own),
        *["window=None"] * (not case.axes),
    ]
    assert signature_of(case.function) == f"({', '.join(wanted)})"


SIGNATURES = {
    "apply_mask": "(x, mask, p, *, out=None)",
    "dropconnect_linear": "(x, w, bias=None, p=0.5, training=True, *, per_sample=True, "
    "rng=None, out=None)",
    "dropconnect_linear_backward": "(dy, x, w, p=0.5, training=True, *, per_sample=True, rng)",
    "dropout": "(x, p=0.5, training=True, *, rng=None, out=None, noise_shape=None, "
    "mode='inverted', window=None)",
    "dropout_": "(x, p=0.5, training=True, *, rng=None, noise_shape=None, mode='inverted', "
    "window=None)",
    "dropout_mask": "(shape, p=0.5, *, rng=None, packed=False, window=None)",
    "dropout_samples": "(x, p, samples, *, rng=None, out=None)",
    "max_norm_": "(w, c, axis=1)",
    "mc_dropout": "(fn, x, samples=50, *, rng=None, probabilities=False)",
    "softmax_dropout": "(scores, p=0.5, training=True, *, axis=-1, mask=None, scale=1.0, "
    "rng=None, out=None)",
    "softmax_dropout_backward": "(dy, scores, p=0.5, training=True, *, axis=-1, mask=None, "
    "scale=1.0, rng, out=None)",
    "sparsity": "(a, tol=0.0, bins=50, range=None)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    """As the function is exported, and in Python where that is another one."""
    function = getattr(fastdrop, name)
    assert signature_of(function) == signature_of(inspect.unwrap(function)) == SIGNATURES[name]


def test_the_version_is_the_distributions() -> None:
    try:
        installed = importlib.metadata.version("fastdrop-kernels")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fastdrop is not installed: it runs from its source folder")
    assert fastdrop.__version__ == installed


def test_importing_imports_little() -> None:
    code = """
        import sys
        import fastdrop
        others = ("dask", "flax", "jax", "keras", "numba", "ml_dtypes", "scipy", "torch", "xarray")
        print([m for m in others if m in sys.modules])
    """
    assert output(code) == "[]"


# what is computed


@pytest.mark.usefixtures("impl")
def test_masks_nest() -> None:
    rates = sorted((0.0, 2.0**-60, 1e-9, 1e-3, 1 - 1e-9, 1.0, *np.linspace(0.01, 0.99, 40)))
    masks = [fastdrop.dropout_mask(12_345, p, rng=1) for p in rates]
    assert not any((more & ~fewer).any() for fewer, more in itertools.pairwise(masks))


@pytest.mark.usefixtures("impl")
def test_apply_mask_at_one_is_zero_everywhere() -> None:
    x = np.array([-1, np.inf, np.nan, -0.0], np.float32)
    for mask, p in itertools.product((np.ones(4, bool), np.array([15], np.uint8)), (1, NEARLY_1)):
        assert not fastdrop.apply_mask(x, mask, p).view(np.uint32).any()
    assert not fastdrop.dropout(np.ones(4, np.float32), NEARLY_1, rng=1).any()


@pytest.mark.usefixtures("impl")
def test_evaluation_in_place() -> None:
    for mode, want in (("inverted", X), ("standard", X * np.float32(0.7))):
        x, y = X.copy(), X.copy()
        assert fastdrop.dropout(x, 0.3, False, out=x, mode=mode) is x
        assert fastdrop.dropout_(y, 0.3, False, mode=mode) is y
        assert np.array_equal(x, want)
        assert np.array_equal(y, want)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 4)])
def test_empty(shape: tuple[int, ...]) -> None:
    generator = Generator(1)
    x, out = np.ones(shape, np.float32), np.ones(shape, np.float32)
    for mode, training in itertools.product(MODES, (True, False)):
        assert fastdrop.dropout_(x, 0.5, training, rng=generator, mode=mode) is x
    assert fastdrop.apply_mask(x, np.ones(shape, bool), 0.5) is x
    assert fastdrop.apply_mask(x, np.empty(0, np.uint8), 0.5, out=out) is out
    assert fastdrop.dropout_mask(shape, rng=generator).shape == shape
    assert fastdrop.dropout_mask(shape, rng=generator, packed=True).shape == (0,)
    assert generator.offset == 0


@pytest.mark.usefixtures("impl")
def test_zero_dimensional() -> None:
    for x in (np.array(3.0, np.float32), np.float64(3.0), 3.0):
        found = [fastdrop.dropout(x, 0.5, rng=seed) for seed in range(20)]
        assert all(isinstance(y, np.ndarray) and y.shape == () for y in found)
        assert {float(y) for y in found} == {0.0, 6.0}
    x = np.array(3.0, np.float32)
    assert fastdrop.dropout_(x, 0.0) is x
    assert fastdrop.dropout_mask((), 0.5, rng=1).shape == ()
    for mask in (True, np.array([1], np.uint8)):
        assert fastdrop.apply_mask(3.0, mask, 0.5) == 6.0
    assert fastdrop.apply_mask([3.0, 4.0], [True, False], 0.5).tolist() == [6.0, 0.0]


@pytest.mark.parametrize("shape", [7, np.int32(7), (7,), [7], (np.int64(7),)])
def test_what_a_shape_may_be(shape: Any) -> None:
    mask = fastdrop.dropout_mask(shape, 0.5, rng=1)
    assert (mask.shape, mask.dtype, mask.flags.c_contiguous) == ((7,), np.bool_, True)


# what is drawn


@pytest.mark.parametrize(
    ("call", "blocks"),
    [
        (lambda rng: fastdrop.dropout_(X.copy(), 0.5, rng=rng), 1),
        (lambda rng: fastdrop.dropout_mask(4096, rng=rng), 1),
        (lambda rng: fastdrop.dropout_mask(4097, rng=rng), 2),
        (lambda rng: fastdrop.dropout_mask(4097, 0.0, rng=rng, packed=True), 2),
        (lambda rng: fastdrop.dropout_(X.copy(), 0.5, False, rng=rng), 0),
    ],
)
def test_functions_of_masks_draw(call: Any, blocks: int) -> None:
    """From a generator or the default one, as those of test_draws.py do."""
    generator, default = Generator(3), fastdrop.manual_seed(3)
    assert default is fastdrop.default_generator()
    for i in (1, 2):
        assert np.array_equal(call(generator), call(None))
        assert generator.offset == default.offset == i * blocks * 4096
