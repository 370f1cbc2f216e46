"""What is given: refused in the words of the NumPy functions, or taken by PyTorch's rules.

What PyTorch has too refuses flags and shapes as PyTorch does: test_torch_drop_in.py.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from drawing import FUNCTIONS  # noqa: E402
from drawing import MODULES as MADE  # noqa: E402
from forms import reshaped, small  # noqa: E402
from on_torch import (  # noqa: E402
    FIRST,
    MODULES,
    finite,
    in_numpy,
    in_torch,
    module,
    nothing_drawn,
    tensors,
)
from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from watching import Operators  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

# --- refused -------------------------------------------------------------------------------------

OURS = [case for case in FIRST if not hasattr(nn.functional, case.name)]
BAD: dict[str, tuple[Any, ...]] = {
    "p": (-0.5, 1.5, math.nan),
    "std": (-0.5, math.inf, math.nan, "0.5"),
    "training": (2, "no"),
    "mode": ("rows",),
    "time_axis": (7, "x", 1.0),
    "block_size": (0, "x"),
    "act": ("tanh",),
}
"""Values that no function takes, by argument."""


def parameters(case: Case) -> list[str]:
    return list(inspect.signature(getattr(ft, case.name)).parameters)


def bad_options(case: Case) -> list[tuple[str, Any]]:
    found = [(name, value) for name in parameters(case) for value in BAD.get(name, ())]
    return [*found, ("p", 1.0)] if 1.0 not in case.rates and case.rate == "p" else found


def names(case: Case) -> dict[str, str]:
    """What the operands are called: of arrays, and here."""
    return dict(zip(case.shapes, parameters(case), strict=False))


def translated(words: str, case: Case) -> str:
    for ours, theirs in names(case).items():
        for how in ("{} has to", "{}'s", "of {},"):
            words = words.replace(how.format(ours), how.format(theirs))
    return words.replace("float32", "torch.float32").replace("float64", "torch.float64")


def check(case: Case, operands: list[Any], **more: Any) -> None:
    """NumPy's error, and nothing is drawn or written."""
    before = [x.clone() for x in operands]
    with pytest.raises((TypeError, ValueError)) as wanted:
        in_numpy(case, operands, **more)
    with nothing_drawn(), pytest.raises(wanted.type) as found:
        in_torch(case, operands, seed=None, **more)
    assert str(found.value) == translated(str(wanted.value), case)
    assert all(map(torch.equal, operands, before))


@parametrize(FIRST)
def test_rates_and_options(case: Case) -> None:
    for name, value in bad_options(case):
        if name != "training" or case in OURS:
            check(case, tensors(case), **{name: value})
        if name not in ("training", "p") or case in OURS:
            check(case, tensors(case), **{"training": False, name: value})


@parametrize(OURS)
def test_shapes(case: Case) -> None:
    for n in range(7):
        other = reshaped(case, (2, 3, 2, 3, 2, 3)[:n])
        try:
            in_numpy(other, tensors(other))
        except ValueError:
            check(other, tensors(other))


@parametrize(OURS)
def test_operands(case: Case) -> None:
    for i, name in enumerate(names(case).values()):
        for other in (1.0, [1.0], tensors(case)[i].long(), tensors(case)[i].to("meta")):
            operands = [other if j == i else x for j, x in enumerate(tensors(case))]
            with pytest.raises(TypeError, match=f"{name} has to be a strided tensor|meta"):
                in_torch(case, operands, seed=None)
        if i:
            x, fits = tensors(case)
            check(case, [x, fits[1:]])
            check(case, [x, fits.double()])


@parametrize(MODULES)
def test_modules(case: Case) -> None:
    for name, value in bad_options(case):
        # Which axes there are is known when there is an input.
        if name != "training" and (name, value) != ("time_axis", 7):
            with pytest.raises((TypeError, ValueError), match="has to be"):
                module(case, **{name: value})


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"max_norm": 1.0}, "max_norm has to be left out, but got 1.0"),
        ({"p": 1.5}, "between 0 and 1, but got 1.5"),
        ({"sparse": True}, "sparse has to be left out"),
    ],
)
def test_the_module_of_tables(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ft.EmbeddingDropout(3, 4, **keywords)


# --- taken by PyTorch's rules --------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_p_as_a_tensor(name: str) -> None:
    x, p = torch.ones(4, 4), torch.tensor(0.25)
    assert torch.equal(FUNCTIONS[name](x, p, seed=1), FUNCTIONS[name](x, 0.25, seed=1))
    for refused in (nn.Parameter(p), p[None]):
        with pytest.raises(TypeError, match=r"argument '(p|std)' must be float, not"):
            FUNCTIONS[name](x, refused)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tangents_under_a_dispatch_mode(name: str) -> None:
    x, function = torch.rand(4, 4, dtype=torch.float64) + 1, partial(FUNCTIONS[name], seed=1)
    with forward_ad.dual_level():
        with Operators():
            y = function(forward_ad.make_dual(x, torch.ones_like(x)))
        primal, tangent = forward_ad.unpack_dual(y)
    assert torch.allclose(primal, function(x))
    slope = (finite(function(x + 1e-6)) - finite(function(x - 1e-6))) / 2e-6
    assert torch.allclose(tangent, slope, atol=1e-6)


LARGER = [small(case) for case in FIRST if len(case.shape) > 3 and len(case.shapes) == 1]
SPARSE: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    **{name: ((4, 4), function) for name, function in FUNCTIONS.items()},
    **{c.name: (c.shape, lambda x, seed, c=c: in_torch(c, [x], seed=seed)) for c in LARGER},
    "attention": (
        (2, 3, 4, 4),
        lambda x, seed: ft.scaled_dot_product_attention(x, x, x, dropout_p=0.5, seed=seed),
    ),
}
"""Of tensors with more axes themselves: PyTorch's views have no derivatives that are sparse."""


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("around", [nullcontext, Operators])
def test_sparse_gradients(name: str, around: Callable[[], Any]) -> None:
    shape, function = SPARSE[name]
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    with around():
        y = function(x, seed=1)
    gradient = torch.rand_like(y) * (torch.rand_like(y) < 0.5)
    (expected,) = torch.autograd.grad(y, x, gradient, retain_graph=True)
    (found,) = torch.autograd.grad(y, x, gradient.to_sparse())
    assert torch.equal(found.to_dense(), expected)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("drop", [ft.dropout, ft.embedding_dropout])
def test_gradients_of_embeddings_stay_sparse(drop: Callable[..., Any]) -> None:
    table = nn.Embedding(8, 3, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters())
    dropped = drop(table.weight, 0.5, seed=1)
    nn.functional.embedding(torch.tensor([5, 2, 5]), dropped, sparse=True).sum().backward()
    found = table.weight.grad
    assert found.layout is torch.sparse_coo
    rows = torch.tensor([0, 0, 1, 0, 0, 2, 0, 0])[:, None]
    expected = drop(torch.ones(8, 3), 0.5, seed=1) * rows
    assert torch.equal(found.to_dense(), expected)
    optimizer.step()


def test_nested_tensors() -> None:
    x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
    assert ft.dropout(x, 0.5).is_nested
    with pytest.raises(NotImplementedError, match="a nested tensor"):
        ft.dropout(x, 0.5, seed=1)
    for function in (ft.drop_path, ft.gaussian_dropout, ft.variational_dropout):
        with pytest.raises(TypeError, match="a nested tensor"):
            function(x, 0.5)


def test_packed_sequences() -> None:
    x = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(2, 2)])
    for keywords in ({}, {"seed": 1}):
        with pytest.raises(TypeError, match="must be Tensor, not PackedSequence"):
            ft.dropout(x, 0.5, **keywords)


@pytest.mark.parametrize(
    "make", [lambda: {"seed": 2**64 - 1}, lambda: {"generator": torch.Generator()}]
)
@pytest.mark.parametrize("name", MADE)
def test_generators_in_state_dicts(name: str, make: Callable[[], Any], tmp_path: Path) -> None:
    x, drop = torch.rand(4, 4), MADE[name](**make())
    drop(x)
    torch.save(drop.state_dict(), tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    twin, plain = MADE[name](**make()), MADE[name]()
    twin.load_state_dict(state)
    assert torch.equal(drop(x), twin(x))
    assert not any("extra" in key for key in plain.state_dict())
    twin.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*_extra_state"):
        plain.load_state_dict(state)
    plain.load_state_dict(state, strict=False)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float64])
@pytest.mark.parametrize(
    "call",
    [
        lambda x, mask: ft.scaled_dot_product_attention(x, x, x, mask, 0.5, seed=1),
        lambda x, mask: ft.softmax_dropout(x, 0.5, mask=mask, seed=1),
    ],
)
def test_masks_that_are_inference_tensors(call: Callable[..., Any], dtype: torch.dtype) -> None:
    x = torch.rand(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.eye(4).to(dtype)
    with torch.inference_mode():
        twin = mask.clone()
    wanted, found = (torch.autograd.grad(call(x, m).square().sum(), x)[0] for m in (mask, twin))
    assert torch.equal(wanted, found)
