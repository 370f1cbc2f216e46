"""Variants of several operands under vmap, compilers, export and classes that see operators."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from pairs import SEVERAL, case, every  # noqa: E402
from torch import nn  # noqa: E402
from torch.testing._internal.two_tensor import TwoTensor  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
]


@pytest.mark.parametrize("dims", [(0, 0), (1, None), (None, 2)])
@every
def test_vmap_of_a_given_seed(name: str, dims: tuple[Any, ...]) -> None:
    """Each sample is what it is by itself: the mask is shared."""
    for dtype in (torch.float32, torch.float16):
        given = case(name, dtype, (3, 4))
        batched = [
            x if d is None else torch.stack([x, -x, x * 2], min(d, x.dim()))
            for x, d in zip(given.operands, dims, strict=True)
        ]
        in_dims = tuple(
            None if d is None else min(d, x.dim())
            for x, d in zip(given.operands, dims, strict=True)
        )
        y = torch.func.vmap(given.torch, in_dims)(*batched)
        for i in range(3):
            sample = [
                x if d is None else x.select(d, i) for x, d in zip(batched, in_dims, strict=True)
            ]
            assert torch.equal(y[i], given.torch(*sample))


@every
def test_vmap_in_vmap(name: str) -> None:
    given = case(name, shape=(6,))
    ones = [torch.ones(5, 4, 64) + i for i in range(2)]

    def rows(outer: str, inner: str) -> int:
        once = torch.func.vmap(lambda *x: given.torch(*x, p=0.5, seed=None), randomness=inner)
        y = torch.func.vmap(once, randomness=outer)(*ones)
        return len({row.numpy().tobytes() for row in y.reshape(20, 64)})

    assert rows("different", "different") == 20
    assert rows("same", "different") == 4
    assert rows("different", "same") == 5
    assert rows("same", "same") == 1


@every
def test_transforms(name: str) -> None:
    given = case(name, torch.float64, (2, 3))
    operands = [x.requires_grad_() for x in given.operands]
    upper = torch.randn_like(operands[0])
    wanted = torch.autograd.grad(given.torch(*operands), operands, upper)
    plain = [x.detach() for x in operands]
    _, back = torch.func.vjp(given.torch, *plain)
    assert all(map(torch.equal, back(upper), wanted))
    tangents = [torch.randn_like(x) for x in plain]
    _, forward = torch.func.jvp(given.torch, tuple(plain), tuple(tangents))
    inner = sum((t * g).sum() for t, g in zip(tangents, wanted, strict=True))
    assert torch.allclose((forward * upper).sum(), inner)
    per_sample = torch.func.vmap(
        torch.func.grad(lambda *x: given.torch(*x, seed=None).sum()), randomness="different"
    )(*[x[None].expand(4, *x.shape) for x in plain])
    assert per_sample.shape == (4, 2, 3)


@pytest.mark.parametrize("training", [True, False])
@every
def test_compiled_as_eager(name: str, training: bool) -> None:
    torch._dynamo.reset()
    given = case(name)
    operands = [x.requires_grad_() for x in given.operands]

    def call(*operands: Any) -> "torch.Tensor":
        return given.torch(*operands, training=training, seed=None)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    results = []
    for function in (call, compiled):
        torch.manual_seed(1)
        y = function(*operands)
        results.append((y, *torch.autograd.grad(y.square().sum(), operands)))
    assert all(map(torch.equal, *results))


@pytest.mark.heavy
@pytest.mark.parametrize("dynamic", [False, True])
@every
def test_inductor(name: str, dynamic: bool) -> None:
    torch._dynamo.reset()
    given = case(name)
    operands = [x.requires_grad_() for x in given.operands]

    def call(*operands: Any) -> "torch.Tensor":
        return given.torch(*[x * 2 for x in operands], seed=None) + 1

    results = []
    for function in (call, torch.compile(call, fullgraph=True, dynamic=dynamic)):
        torch.manual_seed(1)
        y = function(*operands)
        results.append((y, *torch.autograd.grad(y.square().sum(), operands)))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.heavy
@every
def test_opcheck(name: str) -> None:
    given = case(name, torch.float64, (3, 4))
    x, other = (x.requires_grad_() for x in given.operands)
    act = given.keywords.get("act")
    two = (None, other, act) if act else (other, None, "none")
    for variant in (given.name, f"{given.name}_evaluation"):
        arguments = (x, torch.tensor([5, 0, 0]), 0.5, variant, None, *two)
        outcome = torch.library.opcheck(torch.ops.fastdrop.draw, arguments)
        assert set(outcome.values()) == {"SUCCESS"}
    arguments = (x, torch.tensor([5, 0, 0]), 0.5, "zoneout_backward", None)
    outcome = torch.library.opcheck(torch.ops.fastdrop.draw_two, arguments)
    assert set(outcome.values()) == {"SUCCESS"}


MODULES: dict[str, Callable[[], nn.Module]] = {
    "zoneout": lambda: ft.Zoneout(0.4),
    "dropout_add": lambda: ft.DropoutAdd(0.4),
    "bias_act_dropout gelu": lambda: ft.BiasActDropout("gelu", 0.4),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_export(name: str, strict: bool) -> None:
    given, module = case(name), MODULES[name]()
    exported = torch.export.export(module, given.operands, strict=strict)
    assert "fastdrop.draw.default" in [str(node.target) for node in exported.graph.nodes]
    torch.manual_seed(1)
    y = exported.module()(*given.operands)
    torch.manual_seed(1)
    assert torch.equal(y, module(*given.operands))


@every
def test_fake_tensors(name: str) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    given = case(name)
    mode = FakeTensorMode()
    fakes = [mode.from_tensor(x) for x in given.operands]
    for around in (mode, torch.no_grad()):
        with around:
            y = given.torch(*fakes)
        assert y.shape == given.operands[0].shape
        assert y.dtype == given.operands[0].dtype


@every
def test_classes_that_take_operators_apart(name: str) -> None:
    given = case(name)
    twins = [TwoTensor(x, x * 2).requires_grad_() for x in given.operands]
    y = given.torch(*twins)
    assert type(y) is TwoTensor
    found = torch.autograd.grad(y.sum(), twins)
    for part, factor in (("a", 1), ("b", 2)):
        plain = [(x * factor).requires_grad_() for x in given.operands]
        wanted = given.torch(*plain)
        assert torch.equal(getattr(y, part), wanted)
        for x, gradient in zip(found, torch.autograd.grad(wanted.sum(), plain), strict=True):
            assert torch.equal(getattr(x, part), gradient)


def test_autocast() -> None:
    """Tensors of two dtypes, as operators beside these leave them there."""
    for name in SEVERAL:
        given = case(name)
        x, other = given.operands
        with torch.autocast("cpu", torch.bfloat16):
            y = given.torch(x.bfloat16(), other)
        if name.startswith("bias"):
            wanted = given.torch(x.bfloat16(), other.bfloat16())
        else:
            wanted = given.torch(x.bfloat16().float(), other)
        assert y.dtype is wanted.dtype
        assert torch.equal(y, wanted)
