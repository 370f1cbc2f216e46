"""Arrays over four devices, in a process of its own: what `test_jax_shards.py` runs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from forms import reshaped
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from on_jax import FIRST, KEY, equal, fj, in_jax, in_numpy

import fastdrop

P = PartitionSpec
X = np.random.default_rng(0).standard_normal((8, 12, 6)).astype(np.float32)
DROPPED = fastdrop.dropout(X, 0.3, rng=KEY)
MESH = Mesh(np.array(jax.devices()).reshape(2, 2), ("a", "b"))
SPECS = (P("a"), P("a", "b"), P("b", None, "a"), P(None, ("a", "b")), P())


def starts(shape: tuple[int, ...], names: tuple[str | None, ...]) -> tuple[object, ...]:
    """Where a device's part begins, whose axes are cut over those of the mesh."""
    return tuple(
        0 if name is None else jax.lax.axis_index(name) * n
        for n, name in zip(shape, names, strict=True)
    )


def shard_map() -> None:
    """All of the family: windows of one array, bit for bit, and nothing is gathered."""
    for case in FIRST:
        whole = (2 * case.shape[0], *case.shape[1:])
        operands = reshaped(case, whole).operands()
        specs = {name: P("a") if x.shape == whole else P() for name, x in operands.items()}

        def part(operands, case=case, whole=whole):
            x = operands[next(iter(case.shapes))]
            start = starts(x.shape, ("a", *[None] * (x.ndim - 1)))
            return in_jax(case, operands, rng=KEY, window=(whole, start))

        mapped = jax.shard_map(part, mesh=MESH, in_specs=(specs,), out_specs=P("a"))
        compiled = jax.jit(mapped)
        assert equal(compiled(operands), in_numpy(case, operands, rng=KEY)), case
        text = compiled.lower(operands).compile().as_text()
        assert "fastdrop" in text
        assert "all-gather" not in text
        loss = lambda operands, f=mapped: (f(operands) ** 2).sum()  # noqa: E731
        alone = lambda operands, case=case: (in_jax(case, operands, rng=KEY) ** 2).sum()  # noqa: E731
        found, wanted = (jax.jit(jax.grad(f))(operands) for f in (loss, alone))
        for name in operands:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-5)


def shard_map_of_two_axes() -> None:
    def part(x):
        return fj.dropout(x, 0.3, rng=KEY, window=(X.shape, starts(x.shape, ("a", "b", None))))

    f = jax.jit(jax.shard_map(part, mesh=MESH, in_specs=P("a", "b"), out_specs=P("a", "b")))
    assert equal(f(X), DROPPED)
    assert equal(jax.jit(jax.grad(lambda x: (f(x) * X).sum()))(X), DROPPED)
    assert equal(jax.jvp(f, (X,), (X,))[1], DROPPED)


def keys_of_shards() -> None:
    """Without a window each device draws by the key that it is given."""
    keys = jax.random.split(jax.random.key(3), 4)

    def part(x, key):
        return fj.dropout(x, 0.3, rng=key[0])

    both = P(("a", "b"))
    f = jax.jit(jax.shard_map(part, mesh=MESH, in_specs=(both, both), out_specs=both))
    parts = zip(np.split(X, 4), np.split(f(X, keys), 4), keys, strict=True)
    assert all(equal(y, fj.dropout(x, 0.3, rng=key)) for x, y, key in parts)


def jit_of_shards() -> None:
    """Compiled for arrays in parts, the handler is not cut: each part would begin at position 0."""
    f = lambda x: fj.dropout(x, 0.3, rng=KEY)  # noqa: E731
    gradient = jax.grad(lambda x: (f(x) * X).sum())
    for spec in SPECS:
        x = jax.device_put(X, NamedSharding(MESH, spec))
        for call in (f, jax.jit(f), jax.jit(f, out_shardings=x.sharding)):
            assert equal(call(x), DROPPED), spec
        assert equal(jax.jit(lambda x: 2 * f(2 * x))(x), 4 * DROPPED), spec
        assert equal(jax.jit(gradient)(x), DROPPED), spec
        assert equal(jax.vmap(f)(x), jax.vmap(f)(X)), spec


def typed_shardings() -> None:
    """Where shardings are part of types, a result has its operand's."""
    from jax.sharding import AxisType

    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
    bias = np.linspace(-1, 1, 6, dtype=np.float32)
    with jax.set_mesh(mesh):
        x = jax.device_put(X, NamedSharding(mesh, P("a", "b")))
        f = lambda x: fj.dropout(x, 0.3, rng=KEY)  # noqa: E731
        for call in (f, jax.jit(f)):
            y = call(x)
            assert jax.typeof(y) == jax.typeof(x)
            assert equal(y, DROPPED)
        assert equal(jax.jit(jax.grad(lambda x: (f(x) * X).sum()))(x), DROPPED)
        g = lambda x, bias: fj.bias_act_dropout(x, bias, "gelu", 0.3, rng=KEY).sum()  # noqa: E731
        found = jax.grad(g, (0, 1))(x, jnp.asarray(bias))
    alone = jax.grad(g, (0, 1))(jnp.asarray(X), jnp.asarray(bias))
    for value, other in zip(found, alone, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5)
