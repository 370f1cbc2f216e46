"""What is trained: the paper's comparisons, and the rates among which validation chooses.

The paper drops 0.2 of the inputs and 0.5 of the hidden units, ends with momentum 0.95, and limits
the norms of the weights that come into a unit to 2 (its appendix B.1); without dropout it
recommends momentum 0.9, and for dropout 10 to 100 times the learning rate (A.2). The rates
themselves it does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import fastdrop
from fastdrop import layers

from .training import Recipe


def gaussian(p: float, rng: fastdrop.Generator) -> layers.GaussianDropout:
    return layers.GaussianDropout(p, rng=rng)


DROPS = {"p_input": 0.2, "p_hidden": 0.5}
LOGISTIC = ("linear", "logistic", "drop")
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Tried with the first seed and few epochs; the one with the smallest validation error is used."""
CHOOSING_EPOCHS = 5
DROP_RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""p of the hidden units for figure 9."""

FIGURE_4 = {
    "logistic": Recipe(block=LOGISTIC, momentum=0.9),
    "logistic, dropout": Recipe(block=LOGISTIC, **DROPS),
    "logistic, dropout, max-norm": Recipe(block=LOGISTIC, **DROPS, max_norm=2.0),
    "ReLU": Recipe(momentum=0.9),
    "ReLU, dropout": Recipe(**DROPS),
    "ReLU, dropout, max-norm": Recipe(**DROPS, max_norm=2.0),
}
TABLE_10 = {
    "Bernoulli": Recipe(hidden=(1024, 1024), **DROPS, max_norm=2.0),
    "Gaussian": Recipe(
        hidden=(1024, 1024), **DROPS, max_norm=2.0,
        dropout=gaussian,
    ),
}  # fmt: skip
AVERAGED = "ReLU, dropout, max-norm"
"""Of figure 11."""
BASE = "ReLU, dropout"
"""Of figure 9, whose point at 0.5 it is."""
FIGURE_9 = {
    f"p = {p}": replace(FIGURE_4[BASE], p_hidden=p) for p in DROP_RATES if p != DROPS["p_hidden"]
}
RECIPES = FIGURE_4 | TABLE_10 | FIGURE_9
RATE_OF = dict.fromkeys(TABLE_10, AVERAGED) | dict.fromkeys(FIGURE_9, BASE)
"""Whose learning rate a recipe takes that has none of its own chosen."""


@dataclass(frozen=True)
class Job:
    """One network to train."""

    name: str
    recipe: Recipe
    seed: int
    choosing: bool

    @property
    def file(self) -> str:
        """Without what file systems do not like; settings that change results are in it."""
        name = self.name.replace(", ", "-").replace(" = ", "")
        kind = "choosing" if self.choosing else "final"
        return f"{kind}-{name}-{self.recipe.rate:g}-{self.recipe.epochs}-{self.seed}"


def sized(recipe: Recipe, quick: bool) -> Recipe:
    return recipe.quick() if quick else recipe


def choices(quick: bool) -> list[Job]:
    """What has to be trained to choose rates."""
    rates = RATES[1::2] if quick else RATES
    return [
        Job(
            name,
            replace(sized(recipe, quick), rate=rate, epochs=1 if quick else CHOOSING_EPOCHS),
            0,
            choosing=True,
        )
        for name, recipe in FIGURE_4.items()
        for rate in rates
    ]


def finals(chosen: dict[str, float], seeds: int, epochs: int, quick: bool) -> list[Job]:
    """What is compared, seed by seed, so that an interrupted run has whole seeds first."""
    return [
        Job(
            name,
            replace(
                sized(recipe, quick),
                rate=chosen[RATE_OF.get(name, name)],
                epochs=2 if quick else epochs,
            ),
            seed,
            choosing=False,
        )
        for seed in range(seeds)
        for name, recipe in RECIPES.items()
    ]
