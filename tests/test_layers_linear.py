"""The linear layer with dropped connections: it is its function, and trains what it is given."""

import copy
import json
import re
from typing import Any

import numpy as np
import pytest

import fastdrop
from fastdrop import Generator, Key, layers

X, W, DY = (
    np.random.default_rng(i).standard_normal(s) for i, s in enumerate([(6, 9), (4, 9), (6, 4)])
)
BIAS = np.arange(4.0)


def make(p: float = 0.4, rng: Any = 1, **options: Any) -> layers.DropConnectLinear:
    return layers.DropConnectLinear(W.copy(), BIAS.copy(), p, rng=rng, **options)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("per_sample", [True, False])
def test_forward_and_backward_are_the_functions(per_sample: bool) -> None:
    layer = make(rng=Generator(1, 2, 8192), per_sample=per_sample)
    for key in (Key(1, 2, 8192), Key(1, 2, 8192 + 4096)):
        y = layer(X)
        options: dict[str, Any] = {"per_sample": per_sample, "rng": key}
        assert np.array_equal(y, fastdrop.dropconnect_linear(X, W, BIAS, 0.4, **options))
        for _ in range(2):  # asking again changes nothing
            found = layer.backward(DY), layer.dw, layer.db
            wanted = fastdrop.dropconnect_linear_backward(DY, X, W, 0.4, **options)
            for got, want in zip(found, wanted, strict=True):
                assert got is not None
                assert np.array_equal(got, want)
    assert layer.generator.offset == 8192 + 2 * 4096


def test_evaluation() -> None:
    layer = make().eval()
    assert np.array_equal(layer(X), X @ W.T + BIAS)
    np.testing.assert_allclose(layer.backward(DY), DY @ W)
    assert layer.dw is not None
    np.testing.assert_allclose(layer.dw, DY.T @ X)
    assert layer.generator.offset == 0


def test_backward_remembers_how_its_forward_ran() -> None:
    layer = make()
    layer(X)
    dx = layer.backward(DY)
    layer.p = 0.9
    layer.eval()
    assert np.array_equal(layer.backward(DY), dx)


def test_weights_are_the_caller_s() -> None:
    w = W.copy()
    layer = layers.DropConnectLinear(w, p=0, rng=1)
    assert layer.w is w
    assert layer.bias is None
    assert layer.dw is None
    assert layer.db is None
    w[:] = 0
    assert not layer(X).any()
    layer.w = np.ones((2, 9))
    assert layer(X).shape == (6, 2)
    other = copy.deepcopy(layer)
    other.w[:] = 0
    assert layer.w.all()


def test_it_learns_what_theory_says() -> None:
    """Least squares by steps along the gradients.

    The mean of the squared error over masks is that of the mean weights plus p / (1 - p) times the
    squares of weights times inputs, so that the best weights are those of a ridge regression; steps
    of a fixed length move around them, and their mean comes close.
    """
    p, x = 0.3, np.random.default_rng(4).standard_normal((200, 9))
    target = x @ W.T + 1
    squares = x.T @ x
    ridge = np.linalg.solve(squares + p / (1 - p) * np.diag(np.diag(squares)), x.T @ (target - 1)).T
    layer = layers.DropConnectLinear(np.zeros((4, 9)), np.zeros(4), p, rng=1)
    mean = np.zeros((4, 9))
    for i in range(1500):
        layer.backward(layer(x) - target)
        layer.w -= 1e-3 * layer.dw
        layer.bias -= 1e-3 * layer.db
        mean += layer.w / 1000 if i >= 500 else 0
    assert np.abs(mean - ridge).max() < 0.02
    assert np.abs(W - ridge).max() > 0.2
    np.testing.assert_allclose(layer.bias, 1, atol=0.3)


def test_state_goes_back_and_leaves_the_weights() -> None:
    layer = make(0.3, per_sample=False)
    layer(X)
    state = json.loads(json.dumps(layer.state_dict()))
    assert state.keys() == {"type", "version", "p", "per_sample", "generator"}
    following = layer(X)
    other = make(rng=9)
    other(X)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert other.per_sample is False
    with pytest.raises(RuntimeError, match="there was no forward"):
        other.backward(DY)
    assert np.array_equal(other(X), following)
    with pytest.raises(TypeError, match="per_sample has to be True or False"):
        other.load_state_dict({**state, "per_sample": 3})
    with pytest.raises(AttributeError):
        other.per_sample = True  # type: ignore[misc]


def test_repr() -> None:
    text = "DropConnectLinear(<w of shape (4, 9)>, p=0.4, per_sample=False)"
    assert repr(make(per_sample=False)) == text
    assert re.fullmatch(r"DropConnectLinear\(<w of shape \(4, 9\)>, p=0.4\)", repr(make()))


def test_monte_carlo_dropout_leaves_it_as_it_was() -> None:
    layer = make().eval()
    layer(X)
    dx = layer.backward(DY)
    found = fastdrop.mc_dropout(layer, X[:2], 50, rng=5)
    assert (found.std > 0).all()
    assert np.array_equal(layer.backward(DY), dx)
    assert layer.generator.offset == 0
