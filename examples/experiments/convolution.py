"""Plain, spatial and block dropout in a small convolutional network, in PyTorch.

Neighbouring pixels of a channel say much the same, so that plain dropout takes little away.
Spatial dropout drops whole channels (Tompson et al., CVPR 2015), DropBlock squares of 3 x 3
(Ghiasi et al., NeurIPS 2018). The rate of each is chosen on images for validation. The modules are
`fastdrop.torch`'s: PyTorch's own names, and DropBlock, which PyTorch lacks.
"""

import numpy as np
import torch
from torch import nn

import fastdrop.torch as ft

from .common import Budget, Result, bars, canvas, change, main, summary, table
from .learning import load
from .mlp import error

RATES = (0.1, 0.2, 0.4)
CHANNELS, EPOCHS, BATCH, RATE, MOMENTUM = 8, 25, 50, 0.05, 0.9

WAYS = {
    "plain": lambda p, seed: ft.Dropout(p, seed=seed),
    "spatial": lambda p, seed: ft.Dropout2d(p, seed=seed),
    "DropBlock": lambda p, seed: ft.DropBlock2d(p, block_size=3, seed=seed),
}


def network(way: str, p: float, channels: int, seed: int) -> nn.Sequential:
    """Two convolutions with dropout behind each, and a linear layer: 8 x 8 pixels to 10 classes."""
    torch.manual_seed(seed)
    drops = [WAYS[way](p, 2 * seed + k) if way in WAYS else nn.Identity() for k in range(2)]
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), drops[0],
        nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), drops[1],
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * channels * 16, 10),
    )  # fmt: skip


def judge(net, x, y) -> float:
    with torch.no_grad():
        return error(net(x).numpy(), y)


def trained_errors(way, p, split, seed, budget):
    """Errors on the images for validation and for the test."""
    net = network(way, p, budget.number(CHANNELS, 4), seed)
    parts = (split.x, split.x_validation, split.x_test)
    x, x_validation, x_test = (torch.from_numpy(part).reshape(-1, 1, 8, 8) for part in parts)
    y = torch.from_numpy(split.y)
    descent = torch.optim.SGD(net.parameters(), RATE, MOMENTUM)
    order = torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(budget.number(EPOCHS, 1)):
        for part in torch.randperm(len(y), generator=order).split(BATCH):
            descent.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            descent.step()
    net.eval()
    return judge(net, x_validation, split.y_validation), judge(net, x_test, split.y_test)


def run(budget: Budget) -> Result:
    trials = [("none", 0.0), *((way, p) for way in WAYS for p in budget.few(RATES))]
    found = {trial: np.zeros((budget.seeds, 2)) for trial in trials}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in budget.each_seed(len(trials)):
            split = load("digits", seed)
            for trial in trials:
                found[trial][seed] = trained_errors(*trial, split, seed, budget)
    finally:
        torch.set_num_threads(threads)
    none = found["none", 0.0][:, 1]
    errors, rows = {"none": none}, [["none", "", summary(none), ""]]
    for way in WAYS:
        tried = [trial for trial in trials if trial[0] == way]
        best = min(tried, key=lambda trial: found[trial][:, 0].mean())
        errors[way] = found[best][:, 1]
        rows.append([way, best[1], summary(errors[way]), change(errors[way], none)])
    figure, (left, right) = canvas(2)
    bars(left, errors)
    for way in WAYS:
        means = [found[trial][:, 1].mean() for trial in trials if trial[0] == way]
        right.plot(budget.few(RATES), means, "o-", ms=3, label=way)
    right.axhline(none.mean(), color="#8a8a8a", label="none")
    right.set(xlabel="chance of dropping p", ylabel="mean test error, %")
    right.legend(frameon=False)
    return Result(table(("dropout", "p chosen", "test error, %", "less none"), rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
