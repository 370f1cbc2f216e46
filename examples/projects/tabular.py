"""Tables: TabM and the MLP of "Revisiting Deep Learning Models for Tabular Data".

Both come from their authors' packages, `tabm` and `rtdl_revisiting_models`, with widths and rates
that these suggest. They learn Friedman's first function of ten numbers with noise, which
scikit-learn makes.

    python -m examples.projects.tabular
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from rtdl_revisiting_models import MLP
from sklearn.datasets import make_friedman1
from tabm import TabM
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from .common import SEED, Case, Step, main
from .on_torch import prepare, share, switch, training

ROWS, COLUMNS, BATCH, P = 8192, 10, 256, 0.1
BLOCKS, WIDTH, MEMBERS = 3, 512, 32


def tabm(p: float, quick: bool) -> nn.Module:
    """32 networks that share most of their weights."""
    width, k = (64, 4) if quick else (WIDTH, MEMBERS)
    return TabM.make(
        n_num_features=COLUMNS, d_out=1, n_blocks=BLOCKS, d_block=width, k=k, dropout=p
    )


def mlp(p: float, quick: bool) -> nn.Module:
    width = 64 if quick else WIDTH
    return MLP(d_in=COLUMNS, d_out=1, n_blocks=BLOCKS, d_block=width, dropout=p)


def build(make: Callable[[float, bool], nn.Module], variant: str, quick: bool) -> Step:
    values, targets = make_friedman1(ROWS, COLUMNS, noise=1.0, random_state=SEED)
    x = torch.tensor(values, dtype=torch.float32)
    y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)
    prepare()
    model = make(0.0 if variant == "none" else P, quick)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=3e-4)
    order = torch.Generator().manual_seed(SEED)

    def loss() -> Tensor:
        rows = torch.randint(ROWS, (BATCH,), generator=order)
        guess = model(x[rows]).flatten(1)  # of TabM's each network its own
        return F.mse_loss(guess, y[rows, None].expand_as(guess))

    return training(model, optimizer, loss)


CASES = (
    Case(
        "TabM", f"batch of {BATCH}, k = {MEMBERS}, {BLOCKS} x {WIDTH}, p = {P}",
        lambda *how: build(tabm, *how), switch, share, ("torch", "tabm"),
    ),
    Case(
        "rtdl's MLP", f"batch of {BATCH}, {BLOCKS} x {WIDTH}, p = {P}",
        lambda *how: build(mlp, *how), switch, share, ("torch", "rtdl_revisiting_models"),
    ),
)  # fmt: skip

if __name__ == "__main__":
    main(CASES, __doc__)
