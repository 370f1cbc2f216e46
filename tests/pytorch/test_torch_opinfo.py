"""PyTorch's own databases of sample inputs, through our functions and modules beside PyTorch's."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("expecttest", reason="PyTorch's databases need expecttest")
pytest.importorskip("hypothesis", reason="PyTorch's databases need hypothesis")
from torch import nn  # noqa: E402
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from torch.testing._internal.common_modules import module_db  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.modules.attention import _functional  # noqa: E402

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    # Both say it of inputs of other ranks: that they say it is compared elsewhere.
    pytest.mark.filterwarnings("ignore:dropout[123]d. Received a:UserWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning"),
]

F = nn.functional

NAMES = ["dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
NAMES += ["scaled_dot_product_attention"]
OURS: dict[str, Callable[..., Any]] = {f"nn.functional.{n}": getattr(ft, n) for n in NAMES}
OURS["nn.functional.multi_head_attention_forward"] = _functional.multi_head_attention_forward

# Entries that speak of dropout or attention and have no function here, and why.
WITHOUT = {
    "native_dropout_backward": "takes a mask, which here is never kept: it is no user's function",
    "torch.ops.aten._flash_attention_forward": "runs on GPUs alone",
    "torch.ops.aten._efficient_attention_forward": "runs on GPUs alone",
}

OPS = {
    " ".join(filter(None, (op.name, op.variant_test_name))): op for op in op_db if op.name in OURS
}
THEIRS = {name: getattr(F, op.name.rpartition(".")[2]) for name, op in OPS.items()}


def test_every_entry_has_its_twin_or_a_reason() -> None:
    speaks = {op.name for op in op_db if "dropout" in op.name or "attention" in op.name}
    assert speaks == set(OURS) | set(WITHOUT)


def rate(sample: Any) -> float:
    """The probability that the sample has in effect."""
    if sample.kwargs.get("training", True) is False:
        return 0.0
    return float(sample.kwargs.get("p", sample.kwargs.get("dropout_p", 0.5)))


def samples(name: str, dtype: "torch.dtype" = torch.float32, grad: bool = False) -> Iterator[Any]:
    torch.manual_seed(0)
    # Of attention's modules there are hundreds, which differ by little.
    step = 8 if "multi_head" in name else 1
    for sample in list(OPS[name].sample_inputs("cpu", dtype, requires_grad=grad))[::step]:
        if "attention" not in name:
            sample.kwargs.setdefault("training", "alpha" not in name)  # their default
        yield from (sample, sample.noncontiguous())


def both(name: str, call: Callable[[Callable[..., Any]], Any]) -> tuple[Any, Any]:
    """What comes of PyTorch's function and of ours: a result, or an error."""
    found = []
    for function in (THEIRS[name], OURS[OPS[name].name]):
        torch.manual_seed(1)
        try:
            found.append(call(function))
        except Exception as error:  # it is compared
            found.append(error)
    return found[0], found[1]


# Without a batch axis and without a draw, PyTorch gives a view of the input, and we the input
# itself, as in every other case.
OTHER_IDENTITY = ["nn.functional.dropout3d"]


def check_alike(name: str, sample: Any) -> tuple[Any, Any] | None:
    """Compare shapes, dtypes, strides and autograd's part, or errors; the results, if any came."""
    theirs, ours = both(name, lambda f: f(sample.input, *sample.args, **sample.kwargs))
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (sample, ours)
        return None
    assert not isinstance(ours, Exception), (sample, ours)
    identity = name not in OTHER_IDENTITY
    assert not identity or (theirs is sample.input) == (ours is sample.input)
    for one, other in zip(flat(theirs), flat(ours), strict=True):
        assert other.shape == one.shape
        assert other.dtype == one.dtype
        assert other.requires_grad == one.requires_grad
        assert not identity or (other.grad_fn is None) == (one.grad_fn is None)
        assert strides(other) == strides(one), sample
    return theirs, ours


def flat(result: Any) -> tuple[Any, ...]:
    return tuple(x for x in result if x is not None) if isinstance(result, tuple) else (result,)


def strides(x: "torch.Tensor") -> tuple[int, ...]:
    """Of the axes that have more than one index: the others' mean nothing."""
    return tuple(step for n, step in zip(x.shape, x.stride(), strict=True) if n > 1 and x.numel())


ALL = [(name, dtype) for name, op in OPS.items() for dtype in sorted(op.dtypes, key=str)]


@pytest.mark.parametrize(("name", "dtype"), ALL)
def test_forms_of_results(name: str, dtype: "torch.dtype") -> None:
    count = 0
    for grad in {False, dtype.is_floating_point}:
        for sample in samples(name, dtype, grad):
            results = check_alike(name, sample)
            count += results is not None
            if results is not None and rate(sample) == 0 and "multi_head" not in name:
                for one, other in zip(*map(flat, results), strict=True):
                    assert torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    assert count >= 14


@pytest.mark.parametrize("name", OPS)
def test_autocast(name: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        came = [check_alike(name, sample) for sample in samples(name)]
    assert any(came)


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].inplace_variant])
def test_in_place(name: str) -> None:
    came = 0
    inputs = [s for dtype in OPS[name].dtypes for s in samples(name, dtype) if s.input.dim()]
    for sample in inputs:
        for x in (sample.input.clone(), sample.input[:1].expand(3, *sample.input.shape[1:])):

            def call(function: Any, x: Any = x, more: Any = sample.kwargs) -> Any:
                target = x.detach()
                y = function(target, **more, inplace=True)
                return y is target, y.shape, y.dtype, y.stride()

            theirs, ours = both(name, call)
            assert theirs == ours or type(theirs) is type(ours) is not tuple, sample
            came += isinstance(theirs, tuple)
    assert came


MODULES = {
    info.module_cls.__name__: info
    for info in module_db
    if info.module_cls.__module__.startswith(
        ("torch.nn.modules.transformer", nn.Dropout.__module__)
    )
    or info.module_cls is nn.MultiheadAttention
}


def set_rate(module: nn.Module, p: float) -> None:
    for inner in module.modules():
        if isinstance(inner, nn.Dropout):
            inner.p = p
        elif isinstance(inner, nn.MultiheadAttention):
            inner.dropout = p


@pytest.mark.parametrize(
    ("training", "p"), [(False, 0.5), (True, 0.0), (True, 1e-12), (True, 0.5), (True, 1.0)]
)
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, training: bool, p: float) -> None:
    info = MODULES[name]
    torch.manual_seed(0)
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
    )
    came = 0
    # Transformers come in all combinations of their arguments: a dozen spread over them will do.
    for given in inputs[:: max(1, len(inputs) // 12)]:
        made, called = given.constructor_input, given.forward_input
        theirs = info.module_cls(*made.args, **made.kwargs).double().train(training)
        set_rate(theirs, p)
        ours = nn.ModuleList([copy.deepcopy(theirs)])
        report = ft.replace(ours)
        assert bool(report.replaced) is (p > 0 or name != "MultiheadAttention")
        found = []
        for module in (theirs, ours[0]):
            torch.manual_seed(1)
            try:
                result = flat(module(*called.args, **called.kwargs))
            except Exception as error:
                found.append((type(error), str(error)))
                continue
            sum(y.sum() for y in result).backward()
            found.append((result, [w.grad for w in module.parameters()]))
        if isinstance(found[0][0], type):
            assert found[0] == found[1]
            continue
        came += bool(found[0][1])
        for one, other in zip(found[0][0], found[1][0], strict=True):
            assert (other.shape, other.dtype) == (one.shape, one.dtype)
            assert strides(other) == strides(one)
        # Certain: nothing is dropped, or everything.
        certain = p != 0.5 or not training
        for within, several in zip((1e-6, 1e-5), zip(*found, strict=True), strict=True):
            for one, other in zip(*several, strict=True):
                assert (one is None) == (other is None)
                if certain and one is not None:
                    assert torch.allclose(one, other, atol=within, equal_nan=True)
    assert came
