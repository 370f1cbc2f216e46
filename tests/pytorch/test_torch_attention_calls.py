"""Attention's randomness, and what traces it: seeds, threads, checkpoints, `torch.compile`."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import assert_close, tensors, unfused, upper_of, with_gradients  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

attend = ft.scaled_dot_product_attention
SHAPE = (2, 3, 20, 8)


@pytest.fixture
def inputs() -> list["torch.Tensor"]:
    return tensors(SHAPE, SHAPE, SHAPE, dtype=torch.float32)


# --- seeding -------------------------------------------------------------------------------------


def test_pytorchs_generator_decides(inputs: list["torch.Tensor"]) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (attend(*inputs, dropout_p=0.5) for _ in range(2))
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(attend(*inputs, dropout_p=0.5), first)
    # One number a call, as by `dropout`.
    torch.set_rng_state(state)
    ft.dropout(torch.ones(3), 0.5)
    assert torch.equal(attend(*inputs, dropout_p=0.5), second)


def test_no_dropout_draws_nothing(inputs: list["torch.Tensor"]) -> None:
    before = torch.get_rng_state()
    attend(*inputs)
    assert torch.equal(before, torch.get_rng_state())


def test_generators_and_seeds(inputs: list["torch.Tensor"]) -> None:
    for make in (lambda: torch.Generator().manual_seed(4), lambda: fastdrop.Generator(4)):
        generator = make()
        found = [attend(*inputs, dropout_p=0.5, generator=generator) for _ in range(2)]
        assert not torch.equal(*found)
        generator = make()
        assert all(
            torch.equal(attend(*inputs, dropout_p=0.5, generator=generator), y) for y in found
        )
    generator = fastdrop.Generator(4)
    attend(*inputs, dropout_p=0.5, generator=generator)
    assert generator.state == {**fastdrop.Generator(4).state, "offset": 4096}, "whole blocks"
    one = attend(*inputs, dropout_p=0.5, seed=4)
    assert torch.equal(one, attend(*inputs, dropout_p=0.5, seed=fastdrop.Key(4)))
    assert torch.allclose(one, unfused(*inputs, dropout_p=0.5, seed=4), atol=1e-5)


def test_the_end_of_the_stream(inputs: list["torch.Tensor"]) -> None:
    last = fastdrop.Key(1, 0, 2**64 - 2 * 3 * 20 * 20)
    y = attend(*inputs, dropout_p=0.5, seed=last)
    assert torch.allclose(y, unfused(*inputs, dropout_p=0.5, seed=last), atol=1e-5)
    with pytest.raises(OverflowError):
        attend(*inputs, dropout_p=0.5, seed=fastdrop.Key(1, 0, last.offset + 1))


def test_threads() -> None:
    """The same weights are dropped; PyTorch's products may round otherwise."""
    q, k = tensors((1, 5, 300, 8), (1, 5, 300, 8), dtype=torch.float32)
    v = torch.eye(300).expand(1, 5, 300, 300)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(with_gradients(attend(q, k, v, None, 0.4, True, seed=1), [q, k]))
    finally:
        torch.set_num_threads(before)
    for one in found[1:]:
        assert torch.equal(one[0] == 0, found[0][0] == 0)
        assert_close(one, found[0], 1e-5)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(inputs: list["torch.Tensor"], reentrant: bool) -> None:
    def function(*given: "torch.Tensor") -> "torch.Tensor":
        return attend(*given, dropout_p=0.4, is_causal=True)

    torch.manual_seed(1)
    plain = with_gradients(function(*inputs), inputs)
    for x in inputs:
        x.grad = None
    torch.manual_seed(1)
    y = checkpoint(function, *inputs, use_reentrant=reentrant)
    y.backward(upper_of(y))
    for one, other in zip((y, *(x.grad for x in inputs)), plain, strict=True):
        assert torch.equal(one, other)


def test_modes(inputs: list["torch.Tensor"]) -> None:
    wanted = attend(*inputs, dropout_p=0.4, seed=1).detach()
    with torch.no_grad():
        y = attend(*inputs, dropout_p=0.4, seed=1)
    assert torch.equal(y, wanted)
    assert not y.requires_grad
    with torch.inference_mode():
        y = attend(*(x.detach() for x in inputs), dropout_p=0.4, seed=1)
    assert torch.equal(y, wanted)


# --- tracers -------------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(dtype: "torch.dtype", causal: bool) -> None:
    word = torch.tensor([-5, 3, 4096])
    for grad in (False, True):
        given = [x.detach().requires_grad_(grad) for x in tensors(*[(2, 2, 5, 3)] * 4, dtype=dtype)]
        mask = None if causal else (torch.rand(2, 2, 5, 5) < 0.8)
        more = (mask, word, 0.4, None, 0 if causal else None, 0.5)
        for operator, arguments in (
            (torch.ops.fastdrop.attention, given[:3]),
            (torch.ops.fastdrop.attention_backward, given),
        ):
            result = torch.library.opcheck(operator, (*arguments, *more))
            assert set(result.values()) == {"SUCCESS"}


def run(function: Any, inputs: list["torch.Tensor"]) -> list["torch.Tensor"]:
    torch.manual_seed(1)
    found = []
    for _ in range(2):
        found += with_gradients(function(*inputs), inputs)
    return [*found, torch.get_rng_state()]


@pytest.mark.parametrize(
    ("backend", "dynamic"),
    [
        pytest.param("eager", False, marks=pytest.mark.heavy),
        ("aot_eager", False),
        ("aot_eager", True),
        pytest.param("inductor", False, marks=pytest.mark.heavy),
    ],
)
def test_compiled_as_eager(inputs: list["torch.Tensor"], backend: str, dynamic: bool) -> None:
    torch._dynamo.reset()
    mask = torch.rand(20, 20) < 0.8

    def function(q: "torch.Tensor", k: "torch.Tensor", v: "torch.Tensor") -> "torch.Tensor":
        y = attend(q, k, v, dropout_p=0.4, is_causal=True)
        y = y + attend(q, k[:, :1], v, mask, 0.4, seed=5)
        y = y + attend(q, k[:, :1], v[:, :1], dropout_p=0.4, enable_gqa=True)
        return y + attend(q, k, v)

    eager = run(function, inputs)
    compiled = torch.compile(function, backend=backend, fullgraph=True, dynamic=dynamic)
    for one, other in zip(eager, run(compiled, inputs), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_fake_tensors() -> None:
    with FakeTensorMode():
        q = torch.empty(SHAPE, requires_grad=True)
        y = attend(q, q, q, dropout_p=0.3)
        y.sum().backward()
        assert (y.shape, y.stride(), q.grad.shape) == (SHAPE, (480, 160, 8, 1), SHAPE)
