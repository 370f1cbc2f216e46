"""Variational dropout one time step at a time: a mask that is held for a sequence."""

import copy

import numpy as np
import pytest

from fastdrop import Generator, layers


@pytest.mark.usefixtures("impl")
def test_steps_are_the_whole_sequence() -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, (5, 7, 11))
    whole, steps = (layers.VariationalDropout(0.5, rng=Generator(1, 2)) for _ in range(2))
    y = whole(x)
    for t in range(7):
        assert np.array_equal(steps.step(x[:, t]), y[:, t])
        assert np.array_equal(steps.backward(x[:, t]), y[:, t])
    assert steps.generator.offset == whole.generator.offset == 4096
    steps.reset()
    assert np.array_equal(steps.step(x[:, 0]), whole(x)[:, 0])


def test_the_mask_is_held_whatever_happens_in_between() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    x = np.ones((4, 16))
    first = layer.step(x)
    layer.p = 0.9
    layer.forward(np.ones((2, 3, 5)))
    assert layer.eval().step(x) is x
    assert layer.backward(x) is x
    assert np.array_equal(layer.train().step(x), first)
    assert np.array_equal(layer.backward(x), first)
    layer.reset()
    assert not np.array_equal(layer.step(x), first)
    twin = copy.deepcopy(layer)
    assert np.array_equal(twin.step(x), layer.step(x))


def test_a_step_of_another_shape_is_refused() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    first = layer.step(np.ones((4, 16)))
    state = layer.state_dict()
    words = r"x has to have the shape \(4, 16\) of the mask that is held until reset\(\), but got"
    with pytest.raises(ValueError, match=words):
        layer.step(np.ones((3, 16)))
    with pytest.raises(TypeError, match="x has to have dtype"):
        layer.step(np.ones((4, 16), int))
    assert layer.state_dict() == state
    assert np.array_equal(layer.backward(np.ones((4, 16))), first)
    layer.reset()
    assert layer.step(np.ones((3, 16))).shape == (3, 16)


def test_loading_lets_go_of_the_mask_and_what_does_not_fit_into_memory_holds_none() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    state = layer.state_dict()
    with pytest.raises(MemoryError):
        layer.step(np.broadcast_to(np.float32(1), (2**45,)))
    assert layer.generator.offset == 0
    first = layer.step(np.ones((4, 16)))
    layer.load_state_dict(state)
    assert layer.step(np.ones((3, 16))).shape == (3, 16)
    layer.load_state_dict(state)
    assert np.array_equal(layer.step(np.ones((4, 16))), first)
