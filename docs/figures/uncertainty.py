"""A regression with dropout, and how far its samples go apart."""

import numpy as np
from matplotlib import pyplot as plt

import fastdrop

rng = np.random.default_rng(5)
x = np.concatenate([rng.uniform(-1, -0.4, 40), rng.uniform(0.4, 1, 40)]).astype(np.float32)
y = (np.sin(4 * x) + rng.normal(0, 0.08, x.shape)).astype(np.float32)
x, y = x[:, None], y[:, None]
generator = fastdrop.Generator(1)

WIDTH, P = 128, 0.1
w = [
    rng.normal(0, 2, (1, WIDTH)).astype(np.float32),
    rng.normal(0, (2 / WIDTH) ** 0.5, (WIDTH, WIDTH)).astype(np.float32),
    rng.normal(0, WIDTH**-0.5, (WIDTH, 1)).astype(np.float32),
]
b = [np.zeros(n, np.float32) for n in (WIDTH, WIDTH, 1)]


def forward(inputs, source):
    """The activations of each layer, and the keys of the two masks."""
    states, keys = [inputs], []
    for i in range(3):
        z = states[-1] @ w[i] + b[i]
        if i < 2:
            z = np.maximum(z, 0)
            keys.append((z, source.reserve(z.size)))
            z = fastdrop.dropout(z, P, rng=keys[-1][1])
        states.append(z)
    return states, keys


first = [np.zeros_like(v) for v in w + b]
second = [np.zeros_like(v) for v in w + b]
for t in range(1, 2001):
    states, keys = forward(x, generator)
    gradient = 2 * (states[-1] - y) / len(x)
    found = [None] * 6
    for i in (2, 1, 0):
        if i < 2:
            z, key = keys[i]
            gradient = fastdrop.dropout(gradient, P, rng=key) * (z > 0)
        found[i], found[3 + i] = states[i].T @ gradient, gradient.sum(0)
        gradient = gradient @ w[i].T
    for value, g, m, v in zip(w + b, found, first, second, strict=True):
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        value -= 0.003 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

grid = np.linspace(-2, 2, 300, dtype=np.float32)[:, None]
result = fastdrop.mc_dropout(lambda v, rng: forward(v, rng)[0][-1], grid, 200, rng=3)
mean, std = result.mean[:, 0], result.std[:, 0]

figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.fill_between(grid[:, 0], mean - 2 * std, mean + 2 * std, alpha=0.25, lw=0, label="± 2 std")
axes.plot(grid, mean, label="mean of 200 samples")
axes.plot(x, y, "k.", ms=4, label="points")
axes.set(xlabel="input", ylabel="output", ylim=(-4, 4))
axes.legend(frameon=False)
