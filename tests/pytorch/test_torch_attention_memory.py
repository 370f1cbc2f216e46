"""What memory `scaled_dot_product_attention` takes: tiles, and nothing of them afterwards."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import KEY, attend, qkv, tensors, unfused  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import fastdrop  # noqa: E402
from fastdrop.torch import _tiles  # noqa: E402
from fastdrop.torch._seen import CAUSAL, EVERYTHING  # noqa: E402

FREED = "has to be in memory, but its storage"


class Largest(TorchDispatchMode):
    """The largest tensor that any operator makes, in elements of memory."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(x, torch.Tensor):
                self.found = max(self.found, x.untyped_storage().nbytes() // x.element_size())
        return result


# Every thread gets a matrix of its own, so how large a tile is depends on their number.
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [1], indirect=True)
@pytest.mark.parametrize("causal", [False, True])
def test_no_tensor_of_all_weights(causal: bool) -> None:
    """Operators inside fastdrop's own are not seen by modes, so the tiles are called as such."""
    given = qkv(2, 4, queries=1024, keys=1024, width=16, dtype=torch.float32)
    q, k, v = (x.detach() for x in given)
    call = _tiles.Attention(KEY, 0.1, CAUSAL if causal else EVERYTHING, 0.25)
    with Largest() as made:
        y = _tiles.forward(q, k, v, None, call)
        _tiles.backward(torch.ones_like(y), q, k, v, None, call)
    assert made.found == max(_tiles.SCORES, q.numel())
    with Largest() as made:
        unfused(q, k, v, dropout_p=0.1, is_causal=causal, seed=KEY)
    assert made.found == 2 * 4 * 1024**2, "the measure sees what it has to see"


def test_what_is_kept_for_the_backward_pass() -> None:
    inputs = qkv(2, 4, queries=300, keys=300, width=16)
    kept: dict[int, int] = {}

    def pack(x: "torch.Tensor") -> "torch.Tensor":
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        attend(*inputs, dropout_p=0.1, is_causal=True)
    assert sum(kept.values()) == sum(x.nbytes for x in inputs) + 24, "the arguments and a key"


def freed(x: "torch.Tensor") -> "torch.Tensor":
    """A tensor of that kind whose storage has been freed."""
    other = x.detach().clone()
    other.untyped_storage().resize_(0)
    return other


def four() -> list["torch.Tensor"]:
    """Query, key, value and a mask that is added, which does not learn."""
    return [*qkv(2, 3), tensors((5, 6))[0].detach()]


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_freed_arguments_are_refused(which: int, p: float) -> None:
    given, generator, state = four(), fastdrop.Generator(1), torch.get_rng_state()
    given[which] = freed(given[which])
    for own in (generator, None):
        with pytest.raises(RuntimeError, match=FREED):
            attend(*given, dropout_p=p, generator=own)
    assert generator.offset == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("which", range(5))
def test_what_was_freed_before_the_backward_pass_is_refused(which: int) -> None:
    given = four()
    y = attend(*given, dropout_p=0.3, seed=KEY)
    upper = torch.ones_like(y)
    [*given, upper][which].untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match=FREED):
        y.backward(upper)


def test_operators_refuse_what_was_freed() -> None:
    rest = (None, torch.tensor([1, 0, 0]), 0.3, None, None, 1.0)
    q, k, v, _ = four()
    with pytest.raises(RuntimeError, match=FREED):
        torch.ops.fastdrop.attention(q, freed(k), v, *rest)
    with pytest.raises(RuntimeError, match=FREED):
        torch.ops.fastdrop.attention_backward(torch.ones_like(q), q, k, freed(v), *rest)


def test_storages_stay_resizable() -> None:
    given = four()
    y = attend(*given, dropout_p=0.3, seed=KEY)
    upper = torch.ones_like(y)
    y.backward(upper)
    for x in (*given, upper, y, *(x.grad for x in given[:3])):
        x.untyped_storage().resize_(1 << 14)
