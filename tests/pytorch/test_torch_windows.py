"""`window=` of PyTorch's functions: a part of a tensor is computed as that part of the whole is."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import forms  # noqa: E402
from cases import Case, parametrize  # noqa: E402
from enabling import seeded  # noqa: E402
from forms import Cut, cuts, inner, reshaped, small, wholes, windowed  # noqa: E402
from on_torch import (  # noqa: E402
    CASES,
    DTYPES,
    FIRST,
    KEY,
    LAYOUTS,
    MODULES,
    RENAMED,
    finite,
    in_torch,
    learned,
    like,
    module,
    module_name,
    nothing_drawn,
    takes,
    tensors,
)

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import layers  # noqa: E402

WINDOWED = windowed(CASES)
EVERY = parametrize(WINDOWED)
ONE = parametrize(windowed(FIRST))


def part(x: Any, cut: Cut) -> Any:
    """Of a tensor of the whole's shape, or of a bias."""
    return x.detach()[cut[len(cut) - x.dim() :]]


def parts_of(case: Case, whole: list[Any], cut: Cut) -> tuple[list[Any], Any]:
    """Parts of the tensors, with gradients of their own, and the window."""
    parts = [part(x, cut).clone().requires_grad_() for x in whole]
    return parts, forms.window_of(case.shape, cut)


def same_gradients(got: Any, wanted: Any, cut: Cut) -> None:
    """That of a bias is a sum over the rows of the part."""
    for g, want in zip(got, wanted, strict=True):
        if want.shape == wanted[0].shape:
            assert torch.equal(g, part(want, cut))
        else:
            assert torch.equal(g, got[0].sum(tuple(range(len(cut) - 1))))


def check(case: Case, dtype: torch.dtype) -> None:
    whole = learned(case, dtype)
    y = in_torch(case, whole)
    upper = like(y)
    wanted = torch.autograd.grad(y, whole, upper)
    for cut in cuts(case.shape):
        parts, window = parts_of(case, whole, cut)
        z = in_torch(case, parts, window=window)
        assert torch.equal(z, y[cut])
        same_gradients(torch.autograd.grad(z, parts, upper[cut]), wanted, cut)


@pytest.mark.usefixtures("impl")
@EVERY
def test_a_part_and_its_gradients(case: Case) -> None:
    for whole in wholes(case):
        check(whole, torch.float32)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != torch.float32])
@ONE
def test_other_dtypes(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@EVERY
def test_a_part_of_any_layout(case: Case) -> None:
    whole, cut = learned(case), inner(case.shape)
    parts, window = parts_of(case, whole, cut)
    y = in_torch(case, whole)
    for change in LAYOUTS.values():
        changed = [change(x.detach()) for x in parts]
        assert torch.equal(in_torch(case, changed, window=window), y[cut])
    # An expanded gradient, that of a sum.
    in_torch(case, parts, window=window).sum().backward()
    upper = torch.zeros(case.shape)
    upper[cut] = 1
    first = torch.autograd.grad(y, whole[0], upper)[0]
    assert torch.equal(parts[0].grad, first[cut])


@EVERY
def test_generators_move_as_for_the_whole(case: Case) -> None:
    whole, cut = learned(case), inner(case.shape)
    parts, window = parts_of(case, whole, cut)
    ours, theirs = fastdrop.Generator(1), fastdrop.Generator(1)
    for _ in range(2):
        wanted = in_torch(case, whole, generator=theirs)[cut]
        assert torch.equal(in_torch(case, parts, generator=ours, window=window), wanted)
        assert ours.state == theirs.state
    empty = tensors(reshaped(case, (0, *case.shape[1:])))
    nowhere = (case.shape, (0,) * len(case.shape))
    assert in_torch(case, empty, generator=ours, window=nowhere).numel() == 0
    in_torch(case, whole, generator=theirs)
    assert ours.state == theirs.state
    wanted, after = seeded(in_torch, case, whole, seed=None)[cut], torch.rand(1)
    assert torch.equal(seeded(in_torch, case, parts, seed=None, window=window), wanted)
    assert torch.equal(torch.rand(1), after)
    with torch.no_grad():
        assert torch.equal(in_torch(case, parts, window=window), in_torch(case, whole)[cut])


@parametrize([case for case in WINDOWED if takes(case, "inplace")])
def test_in_place(case: Case) -> None:
    """The part is written to and nothing beside it; the gradient is that of the plain call."""
    whole = learned(case)
    wanted = in_torch(case, whole)
    upper = like(wanted)
    (gradient,) = torch.autograd.grad(wanted, whole, upper)
    for cut in cuts(case.shape):
        parts, window = parts_of(case, whole, cut)
        y = parts[0] * 1
        z = in_torch(case, [y], window=window, inplace=True)
        assert z.data_ptr() == y.data_ptr()
        assert torch.equal(y, wanted[cut])
        assert torch.equal(torch.autograd.grad(z, parts, upper[cut])[0], gradient[cut])
        larger = whole[0].detach().clone()
        in_torch(case, [larger[cut]], window=window, inplace=True)
        assert torch.equal(larger[cut], wanted[cut])
        larger[cut] = whole[0].detach()[cut]
        assert torch.equal(larger, whole[0]), "nothing else is written to"
        words = "a leaf Variable that requires grad"
        with nothing_drawn(), pytest.raises(RuntimeError, match=words):
            in_torch(case, parts, seed=None, window=window, inplace=True)


@EVERY
def test_evaluation_of_a_part(case: Case) -> None:
    whole, cut = learned(case), inner(case.shape)
    parts, window = parts_of(case, whole, cut)
    with nothing_drawn():
        for p, training in ((0.4, False), (0.0, True)):
            wanted = in_torch(case, whole, p, seed=None, training=training)
            got = in_torch(case, parts, p, seed=None, training=training, window=window)
            assert torch.equal(got, wanted[cut])
            assert (got is parts[0]) == (wanted is whole[0])


@EVERY
def test_derivatives_of_every_order(case: Case) -> None:
    case = small(case)
    window = (tuple(n + 3 for n in case.shape), (2,) * len(case.shape))
    part = lambda *given: finite(in_torch(case, given, window=window))  # noqa: E731
    operands = learned(case, torch.float64)
    biased = len(operands) == 2 and operands[0].shape != operands[1].shape
    assert torch.autograd.gradcheck(part, operands, check_forward_ad=not biased)
    assert torch.autograd.gradgradcheck(part, operands)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of PyTorch's own look
@ONE
def test_compiled_code_is_cut_at_a_window(case: Case) -> None:
    parts, window = parts_of(case, tensors(case), inner(case.shape))
    torch.compiler.reset()
    function = lambda *x: in_torch(case, [y * 2 for y in x], window=window) + 1  # noqa: E731
    wanted, y = function(*parts), torch.compile(function, backend="eager")(*parts)
    assert torch.equal(y, wanted)
    got, slopes = (torch.autograd.grad(z.sum(), parts) for z in (y, wanted))
    assert all(map(torch.equal, got, slopes))


@ONE
def test_who_else_looks_on_is_refused(case: Case) -> None:
    parts, window = parts_of(case, tensors(case), inner(case.shape))
    given, twice = tuple(x.detach() for x in parts), [x.expand(2, *x.shape) for x in parts]
    call = lambda *x: in_torch(case, x, seed=None, window=window)  # noqa: E731
    drops = type("Drops", (torch.nn.Module,), {"forward": lambda _, *x: call(*x)})()
    y = in_torch(case, parts, window=window)
    refused: list[Any] = [
        lambda: torch.func.jvp(call, given, given),
        lambda: torch.func.vmap(call)(*twice),
        lambda: torch.export.export(drops, given, strict=False),
        lambda: torch.autograd.grad(y, parts, torch.ones(2, *y.shape), is_grads_batched=True),
    ]
    if case.variant.gradient == "identity":  # which needs no window
        refused.pop()
    words = "window has to be left out within transforms"
    for look in refused:
        with nothing_drawn(), pytest.raises(NotImplementedError, match=words):
            look()


@EVERY
def test_bad_windows(case: Case) -> None:
    """Before anything is drawn or written."""
    given, n = tensors(case), len(case.shape)
    larger, zeros = tuple(n + 1 for n in case.shape), (0,) * n
    for window, words in (
        ((larger[1:], zeros[1:]), f"for each of the {n} axes of"),
        ((larger, (2,) * n), "window has to hold"),
        ((larger, (-1,) * n), "no negative numbers"),
        (7, "has to be a pair"),
    ):
        with nothing_drawn(), pytest.raises(ValueError, match=words):
            in_torch(case, given, seed=None, window=window)
    for other in (given[0].int(), given[0].to("meta"), given[0].to_sparse()):
        with pytest.raises((NotImplementedError, TypeError), match="in the CPU's memory"):
            in_torch(case, [other, *given[1:]], window=(larger, zeros))


WITHOUT = {
    *(case.name for case in FIRST if case.axes),
    *("softmax_dropout", "dropconnect_linear", "scaled_dot_product_attention", "mc_dropout"),
}
"""What they compute of a part is no part of what they compute of the whole: see the guide."""


def test_every_function_takes_a_window_or_is_known_not_to() -> None:
    functions = {n: getattr(ft, n) for n in ft.__all__ if inspect.isfunction(getattr(ft, n))}
    drawing = {n for n, f in functions.items() if "seed" in inspect.signature(f).parameters}
    taking = {n for n in drawing if "window" in inspect.signature(functions[n]).parameters}
    assert taking == {case.name for case in WINDOWED}
    assert drawing - taking == WITHOUT, drawing - taking


MODULED = [case for case in MODULES if case in WINDOWED]


@parametrize(MODULED)
def test_modules(case: Case) -> None:
    one, other = (module(case, seed=KEY) for _ in range(2))
    whole, cut = learned(case), inner(case.shape)
    parts, window = parts_of(case, whole, cut)
    for _ in range(2):  # their generators keep step
        y, z = one(*whole), other(*parts, window=window)
        assert torch.equal(z, y[cut])
        wanted = torch.autograd.grad(y, whole, like(y))
        same_gradients(torch.autograd.grad(z, parts, like(y)[cut]), wanted, cut)
    assert torch.equal(other(*whole), one(*whole))
    one.eval(), other.eval()
    assert torch.equal(other(*parts, window=window), one(*whole)[cut])


def test_every_module_takes_a_window_or_is_known_not_to() -> None:
    names = {RENAMED.get(name, name) for name in layers.__all__} | {"MultiheadAttention"}
    # What TorchScript compiles stands behind `forward`.
    taking = {n for n in names if "window" in parameters(getattr(ft, n).forward)}
    assert taking == {module_name(case) for case in MODULED}
    # As for the functions; `EmbeddingDropout` is given words, and not the table that it cuts.
    assert names - taking == {
        *(module_name(case) for case in FIRST if case.axes),
        *("SoftmaxDropout", "DropConnectLinear", "MultiheadAttention", "EmbeddingDropout"),
    }


def parameters(forward: Any) -> Any:
    return inspect.signature(forward, follow_wrapped=False).parameters
