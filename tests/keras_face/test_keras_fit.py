"""`fit`, which JAX compiles and PyTorch may: the masks are those of the same steps by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from on_keras import BACKEND, CASES, Case, fk, keras, needs_gradients, numbers, numpy

import fastdrop
from fastdrop import Key

pytestmark = needs_gradients

COMPILED = [True, False] if BACKEND == "jax" else [False]


class Scaled(keras.layers.Layer):
    """One weight for all elements: its gradient is the sum of what was kept."""

    def build(self, shape: Any) -> None:
        del shape
        self.w = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.w


def steps(layer: Any, x: np.ndarray, *, compiled: bool) -> tuple[list[float], Any]:
    """The weight after each of three steps of descent along the mean of the outputs."""
    scaled, loss = Scaled(), lambda _, y: keras.ops.mean(y)
    model = keras.Sequential([keras.Input(x.shape[1:], len(x)), scaled, layer])
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=compiled)
    found = []
    for _ in range(3):
        model.fit(x, np.zeros(len(x)), batch_size=len(x), shuffle=False, verbose=0)
        found.append(float(numpy(scaled.w)))
    return found, model


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize(("case", "enabled"), [*((c, False) for c in CASES), (CASES[0], True)])
def test_every_step_has_a_mask_of_its_own(case: Case, enabled: bool, compiled: bool) -> None:
    x = numbers(*case.shape)
    if enabled:
        fk.enable()
    layer = (keras.layers.Dropout if enabled else case.layer)(**case.options, seed=7)
    found, _ = steps(layer, x, compiled=compiled)
    w, mean = 1.0, np.full_like(x, 1 / x.size)
    for step, got in enumerate(found):
        w -= 0.5 * float((case.gradient(mean, Key(7, step)) * x).sum())
        assert got == pytest.approx(w, rel=1e-5)
    assert numpy(layer.seed_generator.state).tolist() == [7, 3]


def test_evaluation_within_fit_does_not_drop() -> None:
    layer = fk.Dropout(0.5, seed=7)
    model = keras.Sequential([keras.Input((10,)), Scaled(), layer])
    model.compile("sgd", "mse")
    x = numbers(4, 10)
    model.fit(x, x, validation_data=(x, x), epochs=2, batch_size=4, verbose=0)
    assert numpy(layer.seed_generator.state).tolist() == [7, 2]
    assert np.allclose(model.predict(x, verbose=0), x * numpy(model.weights[0]))


def test_switching_after_a_model_was_compiled() -> None:
    """What was traced before `enable` is traced again."""
    x = numbers(4, 25)
    layer = keras.layers.Dropout(0.5, seed=7)
    _, model = steps(layer, x, compiled=COMPILED[0])

    def is_ours() -> bool:
        """What the next step of descent goes by."""
        _, calls = numpy(layer.seed_generator.state).tolist()
        before = float(numpy(model.layers[0].w))
        model.fit(x, np.zeros(4), batch_size=4, shuffle=False, verbose=0)
        slope = (before - float(numpy(model.layers[0].w))) / 0.5
        return slope == pytest.approx(fastdrop.dropout(x, rng=Key(7, calls)).mean(), rel=1e-4)

    assert not is_ours()
    with fk.enable():
        assert is_ours()
    assert not is_ours()


@pytest.mark.skipif(BACKEND != "torch", reason="about PyTorch's compiler")
@pytest.mark.parametrize(
    "name", ["Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise"]
)
def test_compiled_by_pytorch_in_one_graph(name: str) -> None:
    """The state of the generator is an operand of the graph, and a step of it moves it on."""
    import torch

    torch._dynamo.reset()
    one, other = (getattr(fk, name)(0.5, seed=7) for _ in range(2))
    compiled = torch.compile(lambda x: other(x, training=True), backend="aot_eager", fullgraph=True)
    for _ in range(3):
        x = torch.from_numpy(numbers(3, 4, 5)).requires_grad_()
        y, z = one(x, training=True), compiled(x)
        assert torch.equal(y, z)
        assert torch.equal(*(torch.autograd.grad(t.square().sum(), x)[0] for t in (y, z)))
    assert numpy(other.seed_generator.state).tolist() == [7, 3]


@pytest.mark.skipif(BACKEND != "torch", reason="about PyTorch's compiler")
def test_enable_and_pytorchs_compiler() -> None:
    """Compiled code is guarded by Keras' function: it is compiled again after a change."""
    import torch

    torch._dynamo.reset()
    layer = keras.layers.Dropout(0.5, seed=7)
    compiled = torch.compile(lambda x: layer(x, training=True), backend="aot_eager")
    x = torch.from_numpy(numbers(1000))
    theirs = compiled(x)
    with fk.enable():
        assert np.array_equal(numpy(compiled(x)), fastdrop.dropout(numbers(1000), rng=Key(7, 1)))
    assert not np.array_equal(numpy(compiled(x)), fastdrop.dropout(numbers(1000), rng=Key(7, 2)))
    assert not torch.equal(theirs, x)
