"""Dropout on linear regression is ridge regression in expectation, shown on real data.

Srivastava et al., JMLR 15 (2014), section 9.1: the w that minimises the expectation over masks of
``||y - (X * m / (1 - p)) w||^2`` minimises ``||y - X w||^2 + p / (1 - p) ||G w||^2`` too, where G
is the root of the diagonal of X'X (p is the probability of dropping here, of keeping in the paper).
The second is solved in closed form and knows nothing of fastdrop. The first is solved with
fastdrop's masks: the expectation is the mean over COPIES of them.

How close the two have to be follows from COPIES. Let A and b be the means over the copies of Z'Z
and Z'y, where Z is X after dropout, and w ridge's solution. Then dropout's solution is
``w + A^-1 g``, and ``g = b - A w`` is the mean of independent vectors of expectation 0. Their
covariance C is computed exactly, from all 2^10 masks that a row of ten features can have. So
``COPIES * g' C^-1 g`` is chi-square with ten degrees of freedom, as nearly as a mean over millions
of rows is normal.
"""

from typing import NamedTuple

import numpy as np
import pytest

import fastdrop

datasets = pytest.importorskip("sklearn.datasets")
stats = pytest.importorskip("scipy.stats")

COPIES = 10_000
BATCH = 200

FALSE_FAILURE = 1e-8
"""Chance, for each p, that a right dropout fails: over seeds, of which one is fixed."""

POWER = 1 - 1e-8
"""Chance at least that a wrong penalty (one of those below) is found."""


class Regression(NamedTuple):
    x: np.ndarray
    y: np.ndarray

    def ridge(self, penalty: float, weights: np.ndarray | None = None) -> np.ndarray:
        """What minimises ||y - X w||^2 + penalty ||G w||^2; ``weights``: another G^2."""
        gram = self.x.T @ self.x
        weights = np.diag(gram) if weights is None else weights
        return np.linalg.solve(gram + penalty * np.diag(weights), self.x.T @ self.y)


@pytest.fixture(scope="module")
def diabetes() -> Regression:
    """442 patients, ten measured features in their own units, and the disease a year later."""
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    # Features of every size, so that G matters; centred, so that no intercept is needed.
    return Regression(x - x.mean(axis=0), y - y.mean())


def covariance(data: Regression, w: np.ndarray, p: float) -> np.ndarray:
    """Of ``d (y - d w)``, summed over the rows, where d is a row after dropout: exactly."""
    features = data.x.shape[1]
    keep = (np.arange(2**features)[:, None] >> np.arange(features)) & 1
    chance = np.prod(np.where(keep, 1 - p, p), axis=1)
    total = np.zeros((features, features))
    for row, target in zip(data.x, data.y, strict=True):
        d = row * keep / (1 - p)
        g = d * (target - d @ w)[:, None]
        mean = chance @ g
        total += (g * chance[:, None]).T @ g - np.outer(mean, mean)
    return total


def normal_equations(data: Regression, p: float) -> tuple[np.ndarray, np.ndarray]:
    """A and b of the dropout problem: means over COPIES of the data with masks of fastdrop's."""
    rng = fastdrop.Generator(seed=2014)
    copies = np.tile(data.x, (BATCH, 1, 1))
    a = np.zeros((data.x.shape[1],) * 2)
    b = np.zeros(data.x.shape[1])
    for _ in range(COPIES // BATCH):
        dropped = fastdrop.dropout(copies, p, rng=rng)
        rows = dropped.reshape(-1, data.x.shape[1])
        a += rows.T @ rows
        b += dropped.sum(axis=0).T @ data.y
    return a / COPIES, b / COPIES


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_is_ridge(diabetes: Regression, p: float) -> None:
    features = diabetes.x.shape[1]
    penalty = p / (1 - p)
    ridge = diabetes.ridge(penalty)
    precision = np.linalg.inv(covariance(diabetes, ridge, p))
    a, b = normal_equations(diabetes, p)
    dropout = np.linalg.solve(a, b)
    limit = stats.chi2.isf(FALSE_FAILURE, features)

    def distance(other: np.ndarray) -> float:
        """From dropout's solution, squared, in units of its error."""
        g = a @ (dropout - other)
        return float(COPIES * g @ precision @ g)

    assert distance(ridge) < limit

    # The controls: what is not the right ridge is too far from dropout, and surely so.
    gram = diabetes.x.T @ diabetes.x
    wrong = {
        "least squares": diabetes.ridge(0),
        "penalty p": diabetes.ridge(p),
        "penalty 3 % too high": diabetes.ridge(1.03 * penalty),
        "penalty 3 % too low": diabetes.ridge(0.97 * penalty),
        "the same penalty for all features": diabetes.ridge(
            penalty, np.full(features, np.trace(gram) / features)
        ),
    }
    expected = gram + penalty * np.diag(np.diag(gram))
    for name, w in wrong.items():
        g = expected @ (ridge - w)
        noncentrality = COPIES * g @ precision @ g
        assert stats.ncx2.sf(limit, features, noncentrality) >= POWER, name
        assert distance(w) > limit, name
