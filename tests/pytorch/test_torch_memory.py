"""Which tensors have memory: zeros, flags, freed, shared and inference tensors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support import core_or_skip

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from drawing import ALGORITHMS, FUNCTIONS, INPLACE  # noqa: E402
from on_torch import DTYPES, FORMS, LAYOUTS, in_torch, nothing_drawn, tensors  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _bridge  # noqa: E402

negative = LAYOUTS["negated"]


@pytest.fixture(autouse=True, params=["c", "numpy"])
def _with_backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "c":
        core_or_skip()
    with fastdrop.backend(request.param):
        yield


def numbers() -> "torch.Tensor":
    return torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) + 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zeros_and_signs_that_are_flags(name: str) -> None:
    function, plain = partial(FUNCTIONS[name], seed=1), torch.zeros(4, 4)
    assert torch.equal(function(torch._efficientzerotensor(4, 4)), function(plain))
    x = negative(numbers())
    assert x.is_neg()
    assert torch.equal(function(x), function(numbers()))
    x = numbers().requires_grad_()
    torch.sgn(function(x)).sum().backward()  # sgn's gradient is a ZeroTensor
    assert torch.equal(x.grad, plain)


# Or PyTorch's word, where a view is taken first.
FREED = "has to be in memory, but its storage|out of bounds"


def check_freed(call: Callable[..., Any], operands: list["torch.Tensor"], i: int) -> None:
    """An operand is refused whose storage has been freed: all of it, and a view."""
    generator = fastdrop.Generator(1)
    for part in (slice(-1), slice(1, None)):
        given, whole = list(operands), torch.cat([operands[i], operands[i][:1]])
        given[i] = whole[part]
        whole.untyped_storage().resize_(0)
        with pytest.raises(RuntimeError, match=FREED):
            call(*given, generator=generator)
    assert generator.offset == 0


@parametrize(FORMS)
def test_freed_storages_are_refused(case: Case) -> None:
    for i in range(len(case.shapes)):
        check_freed(lambda *given, **own: in_torch(case, given, **own), tensors(case), i)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_freed_storages_are_refused_by_algorithms(name: str) -> None:
    check_freed(ALGORITHMS[name], [numbers()], 0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_storages_stay_resizable(name: str) -> None:
    x = numbers()
    FUNCTIONS[name](x.clone(), seed=1)
    FUNCTIONS[name](x, seed=1)
    x.untyped_storage().resize_(256)
    y = FUNCTIONS[name](x, seed=1)
    y.untyped_storage().resize_(0)


def test_storages_stay_resizable_under_other_arguments() -> None:
    mask, weight, bias = torch.ones(4, 4, dtype=torch.bool), numbers(), torch.ones(4)
    ft.softmax_dropout(numbers(), 0.5, mask=mask)
    ft.dropconnect_linear(numbers(), weight, bias)
    ft.max_norm_(weight, 1.0)
    for x in (mask, weight, bias):
        x.untyped_storage().resize_(256)


WRITING: dict[str, Callable[..., Any]] = {
    **INPLACE,
    "max_norm_": lambda x, inplace=False, **_: ft.max_norm_(x if inplace else x.clone(), 1.0),
}


@pytest.mark.parametrize("name", WRITING)
def test_in_place_by_the_kinds_of_memory(name: str) -> None:
    function, writes = WRITING[name], partial(WRITING[name], inplace=True)
    expected = function(numbers(), seed=1).view(4, 4)
    x, kept = negative(numbers()), numbers()
    twin = torch._lazy_clone(kept)
    for y in (x, twin):
        writes(y, seed=1)
        assert torch.equal(y, expected)
    assert torch.equal(kept, numbers()), "a lazy clone shares memory until it is written to"
    with pytest.raises(RuntimeError, match="ZeroTensors are immutable"):
        writes(torch._efficientzerotensor(4, 4), seed=1)
    with torch.inference_mode():
        x = numbers()
        inside = function(x, seed=1), writes(numbers(), seed=1)
    assert all(torch.equal(y.view(4, 4), expected) for y in inside)
    generator, words = fastdrop.Generator(1), "Inplace update to inference tensor outside"
    for keywords in ({}, {"seed": 1}, {"generator": generator}):
        with nothing_drawn(), pytest.raises(RuntimeError, match=words):
            writes(x, **keywords)
    assert torch.equal(x, numbers())
    assert generator.offset == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_tensors(name: str) -> None:
    plain = numbers()
    y = torch.func.functionalize(lambda x: FUNCTIONS[name](x, seed=1))(plain)
    # Softmax and products go by PyTorch's operators then.
    assert torch.allclose(y, FUNCTIONS[name](plain, seed=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_over_tensors(dtype: "torch.dtype") -> None:
    x = torch.arange(24, dtype=dtype).view(2, 3, 4).permute(2, 0, 1)[1:, :, ::2]
    array = _bridge.array_of(x)
    assert array.shape == tuple(x.shape)
    assert array.dtype == ("uint16" if dtype in (torch.float16, torch.bfloat16) else str(dtype)[6:])
    array[0, 1, 1] = 0
    assert x[0, 1, 1] == 0
    del x
    assert array[0, 0, 1] != 0, "the array keeps the tensor"
