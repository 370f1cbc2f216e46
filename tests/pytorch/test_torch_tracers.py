"""Every variant under whatever traces or intercepts: `torch.func`, compilers, export, classes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from drawing import ALGORITHMS  # noqa: E402
from enabling import seeded  # noqa: E402
from forms import small  # noqa: E402
from on_torch import (  # noqa: E402
    DTYPES,
    FORMS,
    MODULES,
    SEVERAL,
    in_torch,
    learned,
    like,
    module,
    opcheck,
    tensors,
)
from torch import nn  # noqa: E402
from torch.testing._internal.two_tensor import TwoTensor  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from watching import Functions, Operators  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch._draw import NAMED  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # PyTorch's look
every = parametrize(FORMS)
heavy = pytest.mark.heavy
whole = partial(torch.compile, fullgraph=True)


@pytest.fixture(autouse=True)
def _nothing_compiled() -> None:
    torch._dynamo.reset()


# --- torch.func ----------------------------------------------------------------------------------


@every
def test_vmap_of_a_given_seed(case: Case) -> None:
    """Each sample is what it is by itself: the mask is shared. Over all operands, and over each."""
    for dtype in (torch.float32, torch.float16):
        operands = tensors(small(case), dtype)
        n = len(operands)
        for mapped in [range(n), *([i] for i in range(n) if n > 1)]:
            in_dims = tuple(x.dim() // 2 if i in mapped else None for i, x in enumerate(operands))
            stacked = [
                x if d is None else torch.stack([x, -x, x * 2], d)
                for x, d in zip(operands, in_dims, strict=True)
            ]
            y = torch.func.vmap(lambda *x: in_torch(case, x), in_dims)(*stacked)
            for i in range(3):
                pairs = zip(stacked, in_dims, strict=True)
                sample = [x if d is None else x.select(d, i) for x, d in pairs]
                assert torch.equal(y[i], in_torch(case, sample))


@every
def test_vmap_in_vmap(case: Case) -> None:
    # So large that no two masks of few decisions are the same, nor all blocks meet.
    operands = tensors(case)

    def rows(outer: str, inner: str) -> list[Any]:
        once = torch.func.vmap(lambda *x: in_torch(case, x, 0.4, seed=None), randomness=inner)
        twice = torch.func.vmap(once, randomness=outer)
        return list(seeded(twice, *(x.expand(5, 4, *x.shape) for x in operands)).flatten(0, 1))

    expected = {("different", "different"): 20, ("same", "different"): 4, ("different", "same"): 5}
    for how, masks in expected.items():
        found = rows(*how)
        assert len({sample.numpy().tobytes() for sample in found}) == masks
        assert all(map(torch.equal, rows(*how), found))
    plain = seeded(in_torch, case, operands, seed=None)
    assert all(torch.equal(sample, plain) for sample in rows("same", "same"))
    with pytest.raises(RuntimeError, match="called random operation while in randomness error"):
        rows("different", "error")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_vmap_of_algorithms(name: str) -> None:
    call, x = ALGORITHMS[name], torch.rand(8, 10, 10)
    y = torch.func.vmap(partial(call, seed=1))(x)
    torch.testing.assert_close(y, torch.stack([call(sample, seed=1) for sample in x]))
    for randomness, masks in (("same", 1), ("different", 8)):
        y = torch.func.vmap(call, randomness=randomness)(torch.ones(8, 10, 10))
        assert len({sample.numpy().tobytes() for sample in y}) == masks


@every
def test_transforms(case: Case) -> None:
    operands = learned(small(case), torch.float64)
    call = lambda *x: in_torch(case, x)  # noqa: E731
    upper = like(operands[0])
    wanted = torch.autograd.grad(call(*operands), operands, upper)
    plain = [x.detach() for x in operands]
    _, back = torch.func.vjp(call, *plain)
    assert all(map(torch.equal, back(upper), wanted))
    tangents = [like(x, 3) for x in plain]
    _, forward = torch.func.jvp(call, tuple(plain), tuple(tangents))
    inner = sum((t * g).sum() for t, g in zip(tangents, wanted, strict=True))
    assert torch.allclose((forward * upper).sum(), inner)
    for randomness in ("same", "different"):
        per_sample = torch.func.vmap(
            torch.func.grad(lambda *x: in_torch(case, x, seed=None).sum()), randomness=randomness
        )(*[x[None].expand(4, *x.shape) for x in plain])
        assert per_sample.shape == (4, *plain[0].shape)


@heavy
@pytest.mark.parametrize("dtype", DTYPES)
def test_opcheck_of_kinds(dtype: "torch.dtype") -> None:
    """Dtypes, with a gradient and without, decisions that are shared, another order in memory."""
    key, x = torch.tensor([5, 0, -4096]), torch.randn(3, 4).to(dtype)
    turned = torch.randn(2, 3, 4, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    for given, form in ((x, None), (x, (3, 1)), (turned, None)):
        for grad in (False, True):
            given = given.detach().requires_grad_(grad)
            opcheck(torch.ops.fastdrop.draw, given, key, 0.5, "dropout", form)
    opcheck(torch.ops.fastdrop.key, x, 0)


@heavy
@pytest.mark.parametrize("name", NAMED)
def test_opcheck(name: str) -> None:
    """Of every variant that operators know, those of gradients and evaluation among them."""
    variant = NAMED[name]
    x, other = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    two: tuple[Any, ...] = (None, None, "none")
    if "act" in variant.operation:
        two = (other if variant.operation == "act_slope" else None, x[0].detach(), "gelu")
    elif len(variant.operands) == 2:
        two = (other, None, "none")
    arguments = (x, torch.tensor([5, 0, 0]), 0.5, name, None)
    if variant.results == 2:
        opcheck(torch.ops.fastdrop.draw_two, *arguments)
    else:
        opcheck(torch.ops.fastdrop.draw, *arguments, *two)


def test_operators_take_keys_of_64_bits() -> None:
    """As PyTorch's integers, which have a sign."""
    x, key = torch.randn(100), fastdrop.Key(2**64 - 1, 2**63, 4096)
    y = torch.ops.fastdrop.draw(x, torch.tensor([-1, -(2**63), 4096]), 0.5, "dropout")
    assert torch.equal(y, ft.dropout(x, 0.5, seed=key))


# --- compilers -----------------------------------------------------------------------------------


def agree(one: Any, other: Any, operands: Any, close: Callable[..., bool] = torch.equal) -> None:
    """Values, states of the generator and gradients of two functions, from one seed."""
    found = []
    for function in (one, other):
        y = seeded(function, *operands)
        state = torch.get_rng_state()
        slopes = torch.autograd.grad(y.square().sum(), operands, materialize_grads=True)
        found.append((y, state, *slopes))
    assert all(map(close, *found))


@pytest.mark.parametrize(
    ("rate", "training"),
    [(1, True), (1, False), *(pytest.param(i, True, marks=heavy) for i in (0, -1))],
)
@every
def test_compiled_as_eager(case: Case, rate: int, training: bool) -> None:
    p, more = case.rates[rate], {"training": training, "seed": None}
    call = lambda *x: in_torch(case, x, p, **more)  # noqa: E731
    agree(call, whole(call, backend="aot_eager"), learned(small(case)))


@pytest.mark.parametrize("name", [*ALGORITHMS, "dropconnect_linear with a bias"])
def test_algorithms_compiled_as_eager(name: str) -> None:
    call = ALGORITHMS.get(name, lambda x: ft.dropconnect_linear(x, x, x[:, 0], 0.4))
    agree(call, whole(call, backend="aot_eager"), [torch.rand(4, 4, requires_grad=True)])


@heavy
@pytest.mark.parametrize("dynamic", [False, True])
@parametrize(SEVERAL)
def test_inductor(case: Case, dynamic: bool) -> None:
    call = lambda *x: in_torch(case, [y * 2 for y in x], seed=None) + 1  # noqa: E731
    close = partial(torch.allclose, atol=1e-5)
    agree(call, whole(call, dynamic=dynamic), learned(small(case)), close)


class Model(nn.Module):
    """Every module, plain and in place, with PyTorch's generator and with one of its own."""

    def __init__(self) -> None:
        super().__init__()
        own = torch.Generator().manual_seed(1)
        layers = [ft.Dropout(p) for p in (0.5, 0.0, 1.0)]
        layers += [ft.Dropout(0.5, inplace=True), ft.Dropout(0.5, seed=3)]
        layers += [ft.Dropout2d(0.5, generator=own), ft.Dropout2d(0.5), ft.Dropout3d(0.5)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: "torch.Tensor") -> list["torch.Tensor"]:
        return [layer(x * 2) for layer in self.layers] + [ft.dropout(x, 0.5, seed=8)]


def run(model: Any, x: "torch.Tensor") -> list["torch.Tensor"]:
    """Twice, and without gradients: results, gradients, and where the generator stands."""
    torch.manual_seed(1)
    found = []
    for _ in range(2):
        x = x.detach().requires_grad_()
        results = model(x)
        sum(y.square().sum() for y in results).backward()
        found += [*(y.detach() for y in results), x.grad]
    with torch.no_grad():
        return [*found, *model(x), torch.get_rng_state()]


@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, pytest.param(torch.channels_last, marks=heavy)]
)
@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=heavy)])
@pytest.mark.parametrize(
    "backend",
    [pytest.param("eager", marks=heavy), "aot_eager", pytest.param("inductor", marks=heavy)],
)
def test_a_compiled_model(backend: str, dynamic: bool, layout: "torch.memory_format") -> None:
    # Whole numbers: compilers may add gradients up in another order.
    x = torch.arange(-180.0, 180).reshape(3, 4, 5, 6).contiguous(memory_format=layout)
    eager = run(Model(), x)
    compiled = run(whole(Model(), backend=backend, dynamic=dynamic), x)
    assert all(map(torch.equal, eager, compiled))


def test_compiled_checkpoint() -> None:
    block = nn.Sequential(nn.Linear(8, 8), ft.Dropout(0.5), nn.ReLU(), ft.Dropout(0.5))
    step = whole(lambda x, *_: checkpoint(block, x, use_reentrant=False), backend="aot_eager")
    operands = [torch.randn(4, 8, requires_grad=True), *block.parameters()]
    agree(lambda x, *_: block(x), step, operands)


def test_compiled_vmap() -> None:
    rows = lambda x: torch.func.vmap(ft.dropout, randomness="different")(x)  # noqa: E731
    y = whole(rows, backend="aot_eager")(torch.ones(10, 100))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert len({tuple(row.tolist()) for row in y}) == 10


@pytest.mark.parametrize("strict", [False, True])
@parametrize(MODULES)
def test_export(case: Case, strict: bool) -> None:
    operands, drop = tuple(tensors(small(case))), module(case)
    exported = torch.export.export(drop, operands, strict=strict)
    assert "fastdrop.draw.default" in [str(node.target) for node in exported.graph.nodes]
    assert torch.equal(seeded(exported.module(), *operands), seeded(drop, *operands))


def test_a_trace_with_a_seed() -> None:
    x = torch.randn(10)
    traced = torch.jit.trace(lambda x: ft.dropout(x, 0.5, seed=3), (torch.ones(10),))
    assert torch.equal(traced(x), ft.dropout(x, 0.5, seed=3))


# --- classes and modes ---------------------------------------------------------------------------


@every
def test_classes_that_take_operators_apart(case: Case) -> None:
    operands = tensors(small(case))
    twins = [TwoTensor(x, x * 2).requires_grad_() for x in operands]
    y = in_torch(case, twins)
    assert type(y) is TwoTensor
    found = torch.autograd.grad(y.sum(), twins)
    for part, factor in (("a", 1), ("b", 2)):
        plain = [(x * factor).requires_grad_() for x in operands]
        wanted = in_torch(case, plain)
        assert torch.equal(getattr(y, part), wanted)
        for x, gradient in zip(found, torch.autograd.grad(wanted.sum(), plain), strict=True):
            assert torch.equal(getattr(x, part), gradient)


class Tagged(torch.Tensor):
    """A subclass that only has a name."""


def test_a_subclass_stays_one() -> None:
    plain = torch.randn(100)
    wanted = ft.dropout(plain, 0.5, seed=3)
    for inplace in (False, True):
        x = plain.clone().as_subclass(Tagged)
        y = ft.dropout(x, 0.5, inplace=inplace, seed=3)
        assert type(y) is Tagged
        assert (y is x) == inplace
        assert torch.equal(y.as_subclass(torch.Tensor), wanted)


def test_parameters_are_plain_tensors() -> None:
    y = ft.dropout(nn.Parameter(torch.randn(100)), 0.5, seed=3)
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


@parametrize(SEVERAL)
def test_autocast(case: Case) -> None:
    """Tensors of two dtypes, as operators beside these leave them there."""
    x, other = tensors(case)
    with torch.autocast("cpu", torch.bfloat16):
        y = in_torch(case, [x.bfloat16(), other])
    if x.shape == other.shape:
        wanted = in_torch(case, [x.bfloat16().float(), other])
    else:  # a bias goes by what it is added to
        wanted = in_torch(case, [x.bfloat16(), other.bfloat16()])
    assert y.dtype is wanted.dtype
    assert torch.equal(y, wanted)
