"""Attention's arguments, its randomness, and what traces it: `torch.compile`, TorchScript."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import (  # noqa: E402
    KEY,
    assert_close,
    attend,
    check,
    qkv,
    some,
    tensors,
    unfused,
    with_gradients,
)
from enabling import outcome, seeded  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch._attending import PYTORCHS  # noqa: E402

# --- seeding -------------------------------------------------------------------------------------


def test_pytorchs_generator_decides() -> None:
    """One number a call, as by `dropout`."""
    inputs = qkv(2, 3)
    first, second = seeded(lambda: [attend(*inputs, dropout_p=0.5) for _ in range(2)])
    assert not torch.equal(first, second)
    assert torch.equal(seeded(attend, *inputs, dropout_p=0.5), first)
    seeded(ft.dropout, torch.ones(3), 0.5)
    assert torch.equal(attend(*inputs, dropout_p=0.5), second)


def test_generators_and_seeds() -> None:
    inputs = qkv(2, 3)
    for make in (lambda: torch.Generator().manual_seed(4), lambda: fastdrop.Generator(4)):
        one, other = make(), make()
        found = [attend(*inputs, dropout_p=0.5, generator=one) for _ in range(2)]
        assert not torch.equal(*found)
        for y in found:
            assert torch.equal(attend(*inputs, dropout_p=0.5, generator=other), y)
    assert one.state == {**fastdrop.Generator(4).state, "offset": 8192}, "whole blocks"
    assert torch.equal(attend(*inputs, dropout_p=0.5, seed=4), found[0])
    check(*inputs, seed=4)
    check(*inputs, seed=fastdrop.Key(1, 0, 2**64 - 2 * 3 * 5 * 6))


@pytest.mark.parametrize("around", [nullcontext, lambda: torch.device("cpu")])
@pytest.mark.parametrize("more", [{}, {"dropout_p": 0.5, "training": False}])
def test_nothing_is_drawn(more: dict[str, Any], around: Callable[[], Any]) -> None:
    """So that a seed is of no concern to whoever computes it."""
    before, inputs = torch.get_rng_state(), qkv(2, 3)
    band: dict[str, Any] = {"is_causal": True, "sliding_window": (1, -1)}
    with around():
        plain = attend(*inputs, **more)
        found = [attend(*inputs, **more, **band, seed=seed) for seed in (None, KEY)]
    assert torch.equal(plain, F.scaled_dot_product_attention(*inputs))
    assert_close(found, [unfused(*inputs, **band)] * 2, 1e-13)
    assert torch.equal(before, torch.get_rng_state())


# --- errors --------------------------------------------------------------------------------------

Q = torch.ones(2, 5, 3)
LEARNED = torch.nn.Parameter(torch.tensor(0.3))
REFUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "width": (tensors((2, 5, 3), (2, 5, 4), (2, 5, 3)), {}),
    "length": (tensors((2, 5, 3), (2, 5, 3), (2, 6, 3)), {}),
    "one axis": (tensors((3,), (3,), (3,)), {}),
    "dtypes": ((Q, Q.double(), Q), {}),
    "dtype of the mask": ((Q, Q, Q), {"attn_mask": torch.ones(5, 5).int()}),
    "heads": (tensors((1, 5, 5, 3), (1, 2, 5, 3), (1, 2, 5, 3)), {"enable_gqa": True}),
    **{
        f"{name} {type(value).__name__}": ((Q, Q, Q), {name: value})
        for name, values in (
            ("dropout_p", (LEARNED, torch.tensor([0.3]))),
            ("scale", (LEARNED, torch.tensor([0.3]))),
            ("is_causal", (1, None, torch.tensor(True))),
            ("enable_gqa", (1, None, torch.tensor(True))),
        )
        for value in values
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_are_pytorchs(name: str) -> None:
    inputs, more = REFUSED[name]
    more = {"dropout_p": 0.3, **more}
    theirs = outcome(PYTORCHS, *inputs, **more)
    before = torch.get_rng_state()
    assert theirs[0] in (RuntimeError, TypeError)
    assert outcome(attend, *inputs, **more) == theirs
    assert torch.equal(before, torch.get_rng_state())
    if theirs[0] is RuntimeError:
        with pytest.raises(NotImplementedError, match="generator and seed have to be left out"):
            attend(*inputs, seed=1, **more)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        *(
            ({"dropout_p": p}, ValueError, "dropout probability has to be between 0 and 1, but got")
            for p in (-0.1, 1.5, math.nan)
        ),
        ({"scale": math.inf}, ValueError, "scale has to be a finite number, but got inf"),
        ({"scale": 10**400}, ValueError, "scale has to be a finite number, but got 1000"),
        ({"scale": math.nan}, ValueError, "scale has to be a finite number, but got nan"),
        ({"scale": "1"}, TypeError, "scale has to be a real number, but got str"),
        ({"generator": 3}, TypeError, r"torch\.Generator or a fastdrop\.Generator, but got int"),
        ({"generator": torch.Generator(), "seed": 1}, ValueError, "only one of generator and"),
        ({"seed": fastdrop.Key(1, 0, 2**64 - 49)}, OverflowError, "would pass 2"),
        *(
            ({"sliding_window": window}, TypeError, "sliding_window has to be a pair of ints")
            for window in (3, (1,), (1, 2, 3), (1.0, 2), (True, 1), "ab", (None, 1))
        ),
        *(
            ({"sliding_window": window}, ValueError, "has to hold numbers from 0 on")
            for window in ((-2, 0), (0, -2))
        ),
        ({"training": "no"}, TypeError, "training has to be True or False, but got str"),
        ({"key": torch.ones(3, 5, 3)}, RuntimeError, "broadcast"),
        ({"attn_mask": torch.ones(4, 5).bool()}, RuntimeError, "expanded size"),
    ],
)
def test_errors(given: dict[str, Any], error: type[Exception], words: str) -> None:
    before = torch.get_rng_state()
    with pytest.raises(error, match=words):
        attend(**{"query": Q, "key": Q, "value": Q, "dropout_p": 0.3, **given})
    assert torch.equal(before, torch.get_rng_state())


def test_numbers_as_tensors() -> None:
    inputs = qkv(2)
    wanted = attend(*inputs, dropout_p=0.5, scale=0.25, seed=KEY)
    p, scale = torch.tensor(0.5), torch.tensor(0.25)
    assert torch.equal(attend(*inputs, dropout_p=p, scale=scale, seed=KEY), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_autocast(dtype: "torch.dtype") -> None:
    inputs = qkv(2, dtype=dtype)
    for mask in (None, torch.zeros(5, 6, dtype=dtype)):
        with torch.autocast("cpu", torch.bfloat16):
            theirs = F.scaled_dot_product_attention(*inputs, mask, 1e-9)
            ours = attend(*inputs, mask, 1e-9, seed=1)
        assert_close([ours], [theirs], 2e-2)


# --- tracers -------------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(dtype: "torch.dtype", causal: bool) -> None:
    mask = None if causal else some(2, 2, 5, 5)
    more = (mask, torch.tensor([-5, 3, 4096]), 0.4, None, 0 if causal else None, 0.5)
    for grad in (False, True):
        given = [x.detach().requires_grad_(grad) for x in tensors(*[(2, 2, 5, 3)] * 4, dtype=dtype)]
        for operator, arguments in (
            (torch.ops.fastdrop.attention, given[:3]),
            (torch.ops.fastdrop.attention_backward, given),
        ):
            result = torch.library.opcheck(operator, (*arguments, *more))
            assert set(result.values()) == {"SUCCESS"}


@pytest.mark.parametrize(
    ("backend", "dynamic"),
    [
        pytest.param("eager", False, marks=pytest.mark.heavy),
        ("aot_eager", False),
        ("aot_eager", True),
        pytest.param("inductor", False, marks=pytest.mark.heavy),
    ],
)
def test_compiled_as_eager(backend: str, dynamic: bool) -> None:
    torch._dynamo.reset()
    inputs, mask = qkv(2, 3, queries=20, keys=20, dtype=torch.float32), some(20, 20)

    def function(q: "torch.Tensor", k: "torch.Tensor", v: "torch.Tensor") -> "torch.Tensor":
        y = attend(q, k, v, dropout_p=0.4, is_causal=True)
        y = y + attend(q, k[:, :1], v, mask, 0.4, seed=5)
        y = y + attend(q, k[:, :1], v[:, :1], dropout_p=0.4, enable_gqa=True)
        y = y + attend(q, k, v, mask, 0.3, True, sliding_window=(6, -1), seed=4)
        y = y + attend(q, k, v, mask, 0.0, True) + attend(q, k, v)
        return y + attend(q, k, v, dropout_p=0.3, training=False)

    def twice(function: Any) -> list["torch.Tensor"]:
        found = [x for _ in range(2) for x in with_gradients(function(*inputs), inputs)]
        return [*found, torch.get_rng_state()]

    compiled = torch.compile(function, backend=backend, fullgraph=True, dynamic=dynamic)
    assert_close(seeded(twice, compiled), seeded(twice, function), 1e-5)


def test_scales_that_change_are_compiled() -> None:
    inputs = qkv(2)

    def functions(scale: float) -> list["torch.Tensor"]:
        weights = ft.softmax_dropout(inputs[0], 0.5), ft.softmax_dropout(inputs[0], scale=scale)
        return [*weights, attend(*inputs, dropout_p=0.5, scale=scale)]

    torch._dynamo.reset()
    compiled = torch.compile(functions, backend="eager", dynamic=True, fullgraph=True)
    for scale in (0.5, -0.3, 2.0):
        assert all(map(torch.equal, seeded(compiled, scale), seeded(functions, scale)))


EXPORTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"is_causal": True},
    "causal with a mask": {"is_causal": True, "attn_mask": some(5, 6)},
    "window": {"sliding_window": (1, 1)},
    "seed": {"seed": 3},
    "grouped": {"enable_gqa": True},
}


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("name", EXPORTED)
def test_export(name: str, strict: bool) -> None:
    class Model(torch.nn.Module):
        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return attend(*inputs, dropout_p=0.3, **EXPORTED[name])

    model, inputs = Model(), tuple(x.detach() for x in qkv(2, 3))
    exported = torch.export.export(model, inputs, strict=strict)
    assert "fastdrop.attention.default" in [str(node.target) for node in exported.graph.nodes]
    found, wanted = seeded(exported.module(), *inputs), seeded(model, *inputs)
    assert torch.equal(found != 0, wanted != 0)
    assert_close([found], [wanted], 1e-13)


def test_fake_tensors() -> None:
    with FakeTensorMode() as mode:
        q = torch.empty(2, 3, 20, 8, requires_grad=True)
    arounds: tuple[AbstractContextManager[Any], ...] = mode, nullcontext()
    generators = [{"generator": make()} for make in (torch.Generator, fastdrop.Generator)]
    for around in arounds:
        for own in ({}, {"seed": 1}, *generators):
            with around:
                y = attend(q, q, q, dropout_p=0.3, **own)
                y.sum().backward()
            assert (type(y), y.fake_mode) == (type(q), mode)
            assert (y.shape, y.stride(), q.grad.shape) == (q.shape, (480, 160, 8, 1), q.shape)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("tracer", ["torch.jit.trace", "make_fx"])
def test_traces_of_other_lengths(lead: tuple[int, ...], tracer: str) -> None:
    """A trace takes as many decisions from a generator as there are weights in each call.

    The default scale is that of the call's width.
    """
    generator = fastdrop.Generator(1)

    def function(*inputs: "torch.Tensor") -> "torch.Tensor":
        return attend(*inputs, dropout_p=0.5, generator=generator)

    if tracer == "make_fx":
        traced = make_fx(function, tracing_mode="symbolic")(*qkv(*lead))
    else:
        traced = torch.jit.trace(function, tuple(qkv(*lead)), check_trace=False)
    state, found = generator.state, []
    inputs = [torch.cat((x, x), -1) for x in qkv(*lead, queries=70, keys=90)]
    for call in (function, traced):
        generator.state = state
        before = generator.offset
        found.append(call(*inputs))
        assert found[-1].shape == (*lead, 70, 16)
        # A call begins at a multiple of 4096.
        assert 0 <= generator.offset - before - 70 * 90 * math.prod(lead) < 4096
    torch.testing.assert_close(*found)
