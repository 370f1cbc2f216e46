"""The gradient that each declaration names is the derivative, in training and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, KEY, Case, parametrize, results
from forms import with_acts, without_bias

DIFFERENTIABLE = [form for case in CASES if not case.repeats for form in with_acts(case)]
DIFFERENTIABLE += [without_bias(case) for case in DIFFERENTIABLE if "bias" in case.shapes]


@parametrize(DIFFERENTIABLE)
@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_by_finite_differences(case: Case, training: bool) -> None:
    """Of sum(dy * y) in random directions, along which an error in any element shows."""
    source, step = np.random.default_rng(3), 1e-6
    operands = case.operands(np.float64)
    dy = source.standard_normal(case.shape)
    found = case.gradients(operands, dy, 0.4, training=training, rng=KEY)
    assert all(gradient is None for gradient in found[len(operands) :])  # of no bias
    for (name, x), gradient in zip(operands.items(), found, strict=False):
        assert gradient.shape == x.shape
        for _ in range(3):
            direction = np.asarray(source.standard_normal(x.shape))
            moved = [{**operands, name: x + h * direction} for h in (step, -step)]
            # What is dropped to -inf does not move, and has no difference.
            ends = [
                np.nan_to_num(results(case(given, training=training, rng=KEY))[0], neginf=0.0)
                for given in moved
            ]
            slope = (dy * (ends[0] - ends[1])).sum() / (2 * step)
            size = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs(slope - (gradient * direction).sum()) <= 1e-7 * size + 1e-7, name
