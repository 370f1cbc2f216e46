"""`fastdrop.jax.dropout`: NumPy's bits, under every transformation."""

import numpy as np
import pytest

import fastdrop

jax = pytest.importorskip("jax", reason="JAX is not installed")
fj = pytest.importorskip("fastdrop.jax", reason="no compiled module", exc_type=ImportError)
jnp = jax.numpy

KEY = fastdrop.Key(5, 6, 12345)
X = np.random.default_rng(0).standard_normal((33, 70), np.float32)


def expected(x, p=0.3, **more):
    return fastdrop.dropout(np.asarray(x), p, rng=KEY, **more)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bits(dtype, p):
    x = jnp.asarray(X, dtype)
    for f in (fj.dropout, jax.jit(fj.dropout, static_argnames=("p", "training", "rng"))):
        y = f(x, p=p, rng=KEY)
        assert y.dtype == x.dtype
        assert (np.asarray(y) == expected(x, p)).all()


def test_keys():
    for key in (jax.random.key(42), jax.random.PRNGKey(42)):
        assert (np.asarray(fj.dropout(X, 0.3, rng=key)) == fastdrop.dropout(X, 0.3, rng=42)).all()
    rbg = fj.dropout(X, 0.3, rng=jax.random.key(42, impl="rbg"))
    assert (np.asarray(rbg) == fastdrop.dropout(X, 0.3, rng=fastdrop.Key(42, 42))).all()


def test_derivatives():
    mask = expected(np.ones_like(X))
    f = lambda x: fj.dropout(x, 0.3, rng=KEY)  # noqa: E731
    x = jnp.asarray(X)
    assert (jax.grad(lambda x: f(x).sum())(x) == mask).all()
    assert (jax.grad(lambda x: jax.checkpoint(f)(x).sum())(x) == mask).all()
    assert (jax.jvp(f, (x,), (jnp.ones_like(x),))[1] == mask).all()
    second = jax.grad(lambda x: jax.grad(lambda x: (f(x) ** 2).sum())(x).sum())(x)
    np.testing.assert_allclose(second, 2 * mask * mask, rtol=1e-6)


def test_vmap_and_scan():
    keys = jax.random.split(jax.random.key(1), 4)
    y = jax.vmap(lambda key: fj.dropout(X, 0.3, rng=key))(keys)
    _, z = jax.lax.scan(lambda c, key: (c, fj.dropout(X, 0.3, rng=key)), 0, keys)
    for i in range(4):
        alone = fj.dropout(X, 0.3, rng=keys[i])
        assert (y[i] == alone).all()
        assert (z[i] == alone).all()
    rows = jax.vmap(lambda x: fj.dropout(x, 0.3, rng=keys[0]))(jnp.asarray(X))
    assert all((rows[i] == fj.dropout(X[i], 0.3, rng=keys[0])).all() for i in range(len(X)))


def test_traced_p_noise_shape_and_window():
    assert (
        np.asarray(jax.jit(lambda p: fj.dropout(X, p, rng=KEY))(0.25)) == expected(X, 0.25)
    ).all()
    shared = {"noise_shape": (33, 1)}
    assert (np.asarray(fj.dropout(X, 0.3, rng=KEY, **shared)) == expected(X, **shared)).all()
    part = X[3:20, 5:40]
    for more in ({}, shared, {"noise_shape": (1, 70)}):
        f = lambda x, i, more=more: fj.dropout(x, 0.3, rng=KEY, window=(X.shape, (i, 5)), **more)  # noqa: E731
        for y in (f(part, 3), jax.jit(f)(part, 3)):
            assert (np.asarray(y) == expected(X, **more)[3:20, 5:40]).all()


def test_errors():
    with pytest.raises(ValueError, match="between 0 and 1"):
        fj.dropout(X, 1.5, rng=1)
    with pytest.raises(TypeError, match="rng has to be a key of JAX"):
        fj.dropout(X, 0.5, rng=None)
    with pytest.raises(TypeError, match="int32"):
        fj.dropout(jnp.arange(3), 0.5, rng=1)
    with pytest.raises(Exception, match="traced p is not"):
        jax.jit(lambda p: fj.dropout(X, p, rng=1))(1.5).block_until_ready()
