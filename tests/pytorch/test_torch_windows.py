"""`window=` of PyTorch's functions: a part of a tensor is computed as that part of the whole is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cases import PLAIN

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from drawing import finite  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import Key  # noqa: E402

KEY = Key(3, 4, 4096 - 7)


class Case(NamedTuple):
    """A function, how many tensors it takes, how many axes they have, and its options."""

    function: str
    operands: int = 1
    axes: int = 3
    options: dict[str, Any] = {}  # noqa: RUF012 - read only
    biased: bool = False

    def __call__(self, tensors: list[Any], **keywords: Any) -> Any:
        arguments = {**self.options, **keywords}
        if self.function != "gaussian_noise":
            arguments.setdefault("p", 0.4)
        if "alpha" in self.function:
            arguments.setdefault("training", True)
        return getattr(ft, self.function)(*tensors, **arguments)

    def tensors(self, shape: tuple[int, ...], dtype: Any = torch.float32) -> list[Any]:
        """One for each argument; gradients are followed."""
        shapes = [shape] * self.operands + [shape[-1:]] * self.biased
        like = torch.Generator().manual_seed(len(shape))
        drawn = [torch.randn(n, generator=like, dtype=torch.float64).to(dtype) for n in shapes]
        return [x.requires_grad_() for x in drawn]


CASES = [
    Case("dropout"),
    Case("dropout", axes=1),
    Case("dropout1d"),
    Case("dropout1d", axes=2),
    Case("dropout2d", axes=4),
    Case("dropout3d", axes=4),
    Case("dropout3d", axes=5),
    *(Case(variant.function) for variant in PLAIN),
    Case("feature_alpha_dropout"),
    Case("gaussian_noise", options={"std": 0.5}),
    Case("drop_path"),
    Case("drop_path", options={"mode": "batch"}),
    Case("variational_dropout"),
    Case("variational_dropout", options={"time_axis": 0}),
    Case("embedding_dropout", axes=2),
    Case("dropout_add", 2),
    Case("zoneout", 2),
    Case("bias_act_dropout", options={"act": "gelu"}, biased=True),
    Case("bias_act_dropout", options={"act": "silu"}),
]
EVERY = pytest.mark.parametrize(
    "case", CASES, ids=[f"{i}-{c.function}" for i, c in enumerate(CASES)]
)

WHOLES: dict[int, tuple[tuple[int, ...], list[tuple[tuple[int, int], ...]]]] = {
    1: ((9001,), [((1, 4103),), ((4095, 8192),), ((9000, 9001),)]),
    2: ((37, 251), [((5, 29), (0, 251)), ((0, 37), (100, 251)), ((3, 36), (17, 18))]),
    3: ((5, 7, 61), [((1, 4), (0, 7), (0, 61)), ((0, 5), (2, 6), (3, 60)), ((4, 5),) * 3]),
    4: ((3, 5, 4, 33), [((1, 3), (2, 4), (0, 4), (5, 33)), ((2, 3), (0, 1), (3, 4), (1, 2))]),
    5: ((3, 5, 4, 3, 9), [((1, 3), (2, 4), (0, 4), (1, 2), (5, 9))]),
}


def parts_of(case: Case, whole: list[Any], bounds: Any) -> tuple[list[Any], Any, Any]:
    """Parts of the tensors, with gradients of their own; slices; the window."""
    cut = tuple(slice(*pair) for pair in bounds)
    cuts = [cut] * case.operands + [cut[-1:]] * case.biased
    parts = [x.detach()[c].clone().requires_grad_() for x, c in zip(whole, cuts, strict=True)]
    return parts, cut, (tuple(whole[0].shape), tuple(start for start, _ in bounds))


@pytest.mark.usefixtures("impl")
@EVERY
def test_a_part_and_its_gradients(case: Case) -> None:
    check(case, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@EVERY
def test_other_dtypes(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


def check(case: Case, dtype: torch.dtype) -> None:
    shape, every = WHOLES[case.axes]
    whole = case.tensors(shape, dtype)
    upper = torch.randn(shape).to(dtype)
    y = case(whole, seed=KEY)
    wanted = torch.autograd.grad(y, whole, upper)
    for bounds in every:
        parts, cut, window = parts_of(case, whole, bounds)
        z = case(parts, seed=KEY, window=window)
        assert torch.equal(z, y[cut])
        got = torch.autograd.grad(z, parts, upper[cut])
        for g, want in zip(got[: case.operands], wanted, strict=False):
            assert torch.equal(g, want[cut])
        if case.biased:  # the sum over the rows of the part
            assert torch.equal(got[1], got[0].sum(tuple(range(len(shape) - 1))))


@EVERY
def test_a_part_of_any_layout(case: Case) -> None:
    shape, every = WHOLES[case.axes]
    whole = case.tensors(shape)
    for bounds in every[-2:]:
        parts, cut, window = parts_of(case, whole, bounds)
        wanted = case(whole, seed=KEY)[cut]
        for change in (
            lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
            lambda x: x.repeat_interleave(2, -1)[..., ::2],
            lambda x: torch._neg_view(-x),
        ):
            changed = [change(part.detach()) for part in parts]
            assert torch.equal(case(changed, seed=KEY, window=window), wanted)
        # An expanded gradient, that of a sum.
        case(parts, seed=KEY, window=window).sum().backward()
        upper = torch.zeros(shape)
        upper[cut] = 1
        first = torch.autograd.grad(case(whole, seed=KEY), whole[0], upper)[0]
        assert torch.equal(parts[0].grad, first[cut])


@EVERY
def test_generators_move_as_for_the_whole(case: Case) -> None:
    shape, every = WHOLES[case.axes]
    whole = case.tensors(shape)
    parts, cut, window = parts_of(case, whole, every[0])
    ours, theirs = fastdrop.Generator(1), fastdrop.Generator(1)
    for _ in range(2):
        wanted = case(whole, generator=theirs)[cut]
        assert torch.equal(case(parts, generator=ours, window=window), wanted)
        assert ours.state == theirs.state
    empty = [x[:0] for x in whole[: case.operands]] + whole[case.operands :]
    assert case(empty, generator=ours, window=(shape, (0,) * len(shape))).numel() == 0
    case(whole, generator=theirs)
    assert ours.state == theirs.state
    torch.manual_seed(3)
    wanted = [case(whole)[cut], case(whole)]
    torch.manual_seed(3)
    assert torch.equal(case(parts, window=window), wanted[0])
    assert torch.equal(case(whole), wanted[1])
    with torch.no_grad():
        assert torch.equal(case(parts, seed=KEY, window=window), case(whole, seed=KEY)[cut])


@pytest.mark.parametrize(
    "case", [c for c in CASES if "inplace" in inspect.signature(getattr(ft, c.function)).parameters]
)
def test_in_place(case: Case) -> None:
    """The part is written to and nothing beside it; the gradient is that of the plain call."""
    shape, every = WHOLES[case.axes]
    whole = case.tensors(shape)
    wanted = case(whole, seed=KEY)
    upper = torch.randn(shape)
    (gradient,) = torch.autograd.grad(wanted, whole, upper)
    for bounds in every:
        parts, cut, window = parts_of(case, whole, bounds)
        y = parts[0] * 1
        z = case([y], seed=KEY, window=window, inplace=True)
        assert z.data_ptr() == y.data_ptr()
        assert torch.equal(y, wanted[cut])
        assert torch.equal(torch.autograd.grad(z, parts, upper[cut])[0], gradient[cut])
        larger = whole[0].detach().clone()
        part = larger[cut]
        case([part], seed=KEY, window=window, inplace=True)
        assert torch.equal(larger[cut], wanted[cut])
        larger[cut] = whole[0].detach()[cut]
        assert torch.equal(larger, whole[0]), "nothing else is written to"
        before = torch.get_rng_state()
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            case(parts, window=window, inplace=True)
        assert torch.equal(torch.get_rng_state(), before)


@EVERY
def test_evaluation_of_a_part(case: Case) -> None:
    shape, every = WHOLES[case.axes]
    whole = case.tensors(shape)
    parts, cut, window = parts_of(case, whole, every[0])
    before = torch.get_rng_state()
    wanted = case(whole, training=False)
    got = case(parts, training=False, window=window)
    assert torch.equal(got, wanted[cut])
    assert (got is parts[0]) == (wanted is whole[0])
    none = {"std": 0.0} if case.function == "gaussian_noise" else {"p": 0.0}
    assert torch.equal(case(parts, window=window, **none), case(whole, **none)[cut])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
@EVERY
def test_derivatives_of_every_order(case: Case) -> None:
    shape = (3, 2, 2, 2, 2)[: case.axes]
    larger = tuple(n + 3 for n in shape)
    window = (larger, (2,) * case.axes)
    tensors = case.tensors(shape, torch.float64)
    part = lambda *given: finite(case(list(given), seed=KEY, window=window))  # noqa: E731
    assert torch.autograd.gradcheck(part, tensors, check_forward_ad=not case.biased)
    assert torch.autograd.gradgradcheck(part, tensors)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of PyTorch's own look
@EVERY
def test_compiled_code_is_cut_at_a_window(case: Case) -> None:
    shape, every = WHOLES[case.axes]
    parts, _, window = parts_of(case, case.tensors(shape), every[0])
    torch.compiler.reset()

    @torch.compile(backend="eager")
    def function(*given: torch.Tensor) -> Any:
        return case([x * 2 for x in given], seed=KEY, window=window) + 1

    same = [x.detach().clone().requires_grad_() for x in parts]
    y = function(*parts)
    wanted = case([x * 2 for x in same], seed=KEY, window=window) + 1
    assert torch.equal(y, wanted)
    got = torch.autograd.grad(y.sum(), parts)
    assert all(map(torch.equal, got, torch.autograd.grad(wanted.sum(), same)))


@EVERY
def test_who_else_looks_on_is_refused(case: Case) -> None:
    shape, every = WHOLES[case.axes]
    parts, _, window = parts_of(case, case.tensors(shape), every[0])
    given, before = [x.detach() for x in parts], torch.get_rng_state()

    class Drops(torch.nn.Module):
        def forward(self, *x: torch.Tensor) -> Any:
            return case(list(x), window=window)

    with pytest.raises(NotImplementedError, match="window has to be left out within transforms"):
        torch.func.jvp(lambda *x: case(list(x), window=window), tuple(given), tuple(given))
    with pytest.raises(NotImplementedError, match="window has to be left out within transforms"):
        torch.export.export(Drops(), tuple(given), strict=False)
    y = case(parts, seed=KEY, window=window)
    if case.function != "gaussian_noise":  # whose gradient is the result's
        with pytest.raises(NotImplementedError, match="window has to be left out within"):
            torch.autograd.grad(y, parts, torch.ones(2, *y.shape), is_grads_batched=True)
    assert torch.equal(torch.get_rng_state(), before)


@EVERY
def test_bad_windows(case: Case) -> None:
    """Before anything is drawn or written."""
    shape = (2, 3, 4, 5, 6)[: case.axes]
    given, before = [x.detach() for x in case.tensors(shape)], torch.get_rng_state()
    larger, zeros = tuple(n + 1 for n in shape), (0,) * case.axes
    for window, words in (
        ((larger[1:], zeros[1:]), f"for each of the {case.axes} axes of"),
        ((larger, (2,) * case.axes), "window has to hold"),
        ((larger, (-1,) * case.axes), "no negative numbers"),
        (7, "has to be a pair"),
    ):
        with pytest.raises(ValueError, match=words):
            case(given, window=window)
    assert torch.equal(torch.get_rng_state(), before)
    for other in (given[0].int(), given[0].to("meta")):
        with pytest.raises((NotImplementedError, TypeError), match="in the CPU's memory"):
            case([other, *given[1:]], window=(larger, zeros))


WITHOUT = {
    "drop_block1d", "drop_block2d", "drop_block3d", "softmax_dropout", "dropconnect_linear",
    "scaled_dot_product_attention", "mc_dropout",
}  # fmt: skip
"""What they compute of a part is no part of what they compute of the whole: see the guide."""


def test_every_function_takes_a_window_or_is_known_not_to() -> None:
    functions: dict[str, Callable[..., Any]] = {
        name: getattr(ft, name) for name in ft.__all__ if inspect.isfunction(getattr(ft, name))
    }
    drawing = {n for n, f in functions.items() if "seed" in inspect.signature(f).parameters}
    taking = {n for n in drawing if "window" in inspect.signature(functions[n]).parameters}
    assert taking == {case.function for case in CASES}
    assert drawing - taking == WITHOUT, drawing - taking


MODULES: dict[str, tuple[dict[str, Any], int, int]] = {
    "Dropout": ({}, 1, 3),
    "Dropout1d": ({}, 1, 3),
    "Dropout2d": ({}, 1, 4),
    "Dropout3d": ({}, 1, 5),
    **{str(variant.layer): ({}, 1, 3) for variant in PLAIN},
    "FeatureAlphaDropout": ({}, 1, 3),
    "GaussianNoise": ({"std": 0.5}, 1, 3),
    "StochasticDepth": ({}, 1, 3),
    "VariationalDropout": ({}, 1, 3),
    "DropoutAdd": ({}, 2, 3),
    "Zoneout": ({}, 2, 3),
    "BiasActDropout": ({"act": "relu"}, 1, 3),
}
"""Their arguments, how many tensors they take, and of how many axes."""

MODULES_WITHOUT = {
    "DropBlock1d", "DropBlock2d", "DropBlock3d", "SoftmaxDropout", "DropConnectLinear",
    "MultiheadAttention", "EmbeddingDropout",
}  # fmt: skip
"""As for the functions; `EmbeddingDropout` is given words, and not the table that it cuts."""


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    arguments, n, axes = MODULES[name]
    one, other = (getattr(ft, name)(**arguments, seed=KEY) for _ in range(2))
    case = Case(name, n, axes)
    shape, every = WHOLES[axes]
    whole = case.tensors(shape)
    parts, cut, window = parts_of(case, whole, every[0])
    for _ in range(2):  # their generators keep step
        y, z = one(*whole), other(*parts, window=window)
        assert torch.equal(z, y[cut])
        upper = torch.randn(shape)
        wanted = torch.autograd.grad(y, whole, upper)
        got = torch.autograd.grad(z, parts, upper[cut])
        assert all(torch.equal(g, want[cut]) for g, want in zip(got, wanted, strict=True))
    assert torch.equal(other(*whole), one(*whole))
    one.eval(), other.eval()
    assert torch.equal(other(*parts, window=window), one(*whole)[cut])


def test_every_module_takes_a_window_or_is_known_not_to() -> None:
    classes = {name: getattr(ft, name) for name in ft.__all__ if inspect.isclass(getattr(ft, name))}
    drawing = {n: c for n, c in classes.items() if issubclass(c, torch.nn.Module)}
    taking = {n for n, c in drawing.items() if "window" in parameters(c.forward)}
    assert taking == set(MODULES)
    assert set(drawing) - taking == MODULES_WITHOUT, set(drawing) - taking


def parameters(forward: Any) -> Any:
    # What TorchScript compiles stands behind it.
    return inspect.signature(forward, follow_wrapped=False).parameters
