"""Keys, memory, versions and devices of the JAX face."""

from __future__ import annotations

import ctypes
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fresh import output, run
from on_jax import KEY, enough_bits, equal, fj, jax, jnp

import fastdrop
from fastdrop.jax import _registration

X = np.random.default_rng(0).standard_normal((33, 70), np.float32)
KEYS = jax.random.split(jax.random.key(1))


@pytest.fixture
def export():
    """The module, which JAX does not import by itself, and which needs absl in JAX 0.5."""
    return pytest.importorskip("jax.export", exc_type=ImportError)


def drop(x, p=0.3, rng=KEY, **more):
    return fj.dropout(x, p, rng=rng, **more)


def of_words(words):
    """The `Key` that a key of JAX is, by the documentation."""
    words = [int(word) for word in words]
    seed = words[0] << 32 | words[1]
    return fastdrop.Key(seed, words[2] << 32 | words[3] if len(words) == 4 else 0)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_are_their_words(impl):
    for key in (jax.random.key(2**40 + 5, impl=impl), KEYS[1]):
        words = jax.random.key_data(key)
        wanted = fastdrop.dropout(X, 0.3, rng=of_words(words))
        for rng in (key, words, np.asarray(words)):
            assert equal(drop(X, rng=rng), wanted)
            if not isinstance(rng, np.ndarray):
                assert equal(jax.jit(lambda rng: drop(X, rng=rng))(rng), wanted)
    keys = jax.random.split(jax.random.key(3, impl=impl), 4)
    masks = jax.vmap(lambda key: fj.dropout_mask(300, 0.5, rng=key))(keys)
    assert len(np.unique(np.asarray(masks), axis=0)) == 4


def test_without_jit():
    """What a debugger sees: every operation by itself, the same bits, with derivatives."""
    calls = (
        lambda: drop(X),
        lambda: jax.grad(lambda x: drop(x).sum())(X),
        lambda: jax.vmap(drop)(X),
        lambda: fj.bias_act_dropout(X, X[0], "gelu", 0.3, rng=KEY),
        lambda: fj.dropout_mask((33, 70), 0.3, rng=KEY),
    )
    for call in calls:
        wanted = call()
        with jax.disable_jit():
            equal(call(), wanted)


def test_keys_of_other_lengths():
    for words, key in (
        ([7], fastdrop.Key(7)),
        ([1, 2, 3], of_words([1, 2, 3, 0])),
        # Those behind the fourth are folded.
        ([1, 2, 3, 4, 9, 12], of_words([1 ^ 9, 2 ^ 12, 3, 4])),
    ):
        found = drop(X, rng=jnp.array(words, jnp.uint32))
        assert equal(found, fastdrop.dropout(X, 0.3, rng=key))


@pytest.mark.parametrize(
    ("rng", "error", "match"),
    [
        (None, TypeError, "but got NoneType"),
        (1.5, TypeError, "but got float"),
        (True, TypeError, "but got bool"),
        (fastdrop.Generator(1), TypeError, r"reserve\(n\) gives a Key"),
        (np.random.default_rng(1), TypeError, "but got"),
        (-1, ValueError, "between 0 and"),
        (2**64, ValueError, "between 0 and"),
        (np.arange(2), TypeError, "of dtype int64 and shape"),
        (np.zeros(0, np.uint32), TypeError, "shape \\(0,\\)"),
        (np.zeros((2, 2), np.uint32), TypeError, "shape \\(2, 2\\)"),
        (KEYS, ValueError, "one key, but got keys of shape \\(2,\\): vmap them"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_key(rng, error, match):
    with pytest.raises(error, match=match):
        drop(X, rng=rng)
    assert drop(jnp.asarray(X), training=False, rng=None).shape == X.shape


def test_a_key_that_is_an_argument_is_compiled_once():
    traced = []

    @jax.jit
    def f(key):
        traced.append(1)
        return drop(X, rng=key)

    for seed in (1, 2):
        assert equal(f(jax.random.key(seed)), fastdrop.dropout(X, 0.3, rng=seed))
    assert len(traced) == 1


def test_keys_of_different_offsets_are_one_programme():
    """The numbers of a `Key` are arguments of what is compiled, and no part of it."""
    from fastdrop.jax import _primitive

    drop(X, rng=1)
    before = _primitive._compiled.cache_info().misses
    for seed in range(2, 6):
        drop(X, rng=fastdrop.Key(seed, seed, seed))
    assert _primitive._compiled.cache_info().misses == before


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (1,) * 20, (2,) * 12], ids=str)
@pytest.mark.parametrize("name", ["dropout", "gaussian_noise", "dropout_add", "bias_act_dropout"])
def test_shapes(name, shape):
    x = np.ones(shape, np.float32)
    rest = {"dropout_add": (x,), "bias_act_dropout": (None, "gelu")}.get(name, ())
    wanted = getattr(fastdrop, name)(x, *rest, 0.3, rng=KEY)
    f = lambda x: getattr(fj, name)(x, *rest, 0.3, rng=KEY)  # noqa: E731
    assert equal(f(x), wanted)
    assert equal(jax.jit(f)(x), wanted)
    assert jax.grad(lambda x: f(x).sum())(jnp.asarray(x)).shape == shape
    assert jax.vmap(f)(jnp.ones((2, *shape))).shape == (2, *shape)
    assert jax.vmap(f)(jnp.ones((0, *shape))).shape == (0, *shape)


def test_no_features():
    x, bias = jnp.ones((3, 0)), jnp.ones(0)
    assert fj.bias_act_dropout(x, bias, "relu", rng=1).shape == (3, 0)
    assert jax.grad(lambda b: fj.bias_act_dropout(x, b, "relu", rng=1).sum())(bias).shape == (0,)


def test_many_elements():
    x = np.ones(2**24 + 3, np.float32)
    assert equal(drop(x), fastdrop.dropout(x, 0.3, rng=KEY))
    long = np.linspace(-1, 1, 10_000, dtype=np.float32)  # a bias that is longer than a chunk
    x = np.ones((7, 10_000), np.float32)
    wanted = fastdrop.bias_act_dropout(x, long, "silu", 0.3, rng=KEY)
    assert equal(fj.bias_act_dropout(x, long, "silu", 0.3, rng=KEY), wanted)


def test_doubles():
    x = X.astype(np.float64)
    assert equal(drop(x), fastdrop.dropout(X, 0.3, rng=KEY))  # JAX's float32
    with enough_bits(np.float64):
        assert equal(drop(x), fastdrop.dropout(x, 0.3, rng=KEY))
        p = 0.1 + 1e-12  # is no float32
        traced = jax.jit(lambda p: drop(x, p))(jnp.float64(p))
        assert equal(traced, fastdrop.dropout(x, p, rng=KEY))
        window = jax.jit(lambda i: drop(x[3:], window=((2**33, 70), (i, 0))))(jnp.int64(2**32))
        wanted = fastdrop.dropout(x[3:], 0.3, rng=KEY, window=((2**33, 70), (2**32, 0)))
        assert equal(window, wanted)
        assert jax.grad(lambda x: drop(x).sum())(jnp.asarray(x)).dtype == np.float64


def test_threads():
    f = jax.jit(lambda key: drop(X, rng=key))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda seed: np.asarray(f(jax.random.key(seed))), range(24)))
    assert all(equal(y, fastdrop.dropout(X, 0.3, rng=seed)) for seed, y in enumerate(found))


def test_windows_that_do_not_fit():
    for start in ((-1, 0), (31, 0), (0, 1)):
        with pytest.raises(ValueError, match="window has to"):
            drop(X[3:], window=(X.shape, start))
        f = jax.jit(lambda i, j: drop(X[3:], window=(X.shape, (i, j))))
        with pytest.raises(Exception, match="window has to lie within its shape"):
            jax.block_until_ready(f(*start))
    for window in (3, (X.shape,), (X.shape, (0,)), ((3,), (0,)), (X.shape, (0.5, 0))):
        with pytest.raises((TypeError, ValueError), match="window has to"):
            drop(X, window=window)
    for n in (jnp.float32(1.5), jnp.bool_(True), jnp.arange(2)):
        f = lambda n: drop(X[3:], window=(X.shape, (n, 0)))  # noqa: E731
        for call in (f, jax.jit(f)):
            with pytest.raises(TypeError, match="window has to begin at integers"):
                call(n)
    with pytest.raises(OverflowError, match="without jax_enable_x64"):
        drop(X, window=((2**33, 70), (2**32, 0)))


def calls(text):
    return [line for line in text.splitlines() if 'custom_call_target="fastdrop"' in line]


@pytest.mark.parametrize("donated", [True, False])
@pytest.mark.parametrize("first", [lambda x: x, jnp.exp], ids=["argument", "intermediate"])
def test_in_place(first, donated):
    """An intermediate result, or a donated argument, is overwritten; an argument is not."""
    f = jax.jit(lambda x: drop(first(x)), donate_argnums=(0,) if donated else ())
    x = jnp.array(X)  # a copy: JAX cannot give away memory that is NumPy's
    wanted = fastdrop.dropout(np.asarray(jax.jit(first)(x)), 0.3, rng=KEY)
    text = f.lower(x).compile().as_text()
    (call,) = calls(text)
    assert ("output_to_operand_aliasing={{}: (1, {})}" in call) == (donated or first is jnp.exp)
    assert ("input_output_alias" in text.splitlines()[0]) == donated
    assert " copy(" not in text or first is jnp.exp  # whose loop may write where x was
    address = x.unsafe_buffer_pointer()
    y = f(x)
    assert (y.unsafe_buffer_pointer() == address) == donated
    assert x.is_deleted() == donated
    assert equal(y, wanted)
    assert donated or equal(x, X)


def test_what_is_needed_elsewhere_is_kept():
    @jax.jit
    def f(x):
        h = jnp.exp(x)
        return h, drop(h), drop(h, rng=2)

    wanted = np.asarray(jax.jit(jnp.exp)(X))
    drops = (fastdrop.dropout(wanted, 0.3, rng=rng) for rng in (KEY, 2))
    assert all(map(equal, f(X), (wanted, *drops)))
    carried, _ = jax.lax.scan(
        lambda c, key: (drop(c, rng=key), c), X, jnp.arange(6).reshape(3, 2).astype(jnp.uint32)
    )
    assert np.isfinite(carried).all()


def test_nothing_is_kept_for_the_gradient():
    """The residuals of a gradient are the key's words: no mask, and no x."""
    x = jnp.asarray(X)
    _, pullback = jax.vjp(lambda x: drop(x, rng=jax.random.key(1)), x)
    kept = [leaf for leaf in jax.tree.leaves(pullback) if hasattr(leaf, "nbytes")]
    assert sum(leaf.nbytes for leaf in kept) <= 64


def structure(*fields):
    return type(
        "Structure", (ctypes.Structure,), {"_fields_": (("size", ctypes.c_size_t), *fields)}
    )


VERSION = structure(("next", ctypes.c_void_p), ("major", ctypes.c_int), ("minor", ctypes.c_int))
METADATA = ctypes.POINTER(structure(("version", VERSION), ("traits", ctypes.c_uint32)))
EXTENSION = structure(("kind", ctypes.c_int), ("next", ctypes.c_void_p), ("metadata", METADATA))
FRAME = structure(("extension", ctypes.POINTER(EXTENSION)))


@pytest.mark.parametrize("version", [(0, 0), (0, 99), (1, 0)])
def test_a_version_that_xla_refuses(version):
    asked = []

    @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(FRAME))
    def handler(frame):
        found = frame[0].extension[0].metadata[0]
        found.version.major, found.version.minor = version
        asked.append(version)

    wanted = rf"jaxlib {jax.lib.__version__} refuses fastdrop's handler, which fits versions 0\.1"
    with pytest.raises(ImportError, match=wanted) as found:
        _registration.add_handler(f"fastdrop_of_{version[0]}_{version[1]}", handler)
    assert asked
    assert "those of jaxlib 0.5 to 0.12" in str(found.value)
    assert str(found.value.__cause__) in str(found.value)
    # The backend lives, and registering twice is harmless.
    _registration.register.__wrapped__()
    assert equal(drop(X), fastdrop.dropout(X, 0.3, rng=KEY))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_devices_are_refused(platform, export):
    f = jax.jit(drop)
    words = f"computes on CPUs, but .* compiled for {platform}"
    with pytest.raises(NotImplementedError, match=words):
        export.export(f, platforms=[platform])(X)
    evaluated = jax.jit(lambda x: drop(x, training=False))
    export.export(evaluated, platforms=[platform])(X)


def test_an_exported_programme(export):
    """JAX's list of targets that stay what they are does not have fastdrop's: it has to be told."""
    f = jax.jit(drop)
    with pytest.raises(ValueError, match="fastdrop"):
        export.export(f)(X)
    told = [export.DisabledSafetyCheck.custom_call("fastdrop")]
    exported = export.export(f, disabled_checks=told)(X)
    assert equal(exported.call(X), fastdrop.dropout(X, 0.3, rng=KEY))


def test_a_programme_that_was_compiled_elsewhere(tmp_path):
    """A process that calls no function of `fastdrop.jax` has the handler by `register` alone."""
    from jax.experimental import serialize_executable

    compiled = jax.jit(drop).lower(X).compile()
    programme, result = tmp_path / "programme", tmp_path / "y.npy"
    programme.write_bytes(pickle.dumps(serialize_executable.serialize(compiled)))
    np.save(tmp_path / "x.npy", X)
    code = f"""
        import pickle
        from pathlib import Path
        import numpy
        from jax.experimental import serialize_executable
        import fastdrop.jax
        fastdrop.jax.register()
        parts = pickle.loads(Path({str(programme)!r}).read_bytes())
        compiled = serialize_executable.deserialize_and_load(*parts)
        numpy.save({str(result)!r}, compiled(numpy.load({str(tmp_path / "x.npy")!r})))
    """
    output(code)
    assert equal(np.load(result), fastdrop.dropout(X, 0.3, rng=KEY))
    failed = run(code.replace("fastdrop.jax.register()", "pass"))
    assert failed.returncode != 0
    assert "fastdrop" in failed.stderr.splitlines()[-1]


def test_unknown_lengths(export):
    """Without a draw they are no matter: a network in evaluation is exported for every batch."""
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("n, 70"), np.float32)
    evaluated = export.export(jax.jit(lambda x: drop(x, training=False)))(shape)
    assert equal(evaluated.call(X), X)
    words = r"known lengths alone, but x has shape \(n, 70\)"
    for call in (drop, lambda x: fj.dropout_add(x, x, training=False, rng=None)):
        with pytest.raises(NotImplementedError, match=words):
            export.export(jax.jit(call))(shape)


def test_nothing_is_imported_that_is_not_asked_for():
    code = 'import sys, fastdrop.jax; print("jax" in sys.modules, "flax" in sys.modules)'
    assert output(code) == "True False"
