"""The layers for Flax, side by side with Flax's own."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from on_jax import equal, fj, jax, jnp

pytest.importorskip("flax", reason="Flax is not installed")

import flax.linen as nn
from flax import nnx

import fastdrop.flax as ff

X = jnp.asarray(np.random.default_rng(0).standard_normal((6, 5, 40)), jnp.float32)
IDS = ["theirs", "ours"]
BOTH = pytest.mark.parametrize("layer", [nnx.Dropout, ff.nnx.Dropout], ids=IDS)
BOTH_LINEN = pytest.mark.parametrize("layer", [nn.Dropout, ff.linen.Dropout], ids=IDS)


class Draws:
    """What the layers draw with: keys in the order in which they are asked for."""

    def __init__(self, monkeypatch):
        self.theirs, self.ours = [], []
        bernoulli, dropout = jax.random.bernoulli, fj.dropout

        def their_draw(key, *rest, **more):
            self.theirs.append(np.asarray(jax.random.key_data(key)))
            return bernoulli(key, *rest, **more)

        def our_draw(x, p, *, rng, **more):
            self.ours.append(np.asarray(jax.random.key_data(rng)))
            return dropout(x, p, rng=rng, **more)

        monkeypatch.setattr("jax.random.bernoulli", their_draw)
        monkeypatch.setattr("fastdrop.flax._draw.dropout", our_draw)

    def are_the_same(self):
        return len(self.ours) > 0 and np.array_equal(self.ours, self.theirs)


def test_arguments_are_flaxs():
    for ours, theirs in ((ff.nnx.Dropout, nnx.Dropout), (ff.linen.Dropout, nn.Dropout)):
        assert issubclass(ours, theirs)
        for method in ("__init__", "__call__"):
            found, wanted = (
                [(p.name, p.default, p.kind) for p in inspect.signature(call).parameters.values()]
                for call in (getattr(ours, method), getattr(theirs, method))
            )
            assert found == wanted


def test_nnx_takes_the_keys_that_flax_takes(monkeypatch):
    draws = Draws(monkeypatch)
    for layer in (nnx.Dropout, ff.nnx.Dropout):
        rngs = nnx.Rngs(3, dropout=4, other=5)
        layers = [layer(0.5, rngs=rngs), layer(0.5, rngs=rngs, rng_collection="other")]
        layers += [layer(0.5, rngs=rngs["dropout"]), layer(0.5), layer(0.5, deterministic=None)]
        for module in layers[:3] * 2:
            module(X)
        layers[3](X, rngs=rngs)
        layers[3](X, rngs=rngs["other"])
        layers[3](X, rngs=jax.random.key(9))
        layers[3](X, rngs=jax.random.PRNGKey(9))
        layers[4](X, rngs=rngs, deterministic=False)
        counts = [int(rngs[name].count[...]) for name in ("dropout", "other")]
        # What draws nothing moves nothing on.
        layers[0](X, deterministic=True)
        layers.append(layer(0.0, rngs=rngs))
        layers[5](X)
        assert [int(layers[i].rngs.count[...]) for i in (0, 1, 2, 5)] == [2, 2, 2, 0]
        draws.counts = getattr(draws, "counts", counts)
        assert draws.counts == counts
    assert draws.are_the_same()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_nnx_is_dropout_with_that_key(dtype):
    """Of special numbers, too."""
    x = X.astype(dtype).at[0].set(jnp.nan).at[1].set(-0.0).at[2].set(jnp.inf)
    layer = ff.nnx.Dropout(0.3, rngs=nnx.Rngs(dropout=7))
    key = nnx.clone(layer).rngs()
    y = layer(x)
    assert equal(y, fj.dropout(x, 0.3, rng=key))
    assert not equal(layer(x), y)


@BOTH
@pytest.mark.parametrize("dims", [(), (0,), (-1,), (0, 2), [1], (0, 1, 2)], ids=str)
def test_nnx_shares_along_broadcast_dims(layer, dims):
    ones = jnp.ones((40, 50, 6))
    y = layer(0.5, broadcast_dims=dims, rngs=nnx.Rngs(0))(ones)
    assert y.shape == ones.shape
    assert set(np.unique(y)) <= {0.0, 2.0}
    for axis in range(3):
        varies = bool((y != jnp.flip(y, axis)).any())
        shared = axis in [d % 3 for d in dims]
        assert not (varies and shared)
        if len(dims) < 3:
            assert varies != shared
    with pytest.raises(IndexError):
        layer(0.5, broadcast_dims=(3,), rngs=nnx.Rngs(0))(ones)


@BOTH
def test_nnx_without_a_draw(layer):
    module = layer(0.5, rngs=nnx.Rngs(0))
    module.eval()
    assert module(X) is X
    module.train()
    assert module(X) is not X
    assert nnx.view(module, deterministic=True)(X) is X
    assert layer(0.0)(X) is X
    assert layer(0.5)(X, deterministic=True) is X
    assert equal(layer(1.0)(X), np.zeros_like(X))
    assert equal(layer(0.5, deterministic=True)(jnp.arange(3)), np.arange(3, dtype=np.int32))


@BOTH
def test_nnx_errors_are_flaxs(layer):
    for error, words, call in (
        (ValueError, "No `deterministic` argument was provided", layer(0.5, deterministic=None)),
        (ValueError, "no `rngs` argument was provided", layer(0.5)),
        (TypeError, "rngs must be a Rngs, RngStream or jax", lambda x: layer(0.5)(x, rngs=3)),
        (TypeError, "rngs must be a Rngs, RngStream or None", lambda _: layer(0.5, rngs=3)),
        (TypeError, ".", lambda _: layer(0.5, rngs=nnx.Rngs(0))(jnp.arange(3))),
        (TypeError, ".", lambda x: layer(0.5)(x, True)),
    ):
        with pytest.raises(error, match=words):
            call(X)


def test_rates_are_checked():
    with pytest.raises(ValueError, match="between 0 and 1"):
        ff.nnx.Dropout(1.5, rngs=nnx.Rngs(0))(X)
    with pytest.raises(ValueError, match="between 0 and 1"):
        ff.linen.Dropout(-0.5, deterministic=False).apply({}, X, rng=jax.random.key(0))


@BOTH
def test_nnx_jit_vmap_and_split_rngs(layer):
    module = layer(0.5, rngs=nnx.Rngs(0))
    run = nnx.jit(lambda module, x: module(x))
    plain = layer(0.5, rngs=nnx.Rngs(0))
    for _ in range(3):
        assert equal(run(module, X), plain(X))
    assert int(module.rngs.count[...]) == 3

    @nnx.split_rngs(splits=6)
    @nnx.vmap(in_axes=(nnx.StateAxes({nnx.RngState: 0, ...: None}), 0))
    def each(module, x):
        return module(x)

    @nnx.vmap(in_axes=(nnx.StateAxes({...: None}), 0))
    def one(module, x):
        return module(x, rngs=jax.random.key(1))

    ones = jnp.ones((6, 100))
    for function, masks in ((each, 6), (one, 1)):
        assert len(np.unique(function(module, ones), axis=0)) == masks
    gradient = nnx.grad(lambda module, x: (module(x) * 3).sum(), argnums=1)(module, X)
    assert 0.4 < (gradient != 0).mean() < 0.6
    assert set(np.unique(gradient)) == {0.0, 6.0}


def test_an_nnx_layer_is_split_and_merged():
    layer = ff.nnx.Dropout(0.3, rngs=nnx.Rngs(0))
    again = nnx.merge(*nnx.split(nnx.clone(layer)))
    assert type(again) is ff.nnx.Dropout
    assert equal(again(X), layer(X))


class Block(nn.Module):
    layer: type
    dims: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x, train=True, rng=None):
        x = self.layer(0.5, broadcast_dims=self.dims)(x, deterministic=not train, rng=rng)
        return self.layer(0.25, deterministic=not train)(x)


def test_linen_takes_the_keys_that_flax_takes(monkeypatch):
    draws = Draws(monkeypatch)
    for layer in (nn.Dropout, ff.linen.Dropout):
        for key in (jax.random.key(1), jax.random.PRNGKey(2)):
            block = Block(layer)
            assert block.init({"params": key, "dropout": key}, X) == {}
            block.apply({}, X, rngs={"dropout": key})
            block.apply({}, X, rng=key, rngs={"dropout": key})
    assert draws.are_the_same()


def test_linen_is_dropout_with_that_key():
    key = jax.random.key(5)
    layer = ff.linen.Dropout(0.3, deterministic=False)
    assert equal(layer.apply({}, X, rng=key), fj.dropout(X, 0.3, rng=key))
    shared = ff.linen.Dropout(0.3, broadcast_dims=(1,), deterministic=False)
    wanted = fj.dropout(X, 0.3, rng=key, noise_shape=(6, 1, 40))
    assert equal(shared.apply({}, X, rng=key), wanted)


@BOTH_LINEN
def test_linen_without_a_draw_and_errors(layer):
    assert layer(0.5, deterministic=True).apply({}, X) is X
    assert layer(0.5).apply({}, X, True) is X
    assert layer(0.0, deterministic=False).apply({}, X) is X
    assert equal(layer(1.0, deterministic=False).apply({}, X), np.zeros_like(X))
    with pytest.raises(ValueError, match="deterministic"):
        layer(0.5).apply({}, X)
    with pytest.raises(ValueError, match="deterministic"):
        layer(0.5, deterministic=True).apply({}, X, True)
    with pytest.raises(Exception, match="dropout") as found:
        layer(0.5, deterministic=False).apply({}, X)
    assert type(found.value).__name__ == "InvalidRngError"
    with pytest.raises(IndexError):
        layer(0.5, (3,), False).apply({}, X, rng=jax.random.key(0))


@BOTH_LINEN
def test_linen_jit_gradient_scan_and_remat(layer):
    key = {"dropout": jax.random.key(1)}
    block = Block(layer, (0,))
    f = lambda x: block.apply({}, x, rngs=key)  # noqa: E731
    assert equal(jax.jit(f)(X), f(X))
    g = jax.grad(lambda x: f(x).sum())(X)
    assert equal(jax.grad(lambda x: jax.checkpoint(f)(x).sum())(X), g)
    np.testing.assert_allclose(f(X), g * X, rtol=1e-6)
    assert not equal(block.apply({}, X, rngs={"dropout": jax.random.key(2)}), f(X))

    class Scanned(nn.Module):
        @nn.compact
        def __call__(self, x):
            step = lambda module, carry, x: (carry, module(x, deterministic=False))  # noqa: E731
            over = nn.scan(step, split_rngs={"dropout": True}, in_axes=0, out_axes=0)
            return over(layer(0.5), (), x)[1]

    y = np.asarray(Scanned().apply({}, jnp.ones((6, 100)), rngs=key))
    assert len(np.unique(y, axis=0)) == 6
