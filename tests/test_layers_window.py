"""Layers on parts of larger arrays: forward and backward are those parts of the whole's."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import PLAIN
from support import same_bits

from fastdrop import Generator, layers

Shape = tuple[int, ...]


class Case(NamedTuple):
    """A layer, its arguments, and how many inputs of how many axes it takes."""

    layer: str
    arguments: dict[str, Any] = {}  # noqa: RUF012 - read only
    inputs: int = 1
    axes: int = 3
    biased: bool = False

    def make(self, rng: Any = 5) -> Any:
        return getattr(layers, self.layer)(**self.arguments, rng=rng)


CASES = [
    Case("Dropout"),
    Case("Dropout", {"mode": "standard", "noise_shape": (None, 1, None)}),
    Case("SpatialDropout1D"),
    Case("SpatialDropout2D", axes=4),
    Case("SpatialDropout3D", {"data_format": "channels_last"}, axes=4),
    Case("VariationalDropout"),
    Case("DropPath"),
    *(Case(str(variant.layer)) for variant in PLAIN),
    Case("FeatureAlphaDropout"),
    Case("GaussianNoise", {"std": 0.5}),
    Case("EmbeddingDropout", axes=2),
    Case("DropoutAdd", inputs=2),
    Case("Zoneout", inputs=2),
    Case("BiasActDropout", {"act": "gelu"}, biased=True),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c.layer}" for i, c in enumerate(CASES)])
SHAPES: dict[int, tuple[Shape, tuple[slice, ...]]] = {
    2: ((37, 251), (slice(3, 36), slice(100, 251))),
    3: ((5, 7, 61), (slice(1, 4), slice(2, 7), slice(3, 60))),
    4: ((3, 5, 4, 33), (slice(0, 3), slice(1, 5), slice(1, 3), slice(5, 32))),
}


def drawn(shape: Shape, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def several(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def both(case: Case) -> tuple[list[np.ndarray], list[np.ndarray], tuple[slice, ...], Any]:
    """The inputs, their parts, slices, and the window."""
    shape, cut = SHAPES[case.axes]
    whole = [drawn(shape, seed) for seed in range(case.inputs)]
    parts = [x[cut] for x in whole]
    if case.biased:
        whole.append(drawn(shape[-1:], 9))
        parts.append(whole[-1][cut[-1]])
    return whole, parts, cut, (shape, tuple(one.start for one in cut))


@pytest.mark.usefixtures("impl")
@EVERY
def test_forward_and_backward(case: Case) -> None:
    whole, parts, cut, window = both(case)
    one, other = case.make(), case.make()
    dy = drawn(whole[0].shape, 10)
    for _ in range(2):  # the generators keep step
        wanted, got = one(*whole), other(*parts, window=window)
        assert same_bits(got, wanted[cut], "float32")
        gradients, parts_of_them = several(one.backward(dy)), several(other.backward(dy[cut]))
        for g, want in list(zip(parts_of_them, gradients, strict=True))[: case.inputs]:
            assert same_bits(g, want[cut], "float32")
        if case.biased:
            np.testing.assert_allclose(
                parts_of_them[1], parts_of_them[0].sum(axis=(0, 1)), rtol=1e-5
            )
    assert one.generator.state == other.generator.state
    # The next call has no window, and neither has its gradient.
    assert same_bits(other(*whole), one(*whole), "float32")
    assert same_bits(several(other.backward(dy))[0], several(one.backward(dy))[0], "float32")


@EVERY
def test_evaluation_empty_parts_and_errors(case: Case) -> None:
    whole, parts, cut, window = both(case)
    layer, generator = case.make(Generator(3)), Generator(3)
    assert same_bits(layer.eval()(*parts, window=window), layer(*whole)[cut], "float32")
    layer.train()
    empty = [x[:0] for x in whole[: case.inputs]] + whole[case.inputs :]
    assert layer(*empty, window=(window[0], (0,) * case.axes)).size == 0
    case.make(generator)(*whole)
    assert layer.generator.state == generator.state
    for bad, words in (
        (7, "has to be a pair"),
        ((window[0][1:], window[1][1:]), f"for each of the {case.axes} axes"),
        ((window[0], window[0]), "window has to hold"),
    ):
        with pytest.raises(ValueError, match=words):
            layer(*parts, window=bad)
    assert layer.generator.state == generator.state


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
    classes = {
        name: getattr(layers, name)
        for name in layers.__all__
        if issubclass(getattr(layers, name), layers.Layer) and name != "Layer"
    }
    taking = {n for n, c in classes.items() if "window" in inspect.signature(c.forward).parameters}
    assert taking == {case.layer for case in CASES}
    assert set(classes) - taking == WITHOUT
    with pytest.raises(TypeError, match="window"):
        layers.DropBlock2D(0.1)(np.ones((2, 9, 9), np.float32), window=None)
