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


def covariance(x: np.ndarray, y: np.ndarray, w: np.ndarray, p: float) -> np.ndarray:
    """Of ``d (y - d w)``, summed over the rows, where d is a row after dropout: exactly."""
    features = x.shape[1]
    keep = (np.arange(2**features)[:, None] >> np.arange(features)) & 1
    chance = np.prod(np.where(keep, 1 - p, p), axis=1)
    d = x[:, None] * keep / (1 - p)
    g = d * (y[:, None] - d @ w)[..., None]
    mean = chance @ g
    return np.einsum("rki,k,rkj->ij", g, chance, g, optimize=True) - mean.T @ mean


def normal_equations(x: np.ndarray, y: np.ndarray, p: float) -> tuple[np.ndarray, np.ndarray]:
    """A and b of the dropout problem: means over COPIES of the data with masks of fastdrop's."""
    rng, a, b = fastdrop.Generator(seed=2014), 0, 0
    for _ in range(COPIES // BATCH):
        dropped = fastdrop.dropout(np.tile(x, (BATCH, 1, 1)), p, rng=rng)
        rows = dropped.reshape(-1, x.shape[1])
        a = a + rows.T @ rows
        b = b + dropped.sum(axis=0).T @ y
    return a / COPIES, b / COPIES


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_is_ridge(p: float) -> None:
    # 442 patients, ten measured features in their own units, and the disease a year later: features
    # of every size, so that G matters; centred, so that no intercept is needed.
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    x, y = x - x.mean(axis=0), y - y.mean()
    gram, penalty = x.T @ x, p / (1 - p)
    squares = np.diag(gram)

    def ridge(weights: np.ndarray) -> np.ndarray:
        return np.linalg.solve(gram + np.diag(weights), x.T @ y)

    right = ridge(penalty * squares)
    precision = np.linalg.inv(covariance(x, y, right, p))
    a, b = normal_equations(x, y, p)
    dropout = np.linalg.solve(a, b)
    limit = stats.chi2.isf(FALSE_FAILURE, x.shape[1])

    def distance(from_: np.ndarray, to: np.ndarray, hessian: np.ndarray) -> float:
        """Squared, in units of dropout's error."""
        g = hessian @ (from_ - to)
        return float(COPIES * g @ precision @ g)

    assert distance(dropout, right, a) < limit

    # The controls: what is not the right ridge is too far from dropout, and surely so.
    expected = gram + penalty * np.diag(squares)
    for name, weights in {
        "least squares": 0 * squares,
        "penalty p": p * squares,
        "penalty 3 % too high": 1.03 * penalty * squares,
        "penalty 3 % too low": 0.97 * penalty * squares,
        "the same penalty for all features": np.full_like(squares, penalty * squares.mean()),
    }.items():
        w = ridge(weights)
        noncentrality = distance(right, w, expected)
        assert stats.ncx2.sf(limit, x.shape[1], noncentrality) >= POWER, name
        assert distance(dropout, w, a) > limit, name
