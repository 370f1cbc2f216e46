"""Every variant under vmap, compilers, export, and classes that see operators."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from enabling import seeded  # noqa: E402
from forms import small  # noqa: E402
from on_torch import (  # noqa: E402
    FORMS,
    MODULES,
    SEVERAL,
    in_torch,
    learned,
    like,
    module,
    tensors,
)
from torch.testing._internal.two_tensor import TwoTensor  # noqa: E402

from fastdrop.torch._draw import NAMED  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # PyTorch's look
every = parametrize(FORMS)


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
    operands = [x.expand(5, 4, *x.shape) for x in tensors(case)]

    def rows(outer: str, inner: str) -> int:
        once = torch.func.vmap(lambda *x: in_torch(case, x, 0.4, seed=None), randomness=inner)
        y = torch.func.vmap(once, randomness=outer)(*operands)
        return len({sample.numpy().tobytes() for row in y for sample in row})

    torch.manual_seed(1)
    assert rows("different", "different") == 20
    assert rows("same", "different") == 4
    assert rows("different", "same") == 5
    assert rows("same", "same") == 1


@every
def test_transforms(case: Case) -> None:
    operands = learned(small(case), torch.float64)

    def call(*x: Any) -> "torch.Tensor":
        return in_torch(case, x)

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


# --- compilers -----------------------------------------------------------------------------------


def agree(one: Any, other: Any, operands: Any) -> list[tuple[Any, Any]]:
    """Pairs of values and gradients of two functions, each from the same seed."""
    found = []
    for function in (one, other):
        torch.manual_seed(1)
        y = function(*operands)
        found.append((y, *torch.autograd.grad(y.square().sum(), operands)))
    return list(zip(*found, strict=True))


@pytest.mark.parametrize("training", [True, False])
@every
def test_compiled_as_eager(case: Case, training: bool) -> None:
    torch._dynamo.reset()

    def call(*operands: Any) -> "torch.Tensor":
        return in_torch(case, operands, training=training, seed=None)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    for one, other in agree(call, compiled, learned(small(case))):
        assert torch.equal(one, other)


@pytest.mark.heavy
@pytest.mark.parametrize("dynamic", [False, True])
@parametrize(SEVERAL)
def test_inductor(case: Case, dynamic: bool) -> None:
    torch._dynamo.reset()

    def call(*operands: Any) -> "torch.Tensor":
        return in_torch(case, [x * 2 for x in operands], seed=None) + 1

    compiled = torch.compile(call, fullgraph=True, dynamic=dynamic)
    for one, other in agree(call, compiled, learned(small(case))):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.heavy
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
        outcome = torch.library.opcheck(torch.ops.fastdrop.draw_two, arguments)
    else:
        outcome = torch.library.opcheck(torch.ops.fastdrop.draw, (*arguments, *two))
    assert set(outcome.values()) == {"SUCCESS"}


@pytest.mark.parametrize("strict", [False, True])
@parametrize(MODULES)
def test_export(case: Case, strict: bool) -> None:
    operands, drop = tuple(tensors(small(case))), module(case)
    exported = torch.export.export(drop, operands, strict=strict)
    assert "fastdrop.draw.default" in [str(node.target) for node in exported.graph.nodes]
    assert torch.equal(seeded(exported.module(), *operands), seeded(drop, *operands))


# --- classes -------------------------------------------------------------------------------------


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
