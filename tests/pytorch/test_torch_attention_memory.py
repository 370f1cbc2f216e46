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
