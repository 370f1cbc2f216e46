"""Layers on parts of larger arrays: forward and backward are those parts of the whole's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from cases import Case, parametrize, results
from forms import LAYERS, cuts, inner, layer, layer_class, part, reshaped, window_of, windowed

from fastdrop import Generator, layers

CASES = windowed(LAYERS)
EVERY = parametrize(CASES)


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same_part(got: Any, wanted: Any, cut: tuple[slice, ...]) -> None:
    """What has the whole's shape; else it is a bias' gradient, a sum of the rows of dx."""
    rows = tuple(range(len(cut) - 1))
    for g, want in zip(results(got), results(wanted), strict=True):
        if want is not None and want.shape[: len(rows)] == results(wanted)[0].shape[: len(rows)]:
            assert g.tobytes() == want[cut].tobytes()
        elif want is not None:
            np.testing.assert_allclose(g, results(got)[0].sum(axis=rows), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("impl")
@EVERY
def test_forward_and_backward(case: Case) -> None:
    whole, dy = case.operands(), drawn(case.shape, 10)
    one, other = layer(case), layer(case)
    for cut in cuts(case.shape):  # the generators keep step
        parts, window = part(whole, cut), window_of(case.shape, cut)
        same_part(other(*parts.values(), window=window), one(*whole.values()), cut)
        same_part(other.backward(dy[cut]), one.backward(dy), cut)
    assert one.generator.state == other.generator.state
    # The next call has no window, and neither has its gradient.
    assert np.array_equal(other(*whole.values()), one(*whole.values()))
    assert np.array_equal(results(other.backward(dy))[0], results(one.backward(dy))[0])


@EVERY
def test_evaluation_empty_parts_and_errors(case: Case) -> None:
    whole, cut = case.operands(), inner(case.shape)
    parts, window = part(whole, cut).values(), window_of(case.shape, cut)
    drop, generator = layer(case, rng=Generator(3)), Generator(3)
    same_part(drop.eval()(*parts, window=window), drop(*whole.values()), cut)
    drop.train()
    empty = reshaped(case, (0, *case.shape[1:]))
    zeros = (0,) * len(case.shape)
    assert drop(*empty.operands().values(), window=(case.shape, zeros)).size == 0
    layer(case, rng=generator)(*whole.values())
    assert drop.generator.state == generator.state
    for bad, words in (
        (7, "has to be a pair"),
        ((window[0][1:], window[1][1:]), f"for each of the {len(case.shape)} axes"),
        ((window[0], window[0]), "window has to hold"),
    ):
        with pytest.raises(ValueError, match=words):
            drop(*parts, window=bad)
    assert drop.generator.state == generator.state


def test_time_steps_of_a_part() -> None:
    x = drawn((6, 5, 8), 1)
    one, other = (layers.VariationalDropout(0.5, rng=2) for _ in range(2))
    window = ((6, 8), (2, 4))
    for t in range(3):
        wanted = one.step(x[:, t])
        assert np.array_equal(other.step(x[2:5, t, 4:], window=window), wanted[2:5, 4:])
    for bad in (None, ((6, 8), (3, 4))):
        with pytest.raises(ValueError, match="window has to be that of the mask that is held"):
            other.step(x[2:5, 0, 4:], window=bad)
    dy = drawn((3, 4), 4)
    larger = np.zeros((6, 8), np.float32)
    larger[2:5, 4:] = dy
    assert np.array_equal(other.backward(dy), one.backward(larger)[2:5, 4:])
    other.reset()
    other.step(x[:2, 0, :4])


WITHOUT = {"DropBlock1D", "DropBlock2D", "DropBlock3D", "SoftmaxDropout", "DropConnectLinear"}


def test_every_layer_takes_a_window_or_is_known_not_to() -> None:
    classes = {name: getattr(layers, name) for name in layers.__all__ if name != "Layer"}
    taking = {c for c in classes.values() if "window" in inspect.signature(c.forward).parameters}
    assert taking == {layer_class(case) for case in CASES}
    assert set(classes) - {c.__name__ for c in taking} == WITHOUT
    with pytest.raises(TypeError, match="window"):
        layers.DropBlock2D(0.1)(np.ones((2, 9, 9), np.float32), window=None)
