"""What traces, compiles, exports or intercepts, with `enable`."""

import copy
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import FUNCTIONS, alike, seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.testing._internal.two_tensor import TwoTensor  # noqa: E402
from watching import Operators  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
X = torch.randn(16, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    torch._dynamo.reset()
    with ft.enable():
        yield


@pytest.fixture
def wanted() -> "torch.Tensor":
    return seeded(ft.dropout, X, 0.3)


# --- TorchScript and FX --------------------------------------------------------------------------


class Model(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.3, self.training)


def test_scripted_code_draws_here(wanted: "torch.Tensor") -> None:
    scripted, leaf = torch.jit.script(Model()), X.clone().requires_grad_()
    for _ in range(4):  # the first calls are watched, then it is compiled by what was seen
        assert torch.equal(seeded(scripted, X), wanted)
        # With gradients TorchScript has a formula of its own, on bernoulli_.
        y = seeded(scripted, leaf)
        torch.testing.assert_close(y.detach(), wanted)
        assert torch.equal(y != 0, wanted != 0)
    frozen = torch.jit.freeze(scripted.eval())
    assert torch.equal(frozen(X), X)


def test_traced_code_draws_anew_and_holds_pytorchs_operators(wanted: "torch.Tensor") -> None:
    traced = torch.jit.trace(lambda x: F.dropout(x, 0.3), X, check_trace=False)
    assert torch.equal(seeded(traced, X), wanted)
    assert not torch.equal(traced(X), traced(X))
    assert "aten::dropout" in str(traced.graph)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    assert torch.equal(seeded(torch.jit.load(file), X), wanted)
    ft.disable()
    assert torch.equal(seeded(traced, X), seeded(F.dropout, X, 0.3))


def test_fx_traces_modules_as_ever(wanted: "torch.Tensor") -> None:
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Dropout(0.3)))
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "output"]
    assert torch.equal(seeded(traced, X), wanted)
    assert torch.equal(seeded(copy.deepcopy(traced).eval(), X), X)
    for mode in ("real", "fake", "symbolic"):
        made = make_fx(lambda x: F.dropout(x, 0.3), tracing_mode=mode)(X)
        assert torch.equal(seeded(made, X), wanted)
        assert not torch.equal(made(X), made(X))


# --- torch.compile -------------------------------------------------------------------------------

BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.heavy)]

COMPILED: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    **FUNCTIONS,
    "among others": lambda x: F.dropout(x * 2, 0.3) + 1,
    "native, with the mask": lambda x: torch.cat(
        [y.float() for y in torch.native_dropout(x, 0.3, True)]
    ),
    "drop path": lambda x: x * x.new_empty(16, 1).bernoulli_(0.7).div_(0.7),
    "bernoulli": lambda x: torch.bernoulli(x.detach(), 0.7),
    "twice": lambda x: F.dropout(F.dropout(x, 0.3), 0.3),
    "module": nn.Sequential(nn.Dropout(0.3), nn.AlphaDropout(0.3)),
    "causal attention": lambda x: F.scaled_dot_product_attention(
        *(y.view(2, 2, 4, 32) for y in (x, x * 2, x * 3)), dropout_p=0.3, is_causal=True
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("case", COMPILED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_code_draws_what_eager_code_draws(backend: str, case: str, dynamic: bool) -> None:
    function = COMPILED[case]
    compiled = torch.compile(function, backend=backend, fullgraph=True, dynamic=dynamic)
    torch.testing.assert_close(seeded(compiled, X), seeded(function, X))
    leaf = X.clone().requires_grad_()
    y, wanted = seeded(compiled, leaf), seeded(function, leaf)
    torch.testing.assert_close(y, wanted)
    if wanted.requires_grad:
        found = torch.autograd.grad(y.sum(), leaf)
        torch.testing.assert_close(found, torch.autograd.grad(wanted.sum(), leaf))
    with torch.inference_mode():
        torch.testing.assert_close(seeded(compiled, X), seeded(function, X))


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_transforms_draw_here(backend: str, wanted: "torch.Tensor") -> None:
    def slope(x: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: F.dropout(x, 0.3).sum())(x)

    def rows(x: torch.Tensor) -> torch.Tensor:
        return torch.vmap(lambda row: F.dropout(row, 0.3), randomness="different")(x)

    for function in (slope, rows):
        compiled = torch.compile(function, backend=backend, fullgraph=True)
        assert torch.equal(seeded(compiled, X) != 0, wanted != 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_compiled_code_outlives_the_switch(backend: str, wanted: "torch.Tensor") -> None:
    """Neither in memory nor on disk, where inductor looks by the operators of a graph."""
    compiled = torch.compile(lambda x: F.dropout(x, 0.3), backend=backend, fullgraph=True)
    for _ in range(2):
        assert torch.equal(seeded(compiled, X), wanted)
        ft.disable()
        plain = seeded(compiled, X)
        assert not torch.equal(plain != 0, wanted != 0)
        torch._dynamo.reset()
        assert torch.equal(seeded(compiled, X), plain)
        ft.enable()


def test_names_of_compiled_code_are_as_before_afterwards() -> None:
    config = torch.compiler.config

    def tagged(mark: str) -> bool:
        """Another version of the operators must not find what was compiled for this one."""
        version = rf"@{re.escape(fastdrop.__version__)}-[0-9a-f]{{8}}"
        return bool(re.fullmatch(re.escape(mark) + version, config.cache_key_tag))

    assert tagged("+fastdrop:bernoulli,dropout")
    with ft.enable(bernoulli=False):
        assert tagged("+fastdrop:bernoulli,dropout")
    ft.disable()
    assert config.cache_key_tag == ""
    with config.patch(cache_key_tag="mine"):
        with ft.enable(bernoulli=False):
            assert tagged("mine+fastdrop:dropout")
        assert config.cache_key_tag == "mine"
    assert config.cache_key_tag == ""


# --- export --------------------------------------------------------------------------------------


def test_exported_programs_hold_pytorchs_operators_only(wanted: "torch.Tensor") -> None:
    program = torch.export.export(Model(), (X,))
    for one in (program, program.run_decompositions()):
        names = [str(node.target) for node in one.graph.nodes if node.op == "call_function"]
        assert names
        assert not [name for name in names if "fastdrop" in name]
        torch.testing.assert_close(seeded(one.module(), X), wanted)
        ft.disable()
        assert not torch.equal(seeded(one.module(), X) != 0, wanted != 0)
        ft.enable()


# --- modes, fake tensors, subclasses -------------------------------------------------------------


def test_modes_see_operators(wanted: "torch.Tensor") -> None:
    with Operators() as mode:
        assert torch.equal(seeded(F.dropout, X, 0.3), wanted)
        mask = seeded(torch.empty(16, 32).bernoulli_, 0.7)
    assert torch.equal(mask != 0, wanted != 0)
    assert "fastdrop.draw.default" in mode.seen
    assert not [name for name in mode.seen if "bernoulli" in name or "rand" in name]
    with torch.inference_mode(), Operators() as mode:
        y = seeded(F.dropout, X, 0.3)
    assert torch.equal(y, wanted)
    assert mode.seen == ["aten.dropout.default"]


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "around", [lambda: torch.device("cpu"), lambda: torch.device("meta"), deterministic]
)
def test_settings_change_nothing(around: Callable[[], Any], wanted: "torch.Tensor") -> None:
    query = X.view(2, 2, 4, 32)
    attend = partial(F.scaled_dot_product_attention, query, query, query, dropout_p=0.3)
    with around():
        assert torch.equal(seeded(F.dropout, X, 0.3), wanted)
        y = seeded(attend)
    assert torch.equal(y, seeded(attend))


def test_fake_tensors_within_their_mode_and_outside() -> None:
    with FakeTensorMode() as mode:
        x = torch.empty(2, 2, 4, 8, requires_grad=True)
        assert F.dropout(x, 0.3).requires_grad
        assert F.scaled_dot_product_attention(x, x, x, dropout_p=0.3).shape == x.shape
        assert torch.empty(4).bernoulli_(0.5).shape == (4,)
        with torch.inference_mode():
            assert F.dropout(torch.empty(3), 0.5).shape == (3,)
    outside = mode.from_tensor(X)
    for inplace in (False, True):
        y = F.dropout(outside, 0.3, inplace=inplace)
        assert (type(y), y.shape) == (type(outside), X.shape)
    assert outside.bernoulli_(0.5) is outside


def test_subclasses_see_what_pytorch_lets_them_see(wanted: "torch.Tensor") -> None:
    y = seeded(F.dropout, TwoTensor(X, X.clone()), 0.3)
    assert type(y) is TwoTensor
    torch.testing.assert_close(y.a, wanted)

    class Plain(torch.Tensor):
        pass

    for x in (X.clone().as_subclass(Plain), nn.Parameter(X)):
        y = seeded(F.dropout, x, 0.3)
        assert type(y) is (Plain if type(x) is Plain else torch.Tensor)
        torch.testing.assert_close(y.detach().as_subclass(torch.Tensor), wanted)


def test_autocast() -> None:
    query = torch.randn(3, 2, 2, 8, 4)
    with torch.autocast("cpu"):
        y = seeded(F.scaled_dot_product_attention, *query, dropout_p=0.3)
        assert F.dropout(X, 0.3).dtype is torch.float32
    assert y.dtype is torch.bfloat16
    half = query.bfloat16()
    assert alike(y, seeded(F.scaled_dot_product_attention, *half, dropout_p=0.3))
