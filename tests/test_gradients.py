"""The gradient that each declaration names is the derivative, in training and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, KEY, Case, parametrize, results
from computing import check_slopes
from forms import with_acts, without_bias

DIFFERENTIABLE = [form for case in CASES if not case.repeats for form in with_acts(case)]
DIFFERENTIABLE += [without_bias(case) for case in DIFFERENTIABLE if "bias" in case.shapes]


@parametrize(DIFFERENTIABLE)
@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_by_finite_differences(case: Case, training: bool) -> None:
    operands = case.operands(np.float64)
    dy = np.random.default_rng(3).standard_normal(case.shape)
    found = case.gradients(operands, dy, 0.4, training=training, rng=KEY)
    assert all(gradient is None for gradient in found[len(operands) :])  # of no bias

    def call(*moved: np.ndarray) -> np.ndarray:
        given = dict(zip(operands, moved, strict=True))
        return results(case(given, training=training, rng=KEY))[0]

    check_slopes(call, list(operands.values()), found[: len(operands)], dy)
