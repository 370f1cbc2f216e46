"""Variants of several operands: NumPy's bits, one draw, and every kind of derivative."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from pairs import DTYPES, KEY, SEVERAL, case, every, same, stored  # noqa: E402
from test_torch_state import Operators  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import backends  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES)
@every
def test_values_are_those_of_numpy(name: str, dtype: "torch.dtype") -> None:
    for bias in (True, False):
        given = case(name, dtype, bias=bias)
        for training in (True, False):
            wanted = given.numpy(training=training)
            assert same(given.torch(training=training), wanted)


LAYOUTS: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(0, 3).contiguous().transpose(0, 3),
    "every second": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "negated": lambda x: torch.complex(torch.zeros_like(x), -x).conj().imag,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@every
def test_layouts(name: str, layout: str) -> None:
    """Of the operands and the gradient, each by itself and all together."""
    given = case(name)
    wanted, change = given.numpy(), LAYOUTS[layout]
    n, _ = SEVERAL[name]
    for which in ([0], [n - 1], list(range(n))):
        operands = [change(x) if i in which else x for i, x in enumerate(given.operands)]
        operands = [x.detach().requires_grad_() for x in operands]
        y = given.torch(*operands)
        assert same(y, wanted)
        assert y.stride() == torch.empty_like(operands[0]).stride()
        upper = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
        found = torch.autograd.grad(y, operands, change(upper), retain_graph=True)
        for gradient, expected in zip(found, torch.autograd.grad(y, operands, upper), strict=True):
            assert torch.allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("around", ["nothing", "operators"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
@every
def test_gradients_are_those_of_numpy(
    name: str, training: bool, dtype: "torch.dtype", around: str
) -> None:
    given = case(name, dtype)
    operands = [x.requires_grad_() for x in given.operands]
    upper = torch.randn_like(operands[0])
    keywords = {"p": 0.4, "training": training, "rng": KEY if training else None}
    dy = stored(upper)
    if given.name == "zoneout":
        wanted = fastdrop.zoneout_backward(dy, **keywords)
    elif given.name == "dropout_add":
        wanted = (fastdrop.dropout(dy, **keywords), dy)
    else:
        arrays = [stored(x) for x in operands]
        wanted = fastdrop.bias_act_dropout_backward(dy, *arrays, **given.keywords, **keywords)
    if around == "nothing":
        y = given.torch(training=training)
    else:
        with Operators():
            y = given.torch(training=training)
    found = torch.autograd.grad(y, operands, upper)
    assert same(found[0], wanted[0])
    if given.name == "bias_act_dropout":  # a sum: PyTorch's
        atol = 1e-12 if dtype is torch.float64 else 1e-5 if dtype is torch.float32 else 0.15
        np.testing.assert_allclose(
            found[1].double(), wanted[1].astype(np.float64), atol=atol, rtol=atol
        )
    else:
        assert same(found[1], wanted[1])


@pytest.mark.parametrize("training", [True, False])
@every
def test_derivatives(name: str, training: bool) -> None:
    given = case(name, torch.float64, (2, 3))
    operands = [(x + 0.1).detach().requires_grad_() for x in given.operands]

    def call(*operands: Any) -> "torch.Tensor":
        return given.torch(*operands, training=training)

    assert gradcheck(
        call,
        operands,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(
        lambda *operands: call(*operands) ** 2,
        operands,
        check_fwd_over_rev=True,
        check_rev_over_rev=True,
    )


@every
def test_third_derivatives(name: str) -> None:
    given = case(name, torch.float64, (2, 3))
    operands = [(x + 0.1).detach().requires_grad_() for x in given.operands]

    def slope(*operands: Any) -> "torch.Tensor":
        y = (given.torch(*operands) ** 3).sum()
        return torch.autograd.grad(y, operands[0], create_graph=True)[0]

    assert gradgradcheck(slope, operands)


@every
def test_one_call_of_the_kernel_each_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(name)
    operands = [x.requires_grad_() for x in given.operands]
    backend, seen = backends.active(), []
    run = backend.run
    monkeypatch.setattr(backend, "run", lambda call: seen.append(call.operation) or run(call))
    y = given.torch()
    assert len(seen) == 1
    if given.name == "dropout_add":  # whose gradient is plain dropout, with a way of its own
        return
    torch.autograd.grad(y, operands, torch.ones_like(y))
    assert len(seen) == 2


# --- what is drawn, and what is not --------------------------------------------------------------


@every
def test_what_is_drawn(name: str) -> None:
    given = case(name)
    generator, twin = fastdrop.Generator(3), fastdrop.Generator(3)
    y = given.torch(generator=generator, seed=None)
    assert torch.equal(y, given.torch(seed=twin.reserve(120)))
    assert generator.offset == twin.offset
    before = torch.get_rng_state()
    given.torch(seed=None, training=False)
    given.torch(seed=None, p=0.0)
    empty = [x[:0] if x.dim() > 1 else x for x in given.operands]
    y = given.torch(*empty, seed=None)
    assert y.shape == empty[0].shape
    assert torch.equal(torch.get_rng_state(), before)
    given.torch(seed=None)
    assert not torch.equal(torch.get_rng_state(), before)


@every
def test_p_1(name: str) -> None:
    given = case(name)
    x, other = given.operands
    x[0] = torch.nan
    y = given.torch(x, other, p=1.0)
    assert torch.equal(y, torch.zeros_like(x) if name.startswith("bias") else other)


@every
def test_operands_that_are_inference_tensors(name: str) -> None:
    given = case(name)
    with torch.inference_mode():
        twins = [x.clone() for x in given.operands]
    for i, x in enumerate(given.operands):
        learned = x.detach().requires_grad_()
        found = []
        for others in (given.operands, twins):
            operands = [learned if j == i else y for j, y in enumerate(others)]
            found.append(torch.autograd.grad(given.torch(*operands).sum(), learned)[0])
        assert torch.equal(*found)


def test_zoneout_keeps_signs_and_payloads() -> None:
    new, old = torch.full((100,), -0.0), torch.full((100,), -torch.inf)
    y = ft.zoneout(new, old, 0.5, seed=1)
    keep = torch.from_numpy(fastdrop.dropout_mask(100, 0.5, rng=1))
    assert torch.equal(y[keep].signbit(), torch.ones(int(keep.sum()), dtype=torch.bool))
    assert (y[~keep] == -torch.inf).all()
    assert ft.zoneout(new, old, 0.0) is new


def test_activations_are_pytorchs_within_rounding() -> None:
    x, bias = torch.randn(50, 40, dtype=torch.float64), torch.randn(40, dtype=torch.float64)
    F = nn.functional  # noqa: N806
    theirs = {
        "none": lambda z: z,
        "relu": F.relu,
        "gelu": F.gelu,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
    }
    for act, function in theirs.items():
        y = ft.bias_act_dropout(x, bias, act, 0.3, seed=1)
        assert torch.allclose(y, ft.dropout(function(x + bias), 0.3, seed=1), atol=1e-12)
        assert torch.allclose(
            ft.bias_act_dropout(x, bias, act, training=False), function(x + bias), atol=1e-12
        )


# --- errors --------------------------------------------------------------------------------------

X, ROW = torch.ones(2, 3, 4), torch.ones(4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ft.dropout_add(X, X[0]), ValueError, "residual has to have input's shape"),
        (lambda: ft.dropout_add(X, X.double()), TypeError, "residual has to have input's dtype"),
        (lambda: ft.dropout_add(X, 1.0), TypeError, "residual has to be a strided tensor"),
        (lambda: ft.dropout_add(1.0, X), TypeError, "input has to be a strided tensor"),
        (lambda: ft.dropout_add(X, X, -1), ValueError, "between 0 and 1, but got -1"),
        (lambda: ft.dropout_add(X, X, 0.5, 2), TypeError, "training has to be True or False"),
        (lambda: ft.bias_act_dropout(X, X), ValueError, r"bias has to have the shape \(4,\) of"),
        (lambda: ft.bias_act_dropout(X, ROW.half()), TypeError, "bias has to have input's dtype"),
        (lambda: ft.bias_act_dropout(X, [1.0]), TypeError, "bias has to be a strided tensor"),
        (lambda: ft.bias_act_dropout(X, ROW, "tanh"), ValueError, "act has to be"),
        (
            lambda: ft.bias_act_dropout(X.sum(), ROW),
            ValueError,
            "input has to have at least 1 axis",
        ),
        (lambda: ft.bias_act_dropout(X.long()), TypeError, "input has to be a strided tensor"),
        (lambda: ft.BiasActDropout("tanh"), ValueError, "act has to be"),
        (lambda: ft.BiasActDropout("relu", 2), ValueError, "between 0 and 1, but got 2"),
        (lambda: ft.DropoutAdd(-1), ValueError, "between 0 and 1, but got -1"),
    ],
)
def test_errors(call: Any, error: type, words: str) -> None:
    state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        call()
    assert torch.equal(torch.get_rng_state(), state)
