"""The element-wise family in JAX: NumPy's bits, for all of them, under every transformation."""

from __future__ import annotations

import functools
import inspect

import cases
import numpy as np
import pytest
from forms import inner, part, window_of, with_acts
from formulas import mixed
from on_jax import CASES, DTYPES, FIRST, KEY, enough_bits, equal, fj, in_jax, in_numpy, jax, jnp

import fastdrop
from fastdrop.variants import VARIANTS


def arrays(case, dtype="float32", special=False):
    operands = case.operands(np.float32, special).items()
    return {name: jnp.asarray(x, dtype) for name, x in operands}


def test_all_that_are_declared_to_be_here_are():
    names = {v.function for v in VARIANTS if v.layer and "jax" in v.faces}
    assert set(fj.__all__) == names | {"dropout_mask", "register"}
    for name in (*names, "dropout_mask"):
        ours = list(inspect.signature(getattr(fj, name)).parameters)
        theirs = list(inspect.signature(getattr(fastdrop, name)).parameters)
        assert ours == [argument for argument in theirs if argument not in ("out", "packed")]


ROWS = [(case, "float32") for case in CASES]
ROWS += [(case, dtype) for case in FIRST for dtype in DTYPES if dtype != "float32"]


@pytest.mark.parametrize(("case", "dtype"), ROWS, ids=str)
def test_bits(case, dtype):
    """Compiled, an intermediate result is overwritten, and no operand."""
    with enough_bits(dtype):
        operands = arrays(case, dtype, special=True)
        minus = {name: -x for name, x in operands.items()}
        before = {name: np.array(x) for name, x in minus.items()}
        for p in case.rates:
            wanted = in_numpy(case, operands, p, rng=KEY)
            assert equal(in_jax(case, operands, p, rng=KEY), wanted)
            compiled = jax.jit(
                lambda x, p=p: in_jax(case, jax.tree.map(jnp.negative, x), p, rng=KEY)
            )
            assert equal(compiled(minus), wanted)
            evaluated = in_jax(case, operands, p, training=False, rng=None)
            assert equal(evaluated, in_numpy(case, operands, p, training=False))
            assert (evaluated is next(iter(operands.values()))) == (case.evaluated is None)
        assert all(equal(minus[name], x) for name, x in before.items())


@cases.parametrize(CASES)
def test_windows(case):
    cut, operands = inner(case.shape), arrays(case)
    whole, start = window_of(case.shape, cut)
    wanted = in_numpy(case, operands, rng=KEY)[cut]
    call = lambda parts, start: in_jax(case, parts, rng=KEY, window=(whole, start))  # noqa: E731
    for function in (call, jax.jit(call)):
        assert equal(function(part(operands, cut), start), wanted)


@pytest.mark.parametrize("training", [True, False])
@cases.parametrize([form for case in CASES for form in with_acts(case)])
def test_gradients_are_those_of_the_declarations(case, training):
    """To the bit, but for a bias', a sum that is XLA's."""
    operands = arrays(case)
    dy = jnp.asarray(np.random.default_rng(3).standard_normal(case.shape), jnp.float32)
    plain = {name: np.asarray(x) for name, x in operands.items()}
    wanted = case.gradients(plain, np.asarray(dy), 0.4, rng=KEY, training=training)
    for transform in (lambda f: f, jax.checkpoint, jax.jit):
        f = transform(lambda operands: in_jax(case, operands, rng=KEY, training=training))
        (found,) = jax.vjp(f, operands)[1](dy)
        for name, gradient in zip(case.shapes, wanted, strict=True):
            if name == "bias":
                np.testing.assert_allclose(found[name], gradient, rtol=1e-5, atol=3e-4)
            else:
                assert equal(found[name], gradient), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", FIRST, ids=str)
def test_forward_mode_is_reverse_mode(case, training):
    """The Jacobian is diagonal: a tangent of ones gives what a cotangent of ones gives."""
    operands = arrays(case)
    first, x = next(iter(operands.items()))
    call = functools.partial(in_jax, case, rng=KEY, training=training)
    f = lambda x: call({**operands, first: x})  # noqa: E731
    along = lambda g: jax.jvp(g, (x,), (jnp.ones_like(x),))[1]  # noqa: E731
    tangent = along(f)
    assert equal(tangent, jax.grad(lambda x: f(x).sum())(x))
    # A third derivative, forward over reverse over reverse.
    cube = lambda x: (f(x) ** 3).sum()  # noqa: E731
    third = along(jax.grad(lambda x: jax.grad(cube)(x).sum()))
    np.testing.assert_allclose(third, 6 * tangent**3, rtol=1e-5)


ACTS = {
    "none": lambda z: z,
    "relu": jax.nn.relu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "gelu_tanh": lambda z: jax.nn.gelu(z, approximate=True),
    "silu": jax.nn.silu,
}


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("act", ACTS)
def test_derivatives_of_activations(act, training, biased):
    """Against JAX's own, of the same formula with the mask that is drawn."""
    source = np.random.default_rng(4)
    x, bias = (jnp.asarray(source.standard_normal(s), jnp.float32) for s in ((7, 5), (5,)))
    kept = fj.dropout(jnp.ones_like(x), 0.4, rng=KEY) if training else jnp.ones_like(x)

    def ours(x, bias):
        return fj.bias_act_dropout(x, bias if biased else None, act, 0.4, training, rng=KEY)

    def theirs(x, bias):
        return kept * ACTS[act](x + bias if biased else x)

    def derivatives(f):
        first = jax.grad(lambda x, bias: (f(x, bias) ** 2).sum(), (0, 1))
        second = jax.grad(lambda x, bias: sum((g**2).sum() for g in first(x, bias)), (0, 1))
        third = jax.grad(lambda x, bias: sum(g.sum() for g in second(x, bias)), (0, 1))
        forward = jax.jvp(f, (x, bias), (jnp.cos(x), jnp.sin(bias)))
        return f(x, bias), first(x, bias), second(x, bias), third(x, bias), forward

    def curved(f):
        """With a constant for what comes back."""
        return jax.grad(lambda x: jax.grad(lambda x: f(x, bias).sum())(x).sum())(x)

    close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-4)
    jax.tree.map(close, derivatives(ours), derivatives(theirs))
    np.testing.assert_allclose(curved(ours), curved(theirs), rtol=1e-4, atol=1e-5)
    # In what comes back alone.
    _, pullback = jax.vjp(ours, x, bias)
    _, along = jax.jvp(pullback, (jnp.cos(x),), (jnp.sin(x),))
    jax.tree.map(functools.partial(close, rtol=1e-6, atol=0), along, pullback(jnp.sin(x)))


@cases.parametrize([case for case in FIRST if len(case.shapes) > 1])
def test_derivatives_in_some_operands_alone(case):
    """What is not differentiated in changes nothing."""
    operands = arrays(case)
    every = jax.grad(lambda operands: in_jax(case, operands, rng=KEY).sum())(operands)
    for name, x in operands.items():
        one = lambda v, name=name: in_jax(case, {**operands, name: v}, rng=KEY)  # noqa: E731
        assert equal(jax.grad(lambda v, one=one: one(v).sum())(x), every[name])
        _, tangent = jax.jvp(one, (x,), (jnp.ones_like(x),))
        np.testing.assert_allclose(tangent.sum(), every[name].sum(), rtol=1e-4)


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_keys_and_rates_have_no_gradient(case):
    operands = arrays(case)
    words = jnp.arange(2, dtype=jnp.uint32)
    nothing = np.zeros(2, jax.dtypes.float0)
    f = lambda words: in_jax(case, operands, rng=words)  # noqa: E731
    y, tangent = jax.jvp(f, (words,), (nothing,))
    assert equal(y, f(words))
    assert not np.asarray(tangent).any()
    if fj._call._TRACED_P.count(case.variant.operation):
        g = jax.grad(lambda p: in_jax(case, operands, p, rng=words).sum())(0.4)
        assert float(g) == 0


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_vmap_over_each_operand_and_over_keys(case):
    operands = arrays(case)
    keys = jax.random.split(jax.random.key(3), 3)
    f = lambda operands, key: in_jax(case, operands, rng=key)  # noqa: E731
    for name, x in operands.items():
        stack = {**operands, name: jnp.stack([x, -x, 2 * x])}
        axes = {other: 0 if other == name else None for other in operands}
        for key, key_axis in ((keys[0], None), (keys, 0)):
            found = jax.jit(jax.vmap(f, (axes, key_axis)))(stack, key)
            for i in range(3):
                one = f({**operands, name: stack[name][i]}, key if key_axis is None else key[i])
                assert equal(found[i], one)
    found = jax.vmap(f, (None, 0))(operands, keys)
    assert all(equal(found[i], f(operands, keys[i])) for i in range(3))
    # A scan over keys, and one vmap in another.
    _, scanned = jax.lax.scan(lambda c, key: (c, f(operands, key)), 0, keys)
    assert equal(scanned, found)
    square = jax.random.split(jax.random.key(4), (2, 3))
    nested = jax.vmap(jax.vmap(f, (None, 0)), (None, 0))(operands, square)
    assert equal(nested[1, 2], f(operands, square[1, 2]))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_gradients_of_batches(case):
    """What is the same for all of a batch gets the sum of the gradients."""
    operands = arrays(case)
    keys = jax.random.split(jax.random.key(3), 3)
    f = lambda operands, key: (in_jax(case, operands, rng=key) ** 2).sum()  # noqa: E731
    found = jax.grad(lambda operands: jax.vmap(f, (None, 0))(operands, keys).sum())(operands)
    each = jax.vmap(jax.grad(f), (None, 0))(operands, keys)
    alone = [jax.grad(f)(operands, key) for key in keys]
    for name in operands:
        wanted = np.stack([gradient[name] for gradient in alone])
        np.testing.assert_allclose(each[name], wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[name], wanted.sum(axis=0), rtol=1e-4, atol=1e-4)
    along = lambda key: jax.jvp(lambda o: f(o, key), (operands,), (operands,))[1]  # noqa: E731
    np.testing.assert_allclose(jax.vmap(along)(keys), [along(key) for key in keys], rtol=1e-5)
    f_linear = jax.linearize(lambda o: in_jax(case, o, rng=keys[0]), operands)[1]
    doubled = jax.vmap(f_linear)(jax.tree.map(lambda x: jnp.stack([x, x]), operands))
    assert equal(doubled[1], f_linear(operands))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_traced_p(case):
    """In evaluation it is of no account, or has to be known."""
    operands = arrays(case)
    call = lambda p, **more: in_jax(case, operands, p, rng=KEY, **more)  # noqa: E731
    if case.variant.operation not in fj._call._TRACED_P:
        with pytest.raises(TypeError, match="has to be a real number, but got an array"):
            jax.jit(call)(0.25)
        return
    for p in (0.0, 0.25, 1.0):
        assert equal(jax.jit(call)(p), in_numpy(case, operands, p, rng=KEY))
    assert equal(jax.vmap(call)(jnp.array([0.25, 0.5]))[1], in_numpy(case, operands, 0.5, rng=KEY))
    with pytest.raises(Exception, match="dropout probability has to be between 0 and 1"):
        jax.block_until_ready(jax.jit(call)(1.5))
    evaluation = jax.jit(functools.partial(call, training=False))
    if case.evaluated is mixed:
        with pytest.raises(TypeError, match="in evaluation"):
            evaluation(0.5)
    else:
        assert equal(evaluation(0.5), in_numpy(case, operands, training=False))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_refusals_are_numpys(case):
    operands = arrays(case)
    first = next(iter(operands))
    for bad in ({case.rate: -0.5}, {case.rate: "0.5"}, {"training": 2}):
        with pytest.raises((TypeError, ValueError)) as wanted:
            in_numpy(case, operands, **bad, rng=KEY)
        with pytest.raises(wanted.type) as found:
            in_jax(case, operands, **bad, rng=KEY)
        assert str(found.value) == str(wanted.value), bad
    with pytest.raises(TypeError, match=f"{first} has to have dtype float16"):
        in_jax(case, {**operands, first: operands[first].astype(jnp.int32)}, rng=KEY)
    for name in list(operands)[1:]:
        with pytest.raises(ValueError, match=f"{name} has to have"):
            in_jax(case, {**operands, name: operands[name][1:]}, rng=KEY)
        with pytest.raises(TypeError, match=f"{name} has to have {first}'s dtype float32"):
            in_jax(case, {**operands, name: operands[name].astype(jnp.float16)}, rng=KEY)
    with pytest.raises(TypeError, match="rng has to be a key of JAX"):
        in_jax(case, operands, rng=None)
    with pytest.raises(TypeError, match=r"reserve\(n\) gives a Key"):
        in_jax(case, operands, rng=fastdrop.Generator(1))
    with pytest.raises(OverflowError):
        in_jax(case, operands, rng=fastdrop.Key(0, 0, 2**64 - 1), **case.options)


def test_other_refusals():
    x, one = jnp.ones((3, 4)), jnp.float32(1)
    for words, call in (
        ("act has to be", lambda: fj.bias_act_dropout(x, None, "tanh", rng=1)),
        ("at least 1 axis where there is a bias", lambda: fj.bias_act_dropout(one, x[0], rng=1)),
        ("x has to have 3 or 4 axes", lambda: fj.dropout2d(x, rng=1)),
        ("mode has to be", lambda: fj.drop_path(x, rng=1, mode="rows")),
        ("mode has to be", lambda: fj.dropout(x, rng=1, mode="rows")),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="has to be a real number, but got an array"):
        jax.jit(lambda p: fj.dropout(x, p, rng=1, mode="standard"))(0.5)


def test_masks():
    compiled = jax.jit(fj.dropout_mask, static_argnums=0, static_argnames="rng")
    for p in (0.0, 0.3, 1.0):
        for f in (fj.dropout_mask, compiled):
            assert equal(f((5, 300), p, rng=KEY), fastdrop.dropout_mask((5, 300), p, rng=KEY))
    cut = fj.dropout_mask((2, 100), 0.3, rng=KEY, window=((5, 300), (3, 50)))
    assert (cut == fastdrop.dropout_mask((5, 300), 0.3, rng=KEY)[3:, 50:150]).all()
    assert (fj.dropout_mask(7, rng=1) == fastdrop.dropout_mask(7, rng=1)).all()
    with pytest.raises((TypeError, ValueError), match="shape"):
        fj.dropout_mask((2, -1), rng=1)
