"""Training and evaluation have to agree on the scale, and evaluation has to drop nothing.

Inverted dropout multiplies what is kept by 1/(1-p) in training, the paper's standard form
multiplies everything by 1-p in evaluation. Two mistakes: to do neither, so that units receive more
in evaluation than they learned with, and to do both, so that they receive less. A third: to forget
`eval()`. The same networks are then judged with dropout on, and asked twice.
"""

import fastdrop
from fastdrop import layers

from .common import BLUE, RED, Budget, Result, canvas, main, summary, table
from .learning import Recipe
from .mlp import Linear, cross_entropy, error


class Neither(layers.Dropout):
    def __init__(self, p, rng):
        super().__init__(p, mode="standard", rng=rng)
        self.rate = p

    def train(self, mode=True):
        self.p = self.rate if mode else 0.0  # evaluation then multiplies by 1
        return super().train(mode)


class Both(layers.Dropout):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        return fastdrop.dropout(x, self.p, training=False, mode="standard")


MODES = {
    "inverted": lambda p, rng: layers.Dropout(p, rng=rng),
    "standard": lambda p, rng: layers.Dropout(p, mode="standard", rng=rng),
    "neither scales": Neither,
    "both scale": lambda p, rng: Both(p, rng=rng),
}


def measure(network, split, _seed):
    """Error and loss, evaluated; the same, eval() forgotten; answers that change; and the
    mean of what both layers behind dropout receive, evaluation divided by training.
    """
    x, y = split.x_test, split.y_test
    after_dropout = network.of(Linear)[1:]
    scores = network.forward(x)
    evaluated = [layer.x.mean() for layer in after_dropout]
    network.train()
    forgotten = network.forward(x)
    scales = [mean / layer.x.mean() for mean, layer in zip(evaluated, after_dropout, strict=True)]
    again = network.forward(x).argmax(axis=1)
    changed = 100.0 * (forgotten.argmax(axis=1) != again).mean()
    return (
        error(scores, y), cross_entropy(scores, y)[0],
        error(forgotten, y), cross_entropy(forgotten, y)[0], changed, *scales,
    )  # fmt: skip


def run(budget: Budget) -> Result:
    recipes = {
        name: Recipe(hidden=(256, 256), p_hidden=0.5, epochs=300, dropout=dropout)
        for name, dropout in MODES.items()
    }
    found = budget.trials(recipes, measure)
    rows = [
        [name, *(summary(values[:, part]) for part in (5, 6, 0, 1, 2, 3, 4))]
        for name, values in found.items()
    ]
    figure, (left, right) = canvas(2)
    for axes, parts, label in ((left, (0, 2), "test error, %"), (right, (1, 3), "test loss")):
        for part, shift, colour, name in zip(
            parts, (-0.15, 0.15), (BLUE, RED), ("evaluated", "eval() forgotten"), strict=True
        ):
            for place, values in enumerate(found.values()):
                spots = [place + shift] * len(values)
                label_once = None if place else name
                axes.plot(values[:, part], spots, "o", ms=5, mew=0, color=colour, label=label_once)
        axes.set_yticks(range(len(found)), list(found))
        axes.invert_yaxis()
        axes.set(xlabel=label, xscale="log")
    left.legend(frameon=False)
    header = (
        "scaling", "layer 2 receives, evaluation / training", "layer 3", "error, %", "loss",
        "error, no eval()", "loss, no eval()", "answers that change, %",
    )  # fmt: skip
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
