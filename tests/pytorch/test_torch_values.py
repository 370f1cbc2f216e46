"""The values: those of fastdrop's functions on NumPy arrays, whatever the tensor's layout."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fresh import output
from support import core_or_skip

import fastdrop

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import numbers  # noqa: E402
from on_torch import DTYPES, same, stored  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _bridge  # noqa: E402

SIZES = [1, 2, 3, 15, 16, 17, 63, 64, 65, 1000, 4095, 4096, 4097, 8191, 8192, 10_007]
KEY = fastdrop.Key(5, 6, 7)


def expected(x: "torch.Tensor", p: float) -> np.ndarray:
    """What the reference gives for the elements in C order."""
    with fastdrop.backend("numpy"):
        return fastdrop.dropout(stored(x), p, rng=KEY)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_with_every_implementation(impl, dtype: "torch.dtype") -> None:  # noqa: ARG001
    for n in SIZES:
        x = numbers(n, dtype=dtype)
        y = ft.dropout(x, 0.3, seed=KEY)
        assert same(y, expected(x, 0.3)), n
        z = x.clone()
        assert ft.dropout(z, 0.3, inplace=True, seed=KEY) is z
        assert same(z, expected(x, 0.3)), n


LAYOUTS: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "permuted": lambda x: x.permute(3, 0, 2, 1),
    "transposed": lambda x: x.transpose(0, 3),
    "every second": lambda x: x[:, :, ::2],
    "offset": lambda x: x[1:, :, 1:],
    "misaligned": lambda x: x.reshape(-1)[1:],
    "one axis of 1": lambda x: x[:, :1].contiguous(memory_format=torch.channels_last),
    "0-d": lambda x: x[0, 0, 0, 0],
    "33 axes": lambda x: x.reshape((2, 3, *(1,) * 29, 4, 5)),
}


@pytest.fixture(params=["by DLPack's table", "by address"])
def binding(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways to a tensor's memory."""
    core_or_skip()
    table = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)
    if request.param == "by address":
        _bridge.bind(None)
    elif table is None:
        pytest.skip("this PyTorch has no DLPack exchange table")
    yield
    _bridge.bind(table)


@pytest.mark.usefixtures("binding")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, dtype: "torch.dtype") -> None:
    whole = numbers(2, 3, 4, 5, dtype=dtype)
    x = LAYOUTS[layout](whole)
    y, wanted, before = ft.dropout(x, 0.5, seed=KEY), expected(x, 0.5), (x.clone(), whole.clone())
    assert y.stride() == torch.empty_like(x).stride()
    assert same(y, wanted)
    assert ft.dropout(x, 0.5, inplace=True, seed=KEY) is x
    assert same(x, wanted)
    x.copy_(before[0])
    assert torch.equal(whole, before[1]), "nothing else is written to"


def test_expanded_tensors_are_read_by_position() -> None:
    x = numbers(1, 3, 1).expand(4, 3, 5)
    assert same(ft.dropout(x, 0.5, seed=KEY), expected(x, 0.5))


def test_dropout2d_of_three_axes_drops_rows() -> None:
    """As PyTorch's does."""
    x = torch.ones(3, 5, 7)
    assert torch.equal(ft.dropout2d(x, 0.5, seed=KEY), ft.dropout1d(x, 0.5, seed=KEY))


def test_p_as_other_numbers() -> None:
    x = torch.randn(5, requires_grad=True)
    assert ft.dropout(x, 0) is x
    for p in (1, 1.0, True, torch.tensor(1.0)):
        y = ft.dropout(x, p)
        (dx,) = torch.autograd.grad(y, x, torch.full((5,), float("inf")))
        assert stored(y).tobytes() == stored(dx).tobytes() == bytes(20)


def test_a_seed_gives_the_mask_of_numpy() -> None:
    x = torch.ones(1000)
    for seed in (0, 2**64 - 1, fastdrop.Key(3, 2**64 - 1, 2**63)):
        y = fastdrop.dropout(x.numpy(), 0.4, rng=seed)
        assert np.array_equal(ft.dropout(x, 0.4, seed=seed).numpy(), y)


def test_large_results_are_the_same_bits_in_fresh_memory() -> None:
    core = core_or_skip()
    before = core.get_streaming_bytes()
    x = numbers(100_003)
    wanted = expected(x, 0.5)
    try:
        for streaming in (0, 1 << 40):
            core.set_streaming_bytes(streaming)
            assert same(ft.dropout(x, 0.5, seed=KEY), wanted)
            assert core.fresh_outputs(True) is False, "the setting of a call ends with it"
            assert np.array_equal(fastdrop.dropout(x.numpy(), 0.5, rng=KEY), wanted)
            assert core.fresh_outputs(False) is True
    finally:
        core.set_streaming_bytes(before)


def test_without_the_compiled_core(capsys: pytest.CaptureFixture[str]) -> None:
    code = """if True:
        import torch, fastdrop, fastdrop.torch
        x = torch.arange(10_007.0, requires_grad=True)
        torch.manual_seed(3)
        y = fastdrop.torch.dropout(x, 0.5)
        z = fastdrop.torch.dropout((x * 1)[::2], 0.5, inplace=True, seed=1)
        (y.sum() + z.sum()).backward()
        print(*(t.detach().sum().item() for t in (y, z, x.grad)))
    """
    exec(code, {})
    before = "import sys, warnings as w\nsys.modules['fastdrop._core'] = None\n"
    before += "w.simplefilter('ignore')\n"
    after = "\nprint(fastdrop.show_config('dicts')['instruction_sets']['active'])"
    assert output(before + code + after) == f"{capsys.readouterr().out}None"
