"""Bernoulli or Gaussian noise of the same variance: the paper's table 10.

Dropout multiplies with 0 or 1/(1-p), whose variance is p/(1-p). `fastdrop.gaussian_dropout`
multiplies with a normal variate of mean 1 and the same variance. On three of scikit-learn's bundled
sets. The standardised ones are learned more slowly: at the digits' rate, noise makes learning
explode on the breast cancer set, of either kind.
"""

from dataclasses import replace

from fastdrop import layers

from .common import BLUE, GREY, ORANGE, Budget, Result, canvas, change, main, summary, table
from .learning import Recipe

SETS = {"digits": "digits", "cancer": "breast cancer", "wine": "wine"}
LEARNING_RATES = {"digits": 0.05, "cancer": 0.01, "wine": 0.01}
RATES = {"p_input": 0.1, "p_hidden": 0.5}

NOISES = {
    "none": Recipe(),
    "Bernoulli": Recipe(**RATES),
    "Gaussian": Recipe(**RATES, dropout=lambda p, rng: layers.GaussianDropout(p, rng=rng)),
}


def run(budget: Budget) -> Result:
    found = {}
    for data, rate in LEARNING_RATES.items():
        recipes = {noise: replace(recipe, rate=rate) for noise, recipe in NOISES.items()}
        found[data] = budget.trials(recipes, data=data)
    rows = [
        [SETS[data], *(summary(errors[noise]) for noise in NOISES),
         change(errors["Gaussian"], errors["Bernoulli"])]
        for data, errors in found.items()
    ]  # fmt: skip
    figure, axes = canvas(len(SETS), width=3.2)
    for one, (data, errors) in zip(axes, found.items(), strict=True):
        for place, (noise, colour) in enumerate(zip(NOISES, (GREY, BLUE, ORANGE), strict=True)):
            values = errors[noise]
            one.plot([place] * len(values), values, "o", ms=4, alpha=0.5, mew=0, color=colour)
            one.plot([place - 0.3, place + 0.3], [values.mean()] * 2, lw=2, color=colour)
        one.set_xticks(range(len(NOISES)), list(NOISES))
        one.set(title=SETS[data], ylim=(0, None))
    axes[0].set_ylabel("test error, %")
    header = ("data", *(f"{noise}, %" for noise in NOISES), "Gaussian less Bernoulli")
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
