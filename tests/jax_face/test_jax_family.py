"""The element-wise family in JAX: NumPy's bits, for all of them, under every transformation."""

from __future__ import annotations

import inspect

import cases
import numpy as np
import pytest
from on_jax import CASES, DTYPES, FIRST, KEY, enough_bits, equal, fj, in_jax, in_numpy, jax, jnp

import fastdrop
from fastdrop._rates import no_scale
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
    with enough_bits(dtype):
        operands = arrays(case, dtype, special=True)
        for p in case.rates:
            wanted = in_numpy(case, operands, p, rng=KEY)
            found = in_jax(case, operands, p, rng=KEY)
            assert equal(found, wanted)
            compiled = jax.jit(lambda operands, p=p: in_jax(case, operands, p, rng=KEY))
            assert equal(compiled(operands), wanted)
            evaluated = in_jax(case, operands, p, training=False, rng=None)
            assert equal(evaluated, in_numpy(case, operands, p, training=False))
            assert (evaluated is next(iter(operands.values()))) == (case.evaluated is None)


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_in_place_of_intermediate_results(case):
    operands = arrays(case)

    def compute(operands):
        return in_jax(case, {name: -x for name, x in operands.items()}, rng=KEY)

    negative = {name: -np.asarray(x) for name, x in operands.items()}
    assert equal(jax.jit(compute)(operands), in_numpy(case, negative, rng=KEY))
    assert all(equal(operands[name], -x) for name, x in negative.items())


@cases.parametrize(CASES)
def test_windows(case):
    x = next(iter(case.shapes.values()))
    start = tuple(n // 3 for n in x)
    cut = tuple(slice(i, i + max(n // 2, 1)) for i, n in zip(start, x, strict=True))
    operands = arrays(case)
    wanted = in_numpy(case, operands, rng=KEY)[cut]
    parts = {name: v[cut[-v.ndim :] if v.ndim else ()] for name, v in operands.items()}
    found = in_jax(case, parts, rng=KEY, window=(x, start))
    assert equal(found, wanted)
    compiled = jax.jit(lambda parts, start: in_jax(case, parts, rng=KEY, window=(x, start)))
    assert equal(compiled(parts, start), wanted)


# --- gradients ------------------------------------------------------------------------------------


@cases.parametrize([case for case in CASES if "bias" not in case.shapes])
def test_gradients_are_those_of_the_declarations(case):
    operands = arrays(case)
    dy = jnp.asarray(np.random.default_rng(3).standard_normal(case.shape), jnp.float32)
    for transform in (lambda f: f, jax.checkpoint, jax.jit):
        f = transform(lambda operands: in_jax(case, operands, rng=KEY))
        _, pullback = jax.vjp(f, operands)
        (found,) = pullback(dy)
        plain = {name: np.asarray(x) for name, x in operands.items()}
        wanted = case.gradients(plain, np.asarray(dy), 0.4, rng=KEY)
        for name, gradient in zip(case.shapes, wanted, strict=True):
            assert equal(found[name], gradient), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", FIRST, ids=str)
def test_forward_mode_is_reverse_mode(case, training):
    """The Jacobian is diagonal: a tangent of ones gives what a cotangent of ones gives."""
    operands = arrays(case)
    f = lambda x: in_jax(  # noqa: E731
        case, {**operands, first: x}, rng=KEY, training=training
    )
    first = next(iter(operands))
    x = operands[first]
    _, tangent = jax.jvp(f, (x,), (jnp.ones_like(x),))
    gradient = jax.grad(lambda x: f(x).sum())(x)
    assert equal(tangent, gradient)
    # A third derivative, forward over reverse over reverse.
    cube = lambda x: (f(x) ** 3).sum()  # noqa: E731
    along = lambda g: jax.jvp(g, (x,), (jnp.ones_like(x),))[1]  # noqa: E731
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

    for found, wanted in zip(
        jax.tree.leaves(derivatives(ours)), jax.tree.leaves(derivatives(theirs)), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


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


def test_second_derivatives_of_an_activation():
    x = jnp.asarray(np.linspace(-2, 2, 40), jnp.float32)
    mask = fj.dropout(jnp.ones_like(x), 0.4, rng=KEY)
    # The second derivative of an activation, of a sum: what comes back is constant.
    f = lambda x: fj.bias_act_dropout(x, None, "silu", 0.4, rng=KEY).sum()  # noqa: E731
    second = jax.grad(lambda x: jax.grad(f)(x).sum())(x)
    curvature = jax.vmap(jax.grad(jax.grad(jax.nn.silu)))(x)
    np.testing.assert_allclose(second, mask * curvature, rtol=1e-4, atol=1e-5)
    _, pullback = jax.vjp(f, x)
    (slope,), (along,) = jax.jvp(pullback, (jnp.float32(2),), (jnp.float32(3),))
    np.testing.assert_allclose(along, slope * 1.5, rtol=1e-6)


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


def test_the_gradient_of_a_bias_has_numpys_bits():
    x, bias = np.linspace(-3, 3, 35, dtype=np.float32).reshape(7, 5), np.ones(5, np.float32)
    dy = np.ones_like(x)
    _, pullback = jax.vjp(lambda x: fj.bias_act_dropout(x, bias, "gelu", rng=KEY), jnp.asarray(x))
    wanted, _ = fastdrop.bias_act_dropout_backward(dy, x, bias, "gelu", rng=KEY)
    assert equal(pullback(jnp.asarray(dy))[0], wanted)


def test_the_gradient_of_standard_dropout():
    x = jnp.linspace(1, 2, 60)
    f = lambda x, training: fj.dropout(x, 0.4, training, rng=KEY, mode="standard").sum()  # noqa: E731
    assert equal(jax.grad(f)(x, True), fastdrop.dropout_mask(60, 0.4, rng=KEY).astype(np.float32))
    assert equal(jax.grad(f)(x, False), np.full(60, 0.6, np.float32))


# --- batches --------------------------------------------------------------------------------------


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
    inner = jax.vmap(jax.vmap(f, (None, 0)), (None, 0))(operands, square)
    assert equal(inner[1, 2], f(operands, square[1, 2]))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_gradients_of_batches(case):
    """What is the same for all of a batch gets the sum of the gradients."""
    operands = arrays(case)
    keys = jax.random.split(jax.random.key(3), 3)
    f = lambda operands, key: (in_jax(case, operands, rng=key) ** 2).sum()  # noqa: E731
    all_of_them = lambda operands: jax.vmap(f, (None, 0))(operands, keys).sum()  # noqa: E731
    found = jax.grad(all_of_them)(operands)
    alone = [jax.grad(f)(operands, key) for key in keys]
    for name in operands:
        wanted = sum(gradient[name] for gradient in alone)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)
    each = jax.vmap(jax.grad(f), (None, 0))(operands, keys)
    for name in operands:
        for i in range(3):
            np.testing.assert_allclose(each[name][i], alone[i][name], rtol=1e-5, atol=1e-5)
    along = lambda key: jax.jvp(lambda o: f(o, key), (operands,), (operands,))[1]  # noqa: E731
    forward = jax.vmap(along)(keys)
    np.testing.assert_allclose(forward, [along(key) for key in keys], rtol=1e-5)
    f_linear = jax.linearize(lambda o: in_jax(case, o, rng=keys[0]), operands)[1]
    doubled = jax.vmap(f_linear)(jax.tree.map(lambda x: jnp.stack([x, x]), operands))
    assert equal(doubled[1], f_linear(operands))


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_traced_p(case):
    operands = arrays(case)
    call = lambda p: in_jax(case, operands, p, rng=KEY)  # noqa: E731
    if case.variant.operation not in fj._call._TRACED_P:
        with pytest.raises(TypeError, match="has to be a real number, but got an array"):
            jax.jit(call)(0.25)
        return
    for p in (0.0, 0.25, 1.0):
        assert equal(jax.jit(call)(p), in_numpy(case, operands, p, rng=KEY))
    assert equal(jax.vmap(call)(jnp.array([0.25, 0.5]))[1], in_numpy(case, operands, 0.5, rng=KEY))
    with pytest.raises(Exception, match="dropout probability has to be between 0 and 1"):
        jax.block_until_ready(jax.jit(call)(1.5))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_traced_p_in_evaluation(case):
    """Where the evaluation depends on p, it has to be known; else it is of no account."""
    operands = arrays(case)
    call = lambda p: in_jax(case, operands, p, training=False, rng=KEY)  # noqa: E731
    if case.variant.operation not in fj._call._TRACED_P:
        return
    evaluation = case.variant.evaluation
    if evaluation is not None and evaluation.numbers(0.5, "float32") != no_scale(0.5, "float32"):
        with pytest.raises(TypeError, match="in evaluation"):
            jax.jit(call)(0.5)
    else:
        assert equal(jax.jit(call)(0.5), in_numpy(case, operands, training=False))


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_refusals_are_numpys(case):
    operands = arrays(case)
    first = next(iter(operands))
    bad = {
        "rate": {case.rate: -0.5},
        "a rate that is no number": {case.rate: "0.5"},
        "training": {"training": 2},
    }
    for name, more in bad.items():
        more = {case.rate: 0.4, **case.options, **more}
        with pytest.raises((TypeError, ValueError)) as wanted:
            case.function(**{k: np.asarray(v) for k, v in operands.items()}, **more, rng=KEY)
        with pytest.raises(wanted.type) as found:
            getattr(fj, case.name)(**operands, **more, rng=KEY)
        assert str(found.value) == str(wanted.value), name
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
    x = jnp.ones((3, 4))
    with pytest.raises(ValueError, match="act has to be"):
        fj.bias_act_dropout(x, None, "tanh", rng=1)
    with pytest.raises(ValueError, match="at least 1 axis where there is a bias"):
        fj.bias_act_dropout(jnp.float32(1), x[0], rng=1)
    with pytest.raises(ValueError, match="x has to have 3 or 4 axes"):
        fj.dropout2d(x, rng=1)
    with pytest.raises(ValueError, match="mode has to be"):
        fj.drop_path(x, rng=1, mode="rows")
    with pytest.raises(ValueError, match="mode has to be"):
        fj.dropout(x, rng=1, mode="rows")
    with pytest.raises(TypeError, match="has to be a real number, but got an array"):
        jax.jit(lambda p: fj.dropout(x, p, rng=1, mode="standard"))(0.5)


def test_masks():
    for p in (0.0, 0.3, 1.0):
        wanted = fastdrop.dropout_mask((5, 300), p, rng=KEY)
        for f in (
            fj.dropout_mask,
            jax.jit(fj.dropout_mask, static_argnums=0, static_argnames="rng"),
        ):
            assert equal(f((5, 300), p, rng=KEY), wanted)
    part = fj.dropout_mask((2, 100), 0.3, rng=KEY, window=((5, 300), (3, 50)))
    assert (part == fastdrop.dropout_mask((5, 300), 0.3, rng=KEY)[3:, 50:150]).all()
    assert (fj.dropout_mask(7, rng=1) == fastdrop.dropout_mask(7, rng=1)).all()
    with pytest.raises((TypeError, ValueError), match="shape"):
        fj.dropout_mask((2, -1), rng=1)
