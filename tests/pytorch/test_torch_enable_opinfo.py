"""PyTorch's own descriptions of operators and modules, run with `enable` and without.

Shapes, dtypes, strides, what requires a gradient, and errors have to be the same.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import outcome, seeded  # noqa: E402

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


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64]
)
def test_operators(dtype: torch.dtype) -> None:
    tried = 0
    for entry in entries():
        floating = dtype.is_floating_point
        if not floating and dtype not in entry.dtypes:
            continue
        for sample in entry.sample_inputs("cpu", dtype, requires_grad=floating):

            def call(sample: Any = sample, entry: Any = entry) -> Any:
                again = sample.transform(lambda x: x)
                return entry(again.input, *again.args, **again.kwargs)

            wanted = outcome(call)
            with ft.enable():
                got = outcome(call)
            assert described(got) == described(wanted), (entry.name, sample)
            tried += 1
    assert tried > 20 or dtype is torch.int64


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
                    entry: Any = entry, made: Any = made, given: Any = given, k: Any = keywords
                ) -> Any:
                    module = entry.module_cls(*made.args, **k).train(training)  # noqa: B023
                    return module(*given.args, **given.kwargs)

                wanted = outcome(call)
                with ft.enable():
                    got = outcome(call)
                assert described(got) == described(wanted), (entry.name, sample)
                tried.add(entry.name)
    assert len(tried) > 5


def test_opcheck_of_compositions() -> None:
    """What tracers make of an operator agrees with what eager code makes of it."""
    x = torch.randn(3, 4, requires_grad=True)
    with ft.enable():
        for operator in (torch.ops.aten.dropout.default, torch.ops.aten.alpha_dropout.default):
            compiled = torch.compile(operator, backend="aot_eager", fullgraph=True)
            assert torch.equal(seeded(compiled, x, 0.5, True), seeded(operator, x, 0.5, True))
