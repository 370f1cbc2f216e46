"""The public surface: names, signatures, what is returned, what is drawn."""

import fractions
import importlib.metadata
import inspect
from typing import Any

import numpy as np
import pytest
from cases import CASES, FIRST, Case, parametrize
from fresh import output

import fastdrop
from fastdrop import Generator, Key
from fastdrop.variants import VARIANTS

NO = inspect.Parameter.empty

X = np.linspace(-1, 1, 60, dtype=np.float32).reshape(5, 12)
MODES: Any = ("inverted", "standard")


OTHERS = {
    *("Generator", "Key", "MonteCarloResult", "Sparsity", "apply_mask", "backend"),
    *("default_generator", "dropconnect_linear", "dropconnect_linear_backward", "dropout_"),
    *("dropout_mask", "dropout_samples", "get_include", "get_num_threads", "layers"),
    *("manual_seed", "max_norm_", "mc_dropout", "set_backend", "set_num_threads", "show_config"),
    *("softmax_dropout", "softmax_dropout_backward", "sparsity"),
}
"""What no declaration names."""


def test_names() -> None:
    assert set(fastdrop.__all__) == OTHERS | {variant.function for variant in VARIANTS}
    assert len(set(fastdrop.__all__)) == len(fastdrop.__all__)
    public = {name for name in vars(fastdrop) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(fastdrop, name))}
    assert public - modules == set(fastdrop.__all__) - {"layers"}


def signature_of(function: Any) -> str:
    found = inspect.signature(function, follow_wrapped=False)
    bare = found.replace(
        parameters=[
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in found.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,
    )
    return str(bare)


DEFAULTS = {
    "noise_shape": None,
    "mode": {"dropout": "inverted", "drop_path": "row"},
    "data_format": "channels_first",
    "time_axis": 1,
    "act": "none",
}
"""Of the options that a variant has; `block_size` comes after p."""


@parametrize(FIRST)
def test_signatures_of_the_family(case: Case) -> None:
    """Arrays, the rate, the switch; then by name the generator, the result, options, the window."""
    first = dict.fromkeys(case.shapes, NO)
    given: dict[str, Any] = {**first, case.rate: NO if case.rate == "std" else 0.5}
    if case.axes:
        given["block_size"] = 7
    own = {o.name: o for c in CASES if c.name == case.name for o in option_parameters(c)}
    for name, option in own.items():
        default = DEFAULTS.get(name)
        assert option.default == (default[case.name] if isinstance(default, dict) else default)
    if "bias" in case.shapes:
        first["bias"] = None
        given = {**first, "act": "none", case.rate: 0.5}
        own.pop("act")
    by_name = {"rng": NO if case.repeats and case.evaluated is None else None}
    by_name |= {"out": None} if case.takes("out") else {}
    by_name |= {name: option.default for name, option in own.items()}
    by_name |= {} if case.axes else {"window": None}
    found = inspect.signature(case.function, follow_wrapped=False).parameters.values()
    assert {p.name: p.default for p in found if p.kind is not p.KEYWORD_ONLY} == {
        **given, "training": True
    }  # fmt: skip
    assert {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY} == by_name


def option_parameters(case: Case) -> list[inspect.Parameter]:
    """Of the options in the table, those that are given by name."""
    found = inspect.signature(case.function, follow_wrapped=False).parameters
    return [found[name] for name in case.options if name != "block_size"]


def test_signatures_of_algorithms() -> None:
    for name, signature in {
        "dropconnect_linear": "(x, w, bias=None, p=0.5, training=True, *, per_sample=True, "
        "rng=None, out=None)",
        "dropconnect_linear_backward": "(dy, x, w, p=0.5, training=True, *, per_sample=True, rng)",
        "softmax_dropout": "(scores, p=0.5, training=True, *, axis=-1, mask=None, "
        "scale=1.0, rng=None, out=None)",
        "softmax_dropout_backward": "(dy, scores, p=0.5, training=True, *, axis=-1, mask=None, "
        "scale=1.0, rng, out=None)",
        "dropout_samples": "(x, p, samples, *, rng=None, out=None)",
        "max_norm_": "(w, c, axis=1)",
        "sparsity": "(a, tol=0.0, bins=50, range=None)",
        "mc_dropout": "(fn, x, samples=50, *, rng=None, probabilities=False)",
    }.items():
        assert signature_of(getattr(fastdrop, name)) == signature, name


@pytest.mark.parametrize("wrapped", [False, True], ids=["exported", "python"])
def test_signatures(wrapped: bool) -> None:
    for name, signature in {
        "dropout": "(x, p=0.5, training=True, *, rng=None, out=None, noise_shape=None, "
        "mode='inverted', window=None)",
        "dropout_": "(x, p=0.5, training=True, *, rng=None, noise_shape=None, mode='inverted', "
        "window=None)",
        "dropout_mask": "(shape, p=0.5, *, rng=None, packed=False, window=None)",
        "apply_mask": "(x, mask, p, *, out=None)",
    }.items():
        function = getattr(fastdrop, name)
        if wrapped:
            function = inspect.unwrap(function)
        assert signature_of(function) == signature, name


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
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_in_place_and_by_masks(p: float) -> None:
    keep = fastdrop.dropout_mask(X.shape, p, rng=Key(1))
    inverted = fastdrop.dropout(X, p, rng=Key(1))
    x = X.copy()
    assert fastdrop.dropout_(x, p, rng=Key(1)) is x
    assert np.array_equal(x, inverted)
    packed = fastdrop.dropout_mask(X.shape, p, rng=Key(1), packed=True)
    assert packed.tolist() == np.packbits(keep, bitorder="little").tolist()
    for mask in (keep, packed, keep.tolist()):
        out = np.full_like(X, 7)
        assert fastdrop.apply_mask(X, mask, p, out=out) is out
        assert np.array_equal(out, inverted)


@pytest.mark.usefixtures("impl")
def test_apply_mask_at_one_is_zero_everywhere() -> None:
    x = np.array([-1, np.inf, np.nan, -0.0], np.float32)
    for mask in (np.ones(4, bool), np.array([15], np.uint8)):
        y = fastdrop.apply_mask(x, mask, 1)
        assert y.tolist() == [0.0] * 4
        assert not np.signbit(y).any()


@pytest.mark.usefixtures("impl")
def test_evaluation_in_place() -> None:
    y = fastdrop.dropout(X, 0.3, False, mode="standard")
    for mode, want in (("inverted", X), ("standard", y)):
        x = X.copy()
        assert fastdrop.dropout(x, 0.3, False, out=x, mode=mode) is x
        assert np.array_equal(x, want)
        x = X.copy()
        assert fastdrop.dropout_(x, 0.3, False, mode=mode) is x
        assert np.array_equal(x, want)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 4)])
def test_empty(shape: tuple[int, ...]) -> None:
    generator = Generator(1)
    x = np.ones(shape, np.float32)
    out = np.ones(shape, np.float32)
    for mode in MODES:
        for training in (True, False):
            assert fastdrop.dropout_(x, 0.5, training, rng=generator, mode=mode) is x
    assert fastdrop.apply_mask(x, np.ones(shape, bool), 0.5) is x
    assert fastdrop.apply_mask(x, np.empty(0, np.uint8), 0.5, out=out) is out
    assert fastdrop.dropout_mask(shape, rng=generator).shape == shape
    assert fastdrop.dropout_mask(shape, rng=generator, packed=True).shape == (0,)
    assert generator.offset == 0


@pytest.mark.usefixtures("impl")
def test_zero_dimensional() -> None:
    for x in (np.array(3.0, np.float32), np.float64(3.0), 3.0):
        kept = {float(fastdrop.dropout(x, 0.5, rng=seed)) for seed in range(20)}
        assert kept == {0.0, 6.0}
        y = fastdrop.dropout(x, 0.5, rng=0)
        assert isinstance(y, np.ndarray)
        assert y.shape == ()
    x = np.array(3.0, np.float32)
    assert fastdrop.dropout_(x, 0.0) is x
    assert fastdrop.dropout_mask((), 0.5, rng=1).shape == ()
    assert fastdrop.apply_mask(3.0, True, 0.5) == 6.0
    assert fastdrop.apply_mask(3.0, np.array([1], np.uint8), 0.5) == 6.0


def test_a_memory_map_changes_in_place(tmp_path: Any) -> None:
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(100,))
    x[...] = 1
    assert fastdrop.dropout(x, 0.5, rng=1, out=x) is x
    assert np.array_equal(x, fastdrop.dropout(np.ones(100, np.float32), 0.5, rng=1))


@pytest.mark.parametrize("shape", [7, np.int32(7), (7,), [7], (np.int64(7),)])
def test_what_a_shape_may_be(shape: Any) -> None:
    mask = fastdrop.dropout_mask(shape, 0.5, rng=1)
    assert mask.shape == (7,)
    assert mask.dtype == np.bool_
    assert mask.flags.c_contiguous


# what is drawn


def test_positions_that_a_generator_hands_out() -> None:
    generator = Generator(1)
    for call, n in (
        (lambda: fastdrop.dropout_(X.copy(), 0.5, rng=generator), 1),
        (lambda: fastdrop.dropout_mask(4096, rng=generator), 1),
        (lambda: fastdrop.dropout_mask(4097, rng=generator), 2),
        (lambda: fastdrop.dropout_mask(4097, 0.0, rng=generator, packed=True), 2),
        (lambda: fastdrop.dropout(np.ones((2, 9000)), rng=generator, noise_shape=(2, 1)), 1),
        (lambda: fastdrop.dropout(np.ones((2, 9000)), rng=generator, noise_shape=(1, None)), 3),
        (lambda: fastdrop.dropout_(X.copy(), 0.5, False, rng=generator), 0),
        (lambda: fastdrop.apply_mask(X, np.ones(X.shape, bool), 0.5), 0),
    ):
        before = generator.offset
        call()
        assert generator.offset == before + 4096 * n


def test_the_default_generator() -> None:
    assert fastdrop.manual_seed(3) is fastdrop.default_generator()
    first = fastdrop.dropout(X), fastdrop.dropout_(X.copy()), fastdrop.dropout_mask(60)
    generator = Generator(3)
    again = (
        fastdrop.dropout(X, rng=generator),
        fastdrop.dropout_(X.copy(), rng=generator),
        fastdrop.dropout_mask(60, rng=generator),
    )
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0], first[1])


def test_seeds_and_keys_are_stateless() -> None:
    for rng in (5, np.int16(5), np.uint64(5), Key(5), Key(5, 0, 0)):
        assert np.array_equal(fastdrop.dropout(X, rng=rng), fastdrop.dropout(X, rng=Generator(5)))


def test_numpy_generators() -> None:
    a, b = np.random.default_rng(1), np.random.default_rng(1)
    for _ in range(3):
        assert np.array_equal(fastdrop.dropout(X, rng=a), fastdrop.dropout(X, rng=b))
    masks = {fastdrop.dropout_mask(64, rng=a).tobytes() for _ in range(5)}
    assert len(masks) == 5
    sequence = np.random.SeedSequence(1)
    assert np.array_equal(fastdrop.dropout(X, rng=sequence), fastdrop.dropout(X, rng=sequence))


def test_a_p_that_rounds_to_one_drops_all() -> None:
    p: Any = fractions.Fraction(10**30 - 1, 10**30)
    x = np.ones(4, np.float32)
    assert not fastdrop.dropout(x, p, rng=1).any()
    assert not fastdrop.apply_mask(x, np.ones(4, np.bool_), p).any()


def test_the_namespace_holds_public_names_only() -> None:
    assert dir(fastdrop) == sorted([*fastdrop.__all__, "__version__"])
