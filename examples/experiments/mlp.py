"""A multi-layer perceptron in NumPy: small layers, gradient descent with momentum, one network.

Every layer has what fastdrop's layers have: train(), eval(), forward(x) and backward(dy).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import fastdrop
from fastdrop import layers

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


# --- layers ---------------------------------------------------------------------------------------


class AnyLayer(Protocol):
    """fastdrop's layers are of this kind as they are."""

    def train(self, mode: bool = True) -> object: ...
    def forward(self, x: Floats) -> Floats: ...
    def backward(self, dy: Floats) -> Floats: ...


class Layer:
    training = True

    def train(self, mode: bool = True) -> None:
        self.training = mode

    def eval(self) -> None:
        self.train(False)

    def forward(self, x: Floats) -> Floats:
        raise NotImplementedError

    def backward(self, dy: Floats) -> Floats:
        raise NotImplementedError

    def parameters(self) -> Iterator[tuple[Floats, Floats]]:
        """Values, and the gradients that the last backward left."""
        return iter(())


class Linear(Layer):
    """y = x W' + b: a row of W is what comes into one unit. He's initial weights."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        he = np.float32(math.sqrt(2.0 / inputs))
        self.weight: Floats = rng.standard_normal((outputs, inputs), dtype=np.float32) * he
        self.bias: Floats = np.zeros(outputs, np.float32)

    def forward(self, x: Floats) -> Floats:
        self.x = x
        y: Floats = x @ self.weight.T
        y += self.bias
        return y

    def backward(self, dy: Floats) -> Floats:
        self.learn(dy)
        dx: Floats = dy @ self.weight
        return dx

    def learn(self, dy: Floats) -> None:
        """The parameters' gradients alone."""
        self.weight_gradient: Floats = dy.T @ self.x
        self.bias_gradient: Floats = dy.sum(axis=0)

    def parameters(self) -> Iterator[tuple[Floats, Floats]]:
        yield self.weight, self.weight_gradient
        yield self.bias, self.bias_gradient


class ReLU(Layer):
    def forward(self, x: Floats) -> Floats:
        self.positive = x > 0
        return np.maximum(x, np.float32(0.0))

    def backward(self, dy: Floats) -> Floats:
        return dy * self.positive


class Logistic(Layer):
    def forward(self, x: Floats) -> Floats:
        # By tanh, which does not overflow.
        half = np.float32(0.5)
        self.y: Floats = half + half * np.tanh(half * x)
        return self.y

    def backward(self, dy: Floats) -> Floats:
        return dy * self.y * (np.float32(1.0) - self.y)


class NumPyDropout(Layer):
    """Dropout by hand: draws a float for each element and keeps a mask as large as the input."""

    def __init__(self, p: float, rng: np.random.Generator) -> None:
        self.p, self.rng = p, rng

    def forward(self, x: Floats) -> Floats:
        if not self.training:
            return x
        keep = self.rng.random(x.shape, dtype=np.float32) >= np.float32(self.p)
        self.mask: Floats = keep * np.float32(1.0 / (1.0 - self.p))
        return x * self.mask

    def backward(self, dy: Floats) -> Floats:
        return dy * self.mask


class BatchNorm(Layer):
    """Ioffe and Szegedy 2015: a batch's own mean and variance in training, then their averages."""

    def __init__(self, units: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        self.gain, self.shift = np.ones(units, np.float32), np.zeros(units, np.float32)
        self.mean, self.variance = np.zeros(units, np.float32), np.ones(units, np.float32)
        self.momentum, self.epsilon = np.float32(momentum), np.float32(epsilon)

    def forward(self, x: Floats) -> Floats:
        if self.training:
            mean, variance = x.mean(axis=0), x.var(axis=0)
            self.mean += self.momentum * (mean - self.mean)
            self.variance += self.momentum * (variance - self.variance)
        else:
            mean, variance = self.mean, self.variance
        self.inverse: Floats = 1 / np.sqrt(variance + self.epsilon)
        self.normal: Floats = (x - mean) * self.inverse
        return self.gain * self.normal + self.shift

    def backward(self, dy: Floats) -> Floats:
        self.gain_gradient: Floats = (dy * self.normal).sum(axis=0)
        self.shift_gradient: Floats = dy.sum(axis=0)
        n = np.float32(len(dy))
        inner = dy - self.shift_gradient / n - self.normal * (self.gain_gradient / n)
        return self.gain * self.inverse * inner

    def parameters(self) -> Iterator[tuple[Floats, Floats]]:
        yield self.gain, self.gain_gradient
        yield self.shift, self.shift_gradient


# --- the network ----------------------------------------------------------------------------------

MakeDropout = Callable[[float, fastdrop.Generator], AnyLayer]


def bernoulli(p: float, rng: fastdrop.Generator) -> AnyLayer:
    return layers.Dropout(p, rng=rng)


@dataclass(frozen=True)
class Shape:
    """What a network is made of; `p` is the chance of dropping."""

    hidden: tuple[int, ...] = (128, 128)
    p_input: float = 0.0
    p_hidden: tuple[float, ...] | float = 0.0
    """For all hidden layers, or one for each."""
    block: tuple[str, ...] = ("linear", "relu", "drop")
    """What a hidden layer consists of: "linear", "relu", "logistic", "drop", "norm", in order."""
    dropout: MakeDropout = bernoulli


class Network:
    def __init__(self, shape: Shape, inputs: int, classes: int, seed: int) -> None:
        # The weights do not depend on what is dropped: networks of one seed begin alike.
        rng = np.random.default_rng([seed, 0])
        widths = [inputs, *shape.hidden]
        rates = shape.p_hidden
        if isinstance(rates, float):
            rates = (rates,) * len(shape.hidden)
        streams = fastdrop.Generator(seed).spawn(1 + len(rates))
        self.layers: list[AnyLayer] = []
        if shape.p_input > 0:
            self.layers.append(shape.dropout(shape.p_input, streams[0]))
        for before, after, p, stream in zip(widths, widths[1:], rates, streams[1:], strict=False):
            for part in shape.block:
                if part == "linear":
                    self.layers.append(Linear(before, after, rng))
                elif part == "relu":
                    self.layers.append(ReLU())
                elif part == "logistic":
                    self.layers.append(Logistic())
                elif part == "norm":
                    self.layers.append(BatchNorm(after))
                elif part == "drop":
                    if p > 0:
                        self.layers.append(shape.dropout(p, stream))
                else:
                    raise ValueError(f"a block has no part {part!r}")
        self.layers.append(Linear(widths[-1], classes, rng))

    def train(self, mode: bool = True) -> None:
        for layer in self.layers:
            layer.train(mode)

    def eval(self) -> None:
        self.train(False)

    def of(self, kind: type) -> list:
        """The layers of a kind, from the input on."""
        return [layer for layer in self.layers if isinstance(layer, kind)]

    def forward(self, x: Floats) -> Floats:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Floats) -> None:
        """The parameters' gradients; below the first layer that has some, nobody asks for any."""
        first = self.of(Linear)[0]
        for layer in reversed(self.layers):
            if layer is first:
                first.learn(dy)
                return
            dy = layer.backward(dy)

    def parameters(self) -> list[tuple[Floats, Floats]]:
        return [pair for layer in self.of(Layer) for pair in layer.parameters()]

    def values(self) -> list[Floats]:
        """All that a network has learned, the averages of batch normalisation included."""
        found = []
        for layer in self.layers:
            if isinstance(layer, Linear):
                found += [layer.weight, layer.bias]
            elif isinstance(layer, BatchNorm):
                found += [layer.gain, layer.shift, layer.mean, layer.variance]
        return found

    def trace(self, x: Floats) -> Iterator[tuple[AnyLayer, Floats, Floats]]:
        """Every layer with what comes in and what goes out."""
        for layer in self.layers:
            y = layer.forward(x)
            yield layer, x, y
            x = y


# --- answers --------------------------------------------------------------------------------------


def softmax(scores: Floats) -> Floats:
    exponent = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probability: Floats = exponent / exponent.sum(axis=-1, keepdims=True)
    return probability


def cross_entropy(scores: Floats, y: Labels) -> tuple[float, Floats]:
    """The mean loss of softmax(scores), and its gradient."""
    rows = np.arange(len(y))
    probability = softmax(scores)
    loss = -float(np.mean(np.log(np.maximum(probability[rows, y], np.float32(1e-30)))))
    probability[rows, y] -= np.float32(1.0)
    probability /= np.float32(len(y))
    return loss, probability


def squared_error(output: Floats, target: Floats) -> tuple[float, Floats]:
    """Half the squared distance, the mean over the batch, and its gradient."""
    difference = output - target
    gradient: Floats = difference / np.float32(len(target))
    return 0.5 * float(np.mean((difference**2).sum(axis=1))), gradient


def error(scores: Floats, y: Labels) -> float:
    """Wrong answers, per cent."""
    return 100.0 * float(np.mean(scores.argmax(axis=-1) != y))


class Descent:
    """Gradient descent with momentum."""

    def __init__(self, rate: float, momentum: float) -> None:
        self.rate, self.momentum = np.float32(rate), np.float32(momentum)
        self.velocities: list[Floats] = []

    def step(self, pairs: Sequence[tuple[Floats, Floats]]) -> None:
        if not self.velocities:
            self.velocities = [np.zeros_like(value) for value, _ in pairs]
        for velocity, (value, gradient) in zip(self.velocities, pairs, strict=True):
            velocity *= self.momentum
            velocity -= self.rate * gradient
            value += velocity
