"""`scaled_dot_product_attention`: values, gradients, masks, windows, shapes, derivatives."""

import itertools
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import (  # noqa: E402
    KEY,
    TOLERANCES,
    assert_close,
    attend,
    band,
    check,
    qkv,
    some,
    tensors,
    unfused,
    upper_of,
    weights_of,
    with_gradients,
)
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from watching import Operators  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _tiles  # noqa: E402
from fastdrop.torch._seen import CAUSAL, EVERYTHING, Band, Part, Seen  # noqa: E402

WINDOWS = [(-1, -1), (0, 0), (3, -1), (-1, 2), (5, 40)]


def masks(queries: int, keys: int, dtype: "torch.dtype" = torch.float64) -> dict[str, Any]:
    """For weights of shape (2, 3, queries, keys); rows that see nothing among them."""
    seen = some(2, 3, queries, keys, share=0.6)
    seen[0, 1, queries // 2] = False
    (added,) = tensors((queries, keys), dtype=dtype)
    added = added.detach()
    return {
        "none": None,
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


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (12, 12), (17, 7), (4, 30), (23, 21)])
def test_as_without_tiles(queries: int, keys: int, causal: bool, dtype: "torch.dtype") -> None:
    inputs = tensors((2, 3, queries, 4), (2, 3, keys, 4), (2, 3, keys, 5), dtype=dtype)
    for p, scale in ((0.3, None), (0.9, -0.7), (1.0, 0.0)):
        check(*inputs, dropout_p=p, is_causal=causal, scale=scale)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", masks(1, 1))
def test_masks(name: str, dtype: "torch.dtype") -> None:
    inputs = tensors((2, 3, 13, 4), (2, 3, 9, 4), (2, 3, 9, 5), dtype=dtype)
    for window in ((-1, -1), (7, 0)):
        check(*inputs, attn_mask=masks(13, 9, dtype)[name], sliding_window=window)


heavy = partial(pytest.param, marks=pytest.mark.heavy)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("mask", ["full", *map(heavy, ("none", "padding", "added, with -inf"))])
def test_windows(mask: str, window: tuple[int, int], causal: bool) -> None:
    for queries, keys in ((26, 26), (10, 40), (40, 10)):
        inputs = tensors((2, 3, queries, 4), (2, 3, keys, 4), (2, 3, keys, 5))
        more = {"attn_mask": masks(queries, keys)[mask], "sliding_window": window}
        for p in (0.3, 0.0):
            check(*inputs, dropout_p=p, is_causal=causal, **more)


@pytest.mark.usefixtures("impl", "tiles")
def test_in_every_backend() -> None:
    inputs = qkv(2, 3, queries=37, keys=37, width=4, dtype=torch.float32)
    for name, causal in itertools.product(("none", "full", "added, with -inf"), (False, True)):
        mask = masks(37, 37, torch.float32)[name]
        for window in WINDOWS[:3]:
            check(*inputs, attn_mask=mask, is_causal=causal, sliding_window=window)


@pytest.mark.parametrize("threads", [1, 2, 3], indirect=True)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.usefixtures("threads")
def test_positions_are_those_of_the_weights(causal: bool) -> None:
    """The unit matrix for a value shows which weights are dropped: exactly those of `dropout`."""
    q, k = tensors((2, 3, 150, 4), (2, 3, 300, 4), dtype=torch.float32)
    v = torch.eye(300).expand(2, 3, 300, 300)
    weights = attend(q, k, v, None, 0.4, causal, seed=KEY)
    wanted = ft.dropout(weights_of(q, k, is_causal=causal), 0.4, seed=KEY)
    assert torch.equal(weights == 0, wanted == 0)
    assert torch.allclose(weights, wanted, atol=1e-6)
    check(q, k, v, dropout_p=0.4, is_causal=causal)


def test_as_pytorch_with_dropout_that_drops_nothing() -> None:
    """PyTorch's own numbers, where p is so small that nothing is dropped."""
    q, k, v = inputs = qkv(2, 3, queries=40, keys=40, dtype=torch.float32)
    for more in ({}, {"is_causal": True}, {"attn_mask": masks(40, 40)["full"]}):
        theirs = with_gradients(F.scaled_dot_product_attention(q, k, v, **more), inputs)
        ours = with_gradients(attend(q, k, v, dropout_p=1e-9, seed=1, **more), inputs)
        assert_close(ours, theirs, 1e-5)
        same = with_gradients(attend(q, k, v, **more), inputs)
        assert all(map(torch.equal, same, theirs))


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiles")
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
    for seen in (None, some(7, 9)):
        check(*inputs, attn_mask=seen)
        shapes = {f(*inputs, seen, 0.3).shape for f in (attend, F.scaled_dot_product_attention)}
        assert len(shapes) == 1


def test_more_axes_than_pytorch_takes() -> None:
    """Of a mask, and beside groups of heads."""
    check(*tensors((7, 4), (9, 4), (9, 5)), attn_mask=some(2, 3, 7, 9))
    check(*tensors((2, 1, 6, 7, 4), (3, 2, 9, 4), (3, 2, 9, 4)), enable_gqa=True)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(
    ("heads", "keys", "values"),
    [
        *((2, 1, 1), (3, 1, 1), (4, 2, 2), (6, 2, 2), (6, 3, 3), (9, 3, 3), (4, 4, 4)),
        *((6, 1, 1), (6, 2, 3)),
    ],
)
def test_grouped_heads(heads: int, keys: int, values: int) -> None:
    inputs = tensors((2, heads, 23, 4), (2, keys, 17, 4), (2, values, 17, 5))
    check(*inputs, enable_gqa=True)
    for each in (heads, 1):
        seen = some(2, each, 23, 17)
        check(*inputs, attn_mask=seen, sliding_window=(6, 9), enable_gqa=True)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_views_of_one_projection(dtype: "torch.dtype") -> None:
    """As models have it: one tensor with query, key and value side by side for every token."""
    packed = tensors((2, 30, 3, 4, 8), dtype=dtype)[0].permute(2, 0, 3, 1, 4)
    for inputs in (packed.unbind(), packed[:, 0].unbind(), packed[:, 0, 0].unbind()):
        for more in ({}, {"is_causal": True}, {"attn_mask": torch.ones(30, 30).bool()}):
            theirs = F.scaled_dot_product_attention(*inputs, dropout_p=0.3, **more)
            assert attend(*inputs, dropout_p=0.3, **more).stride() == theirs.stride()
            check(*inputs, **more)


EMPTY: dict[str, tuple[list["torch.Tensor"], dict[str, Any]]] = {
    "queries": (qkv(2, 3, queries=0), {}),
    "keys": (qkv(2, 3, keys=0), {}),
    "batch": (qkv(2, 0, 3), {}),
    "heads": (qkv(2, 0), {}),
    "shared heads": (tensors((2, 0, 5, 3), *[(2, 2, 6, 3)] * 2), {"enable_gqa": True}),
    "width": (tensors((2, 4, 5, 0), (2, 2, 6, 0), (2, 2, 6, 3)), {"enable_gqa": True}),
    "values": (tensors((2, 4, 5, 3), (2, 2, 6, 3), (2, 2, 6, 0)), {"enable_gqa": True}),
}


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("name", EMPTY)
def test_empty(name: str) -> None:
    """A generator moves where there are weights, as by `dropout`."""
    inputs, more = EMPTY[name]
    for given in ({"seed": 3}, {"is_causal": True}, {"dropout_p": 0.0, "sliding_window": (1, 1)}):
        check_empty(*inputs, **given, **more)
    drawn = name in ("width", "values")
    for generator in (torch.default_generator, torch.Generator()):
        before = generator.get_state()
        own = None if generator is torch.default_generator else generator
        attend(*inputs, dropout_p=0.5, generator=own, **more)
        assert torch.equal(before, generator.get_state()) != drawn
    counting = fastdrop.Generator(1)
    attend(*inputs, dropout_p=0.5, generator=counting, **more)
    assert (counting.offset > 0) == drawn


def check_empty(*inputs: "torch.Tensor", **more: Any) -> None:
    more = {"dropout_p": 0.5, "seed": KEY, **more}
    found = []
    for function in (attend, unfused):
        y = function(*inputs, **more)
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), inputs)
        found.append([y, *first, *second])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["queries", "width"])
def test_empty_compiled(name: str) -> None:
    torch._dynamo.reset()
    (inputs, more), generator = EMPTY[name], fastdrop.Generator(1)

    def function(*inputs: "torch.Tensor") -> "torch.Tensor":
        return attend(*inputs, dropout_p=0.5, generator=generator, **more)

    state, found = generator.state, []
    for call in (function, torch.compile(function, backend="aot_eager")):
        generator.state = state
        found.append((call(*(x.detach() for x in inputs)), generator.offset))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


# --- derivatives ---------------------------------------------------------------------------------

drops = partial(attend, dropout_p=0.3, seed=KEY)
SEEN = some(1, 3, 6, 7)


def intercepted(*inputs: "torch.Tensor") -> "torch.Tensor":
    with Operators():
        return drops(*inputs)


DERIVED = {
    "plain": drops,
    "causal": partial(drops, is_causal=True),
    "mask": partial(drops, attn_mask=torch.zeros(SEEN.shape).masked_fill(~SEEN, -torch.inf)),
    "window": partial(drops, attn_mask=SEEN, is_causal=True, sliding_window=(3, -1)),
    "one tensor": lambda q, k, v: drops(q, q, q) + k.sum() + v.sum(),
    "under a mode": intercepted,
    "mask that learns": drops,
    "operator": lambda *x: torch.ops.fastdrop.attention(
        *x, SEEN, torch.tensor([5, 6, 4096]), 0.3, None, None, 0.5
    ),
}


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("name", DERIVED)
def test_derivatives(name: str) -> None:
    function, inputs = DERIVED[name], tensors((1, 3, 6, 2), (1, 3, 7, 2), (1, 3, 7, 2), (6, 7))
    if name != "mask that learns":
        del inputs[3]
    inner = name != "operator"
    assert gradcheck(function, inputs, check_forward_ad=inner, check_batched_grad=inner)
    assert gradgradcheck(function, inputs)
    if inner:
        y, pull = torch.func.vjp(function, *(x.detach() for x in inputs))
        assert_close([y, *pull(upper_of(y))], with_gradients(function(*inputs), inputs), 1e-13)


def test_vmap_of_gradients() -> None:
    q, k, v = inputs = tensors((2, 3, 3), (2, 4, 3), (2, 4, 2))
    for p in (0.3, 1.0):
        y = drops(q, k, v, dropout_p=p)
        upper = torch.eye(y.numel(), dtype=y.dtype).reshape(-1, *y.shape)

        def gradients(u: "torch.Tensor", y: "torch.Tensor" = y) -> Any:
            return torch.autograd.grad(y, inputs, u, retain_graph=True)

        wanted = map(torch.stack, zip(*map(gradients, upper), strict=True))
        assert_close(torch.func.vmap(gradients)(upper), wanted, 1e-13)


def test_gradients_of_some_only() -> None:
    for asked in ([0], [1], [2], [0, 2]):
        check(*(x.requires_grad_(i in asked) for i, x in enumerate(qkv(2))))


def test_a_mask_that_learns() -> None:
    *inputs, mask = tensors((2, 3, 6, 3), (2, 3, 7, 3), (2, 3, 7, 2), (3, 6, 7))
    check(*inputs, mask)
    with torch.no_grad():
        wanted = unfused(*inputs, mask, 0.3, seed=KEY)
        assert torch.allclose(drops(*inputs, mask), wanted, atol=1e-13)


def test_vmap() -> None:
    inputs = [x.detach() for x in qkv(4)]
    wanted = [drops(*(x[i] for x in inputs)) for i in range(4)]
    assert_close([torch.func.vmap(drops)(*inputs)], [torch.stack(wanted)], 1e-13)
    same = [x[:1].expand(x.shape) for x in inputs]
    for randomness, equal in (("same", True), ("different", False)):
        y = torch.func.vmap(partial(attend, dropout_p=0.5), randomness=randomness)(*same)
        assert torch.equal(y[0], y[1]) is equal


# --- what is computed ----------------------------------------------------------------------------


def test_tiles_are_what_they_have_to_be() -> None:
    """Every score is in one tile; causal tiles end with their last query's own key."""
    for (queries, keys), causal in itertools.product(
        ((300, 300), (1, 9), (70, 5000)), (False, True)
    ):
        q, k = torch.empty(1, 5, queries, 2), torch.empty(1, 5, keys, 2)
        call = _tiles.Attention(KEY, 0.1, CAUSAL if causal else EVERYTHING, 1.0)
        tiles = _tiles._Tiles(q, k, None, call, 1)
        found = torch.zeros(5, queries, keys, dtype=torch.int)
        for sample, heads, _ in tiles.groups():
            for tile in tiles.tiles(sample, heads):
                found[heads, tile.queries, tile.keys] += 1
        assert (found[:, band(queries, keys, is_causal=causal)] == 1).all()
        assert found.max() == 1


def spans(mask: "torch.Tensor | None", band: Band = EVERYTHING) -> list[tuple[int, int]]:
    """The keys of each tile of 64 queries: where both are 256."""
    mask = None if mask is None else mask.expand(1, 2, 256, 256)
    seen = Seen(mask, band, 256, torch.float32, 2 * 256**2)
    found = (seen.span(Part(0, slice(0, 2), first, 64)) for first in range(0, 256, 64))
    return [(span.start, span.stop) for span in found]


@pytest.mark.parametrize("added", [False, True])
def test_keys_that_nothing_sees_are_left_out(added: bool) -> None:
    def given(seen: "torch.Tensor") -> "torch.Tensor":
        return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf) if added else seen

    triangle = [(0, 64), (0, 128), (0, 192), (0, 256)]
    diagonal = [(0, 64), (32, 128), (96, 192), (160, 256)]
    causal = band(256, 256, is_causal=True)
    assert spans(None, CAUSAL) == triangle
    assert spans(given(causal)) == triangle
    assert spans(given(causal.expand(2, 256, 256).clone())) == triangle
    assert spans(given(causal.triu(-31))) == diagonal
    assert spans(None, Band(-31, 0)) == diagonal
    at = torch.arange(256)
    padding = given((at >= 100) & (at < 130))
    assert spans(padding) == [(96, 160)] * 4
    assert spans(padding, CAUSAL) == [(0, 0), (96, 128), (96, 160), (96, 160)]
    assert spans(given((at[:, None] < 64) & causal)) == [(0, 64), (0, 0), (0, 0), (0, 0)]
    blocks = given(at // 64 == at[:, None] // 64)
    assert spans(blocks) == [(0, 64), (64, 128), (128, 192), (192, 256)]


def test_numbers_that_are_not_are_seen() -> None:
    mask = torch.full((256, 256), -torch.inf)
    mask[0, 70] = torch.nan
    assert spans(mask) == [(64, 96), (0, 0), (0, 0), (0, 0)]


def test_numbers_that_are_not() -> None:
    """nan among the scores makes nan of what it stands beside; a weight that is dropped is 0."""
    q, one = torch.tensor([[torch.nan, 0, 0]]), torch.ones(1, 3)
    kept = [attend(q, one, one, dropout_p=0.5, seed=i)[0, 0].isnan().item() for i in range(20)]
    assert kept == [ft.dropout(torch.ones(1), 0.5, seed=i).item() != 0 for i in range(20)]
