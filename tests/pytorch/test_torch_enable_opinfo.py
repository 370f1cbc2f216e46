"""PyTorch's own descriptions of operators, run with `enable` and without.

Shapes, dtypes, strides, what requires a gradient, and errors have to be the same.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import outcome  # noqa: E402
from on_torch import DTYPES  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

pytestmark = [pytest.mark.outside, pytest.mark.filterwarnings("ignore")]

OPERATORS = (
    "bernoulli",
    "nn.functional.alpha_dropout",
    "nn.functional.dropout",
    "nn.functional.dropout2d",
    "nn.functional.dropout3d",
    "nn.functional.feature_alpha_dropout",
    "nn.functional.multi_head_attention_forward",
    "nn.functional.scaled_dot_product_attention",
)


def described(x: Any) -> Any:
    """All of an outcome but its numbers."""
    if isinstance(x, torch.Tensor):
        return type(x), x.shape, x.dtype, x.stride(), x.requires_grad, x.device
    if isinstance(x, tuple | list) and not (x and isinstance(x[0], type)):
        return [described(y) for y in x]
    return x


def entries() -> list[Any]:
    methods = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    found = [entry for entry in methods.op_db if entry.name in OPERATORS]
    assert {entry.name for entry in found} == set(OPERATORS)
    return found


@pytest.mark.parametrize("dtype", [*DTYPES, torch.int64])
def test_operators(dtype: torch.dtype) -> None:
    tried, floating = 0, dtype.is_floating_point
    for entry in entries():
        if not floating and dtype not in entry.dtypes:
            continue
        for sample in entry.sample_inputs("cpu", dtype, requires_grad=floating):

            def call(sample: Any = sample, entry: Any = entry) -> Any:
                again = sample.transform(lambda x: x)
                return entry(again.input, *again.args, **again.kwargs)

            wanted = outcome(call)
            with ft.enable():
                assert described(outcome(call)) == described(wanted), (entry.name, sample)
            tried += 1
    assert tried > 20 or not floating


def test_errors_of_operators() -> None:
    for entry in entries():
        if entry.error_inputs_func is None:
            continue
        for error in entry.error_inputs("cpu"):
            sample = error.sample_input
            with ft.enable(), pytest.raises(error.error_type, match=error.error_regex):
                entry(sample.input, *sample.args, **sample.kwargs)
