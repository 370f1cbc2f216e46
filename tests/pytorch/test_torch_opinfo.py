"""PyTorch's own databases of sample inputs, through our functions and modules beside PyTorch's."""

import copy
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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

OURS: dict[str, Callable[..., Any]] = {
    "nn.functional.dropout": ft.dropout,
    "nn.functional.dropout2d": ft.dropout2d,
    "nn.functional.dropout3d": ft.dropout3d,
    "nn.functional.alpha_dropout": ft.alpha_dropout,
    "nn.functional.feature_alpha_dropout": ft.feature_alpha_dropout,
    "nn.functional.scaled_dot_product_attention": ft.scaled_dot_product_attention,
    "nn.functional.multi_head_attention_forward": _functional.multi_head_attention_forward,
}

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
DROPS = [name for name in OPS if "attention" not in name]


def test_every_entry_has_its_twin_or_a_reason() -> None:
    speaks = {op.name for op in op_db if "dropout" in op.name or "attention" in op.name}
    assert speaks == set(OURS) | set(WITHOUT)


class Sample(NamedTuple):
    input: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def rate(self) -> float:
        """The probability that the sample has in effect."""
        if self.kwargs.get("training", True) is False:
            return 0.0
        return float(self.kwargs.get("p", self.kwargs.get("dropout_p", 0.5)))


def samples(
    name: str, dtype: "torch.dtype" = torch.float32, grad: bool = False
) -> Iterator[Sample]:
    torch.manual_seed(0)
    # Of attention's modules there are hundreds, which differ by little.
    step = 8 if "multi_head" in name else 1
    found = list(OPS[name].sample_inputs("cpu", dtype, requires_grad=grad))
    for sample in found[::step]:
        if "attention" not in name:
            sample.kwargs.setdefault("training", "alpha" not in name)  # their default
        yield Sample(sample.input, sample.args, sample.kwargs)
        other = sample.noncontiguous()
        yield Sample(other.input, other.args, other.kwargs)


def both(name: str, sample: Sample) -> tuple[Any, Any]:
    """What PyTorch gives and what we give: a result, or an error."""
    found = []
    for function in (THEIRS[name], OURS[OPS[name].name]):
        torch.manual_seed(1)
        try:
            result: Any = function(sample.input, *sample.args, **sample.kwargs)
        except (RuntimeError, ValueError) as error:  # it is compared
            result = error
        found.append(result)
    return found[0], found[1]


def check_alike(name: str, sample: Sample, theirs: Any, ours: Any) -> bool:
    """Compare shapes, dtypes, strides and autograd's part, or errors; whether a result came."""
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (sample, ours)
        return False
    assert not isinstance(ours, Exception), (sample, ours)
    if (name, "identity") not in DIFFERENCES:
        assert (theirs is sample.input) == (ours is sample.input)
    for one, other in zip(flat(theirs), flat(ours), strict=True):
        assert other.shape == one.shape
        assert other.dtype == one.dtype
        assert other.requires_grad == one.requires_grad
        if (name, "identity") not in DIFFERENCES:
            assert (other.grad_fn is None) == (one.grad_fn is None)
        assert strides(other) == strides(one), sample
    return True


ATTENDS = "nn.functional.scaled_dot_product_attention"

# (entry, what is compared): where we differ from PyTorch, and why.
DIFFERENCES = {
    (
        "nn.functional.dropout3d",
        "identity",
    ): "without a batch axis and without a draw, PyTorch "
    "gives a view of the input, and we the input itself, as in every other case",
    **{
        (name, "vmap at p = 1"): "PyTorch draws nothing there, so that vmap does not ask for how "
        "many samples; we draw as for every other p"
        for name in DROPS
    },
}


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
            theirs, ours = both(name, sample)
            count += (came := check_alike(name, sample, theirs, ours))
            if came and sample.rate() == 0 and "multi_head" not in name:
                for one, other in zip(flat(theirs), flat(ours), strict=True):
                    assert equal(one, other)
    assert count >= 14


def equal(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in DROPS if "without_train" not in name])
def test_values_and_gradients_follow_the_mask(name: str) -> None:
    """Each element is what a kept or a dropped one has to be; so is its gradient."""
    dropped, count = 0.0, 0
    for sample in samples(name, torch.float64, True):
        p = sample.rate()
        _, y = both(name, sample)
        x = sample.input.detach()
        if p == 0:
            continue
        slope = torch.autograd.grad(y.sum(), sample.input)[0]
        if p == 1:
            kept, a, b, low = torch.zeros_like(x, dtype=torch.bool), 0.0, 0.0, 0.0
        elif "alpha" in name:
            alpha = -1.7580993408473766
            a = ((1 - p) * (1 + p * alpha**2)) ** -0.5
            b = -a * alpha * p
            kept, low = slope != 0, a * alpha + b
        else:
            a, b, low = 1 / (1 - p), 0.0, 0.0
            kept = slope != 0
        assert torch.allclose(y.detach(), torch.where(kept, a * x + b, low), atol=1e-12)
        assert torch.allclose(slope, kept * torch.full_like(x, a), atol=1e-12)
        if p < 1:
            if "2d" in name or "3d" in name or "feature" in name:
                lead = 1 if "feature" not in name and x.dim() == int(name[-2]) + 1 else 2
                lead = 2 if "2d" in name and x.dim() == 3 else lead
                kept = kept.flatten(lead)[..., 0] if x.dim() > lead else kept
            dropped += float((~kept).sum()) - p * kept.numel()
            count += kept.numel()
    assert count >= 25
    assert abs(dropped) < 5 * math.sqrt(count / 4)


@pytest.mark.parametrize("name", OPS)
def test_autocast(name: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        came = [check_alike(name, sample, *both(name, sample)) for sample in samples(name)]
    assert any(came)


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].inplace_variant])
def test_in_place(name: str) -> None:
    came = 0
    for dtype in OPS[name].dtypes:
        for sample in samples(name, dtype):
            if sample.input.dim() == 0:
                continue
            for x in (sample.input.clone(), sample.input[:1].expand(3, *sample.input.shape[1:])):
                found: list[Any] = []
                for function in (THEIRS[name], OURS[OPS[name].name]):
                    target = x.detach()
                    torch.manual_seed(1)
                    try:
                        y = function(target, **sample.kwargs, inplace=True)
                        found.append((y is target, y.shape, y.dtype, y.stride()))
                    except Exception as error:
                        found.append(type(error))
                assert found[0] == found[1], sample
                came += isinstance(found[0], tuple)
    assert came


@pytest.mark.parametrize("name", OPS)
def test_compiled(name: str) -> None:
    function = OURS[OPS[name].name]
    torch._dynamo.reset()
    seen = set()
    for sample in samples(name, torch.float32, True):
        # One of each kind: a compilation takes its time.
        kind = (sample.input.dim(), sample.rate() in (0, 1), sample.input.is_contiguous())
        if kind in seen or sample.input.dim() < 2:
            continue
        if "2d" in name and sample.input.dim() == 3:
            continue  # a warning, which compilers leave the graph for, in PyTorch's function too
        seen.add(kind)
        compiled = torch.compile(
            lambda *x, sample=sample: function(*x, **sample.kwargs), backend="aot_eager",
            fullgraph=True,
        )  # fmt: skip
        found = []
        for call in (lambda *x, sample=sample: function(*x, **sample.kwargs), compiled):
            torch.manual_seed(3)
            y = flat(call(sample.input, *sample.args))[0]
            slope = torch.autograd.grad(y.square().sum(), sample.input, allow_unused=True)[0]
            found.append((y, slope))
        for one, other in zip(*found, strict=True):
            assert (one is None) == (other is None)
            assert one is None or torch.allclose(one, other, atol=1e-5, equal_nan=True)
    assert seen


@pytest.mark.parametrize("randomness", ["error", "same", "different"])
@pytest.mark.parametrize("name", [*DROPS, ATTENDS])
def test_vmap(name: str, randomness: str) -> None:
    came = 0
    for sample in samples(name):
        if sample.input.dim() < 2:
            continue
        if sample.rate() == 1 and (name, "vmap at p = 1") in DIFFERENCES:
            continue
        found: list[Any] = []
        tensors = [x for x in (sample.input, *sample.args) if isinstance(x, torch.Tensor)]
        stacked = [torch.stack([x] * 4) for x in tensors]
        for function in (THEIRS[name], OURS[OPS[name].name]):
            torch.manual_seed(1)
            try:
                y = torch.func.vmap(
                    functools.partial(function, **sample.kwargs),
                    randomness=randomness,
                )(*stacked)
                same = all(torch.equal(y[0], row) for row in y[1:])
                found.append((y.shape, y.dtype, same or y[0].numel() < 30))
            except Exception as error:
                found.append(type(error))
        assert found[0] == found[1], (sample.kwargs, sample.input.shape)
        came += isinstance(found[0], tuple)
    assert came


# --- modules -------------------------------------------------------------------------------------

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
                sum(y.sum() for y in result).backward()
                slopes = [(n, w.grad) for n, w in module.named_parameters()]
            except Exception as error:
                result, slopes = (error,), []
            found.append((result, slopes))
        for one, other in zip(found[0][0], found[1][0], strict=True):
            if isinstance(one, Exception):
                assert (type(other), str(other)) == (type(one), str(one))
                continue
            assert (other.shape, other.dtype) == (one.shape, one.dtype)
            assert strides(other) == strides(one)
            # Certain: nothing is dropped, or everything.
            if p != 0.5 or not training:
                assert torch.allclose(one, other, atol=1e-6, equal_nan=True)
        for (_, one), (_, other) in zip(found[0][1], found[1][1], strict=True):
            assert (one is None) == (other is None)
            if one is not None and (p != 0.5 or not training):
                assert torch.allclose(one, other, atol=1e-5, equal_nan=True)
        came += not isinstance(found[0][0][0], Exception) and bool(found[0][1])
    assert came
