"""What memory `scaled_dot_product_attention` takes: tiles, and nothing of them afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import tensors, unfused  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _tiles  # noqa: E402
from fastdrop.torch._seen import CAUSAL, EVERYTHING  # noqa: E402

KEY = fastdrop.Key(5, 6, 4097)


class Largest(TorchDispatchMode):
    """The largest tensor that any operator makes, in elements of memory."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(x, torch.Tensor):
                self.found = max(self.found, x.untyped_storage().nbytes() // x.element_size())
        return result


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Every thread gets a matrix of its own, so how large a tile is depends on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("causal", [False, True])
def test_no_tensor_of_all_weights(causal: bool) -> None:
    """Operators inside fastdrop's own are not seen by modes, so the tiles are called as such."""
    batch, heads, length, width = 2, 4, 1024, 16
    shape = (batch, heads, length, width)
    q, k, v = (x.detach() for x in tensors(shape, shape, shape, dtype=torch.float32))
    call = _tiles.Attention(KEY, 0.1, CAUSAL if causal else EVERYTHING, 0.25)
    with Largest() as made:
        y = _tiles.forward(q, k, v, None, call)
        _tiles.backward(torch.ones_like(y), q, k, v, None, call)
    assert made.found == max(_tiles.SCORES, batch * heads * length * width)
    with Largest() as made:
        unfused(q, k, v, dropout_p=0.1, is_causal=causal, seed=KEY)
    assert made.found == batch * heads * length**2, "the measure sees what it has to see"


def test_what_is_kept_for_the_backward_pass() -> None:
    inputs = tensors((2, 4, 300, 16), (2, 4, 300, 16), (2, 4, 300, 16), dtype=torch.float32)
    kept: dict[int, int] = {}

    def pack(x: "torch.Tensor") -> "torch.Tensor":
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        ft.scaled_dot_product_attention(*inputs, dropout_p=0.1, is_causal=True)
    assert sum(kept.values()) == sum(x.nbytes for x in inputs) + 24, "the arguments and a key"


def freed(x: "torch.Tensor") -> "torch.Tensor":
    """A tensor of that kind whose storage has been freed."""
    other = x.detach().clone()
    other.untyped_storage().resize_(0)
    return other


def four() -> list["torch.Tensor"]:
    """Query, key, value and a mask that is added."""
    return [x.detach() for x in tensors((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8), (5, 6))]


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_freed_arguments_are_refused(which: int, p: float) -> None:
    given = four()
    given[which] = freed(given[which])
    generator = fastdrop.Generator(1)
    state = torch.get_rng_state()
    for keywords in ({"generator": generator}, {}):
        with pytest.raises(RuntimeError, match="has to be in memory, but its storage"):
            ft.scaled_dot_product_attention(*given, dropout_p=p, **keywords)
    assert generator.offset == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("which", range(5))
def test_what_was_freed_before_the_backward_pass_is_refused(which: int) -> None:
    given = four()
    for x in given[:3]:
        x.requires_grad_()
    y = ft.scaled_dot_product_attention(*given, dropout_p=0.3, seed=KEY)
    upper = torch.ones_like(y)
    [*given, upper][which].untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="has to be in memory, but its storage"):
        y.backward(upper)


def test_operators_refuse_what_was_freed() -> None:
    word = torch.tensor([1, 0, 0])
    rest = (None, word, 0.3, None, None, 1.0)
    q, k, v = four()[:3]
    with pytest.raises(RuntimeError, match="has to be in memory, but its storage"):
        torch.ops.fastdrop.attention(q, freed(k), v, *rest)
    with pytest.raises(RuntimeError, match="has to be in memory, but its storage"):
        torch.ops.fastdrop.attention_backward(torch.ones_like(q), q, k, freed(v), *rest)


def test_storages_stay_resizable() -> None:
    given = four()
    for x in given[:3]:
        x.requires_grad_()
    y = ft.scaled_dot_product_attention(*given, dropout_p=0.3, seed=KEY)
    upper = torch.ones_like(y)
    y.backward(upper)
    for x in (*given, upper, y, *(x.grad for x in given[:3])):
        x.untyped_storage().resize_(1 << 14)


@pytest.mark.parametrize("mask", [None, "bool", "added", "learning"])
@pytest.mark.parametrize("causal", [False, True])
def test_under_a_default_device(mask: str | None, causal: bool) -> None:
    """What a call makes for itself is on the CPU, whatever PyTorch makes tensors on."""
    *inputs, added = four()
    inputs = [x.requires_grad_() for x in inputs]
    masks = {"bool": added > 0, "added": added, "learning": added.clone().requires_grad_()}

    def run() -> list["torch.Tensor"]:
        y = ft.scaled_dot_product_attention(
            *inputs, masks.get(mask), 0.3, is_causal=causal, seed=KEY
        )
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), inputs)
        tangent = torch.func.jvp(
            lambda q: ft.scaled_dot_product_attention(
                q, *inputs[1:], masks.get(mask), 0.3, is_causal=causal, seed=KEY
            ),
            (inputs[0],),
            (inputs[0].detach(),),
        )
        return [y, *first, *second, *tangent]

    wanted = run()
    torch.set_default_device("meta")
    try:
        found = run()
    finally:
        torch.set_default_device(None)
    with torch.device("meta"):
        others = run()
    for one, other, third in zip(wanted, found, others, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)
