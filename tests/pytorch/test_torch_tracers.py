"""Whatever traces or intercepts: `torch.compile`, export, FakeTensor, subclasses, modes."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from watching import Functions, Operators  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402


@pytest.fixture(autouse=True)
def _nothing_compiled() -> None:
    torch._dynamo.reset()


# --- the operators -------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize("form", [None, (3, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_opcheck_of_draw(dtype: "torch.dtype", form: tuple[int, ...] | None) -> None:
    for grad in (False, True):
        x = torch.randn(3, 4).to(dtype).requires_grad_(grad)
        key = torch.tensor([5, 0, -4096])
        result = torch.library.opcheck(torch.ops.fastdrop.draw, (x, key, 0.5, "dropout", form))
        assert set(result.values()) == {"SUCCESS"}
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    torch.library.opcheck(torch.ops.fastdrop.draw, (x, key, 0.5, "dropout", None))


@pytest.mark.heavy
def test_opcheck_of_key() -> None:
    assert set(torch.library.opcheck(torch.ops.fastdrop.key, (torch.empty(100), 0)).values()) == {
        "SUCCESS"
    }


def test_operators_are_eager_calls() -> None:
    x = torch.randn(100)
    key = fastdrop.Key(2**64 - 1, 2**63, 4096)
    words = torch.tensor([-1, -(2**63), 4096])
    y = torch.ops.fastdrop.draw(x, words, 0.5, "dropout")
    assert torch.equal(y, ft.dropout(x, 0.5, seed=key))
    words = seeded(torch.ops.fastdrop.key, x, 0)
    y = torch.ops.fastdrop.draw(x, words, 0.5, "dropout")
    assert torch.equal(y, seeded(ft.dropout, x, 0.5))


# --- torch.compile -------------------------------------------------------------------------------


class Model(nn.Module):
    """Every module, plain and in place, with PyTorch's generator and with one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                ft.Dropout(0.5),
                ft.Dropout(0.5, inplace=True),
                ft.Dropout(0.0),
                ft.Dropout(1.0),
                ft.Dropout(0.5, seed=3),
                ft.Dropout2d(0.5, generator=torch.Generator().manual_seed(1)),
                ft.Dropout2d(0.5),
                ft.Dropout3d(0.5),
            ]
        )

    def forward(self, x: "torch.Tensor") -> list["torch.Tensor"]:
        return [layer(x * 2) for layer in self.layers] + [ft.dropout(x, 0.5, seed=8)]


def run(model: Any, x: "torch.Tensor") -> list["torch.Tensor"]:
    """Twice: results, gradients, and where the generator stands."""
    torch.manual_seed(1)
    found = []
    for _ in range(2):
        x = x.detach().requires_grad_()
        results = model(x)
        sum(y.square().sum() for y in results).backward()
        found += [*(y.detach() for y in results), x.grad]
    return [*found, torch.get_rng_state()]


@pytest.mark.parametrize(
    "layout",
    [torch.contiguous_format, pytest.param(torch.channels_last, marks=pytest.mark.heavy)],
)
@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=pytest.mark.heavy)])
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("eager", marks=pytest.mark.heavy),
        "aot_eager",
        pytest.param("inductor", marks=pytest.mark.heavy),
    ],
)
def test_compiled_as_eager(backend: str, dynamic: bool, layout: "torch.memory_format") -> None:
    # Whole numbers: compilers may add gradients up in another order.
    x = torch.arange(-180.0, 180).reshape(3, 4, 5, 6).contiguous(memory_format=layout)
    eager = run(Model(), x)
    compiled = run(torch.compile(Model(), backend=backend, fullgraph=True, dynamic=dynamic), x)
    for one, other in zip(eager, compiled, strict=True):
        assert torch.equal(one, other)


def test_compiled_in_evaluation() -> None:
    model = torch.compile(Model().eval(), backend="aot_eager", fullgraph=True)
    x = torch.randn(3, 4, 5, 6)
    before = torch.get_rng_state()
    for y in model(x)[:-1]:
        assert torch.equal(y, x * 2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.heavy
def test_compiled_without_gradient() -> None:
    drop = torch.compile(ft.Dropout(0.5), backend="inductor", fullgraph=True)
    x = torch.randn(1000)
    with torch.no_grad():
        y = seeded(drop, x)
    assert torch.equal(y, seeded(ft.dropout, x, 0.5))


def test_only_the_key_is_kept_by_a_compiled_function() -> None:
    kept = []
    drop = torch.compile(lambda x: ft.dropout(x, 0.5), backend="aot_eager", fullgraph=True)
    x = torch.randn(1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        drop(x)
    assert sum(t.numel() for t in kept) <= 3


def test_compiled_checkpoint() -> None:
    block = nn.Sequential(nn.Linear(8, 8), ft.Dropout(0.5), nn.ReLU(), ft.Dropout(0.5))

    def step(x: "torch.Tensor") -> "torch.Tensor":
        return torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)

    x = torch.randn(4, 8, requires_grad=True)
    gradients = []
    for call in (block, torch.compile(step, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(1)
        y = call(x)
        gradients.append((y, *torch.autograd.grad(y.sum(), [x, *block.parameters()])))
    assert all(map(torch.equal, *gradients))


def test_compiled_vmap() -> None:
    def rows(x: "torch.Tensor") -> "torch.Tensor":
        return torch.func.vmap(lambda x: ft.dropout(x, 0.5), randomness="different")(x)

    y = torch.compile(rows, backend="aot_eager", fullgraph=True)(torch.ones(10, 100))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert len({tuple(row.tolist()) for row in y}) == 10


# --- other tracers -------------------------------------------------------------------------------


def test_jit_trace() -> None:
    x = torch.randn(10)
    traced = torch.jit.trace(lambda x: ft.dropout(x, 0.5, seed=3), (torch.ones(10),))
    assert torch.equal(traced(x), ft.dropout(x, 0.5, seed=3))


@pytest.mark.parametrize("inplace", [False, True])
def test_fake_tensors(inplace: bool) -> None:
    with FakeTensorMode() as mode:
        x = torch.empty(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
        y = ft.dropout(x, 0.5, inplace=inplace)
        z = ft.dropout2d(x, 0.5, seed=1)
    assert mode is y.fake_mode
    assert y.shape == z.shape == x.shape
    assert y.stride() == z.stride() == x.stride()


# --- subclasses and modes ------------------------------------------------------------------------


class Tagged(torch.Tensor):
    """A subclass that only has a name."""


def test_a_subclass_stays_one() -> None:
    plain = torch.randn(100)
    x = plain.as_subclass(Tagged)
    y = ft.dropout(x, 0.5, seed=3)
    assert type(y) is Tagged
    assert torch.equal(y.as_subclass(torch.Tensor), ft.dropout(plain, 0.5, seed=3))
    z = plain.clone().as_subclass(Tagged)
    assert ft.dropout(z, 0.5, inplace=True, seed=3) is z
    assert torch.equal(z.as_subclass(torch.Tensor), ft.dropout(plain, 0.5, seed=3))


def test_parameters_are_plain_tensors() -> None:
    x = nn.Parameter(torch.randn(100))
    y = ft.dropout(x, 0.5, seed=3)
    assert type(y) is torch.Tensor
    assert y.requires_grad


def test_modes_see_the_call() -> None:
    x = torch.randn(100)
    with Functions() as functions:
        ft.dropout(x, 0.5)
    assert ft.dropout in functions.seen
    with Operators() as operators:
        y = seeded(ft.dropout, x, 0.5)
    assert torch.equal(y, seeded(ft.dropout, x, 0.5))
    assert "fastdrop.draw.default" in operators.seen
