"""`fastdrop.torch.enable`: what PyTorch's own operators give while it holds."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from enabling import alike, numbers, outcome, seeded  # noqa: E402
from on_torch import CASES, DTYPES, tensors  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop.torch as ft  # noqa: E402

# --- values --------------------------------------------------------------------------------------

PYTORCHS = [case for case in CASES if hasattr(F, case.name) and not case.options]


@pytest.mark.usefixtures("impl")
@parametrize(PYTORCHS)
def test_pytorchs_functions_give_what_ours_give(case: Case) -> None:
    theirs, ours = (partial(getattr(m, case.name), p=0.3, training=True) for m in (F, ft))
    for dtype, inplace in itertools.product(DTYPES, (False, True)):
        (x,) = tensors(case, dtype)
        wanted = seeded(ours, x)
        with ft.enable():
            given = x.clone()
            y = seeded(theirs, given, inplace=inplace)
        assert alike(y, wanted)
        assert (y is given) == inplace
        assert alike(given, wanted if inplace else x)


def test_native_dropout_gives_the_mask_too() -> None:
    for dtype in DTYPES:
        x = numbers(3, 4, 5, dtype=dtype).transpose(0, 2).requires_grad_()
        plain = torch.native_dropout(x, 0.3, True)
        with ft.enable():
            y, mask = seeded(torch.native_dropout, x, 0.3, True)
        assert alike(y.detach(), seeded(ft.dropout, x, 0.3).detach())
        assert torch.equal(mask, y != 0)
        assert y.stride() == plain[0].stride()
        assert mask.stride() == plain[1].stride()
        assert mask.dtype is torch.bool
        (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
        assert torch.equal(gradient != 0, mask)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_with_dropout(dtype: "torch.dtype") -> None:
    query, key, value = numbers(3, 2, 4, 16, 8, dtype=dtype)
    cases: list[dict[str, Any]] = [
        {},
        {"is_causal": True},
        {"attn_mask": torch.ones(16, 16, dtype=torch.bool).tril(2)},
        {"attn_mask": numbers(2, 1, 16, 16, dtype=dtype)},
        {"scale": 0.3},
        {"enable_gqa": True},
    ]
    for case in cases:
        heads = 2 if "enable_gqa" in case else 4
        arguments = query, key[:, :heads], value[:, :heads]
        wanted = seeded(ft.scaled_dot_product_attention, *arguments, dropout_p=0.3, **case)
        with ft.enable():
            y = seeded(F.scaled_dot_product_attention, *arguments, dropout_p=0.3, **case)
        assert alike(y, wanted), case


def test_weights_of_attentions_math_are_dropped_as_ours() -> None:
    query, key, value = numbers(3, 2, 4, 16, 8)
    math = torch.ops.aten._scaled_dot_product_attention_math.default
    with ft.enable():
        y, weights = seeded(math, query, key, value, dropout_p=0.3)
    kept = seeded(ft.dropout, torch.ones(2, 4, 16, 16), 0.3) != 0
    assert torch.equal(weights != 0, kept)
    wanted = seeded(ft.scaled_dot_product_attention, query, key, value, dropout_p=0.3)
    torch.testing.assert_close(y, wanted)


# --- bernoulli_ ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_draws_what_dropout_keeps(dtype: "torch.dtype") -> None:
    kept = seeded(ft.dropout, torch.ones(300, 7), 0.25) != 0
    with ft.enable():
        for x in (torch.empty(300, 7, dtype=dtype), torch.empty(7, 300, dtype=dtype).T):
            assert seeded(x.bernoulli_, 0.75) is x
            assert torch.equal(x, kept.to(dtype))
        assert torch.equal(seeded(torch.bernoulli, x, 0.75), kept.to(dtype))
        own = torch.Generator().manual_seed(3)
        before = torch.get_rng_state()
        assert torch.equal(x.bernoulli_(0.75, generator=own), kept.to(dtype))
        assert torch.equal(torch.get_rng_state(), before)


def test_bernoulli_can_stay_pytorchs() -> None:
    wanted = seeded(torch.empty(1000).bernoulli_, 0.3)
    with ft.enable(bernoulli=False):
        assert torch.equal(seeded(torch.empty(1000).bernoulli_, 0.3), wanted)
        with ft.enable():
            assert not torch.equal(seeded(torch.empty(1000).bernoulli_, 0.3), wanted)
        assert torch.equal(seeded(torch.empty(1000).bernoulli_, 0.3), wanted)
        x = numbers(100)
        assert torch.equal(seeded(F.dropout, x), seeded(ft.dropout, x))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0**-17, 1.0 - 2.0**-17])
def test_bernoulli_of_rare_events_is_pytorchs(p: float) -> None:
    """One threshold serves 4096 elements: there they would come in blocks."""
    wanted, state = seeded(torch.empty(10_000).bernoulli_, p), torch.get_rng_state()
    with ft.enable():
        assert torch.equal(seeded(torch.empty(10_000).bernoulli_, p), wanted)
    assert torch.equal(torch.get_rng_state(), state)


def test_bernoulli_counts_as_written_and_has_no_gradient() -> None:
    leaf = torch.ones(4, requires_grad=True)
    with ft.enable():
        x = leaf * 2
        square = x**2
        x.bernoulli_(0.5)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            square.sum().backward()
        y = leaf * 2
        y.bernoulli_(0.5)
        (gradient,) = torch.autograd.grad(y.sum(), leaf)
        assert torch.equal(gradient, torch.zeros(4))
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            leaf.bernoulli_(0.5)
        with pytest.raises(RuntimeError, match="more than one element"):
            torch.ones(1).expand(4).bernoulli_(0.5)


# --- what stays PyTorch's ------------------------------------------------------------------------


def special() -> "torch.Tensor":
    return torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0, -1.0, 2.0])


def ones(*shape: int, **options: Any) -> "torch.Tensor":
    return torch.ones(shape, **options)


def attend(*arguments: Any, width: int = 8, **options: Any) -> "torch.Tensor":
    query, value = torch.ones(2, 1, 2, 4, 8)
    return F.scaled_dot_product_attention(query, query[..., :width], value, *arguments, **options)


LEFT: dict[str, Callable[[], Any]] = {
    "p = 0": lambda: F.dropout(special(), 0.0),
    "p = 1": lambda: F.dropout(special(), 1.0),
    "p = 1, in place": lambda: F.dropout(special(), 1.0, inplace=True),
    "p = 1, channels": lambda: F.dropout2d(special().view(1, 2, 3, 1), 1.0),
    "p = 1, alpha": lambda: F.alpha_dropout(special(), 1.0, True),
    "p = 1, attention": lambda: attend(dropout_p=1.0),
    "p = 1, native": lambda: torch.native_dropout(special(), 1.0, True),
    "evaluation": lambda: F.dropout(special(), 0.5, False),
    "evaluation, native": lambda: torch.native_dropout(special(), 0.5, False),
    "no attention dropout": attend,
    "p below 0": lambda: torch.dropout(special(), -0.1, True),
    "p above 1": lambda: torch.dropout(special(), 1.1, True),
    "p above 1, evaluation": lambda: torch.dropout(special(), 1.1, False),
    "p is nan": lambda: torch.dropout(special(), float("nan"), True),
    "attention, p above 1": lambda: attend(dropout_p=1.5),
    "nothing": lambda: F.dropout(ones(0, 3), 0.5),
    "nothing, native": lambda: torch.native_dropout(ones(0, 3), 0.5, True),
    "nothing, bernoulli": lambda: torch.empty(0).bernoulli_(0.5),
    "no channels": lambda: torch.feature_dropout(ones(3), 0.5, True),
    "no channels, alpha": lambda: torch.feature_alpha_dropout(ones(3), 0.5, True),
    "integers": lambda: F.dropout(torch.arange(5), 0.5),
    "bools, bernoulli": lambda: ones(100, dtype=torch.bool).bernoulli_(0.5),
    "integers, bernoulli": lambda: ones(100, dtype=torch.int64).bernoulli_(0.5),
    "complex": lambda: F.dropout(ones(5, dtype=torch.cfloat), 0.5),
    "8-bit floats": lambda: F.dropout(ones(5).to(torch.float8_e4m3fn), 0.5),
    "sparse": lambda: F.dropout(torch.eye(3).to_sparse(), 0.5),
    "sparse, evaluation": lambda: F.dropout(torch.eye(3).to_sparse(), 0.5, False),
    "meta": lambda: F.dropout(ones(3, 4, device="meta"), 0.5),
    "bernoulli, p above 1": lambda: ones(5).bernoulli_(1.1),
    "bernoulli, p below 0": lambda: ones(5).bernoulli_(-0.1),
    "bernoulli by a tensor": lambda: ones(50).bernoulli_(torch.full((50,), 0.3)),
    "bernoulli, wrong generator": lambda: ones(5).bernoulli_(0.5, generator=1),
    "leaf, in place": lambda: F.dropout(ones(3, requires_grad=True), 0.5, inplace=True),
    "shared memory, in place": lambda: F.dropout(ones(1).expand(3), 0.5, inplace=True),
    "attention that does not fit": lambda: attend(dropout_p=0.5, width=7),
    "mask and causal": lambda: attend(ones(4, 4), 0.5, True),
}


@pytest.mark.parametrize("case", LEFT)
def test_left_to_pytorch(case: str) -> None:
    wanted = outcome(LEFT[case])
    with ft.enable():
        assert alike(outcome(LEFT[case]), wanted), case


def test_evaluation_returns_the_tensor_itself() -> None:
    x = torch.ones(3)
    state = torch.get_rng_state()
    with ft.enable():
        for p, train in ((0.5, False), (0.0, True)):
            assert F.dropout(x, p, train) is x
            assert F.dropout(x, p, train, inplace=True) is x
            assert F.alpha_dropout(x, p, train) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_nested_tensors() -> None:
    parts = [numbers(3, 5), numbers(4, 5)]
    jagged = torch.nested.nested_tensor(parts, layout=torch.jagged)
    with ft.enable():
        y = seeded(F.dropout, jagged, 0.5)
    kept = seeded(ft.dropout, torch.ones(7, 5), 0.5)
    assert torch.equal(y.values(), torch.cat(parts) * kept)


# --- where it is reached ------------------------------------------------------------------------


STEPS = torch.ones(5, 2, 4)
PACKED = nn.utils.rnn.pack_padded_sequence(STEPS, [5, 3])
TOKENS = torch.ones(3, 5, 2, 8)
MODELS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: nn.LSTM(4, 6, 3, dropout=0.3)(STEPS)[0],
    "GRU": lambda: nn.GRU(4, 6, 3, dropout=0.3)(STEPS)[0],
    "RNN": lambda: nn.RNN(4, 6, 3, dropout=0.3)(STEPS)[0],
    "packed LSTM": lambda: nn.LSTM(4, 6, 3, dropout=0.3)(PACKED)[0].data,
    "attention": lambda: nn.MultiheadAttention(8, 2, 0.3)(*TOKENS)[0],
    "no weights": lambda: nn.MultiheadAttention(8, 2, 0.3)(*TOKENS, need_weights=False)[0],
    "encoder": lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.3)(TOKENS[0]),
    "decoder": lambda: nn.TransformerDecoderLayer(8, 2, 16, 0.3)(*TOKENS[:2]),
    "dropout": lambda: nn.Dropout(0.3)(torch.ones(50)),
    "FeatureAlphaDropout": lambda: nn.FeatureAlphaDropout(0.3)(torch.ones(5, 5, 5)),
    "embedding": lambda: nn.Dropout1d(0.3)(nn.Embedding(7, 9)(torch.zeros(3, 4, dtype=int))),
}


def profiled(model: str) -> tuple[set[str], "torch.Tensor"]:
    with torch.profiler.profile() as profile:
        y = seeded(MODELS[model])
    return {event.name for event in profile.events()}, y


@pytest.mark.parametrize("model", MODELS)
def test_pytorchs_modules_draw_here(model: str) -> None:
    """PyTorch draws no mask itself. (All that it has drawn of dropout is called like this.)"""
    with ft.enable(bernoulli=False):
        y = seeded(MODELS[model])
        names, again = profiled(model)
    assert "aten::bernoulli_" not in names
    assert any("dropout" in name or "dot_product" in name for name in names)
    assert torch.equal(y, again)
    names, other = profiled(model)
    assert "aten::bernoulli_" in names
    assert not torch.equal(y, other)
