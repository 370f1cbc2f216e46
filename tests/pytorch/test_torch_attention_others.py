"""Attention of tensors that are not plain, and beside classes and modes that override functions."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import KEY, assert_close, attend, check, qkv, some, tensors, unfused  # noqa: E402
from enabling import seeded  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.attention.bias import causal_lower_right, causal_upper_left  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402
from torch.testing._internal.two_tensor import TwoTensor  # noqa: E402
from watching import Functions, Operators  # noqa: E402

import fastdrop  # noqa: E402
from fastdrop.torch._attending import PYTORCHS  # noqa: E402

drops = partial(attend, dropout_p=0.3, seed=KEY)


@pytest.fixture(params=["plain", "in PyTorch's place"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's function as it is, and with ours in its place, as programs patch it."""
    if request.param != "plain":
        monkeypatch.setattr(F, "scaled_dot_product_attention", attend)


# --- PyTorch's function is known by its identity -------------------------------------------------


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("make", [causal_upper_left, causal_lower_right])
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (4, 6), (40, 200)])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_causal_biases(p: float, queries: int, keys: int, make: Any) -> None:
    inputs, bias = qkv(2, 3, queries=queries, keys=keys), make(queries, keys)
    shift = keys - queries if make is causal_lower_right else 0
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(shift)
    check(*inputs, attn_mask=bias, seen=seen, dropout_p=p)
    y = attend(*inputs, bias, p, sliding_window=(1, 3), seed=KEY)
    assert type(y) is torch.Tensor
    assert torch.allclose(y, unfused(*inputs, seen.triu(shift - 1), p, seed=KEY), atol=1e-13)


def test_a_lower_right_bias_of_more_queries_than_keys() -> None:
    with pytest.warns(UserWarning, match="Lower right causal bias will produce NaNs"):
        bias = causal_lower_right(9, 5)
    inputs, seen = qkv(2, queries=9, keys=5), torch.ones(9, 5, dtype=torch.bool).tril(-4)
    check(*inputs, attn_mask=bias, seen=seen)
    with pytest.raises(ValueError, match="should not be used with causal=True"):
        attend(*inputs, bias, 0.3, is_causal=True)


def test_in_pytorchs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing calls itself for ever, whether there is dropout or not."""
    inputs = qkv(2)
    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
    assert torch.equal(F.scaled_dot_product_attention(*inputs), PYTORCHS(*inputs))
    y = seeded(F.scaled_dot_product_attention, *inputs, dropout_p=0.5)
    assert torch.equal(y, seeded(attend, *inputs, dropout_p=0.5))


@pytest.mark.usefixtures("place")
def test_tensors_elsewhere() -> None:
    q = torch.ones(2, 5, 3, device="meta")
    assert F.scaled_dot_product_attention(q, q, q, dropout_p=0.3).is_meta
    assert attend(q, q, q, dropout_p=0.3).is_meta
    with pytest.raises(NotImplementedError, match="generator and seed have to be left out"):
        attend(q, q, q, dropout_p=0.3, seed=1)


@pytest.mark.usefixtures("place")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_jagged_nested_tensors() -> None:
    parts = [tensors((n, 16), dtype=torch.float32)[0].detach() for n in (3, 7, 5)]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged, requires_grad=True)
    q = nested.unflatten(-1, [2, 8]).transpose(1, 2)
    for p in (0.0, 1e-30):
        y = attend(q, q, q, dropout_p=p)
        assert y.layout is torch.jagged
        for x, part in zip(parts, y.unbind(), strict=True):
            x = x.unflatten(-1, [2, 8]).transpose(0, 1)
            assert torch.allclose(part, PYTORCHS(x, x, x), atol=1e-5)
    attend(q, q, q, dropout_p=0.5).values().sum().backward()
    assert nested.grad.shape == nested.shape


# --- modes and classes ---------------------------------------------------------------------------


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


AROUND: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "default device": default_device,
    "device": lambda: torch.device("meta"),
    "functions": Functions,
    "operators": Operators,
}


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("mask", [None, "bool", "added", "learning"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("around", AROUND)
def test_under_a_mode(around: str, mask: str | None, causal: bool) -> None:
    """What a call makes for itself is on the CPU, whatever PyTorch makes tensors on."""
    inputs, (added,) = qkv(2, 3, queries=26), tensors((26, 6))
    masks = {"bool": added > 0, "added": added.detach(), "learning": added}

    def call(*x: "torch.Tensor") -> "torch.Tensor":
        return drops(*x, masks.get(mask), is_causal=causal)

    def run() -> list["torch.Tensor"]:
        y = call(*inputs)
        plainly = torch.autograd.grad(y.sum(), inputs, retain_graph=True)
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), inputs)
        plain = tuple(x.detach() for x in inputs)
        return [y, *plainly, *first, *second, *torch.func.jvp(call, plain, plain)]

    wanted = run()
    with AROUND[around]():
        found = run()
    assert_close(found, wanted, 0.0 if "device" in around else 1e-13)


def test_without_gradients() -> None:
    inputs = qkv(2, 3)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            y = drops(*inputs)
        assert torch.equal(y, drops(*inputs))
        assert not y.requires_grad


@pytest.mark.parametrize("p", [0.5, 0.0])
def test_modes_see_pytorchs_function(p: float) -> None:
    inputs = qkv(2)
    for seed in (None, 4):
        wanted = seeded(attend, *inputs, dropout_p=p, seed=seed)
        with torch.device("cpu"), Functions() as mode:
            y = seeded(attend, *inputs, dropout_p=p, seed=seed)
        assert torch.equal(y, wanted), "and change nothing"
        assert mode.seen == [PYTORCHS]


def test_a_mode_that_raises() -> None:
    class Refusing(TorchFunctionMode):
        def __torch_function__(self, *_: Any) -> Any:
            raise RuntimeError("not here")

    with Functions(), Refusing():
        with pytest.raises(RuntimeError, match="not here"):
            attend(*torch.ones(3, 5, 3), dropout_p=0.5)
        assert torch._C._len_torch_function_stack() == 2


class Window(torch.Tensor):
    """A mask that knows PyTorch's function by its identity, and calls it without itself."""

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not torch._C._nn.scaled_dot_product_attention:
            return NotImplemented
        query, key, value, _, *rest = args
        seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril(1).triu(-1)
        return function(query, key, value, seen, *rest, **(kwargs or {}))


def test_classes_see_pytorchs_function() -> None:
    inputs, mask = qkv(2), torch.empty(0).as_subclass(Window)
    wanted = unfused(*inputs, None, 0.3, sliding_window=(1, 1), seed=KEY)
    assert torch.allclose(drops(*inputs, mask), wanted, atol=1e-13)


def test_classes_that_change_nothing() -> None:
    class Plain(torch.Tensor):
        pass

    inputs = qkv(2)
    y = drops(*(x.as_subclass(Plain) for x in inputs))
    assert type(y) is Plain
    assert torch.equal(y.as_subclass(torch.Tensor), drops(*inputs))


def test_classes_that_compute_themselves_have_no_seed() -> None:
    class Own(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func, len(args), kwargs

    q = torch.ones(5, 3)
    taken = attend(q, q.as_subclass(Own), q, dropout_p=0.3)
    assert taken == (PYTORCHS, 6, {"scale": None, "enable_gqa": False})
    with pytest.raises(NotImplementedError, match="generator and seed have to be left out"):
        attend(q, q.as_subclass(Own), q, dropout_p=0.3, seed=4)


@pytest.mark.parametrize("masked", [False, True])
def test_classes_that_take_operators_apart(masked: bool) -> None:
    """Are offered PyTorch's operator; by a generator or a seed they are offered ours."""
    inputs, seen = qkv(2, 3), some(2, 3, 5, 6) if masked else None
    twins = [TwoTensor(x.detach(), x.detach() * 2).requires_grad_() for x in inputs]
    y = drops(*twins, seen)
    assert type(y) is TwoTensor
    found = torch.autograd.grad(y.sum(), twins)
    for part, factor in (("a", 1), ("b", 2)):
        plain = [(x.detach() * factor).requires_grad_() for x in inputs]
        wanted = drops(*plain, seen)
        assert torch.equal(getattr(y, part), wanted)
        gradients = torch.autograd.grad(wanted.sum(), plain)
        assert_close([getattr(x, part) for x in found], gradients, 1e-13)
    generator = fastdrop.Generator(1)
    attend(*twins, seen, 0.3, generator=generator)
    assert generator.offset > 0
    assert type(attend(*twins, seen, 0.3)) is TwoTensor


# --- tensors of other kinds ----------------------------------------------------------------------


def test_gradients_without_memory() -> None:
    """The gradient of `sgn` is a tensor of zeros that has no memory."""
    inputs = qkv(2, 3)
    for gradient in torch.autograd.grad(drops(*inputs).sgn().sum(), inputs):
        assert not gradient.any()


@pytest.mark.parametrize("which", range(4))
def test_arguments_without_memory(which: int) -> None:
    given = [x.detach() for x in (*qkv(2, 3), *tensors((2, 3, 5, 6)))]
    given[which] = torch.zeros_like(given[which])
    wanted = drops(*given)
    given[which] = torch._efficientzerotensor(given[which].shape, dtype=torch.float64)
    assert torch.equal(drops(*given), wanted)


def test_negated_views() -> None:
    z = torch.randn(2, 3, 6, 6, dtype=torch.complex128).conj().imag
    assert z.is_neg()
    assert torch.allclose(drops(z, z, z, z), unfused(z, z, z, z, 0.3, seed=KEY), atol=1e-13)
    inputs = tensors(*[(2, 3, 6, 6)] * 3)
    wanted = unfused(*inputs, dropout_p=0.3, seed=KEY)
    found = (torch.autograd.grad(y, inputs, z) for y in (drops(*inputs), wanted))
    assert_close(*found, 1e-13)


def test_functional_tensors() -> None:
    inputs = [x.detach() for x in qkv(2, 3)]
    wanted = drops(*inputs)
    wrapped = [torch._to_functional_tensor(x) for x in inputs]
    torch._enable_functionalization(reapply_views=True)
    try:
        y = drops(*wrapped)
        torch._sync(y)
        y = torch._from_functional_tensor(y)
    finally:
        torch._disable_functionalization()
    assert torch.equal(y, wanted)
    assert torch.allclose(torch.func.functionalize(drops)(*inputs), wanted, atol=1e-13)
