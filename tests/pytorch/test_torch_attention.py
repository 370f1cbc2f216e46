"""`scaled_dot_product_attention`: values, gradients, masks, shapes, errors."""

import itertools
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import (  # noqa: E402
    assert_close,
    check_tiles,
    tensors,
    unfused,
    weights_of,
    with_gradients,
)
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _tiles  # noqa: E402
from fastdrop.torch._seen import CAUSAL, EVERYTHING  # noqa: E402

attend = ft.scaled_dot_product_attention
KEY = fastdrop.Key(5, 6, 4097)
DTYPES = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


@pytest.fixture(params=[False, True])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 5 queries and 2 heads, matrices turned or not: small tensors have many tiles."""
    monkeypatch.setattr(_tiles, "_TURNS", request.param)
    monkeypatch.setattr(_tiles, "SCORES", 150)
    monkeypatch.setattr(_tiles, "_QUERIES", (5, 5))


def masks(queries: int, keys: int, dtype: "torch.dtype") -> dict[str, "torch.Tensor"]:
    """For weights of shape (2, 3, queries, keys); rows that see nothing among them."""
    seen = torch.rand(2, 3, queries, keys, generator=torch.Generator().manual_seed(4)) < 0.6
    seen[0, 1, queries // 2] = False
    added = torch.randn(queries, keys, generator=torch.Generator().manual_seed(5)).to(dtype)
    return {
        "full": seen,
        "padding": seen[:, :1, :1],
        "one for all": seen[0, 1],
        "keys": seen[0, 0, 0],
        "queries": seen[0, 1, :, :1],
        "added": added,
        "added, with -inf": added.masked_fill(~seen, -torch.inf),
        "added float32": added.float(),
        "transposed": seen.mT.contiguous().mT,
    }


# --- values and gradients ------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (12, 12), (17, 7), (4, 30), (23, 21)])
def test_as_without_tiles(queries: int, keys: int, causal: bool, dtype: "torch.dtype") -> None:
    q, k, v = inputs = tensors((2, 3, queries, 4), (2, 3, keys, 4), (2, 3, keys, 5), dtype=dtype)
    wide = [x.detach().double().requires_grad_() for x in inputs]
    for p, scale in ((0.3, None), (0.9, -0.7), (1.0, 0.0)):
        more: dict[str, Any] = {"dropout_p": p, "is_causal": causal, "scale": scale, "seed": KEY}
        ours = with_gradients(attend(q, k, v, **more), inputs)
        wanted = [x.to(dtype) for x in with_gradients(unfused(*wide, **more), wide)]
        assert_close(ours, wanted, DTYPES[dtype])


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", masks(1, 1, torch.float32))
def test_masks(name: str, dtype: "torch.dtype") -> None:
    q, k, v = inputs = tensors((2, 3, 13, 4), (2, 3, 9, 4), (2, 3, 9, 5), dtype=dtype)
    mask = masks(13, 9, dtype)[name]
    wide = [x.detach().double().requires_grad_() for x in inputs]
    wide_mask = mask if mask.dtype is torch.bool else mask.double()
    ours = with_gradients(attend(q, k, v, mask, 0.3, seed=KEY), inputs)
    wanted = with_gradients(unfused(*wide, wide_mask, 0.3, seed=KEY), wide)
    assert_close(ours, [x.to(dtype) for x in wanted], DTYPES[dtype])


@pytest.mark.usefixtures("impl", "small_tiles")
def test_in_every_backend() -> None:
    inputs = tensors((2, 3, 12, 4), (2, 3, 9, 4), (2, 3, 9, 4), dtype=torch.float32)
    mask = masks(12, 9, torch.float32)["full"]
    for causal, seen in ((True, None), (False, mask)):
        check_tiles(inputs, seen, 0.3, causal, within=1e-5, seed=KEY)


def test_positions_are_those_of_the_weights() -> None:
    """The unit matrix for a value shows which weights are dropped: exactly those of `dropout`."""
    q, k = tensors((2, 3, 150, 4), (2, 3, 200, 4), dtype=torch.float32)
    v = torch.eye(200).expand(2, 3, 200, 200)
    for causal in (False, True):
        weights = attend(q, k, v, None, 0.4, causal, seed=KEY)
        wanted = ft.dropout(weights_of(q, k, is_causal=causal), 0.4, seed=KEY)
        assert torch.equal(weights == 0, wanted == 0)
        assert torch.allclose(weights, wanted, atol=1e-6)


def test_as_pytorch_with_dropout_that_drops_nothing() -> None:
    """PyTorch's own numbers, where p is so small that nothing is dropped."""
    q, k, v = inputs = tensors((2, 3, 40, 8), (2, 3, 40, 8), (2, 3, 40, 8), dtype=torch.float32)
    for more in ({}, {"is_causal": True}, {"attn_mask": masks(40, 40, torch.float32)["full"]}):
        theirs = with_gradients(F.scaled_dot_product_attention(q, k, v, **more), inputs)
        ours = with_gradients(attend(q, k, v, dropout_p=1e-9, seed=1, **more), inputs)
        assert_close(ours, theirs, 1e-5)
        same = with_gradients(attend(q, k, v, **more), inputs)
        assert all(torch.equal(one, other) for one, other in zip(same, theirs, strict=True))


def test_rows_that_see_nothing() -> None:
    q, k, v = inputs = tensors((1, 1, 4, 3), (1, 1, 4, 3), (1, 1, 4, 3))
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[2] = False
    y, d_query, *rest = with_gradients(attend(q, k, v, mask, 0.3, seed=1), inputs)
    assert torch.equal(y[0, 0, 2], torch.zeros(3, dtype=torch.float64))
    assert not d_query[0, 0, 2].any()
    assert all(x.isfinite().all() for x in (y, d_query, *rest))
    assert torch.equal(F.scaled_dot_product_attention(q, k, v, mask, 0.3)[0, 0, 2], y[0, 0, 2]), (
        "as PyTorch does"
    )


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((7, 4), (9, 4), (9, 5)),
        ((3, 7, 4), (3, 9, 4), (3, 9, 5)),
        ((2, 1, 2, 7, 4), (2, 1, 2, 9, 4), (2, 1, 2, 9, 5)),
        ((2, 3, 7, 4), (9, 4), (3, 9, 5)),
        ((3, 7, 4), (2, 1, 9, 4), (1, 9, 5)),
        ((2, 1, 7, 4), (2, 3, 9, 4), (9, 5)),
        ((3, 7, 4), (3, 9, 4), (2, 1, 9, 5)),
    ],
)
def test_leading_axes(query: Any, key: Any, value: Any) -> None:
    inputs = tensors(query, key, value)
    for seen in (None, torch.rand(7, 9) < 0.8):
        check_tiles(inputs, seen, 0.3, seed=KEY)
        shapes = {f(*inputs, seen, 0.3).shape for f in (attend, F.scaled_dot_product_attention)}
        assert len(shapes) == 1


def test_a_mask_with_more_axes_than_the_rest() -> None:
    inputs = tensors((7, 4), (9, 4), (9, 5))
    check_tiles(inputs, torch.rand(2, 3, 7, 9) < 0.7, 0.3, seed=KEY)


@pytest.mark.parametrize(("heads", "keys", "values"), [(6, 2, 2), (6, 1, 1), (6, 2, 3), (4, 4, 4)])
def test_grouped_heads(heads: int, keys: int, values: int) -> None:
    q, k, v = inputs = tensors((2, heads, 7, 4), (2, keys, 9, 4), (2, values, 9, 5))
    ours = with_gradients(attend(q, k, v, dropout_p=0.3, enable_gqa=True, seed=KEY), inputs)
    more = k.repeat_interleave(heads // keys, 1), v.repeat_interleave(heads // values, 1)
    assert_close(ours, with_gradients(unfused(q, *more, dropout_p=0.3, seed=KEY), inputs), 1e-13)


def test_views_of_one_projection() -> None:
    """As models have it: one tensor with query, key and value side by side for every token."""
    (x,) = tensors((2, 30, 3, 4, 8), dtype=torch.float32)
    q, k, v = (x[:, :, i].transpose(1, 2) for i in range(3))
    y = attend(q, k, v, dropout_p=0.3, is_causal=True, seed=KEY)
    theirs = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3, is_causal=True)
    assert y.stride() == theirs.stride()
    ours = with_gradients(y, [x])
    theirs = with_gradients(unfused(q, k, v, dropout_p=0.3, is_causal=True, seed=KEY), [x])
    assert_close(ours, theirs, 1e-5)


@pytest.mark.parametrize(("queries", "keys"), [(0, 3), (3, 0)])
def test_empty(queries: int, keys: int) -> None:
    q, k, v = torch.ones(2, queries, 4), torch.ones(2, keys, 4), torch.ones(2, keys, 5)
    before = torch.get_rng_state()
    y = attend(q, k, v, dropout_p=0.5)
    assert torch.equal(y, torch.zeros(2, queries, 5))
    assert torch.equal(before, torch.get_rng_state())


# --- derivatives ---------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("more", [{}, {"is_causal": True}, {"attn_mask": "added, with -inf"}])
def test_gradients_of_both_orders(more: dict[str, Any]) -> None:
    inputs = tensors((1, 3, 6, 2), (1, 3, 7, 2), (1, 3, 7, 2))
    if "attn_mask" in more:
        more = {"attn_mask": masks(6, 7, torch.float64)[more["attn_mask"]][:1]}

    def function(*given: "torch.Tensor") -> "torch.Tensor":
        return attend(*given, dropout_p=0.3, seed=KEY, **more)

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_one_tensor_as_all_three() -> None:
    (x,) = tensors((2, 5, 3))

    def function(x: "torch.Tensor") -> "torch.Tensor":
        return attend(x, x, x, dropout_p=0.3, seed=KEY)

    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


def test_derivatives_of_operators() -> None:
    """What tracers see has derivatives of both orders too."""
    inputs = tensors((1, 2, 4, 3), (1, 2, 5, 3), (1, 2, 5, 2))
    mask, word = torch.rand(1, 2, 4, 5) < 0.8, torch.tensor([5, 6, 4096])

    def function(*given: "torch.Tensor") -> "torch.Tensor":
        return torch.ops.fastdrop.attention(*given, mask, word, 0.3, None, None, 0.5)

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_many_gradients_at_once() -> None:
    q, k, v = tensors((2, 3, 3), (2, 4, 3), (2, 4, 2))
    y = attend(q, k, v, dropout_p=0.3, seed=KEY)
    upper = torch.eye(y.numel(), dtype=y.dtype).reshape(-1, *y.shape)
    found = torch.autograd.grad(y, (q, k, v), upper, retain_graph=True, is_grads_batched=True)
    one_by_one = [torch.autograd.grad(y, (q, k, v), u, retain_graph=True) for u in upper]
    assert_close(list(found), [torch.stack(x) for x in zip(*one_by_one, strict=True)], 1e-13)


def test_gradient_of_some_only() -> None:
    q, k, v = tensors((2, 5, 3), (2, 5, 3), (2, 5, 3))
    for inputs in ([q], [k], [v], [q, v]):
        given = [x if any(x is y for y in inputs) else x.detach() for x in (q, k, v)]
        ours = with_gradients(attend(*given, dropout_p=0.3, seed=KEY), inputs)
        assert_close(ours, with_gradients(unfused(*given, dropout_p=0.3, seed=KEY), inputs), 1e-13)


def test_a_mask_that_learns() -> None:
    inputs = tensors((2, 3, 6, 3), (2, 3, 7, 3), (2, 3, 7, 2), (3, 6, 7))
    check_tiles(inputs, 0.3, seed=KEY)
    with torch.no_grad():
        wanted = unfused(*inputs, 0.3, seed=KEY)
        assert torch.allclose(attend(*inputs, 0.3, seed=KEY), wanted, atol=1e-13)


def test_forward_mode() -> None:
    inputs = [x.detach() for x in tensors((2, 5, 3), (2, 6, 3), (2, 6, 3))]
    tangents = [torch.ones_like(x) for x in inputs]
    ours, theirs = (
        torch.func.jvp(partial(f, dropout_p=0.3, seed=KEY), tuple(inputs), tuple(tangents))
        for f in (attend, unfused)
    )
    assert_close(list(ours), list(theirs), 1e-13)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(inputs[0], tangents[0])
        y = attend(dual, *inputs[1:], dropout_p=0.3, seed=KEY)
        assert torch.autograd.forward_ad.unpack_dual(y).tangent is not None


def test_transforms() -> None:
    inputs = [x.detach() for x in tensors((4, 5, 3), (4, 6, 3), (4, 6, 3))]
    ours, theirs = (
        torch.func.grad(lambda *x, f=f: f(*x, dropout_p=0.3, seed=KEY).sum(), argnums=(0, 1, 2))(
            *inputs
        )
        for f in (attend, unfused)
    )
    assert_close(list(ours), list(theirs), 1e-13)
    same = [x[:1].expand(x.shape) for x in inputs]
    for randomness, equal in (("same", True), ("different", False)):
        batched = torch.func.vmap(partial(attend, dropout_p=0.5), randomness=randomness)
        y = batched(*same)
        assert torch.equal(y[0], y[1]) is equal
    batched = torch.func.vmap(partial(attend, dropout_p=0.3, seed=KEY))
    wanted = [attend(*(x[i] for x in inputs), dropout_p=0.3, seed=KEY) for i in range(4)]
    assert_close([batched(*inputs)], [torch.stack(wanted)], 1e-13)


# --- what is left to PyTorch, and errors ---------------------------------------------------------

WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "width": (((2, 5, 3), (2, 5, 4), (2, 5, 3)), {}),
    "length": (((2, 5, 3), (2, 5, 3), (2, 6, 3)), {}),
    "one axis": (((3,), (3,), (3,)), {}),
    "dtype of the mask": (((5, 3),) * 3, {"attn_mask": torch.ones(5, 5).int()}),
    "heads": (((1, 5, 5, 3), (1, 2, 5, 3), (1, 2, 5, 3)), {"enable_gqa": True}),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_pytorchs(name: str) -> None:
    shapes, more = WRONG[name]
    inputs = tensors(*shapes)
    with pytest.raises(RuntimeError) as theirs:
        F.scaled_dot_product_attention(*inputs, dropout_p=0.3, **more)
    with pytest.raises(RuntimeError) as ours:
        attend(*inputs, dropout_p=0.3, **more)
    assert str(ours.value) == str(theirs.value)
    with pytest.raises(NotImplementedError, match="generator and seed have to be left out"):
        attend(*inputs, dropout_p=0.3, seed=1, **more)


def test_different_dtypes() -> None:
    q = torch.ones(5, 3)
    with pytest.raises(RuntimeError, match="to have the same dtype"):
        attend(q, q.double(), q, dropout_p=0.3)


@pytest.mark.parametrize(
    ("shapes", "mask"),
    [(((2, 5, 3), (3, 5, 3), (2, 5, 3)), None), (((2, 5, 3),) * 3, torch.ones(4, 5).bool())],
)
def test_what_cannot_be_broadcast(shapes: Any, mask: Any) -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError):
        attend(*tensors(*shapes), mask, 0.3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_bad_p(p: float) -> None:
    q = torch.ones(5, 3)
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"):
        attend(q, q, q, dropout_p=p)


def test_bad_scale_generator_and_seed() -> None:
    q = torch.ones(5, 3)
    with pytest.raises(ValueError, match="scale has to be a finite number, but got inf"):
        attend(q, q, q, dropout_p=0.3, scale=float("inf"))
    with pytest.raises(TypeError, match="scale has to be a real number, but got str"):
        attend(q, q, q, dropout_p=0.3, scale="1")
    with pytest.raises(TypeError, match=r"torch\.Generator or a fastdrop\.Generator, but got int"):
        attend(q, q, q, dropout_p=0.3, generator=3)
    with pytest.raises(ValueError, match="only one of generator and seed"):
        attend(q, q, q, dropout_p=0.3, generator=torch.Generator(), seed=1)


def test_tensors_elsewhere() -> None:
    q = torch.ones(2, 5, 3, device="meta")
    assert attend(q, q, q, dropout_p=0.3).device.type == "meta"
    with pytest.raises(NotImplementedError, match="generator and seed have to be left out"):
        attend(q, q, q, dropout_p=0.3, seed=1)


def test_subclasses_may_take_the_call() -> None:
    class Mine(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func, len(args), kwargs

    q = torch.ones(5, 3)
    taken = attend(q, q.as_subclass(Mine), q, dropout_p=0.3)
    assert taken == (F.scaled_dot_product_attention, 6, {"scale": None, "enable_gqa": False})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_autocast(dtype: "torch.dtype") -> None:
    q, k, v = tensors((2, 5, 4), (2, 6, 4), (2, 6, 4), dtype=dtype)
    for mask in (None, torch.zeros(5, 6, dtype=dtype)):
        with torch.autocast("cpu", torch.bfloat16):
            theirs = F.scaled_dot_product_attention(q, k, v, mask, 1e-9)
            ours = attend(q, k, v, mask, 1e-9, seed=1)
        assert_close([ours], [theirs], 2e-2)


def test_numbers_that_are_not() -> None:
    """nan among the scores makes nan of what it stands beside; a weight that is dropped is 0."""
    q, k, v = (torch.zeros(1, 3) for _ in range(3))
    q[0, 0] = torch.nan
    assert attend(q, k, v, dropout_p=0.5, seed=1).isnan().all() or not (
        attend(q, k, v, dropout_p=0.5, seed=1).any()
    )
    kept = [attend(q, k, v + 1, dropout_p=0.5, seed=i)[0, 0].isnan().item() for i in range(20)]
    dropped = [ft.dropout(torch.ones(1), 0.5, seed=i).item() == 0 for i in range(20)]
    assert [not x for x in kept] == dropped


def test_tiles_are_what_they_have_to_be() -> None:
    """Every score is in one tile; causal tiles end with their last query's own key."""
    for (queries, keys), causal in itertools.product(((300, 300), (1, 9), (70, 5000)), (0, 1)):
        q, k = torch.empty(1, 5, queries, 2), torch.empty(1, 5, keys, 2)
        call = _tiles.Attention(KEY, 0.1, CAUSAL if causal else EVERYTHING, 1.0)
        tiles = _tiles._Tiles(q, k, None, call, 1)
        found = torch.zeros(5, queries, keys, dtype=torch.int)
        for sample, heads, _ in tiles.groups():
            for tile in tiles.tiles(sample, heads):
                found[heads, tile.queries, tile.keys] += 1
        wanted = torch.ones_like(found)
        seen = found.tril() if causal else found
        assert torch.equal(seen, wanted.tril() if causal else wanted)
        assert found.max() == 1
