"""Tools that know PyTorch's modules by class or by name: they know ours as they know PyTorch's."""

import copy
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch.ao.quantization as tq  # noqa: E402
from enabling import seeded  # noqa: E402
from on_torch import MODULES, module, tensors  # noqa: E402
from torch import fx, nn  # noqa: E402
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx  # noqa: E402
from torch.utils import flop_counter  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.modules.base import Drops  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:torch.ao.*"
)

# What makes a module, and what it is called with.
MADE: dict[type[nn.Module], tuple[Callable[..., nn.Module], list["torch.Tensor"]]] = {
    type(module(case)): (partial(module, case), tensors(case)) for case in MODULES
}
MADE[ft.EmbeddingDropout] = (partial(ft.EmbeddingDropout, 64, 4, 0.5), [torch.arange(64)])
MADE[ft.SoftmaxDropout] = (partial(ft.SoftmaxDropout, 0.5), [torch.rand(8, 16)])
MADE[ft.DropConnectLinear] = (partial(ft.DropConnectLinear, 16, 8), [torch.rand(4, 16)])


def every_subclass(kind: type) -> Iterator[type]:
    for sub in kind.__subclasses__():
        yield sub
        yield from every_subclass(sub)


def test_the_table_has_every_module() -> None:
    public = {kind for kind in every_subclass(Drops) if kind.__name__ in ft.__all__}
    assert public == set(MADE)
    for kind in (*MADE, ft.MultiheadAttention):
        assert kind.__module__.startswith("fastdrop.torch")


class Holder(nn.Module):
    """A model that calls one module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any, y: Any = None) -> Any:
        return self.inner(x) if y is None else self.inner(x, y)


class Itself(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.attention(x, x, x, need_weights=False)[0]


@torch.no_grad()
def repeats(model: nn.Module, *inputs: "torch.Tensor") -> bool:
    return torch.equal(model(*inputs), model(*inputs))


def check_switches(model: nn.Module, traced: nn.Module, *inputs: "torch.Tensor") -> None:
    """A traced model follows train() and eval(), with the values of the model itself."""
    for training in (False, True, False):
        model.train(training), traced.train(training)
        assert repeats(traced, *inputs) is not training
        assert torch.equal(seeded(traced, *inputs), seeded(model, *inputs))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", MADE)
def test_fx_keeps_every_module(kind: type[nn.Module], own: bool, training: bool) -> None:
    settings = {"generator": torch.Generator().manual_seed(3)} if own else {}
    make, inputs = MADE[kind]
    model = Holder(make(**settings)).train(training)
    assert type(pickle.loads(pickle.dumps(model)).inner) is kind
    traced = fx.symbolic_trace(model, {"y": None} if len(inputs) == 1 else None)
    assert "inner" in [node.target for node in traced.graph.nodes if node.op == "call_module"]
    if not own:
        check_switches(model, traced, *inputs)
    for training in (True, False):
        assert repeats(traced.train(training), *inputs) is not training


def test_fx_of_a_module_itself_with_a_generator() -> None:
    x, wanted = torch.ones(100), ft.Dropout(0.5, seed=1)
    traced = fx.symbolic_trace(ft.Dropout(0.5, seed=1))
    for _ in range(2):
        assert torch.equal(traced(x), wanted(x))


MODELS: dict[str, Callable[[Any], nn.Module]] = {
    "linear": lambda of: nn.Sequential(nn.Linear(8, 64), of.Dropout(0.5), nn.Linear(64, 8)),
    "convolution": lambda of: nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), of.Dropout2d(0.5)),
    "attention": lambda of: nn.Sequential(
        tq.QuantStub(),
        Itself(of.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)),
        tq.DeQuantStub(),
    ),
}
INPUTS = {"linear": (16, 8), "convolution": (4, 8, 2, 2), "attention": (2, 4, 8)}


def three(kind: str) -> list[nn.Module]:
    """PyTorch's model, the same replaced, and made of our modules."""
    models = [seeded(MODELS[kind], of) for of in (nn, nn, ft)]
    assert len(ft.replace(models[1]).replaced) == 1
    return models


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("kind", MODELS)
def test_fx_of_models(kind: str, which: int, training: bool) -> None:
    """Of ours, and of copies and pickles."""
    model = three(kind)[which].train(training)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)
    for twin in (*copies, model):
        check_switches(twin, fx.symbolic_trace(twin), torch.randn(INPUTS[kind]))


# --- quantization --------------------------------------------------------------------------------


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("x86", "fbgemm", "onednn", "qnnpack"):
        if name in torch.backends.quantized.supported_engines:
            monkeypatch.setattr(torch.backends.quantized, "engine", name)
            return name
    pytest.skip("this PyTorch has no engine for quantized models")


@pytest.mark.parametrize("aware", [False, True])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_quantization_by_graphs(kind: str, aware: bool, backend: str) -> None:
    x, found = torch.randn(INPUTS[kind]), []
    for model in three(kind):
        if aware:
            mapping = tq.get_default_qat_qconfig_mapping(backend)
            prepared = prepare_qat_fx(model.train(), mapping, (x,)).eval()
        else:
            mapping = tq.get_default_qconfig_mapping(backend)
            prepared = prepare_fx(model.eval(), mapping, (x,))
        assert repeats(prepared, x)
        converted = convert_fx(prepared)
        assert repeats(converted, x)
        found.append((converted(x), converted.code.count("dequantize")))
    assert torch.equal(found[1][0], found[0][0])
    assert found[1][1] == found[0][1], "a replaced model is quantized through"
    assert torch.allclose(found[2][0], found[0][0], atol=0.1)


@pytest.mark.parametrize("kind", ["linear", "attention"])
def test_eager_quantization(kind: str, backend: str) -> None:
    x, found = torch.randn(INPUTS[kind]), []
    for model in three(kind):
        model = tq.QuantWrapper(model.eval()) if kind == "linear" else model.eval()
        model.qconfig = tq.get_default_qconfig(backend)
        prepared = tq.prepare(model)
        prepared(x)
        converted = tq.convert(prepared)
        assert repeats(converted, x)
        found.append(converted(x))
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[2], found[0])


# --- TorchScript, export, compile ----------------------------------------------------------------

SCRIPTED = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", SCRIPTED)
def test_torchscript_compiles_pytorchs_dropout(name: str, own: bool, tmp_path: Path) -> None:
    (x,) = MADE[getattr(ft, name)][1]
    plain = torch.jit.script(nn.Sequential(getattr(nn, name)(0.5)))
    model = nn.Sequential(getattr(ft if own else nn, name)(0.5))
    ft.replace(model)
    scripted = torch.jit.script(model)
    assert torch.equal(seeded(scripted, x), seeded(plain, x))
    assert not torch.equal(seeded(model, x), seeded(plain, x)), "it computes as before"
    assert torch.equal(scripted.eval()(x), x)
    torch.jit.save(scripted, tmp_path / "model.pt")
    loaded = torch.jit.load(tmp_path / "model.pt").train()
    assert torch.equal(seeded(loaded, x), seeded(plain, x))


@pytest.mark.parametrize("own", [False, True])
def test_torchscript_compiles_attention(own: bool) -> None:
    torch.manual_seed(1)
    attention = (ft if own else nn).MultiheadAttention(8, 2, dropout=0.5)
    ft.replace(nn.ModuleList([attention]))
    x = torch.randn(3, 2, 8)
    wanted = attention.eval()(x, x, x)[0]
    scripted = torch.jit.script(attention.train())
    assert not torch.equal(scripted(x, x, x)[0], scripted(x, x, x)[0])
    assert torch.allclose(scripted.eval()(x, x, x)[0], wanted, atol=1e-6)


def test_torchscript_does_not_lose_a_generator_in_silence() -> None:
    with pytest.raises(RuntimeError, match="no attribute '_source'"):
        torch.jit.script(ft.Dropout(0.5, seed=1))


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    ft.replace(model)
    x = torch.randn(8, 4)
    exported = torch.export.export(model, (x,), strict=strict)
    assert "fastdrop.draw.default" in [str(node.target) for node in exported.graph.nodes]
    assert torch.equal(seeded(exported.module(), x), seeded(model, x))
    exported = torch.export.export(model.eval(), (x,), strict=strict).module()
    assert torch.equal(exported(x), model(x))


def test_blocks_share_what_is_compiled() -> None:
    """A `forward` of each object's own must not cost a compilation of its own."""
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    model = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)) for _ in range(12)])
    ft.replace(model)
    for block in model:
        torch.compile(block, backend=counter, fullgraph=True)(torch.randn(2, 4))
    assert counter.frame_count == 1


def test_a_compiled_model_follows_restore() -> None:
    torch._dynamo.reset()
    model = nn.Sequential(nn.Dropout(0.5))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    x = torch.ones(100)
    plain = seeded(model, x)
    ft.replace(model)
    assert torch.equal(seeded(compiled, x), seeded(lambda x: ft.dropout(x, 0.5), x))
    ft.restore(model)
    assert torch.equal(seeded(compiled, x), plain)


def flops(function: Callable[..., Any], *given: "torch.Tensor", backward: bool, **more: Any) -> int:
    with flop_counter.FlopCounterMode(display=False) as counter:
        y = function(*given, **more)
        if backward:
            y.sum().backward()
    return counter.get_total_flops()


def test_flops_of_attention() -> None:
    """As PyTorch counts those that ours stand for."""
    sizes = (8, 4), (6, 4), (6, 5)
    given = [torch.randn(2, 3, n, width, requires_grad=True) for n, width in sizes]
    shapes = [x.shape for x in given]
    forward = flop_counter.sdpa_flop_count(*shapes)
    back = flop_counter.sdpa_backward_flop_count(torch.Size((2, 3, 8, 5)), *shapes)
    for attend in (nn.functional.scaled_dot_product_attention, ft.scaled_dot_product_attention):
        assert flops(attend, *given, dropout_p=0.5, backward=False) == forward
    assert flops(attend, *given, dropout_p=0.5, backward=True) == forward + back


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("per_sample", [True, False])
def test_flops_of_dropconnect(per_sample: bool, backward: bool) -> None:
    x, w = torch.randn(7, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    wanted = flops(nn.functional.linear, x, w, backward=backward)
    assert flops(ft.dropconnect_linear, x, w, per_sample=per_sample, backward=backward) == wanted
