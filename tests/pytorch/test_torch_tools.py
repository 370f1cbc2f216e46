"""Tools that know PyTorch's modules by class or by name: they know ours as they know PyTorch's."""

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch.ao.quantization as tq  # noqa: E402
from on_torch import MODULES, module, tensors  # noqa: E402
from torch import fx, nn  # noqa: E402
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.modules.base import Drops  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.ao.*"),
]

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


class Holder(nn.Module):
    """A model that calls one module."""

    def __init__(self, inner: nn.Module, arguments: int = 1) -> None:
        super().__init__()
        self.inner = inner
        self.arguments = arguments

    def forward(self, x: Any, y: Any = None) -> Any:
        return self.inner(x, y) if self.arguments == 2 else self.inner(x)


class Attention(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return x + self.attention(x, x, x, need_weights=False)[0]


def seeded(model: Any, *inputs: "torch.Tensor") -> "torch.Tensor":
    torch.manual_seed(7)
    with torch.no_grad():
        return model(*inputs)


def repeats(model: nn.Module, *inputs: "torch.Tensor") -> bool:
    with torch.no_grad():
        return torch.equal(model(*inputs), model(*inputs))


def check_switches(model: nn.Module, traced: nn.Module, *inputs: "torch.Tensor") -> None:
    """A traced model follows train() and eval(), with the values of the model itself."""
    for training in (False, True, False):
        model.train(training), traced.train(training)
        assert repeats(traced, *inputs) is not training
        assert torch.equal(seeded(traced, *inputs), seeded(model, *inputs))


# --- torch.fx ------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", MADE)
def test_fx_keeps_every_module(kind: type[nn.Module], own: bool, training: bool) -> None:
    settings = {"generator": torch.Generator().manual_seed(3)} if own else {}
    make, inputs = MADE[kind]
    model = Holder(make(**settings), len(inputs)).train(training)
    traced = fx.symbolic_trace(model, {"y": None} if len(inputs) == 1 else None)
    assert "inner" in [node.target for node in traced.graph.nodes if node.op == "call_module"]
    traced.eval()
    assert repeats(traced, *inputs)
    traced.train()
    assert not repeats(traced, *inputs)
    if not own:
        check_switches(model, traced, *inputs)


@pytest.mark.parametrize("kind", [ft.Dropout, nn.Dropout])
def test_fx_keeps_what_comes_of_copies_and_pickles(kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(4, 4), kind(0.5))
    ft.replace(model)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        check_switches(twin, fx.symbolic_trace(twin), torch.randn(8, 4))


def test_fx_of_a_module_itself_with_a_generator() -> None:
    x = torch.ones(100)
    traced = fx.symbolic_trace(ft.Dropout(0.5, seed=1))
    wanted = ft.Dropout(0.5, seed=1)
    assert torch.equal(traced(x), wanted(x))
    assert torch.equal(traced(x), wanted(x))


def test_a_class_says_where_it_is_from() -> None:
    for kind in (*MADE, ft.MultiheadAttention):
        assert kind.__module__.startswith("fastdrop.torch")
        if kind in MADE:
            assert type(pickle.loads(pickle.dumps(MADE[kind][0]()))) is kind


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_fx_of_models(own: bool, training: bool) -> None:
    """Replaced, and made of our modules; attention with them."""
    of = ft if own else nn
    for model, shape in (
        (nn.Sequential(nn.Linear(8, 8), of.Dropout(0.5)), (8, 8)),
        (nn.Sequential(of.Dropout2d(0.5), nn.Conv2d(8, 2, 1)), (8, 8, 2, 2)),
        (Attention(of.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)), (2, 4, 8)),
    ):
        if not own:
            assert len(ft.replace(model).replaced) == 1
        traced = fx.symbolic_trace(model.train(training))
        check_switches(model, traced, torch.randn(shape))


# --- quantization --------------------------------------------------------------------------------


def engine() -> str:
    for name in ("x86", "fbgemm", "onednn", "qnnpack"):
        if name in torch.backends.quantized.supported_engines:
            return name
    pytest.skip("this PyTorch has no engine for quantized models")


@pytest.fixture
def backend() -> Iterator[str]:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine()
    yield torch.backends.quantized.engine
    torch.backends.quantized.engine = before


def three(kind: str, seed: int = 0) -> list[nn.Module]:
    """PyTorch's model, the same replaced, and made of our modules."""
    models = []
    for own in (False, False, True):
        torch.manual_seed(seed)
        of = ft if own else nn
        if kind == "linear":
            model = nn.Sequential(nn.Linear(8, 64), of.Dropout(0.5), nn.Linear(64, 8))
        elif kind == "convolution":
            model = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), of.Dropout2d(0.5))
        else:
            attention = of.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
            model = nn.Sequential(tq.QuantStub(), Itself(attention), tq.DeQuantStub())
        models.append(model)
    ft.replace(models[1])
    return models


class Itself(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.attention(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("aware", [False, True])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_quantization_by_graphs(kind: str, aware: bool, backend: str) -> None:
    x = torch.randn(16, 8) if kind == "linear" else torch.randn(4, 8, 2, 2)
    found = []
    for model in three(kind):
        if aware:
            mapping = tq.get_default_qat_qconfig_mapping(backend)
            prepared = prepare_qat_fx(model.train(), mapping, (x,))
            prepared.eval()
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
    x = torch.randn(2, 4, 8)
    found = []
    for model in three(kind):
        model.eval()
        if kind == "linear":
            model = tq.QuantWrapper(model)
        model.qconfig = tq.get_default_qconfig(backend)
        prepared = tq.prepare(model)
        prepared(x)
        converted = tq.convert(prepared)
        assert repeats(converted, x)
        found.append(converted(x))
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[2], found[0])


def test_dynamic_quantization(backend: str) -> None:  # noqa: ARG001
    x = torch.randn(4, 8)
    found = [tq.quantize_dynamic(m.eval(), {nn.Linear})(x) for m in three("linear")]
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[2], found[0])


# --- TorchScript, export, compile ----------------------------------------------------------------

SCRIPTED = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", SCRIPTED)
def test_torchscript_compiles_pytorchs_dropout(name: str, own: bool) -> None:
    (x,) = MADE[getattr(ft, name)][1]
    plain = torch.jit.script(nn.Sequential(getattr(nn, name)(0.5)))
    model = nn.Sequential(getattr(ft if own else nn, name)(0.5))
    ft.replace(model)
    scripted = torch.jit.script(model)
    assert torch.equal(seeded(scripted, x), seeded(plain, x))
    assert not torch.equal(seeded(model, x), seeded(plain, x)), "it computes as before"
    assert torch.equal(scripted.eval()(x), x)
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    assert torch.equal(seeded(torch.jit.load(file).train(), x), seeded(plain, x))


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
