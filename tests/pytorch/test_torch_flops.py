"""Operations are counted as PyTorch counts those that ours stand for."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.nn import functional as F  # noqa: E402, N812
from torch.utils import flop_counter  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


def flops(function: Callable[[], "torch.Tensor"], backward: bool) -> int:
    with flop_counter.FlopCounterMode(display=False) as counter:
        y = function()
        if backward:
            y.sum().backward()
    return counter.get_total_flops()


def test_attention() -> None:
    query, key, value = (
        torch.randn(2, 3, n, width, requires_grad=True) for n, width in ((8, 4), (6, 4), (6, 5))
    )
    shapes = query.shape, key.shape, value.shape
    given = query, key, value
    expected = flops(lambda: F.scaled_dot_product_attention(*given, dropout_p=0.5), False)
    assert expected == flop_counter.sdpa_flop_count(*shapes)

    def ours() -> "torch.Tensor":
        return ft.scaled_dot_product_attention(*given, dropout_p=0.5)

    assert flops(ours, False) == expected
    upper = torch.Size((2, 3, 8, 5))
    backward = flop_counter.sdpa_backward_flop_count(upper, *shapes)
    assert flops(ours, True) == expected + backward


@pytest.mark.parametrize("per_sample", [True, False])
def test_dropconnect(per_sample: bool) -> None:
    x, w = torch.randn(7, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    for backward in (False, True):
        assert flops(
            lambda: ft.dropconnect_linear(x, w, None, 0.5, per_sample=per_sample), backward
        ) == flops(lambda: F.linear(x, w), backward)
