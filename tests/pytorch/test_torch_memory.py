"""Which tensors have memory: zeros, flags, freed, shared and inference tensors."""

from typing import Any

import pytest
from support import core_or_skip

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from drawing import ALGORITHMS, FUNCTIONS, INPLACE  # noqa: E402
from on_torch import FORMS, in_torch, tensors  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _bridge  # noqa: E402

pytestmark = pytest.mark.parametrize("backend", ["c", "numpy"])


@pytest.fixture(autouse=True)
def _with_backend(backend: str) -> Any:
    if backend == "c":
        core_or_skip()
    with fastdrop.backend(backend):
        yield


def numbers() -> "torch.Tensor":
    return torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) + 1


def negative(x: "torch.Tensor") -> "torch.Tensor":
    """The same numbers, whose sign is a flag."""
    return torch.complex(torch.zeros_like(x), -x).conj().imag


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_without_memory(name: str) -> None:
    x = numbers().requires_grad_()
    torch.sgn(FUNCTIONS[name](x, seed=1)).sum().backward()  # sgn's gradient is a ZeroTensor
    assert torch.equal(x.grad, torch.zeros(4, 4))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensors_without_memory(name: str) -> None:
    y = FUNCTIONS[name](torch._efficientzerotensor(4, 4), seed=1)
    assert torch.equal(y, FUNCTIONS[name](torch.zeros(4, 4), seed=1))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signs_that_are_flags(name: str) -> None:
    x = negative(numbers())
    assert x.is_neg()
    assert torch.equal(FUNCTIONS[name](x, seed=1), FUNCTIONS[name](numbers(), seed=1))


def freed(like: "torch.Tensor", view: bool) -> "torch.Tensor":
    whole = torch.ones(len(like) + 1, *like.shape[1:])
    x = whole[1:] if view else whole[:-1]
    whole.untyped_storage().resize_(0)
    return x


# Or PyTorch's word, where a view is taken first.
FREED = r"has to be in memory, but its storage|out of bounds"


@parametrize(FORMS)
@pytest.mark.parametrize("view", [False, True])
def test_freed_storages_are_refused(case: Case, view: bool) -> None:
    """Of each operand."""
    generator = fastdrop.Generator(1)
    for i in range(len(case.shapes)):
        operands = tensors(case)
        operands[i] = freed(operands[i], view)
        with pytest.raises(RuntimeError, match=FREED):
            in_torch(case, operands, generator=generator)
    assert generator.offset == 0


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("view", [False, True])
def test_freed_storages_are_refused_by_algorithms(name: str, view: bool) -> None:
    generator = fastdrop.Generator(1)
    with pytest.raises(RuntimeError, match=FREED):
        FUNCTIONS[name](freed(numbers(), view), generator=generator)
    assert generator.offset == 0


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


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_by_the_kinds_of_memory(name: str) -> None:
    expected = INPLACE[name](numbers(), seed=1)
    x = negative(numbers())
    INPLACE[name](x, seed=1, inplace=True)
    assert torch.equal(x, expected.view(4, 4))
    kept = numbers()
    twin = torch._lazy_clone(kept)
    INPLACE[name](twin, seed=1, inplace=True)
    assert torch.equal(kept, numbers()), "a lazy clone shares memory until it is written to"
    assert torch.equal(twin, expected.view(4, 4))
    with pytest.raises(RuntimeError, match="ZeroTensors are immutable"):
        INPLACE[name](torch._efficientzerotensor(4, 4), seed=1, inplace=True)


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_on_inference_tensors(name: str) -> None:
    with torch.inference_mode():
        x = numbers()
        y = INPLACE[name](numbers(), seed=1, inplace=True)
    assert torch.equal(y, INPLACE[name](numbers(), seed=1))
    generator = fastdrop.Generator(1)
    state = torch.get_rng_state()
    for keywords in ({}, {"seed": 1}, {"generator": generator}):
        with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside"):
            INPLACE[name](x, inplace=True, **keywords)
    assert torch.equal(x, numbers())
    assert generator.offset == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_max_norm_by_the_kinds_of_memory() -> None:
    expected = ft.max_norm_(numbers(), 1.0)
    x = negative(numbers())
    assert ft.max_norm_(x, 1.0) is x
    assert torch.equal(x, expected)
    with torch.inference_mode():
        inside = ft.max_norm_(numbers(), 1.0)
    assert torch.equal(inside, expected)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside"):
        ft.max_norm_(inside, 0.5)
    assert torch.equal(inside, expected)
    with pytest.raises(RuntimeError, match="ZeroTensors are immutable"):
        ft.max_norm_(torch._efficientzerotensor(4, 4), 1.0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_tensors(name: str) -> None:
    plain = numbers()
    y = torch.func.functionalize(lambda x: FUNCTIONS[name](x, seed=1))(plain)
    # Softmax and products go by PyTorch's operators then.
    assert torch.allclose(y, FUNCTIONS[name](plain, seed=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_arrays_over_tensors(dtype: "torch.dtype") -> None:
    x = torch.arange(24, dtype=dtype).view(2, 3, 4).permute(2, 0, 1)[1:, :, ::2]
    array = _bridge.array_of(x)
    assert array.shape == tuple(x.shape)
    assert array.dtype == ("uint16" if dtype in (torch.float16, torch.bfloat16) else str(dtype)[6:])
    array[0, 1, 1] = 0
    assert x[0, 1, 1] == 0
    del x
    assert array[0, 0, 1] != 0, "the array keeps the tensor"
