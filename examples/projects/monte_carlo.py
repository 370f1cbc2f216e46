"""baal: Monte Carlo dropout, 20 passes over batches of two networks.

baal makes a network's dropout stay on (`patch_module`) and asks it several times
(`ModelWrapper.predict_on_batch`); how far the answers are apart is how unsure it is.

    python -m examples.projects.monte_carlo
"""

from __future__ import annotations

import torch
from baal.bayesian.dropout import patch_module
from baal.modelwrapper import ModelWrapper, TrainingArgs
from torch import nn

from .common import Case, Step, main
from .on_torch import prepare, share, switch

INPUTS, CLASSES, P, PASSES = 64, 10, 0.5, 20


def network(layers: int, width: int, p: float) -> nn.Sequential:
    """Rectified linear units with dropout behind each layer."""
    parts: list[nn.Module] = []
    for inputs in [INPUTS, *[width] * (layers - 1)]:
        parts += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(p)]
    return nn.Sequential(*parts, nn.Linear(width, CLASSES))


def build(batch: int, layers: int, width: int, variant: str, quick: bool) -> Step:
    prepare()
    model = patch_module(network(layers, width, 0.0 if variant == "none" else P)).eval()
    args = TrainingArgs(optimizer=None, batch_size=batch, use_cuda=False, replicate_in_memory=False)
    wrapper = ModelWrapper(model, args)
    data = torch.randn(batch // 8 if quick else batch, INPUTS)

    def step() -> float:
        """The mean entropy of the classes' mean probabilities."""
        scores = wrapper.predict_on_batch(data, iterations=PASSES)
        chance = scores.softmax(dim=1).mean(dim=-1)
        return -(chance * chance.log()).sum(dim=1).mean().item()

    return step


def case(batch: int, layers: int, width: int) -> Case:
    return Case(
        f"baal, {layers} x {width}",
        f"{PASSES} passes over a batch of {batch}, {layers} hidden layers of {width} units, "
        f"p = {P}, entropy in the place of the loss",
        lambda *how: build(batch, layers, width, *how),
        switch,
        share,
        ("torch", "baal"),
    )


CASES = (case(256, 3, 128), case(1024, 4, 256))

if __name__ == "__main__":
    main(CASES, __doc__)
