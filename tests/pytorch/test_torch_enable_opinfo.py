"""PyTorch's own descriptions of operators and modules, run with `enable` and without.

Shapes, dtypes, strides, what requires a gradient, and errors have to be the same.
"""

from __future__ import annotations

from collections.abc import Callable
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
MODULES = ("Dropout", "RNN", "LSTM", "GRU", "Transformer", "MultiheadAttention")


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


def check(call: Callable[[], Any], *what: Any) -> None:
    """The same forms, or the same error, with `enable` and without."""
    wanted = outcome(call)
    with ft.enable():
        assert described(outcome(call)) == described(wanted), what


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

            check(call, entry.name, sample)
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


def test_modules() -> None:
    modules = pytest.importorskip("torch.testing._internal.common_modules")
    tried = set()
    for entry in modules.module_db:
        if not entry.name.rpartition(".")[2].startswith(MODULES):
            continue
        for training in (True, False):
            inputs = entry.module_inputs_func(
                entry, device="cpu", dtype=torch.float32, requires_grad=True, training=training
            )
            for sample in inputs:
                made, given = sample.constructor_input, sample.forward_input
                if given is None:
                    continue
                keywords = dict(made.kwargs)
                if training and not entry.name.endswith("Cell"):
                    keywords["dropout"] = 0.1

                def call(
                    kind: Any = entry.module_cls, made: Any = made, given: Any = given,
                    keywords: Any = keywords, training: bool = training,
                ) -> Any:  # fmt: skip
                    module = kind(*made.args, **keywords).train(training)
                    return module(*given.args, **given.kwargs)

                check(call, entry.name, sample)
                tried.add(entry.name)
    assert len(tried) > 5
