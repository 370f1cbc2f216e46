"""What queries see: windows, masks beside `is_causal`, masks that leave tiles empty, `training`."""

import itertools
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import assert_close, tensors, unfused, with_gradients  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _tiles  # noqa: E402
from fastdrop.torch._seen import EVERYTHING, Band, Part, Seen  # noqa: E402

attend = ft.scaled_dot_product_attention
KEY = fastdrop.Key(5, 6, 4097)
WINDOWS = [(-1, -1), (0, 0), (3, -1), (-1, 2), (5, 40)]


def window_of(window: tuple[int, int], queries: int, keys: int, causal: bool) -> "torch.Tensor":
    """The same as a mask."""
    left, right = window
    away = torch.arange(keys) - torch.arange(queries)[:, None]
    seen = (away >= -left) if left >= 0 else torch.ones(queries, keys, dtype=torch.bool)
    if right >= 0:
        seen &= away <= right
    return seen & (away <= 0) if causal else seen


@pytest.fixture(params=[(150, 5), (1 << 17, 128)], ids=["small tiles", "one tile"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, queries = request.param
    monkeypatch.setattr(_tiles, "SCORES", scores)
    monkeypatch.setattr(_tiles, "_QUERIES", (min(queries, 32), queries))


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "mask",
    ["bool", *(pytest.param(m, marks=pytest.mark.heavy) for m in ("none", "added", "padding"))],
)
def test_windows(mask: str, window: tuple[int, int], causal: bool) -> None:
    for queries, keys in ((26, 26), (10, 40), (40, 10)):
        q, k, v = inputs = tensors((2, 3, queries, 4), (2, 3, keys, 4), (2, 3, keys, 5))
        seen = torch.rand(2, 3, queries, keys, generator=torch.Generator().manual_seed(1)) < 0.7
        if mask == "padding":
            seen = (torch.arange(keys) < torch.tensor([keys, keys // 2])[:, None])[:, None, None]
        wanted_mask = window_of(window, queries, keys, causal)
        given = None
        if mask == "added":
            given = torch.randn(keys, dtype=torch.float64).masked_fill(~seen, -torch.inf)
            wanted_mask = given.masked_fill(~wanted_mask, -torch.inf)
        elif mask != "none":
            given, wanted_mask = seen, wanted_mask & seen
        more: dict[str, Any] = {"is_causal": causal, "sliding_window": window, "seed": KEY}
        for p in (0.3, 0.0):
            ours = with_gradients(attend(q, k, v, given, p, **more), inputs)
            theirs = with_gradients(unfused(*inputs, wanted_mask, p, seed=KEY), inputs)
            assert_close(ours, theirs, 1e-13)


@pytest.mark.usefixtures("impl", "tiles")
def test_windows_in_every_backend() -> None:
    q, k, v = inputs = tensors((2, 3, 37, 4), (2, 3, 37, 4), (2, 3, 37, 5), dtype=torch.float32)
    seen = torch.rand(37, 37, generator=torch.Generator().manual_seed(1)) < 0.7
    for given in (None, seen, torch.zeros(37, 37).masked_fill(~seen, -torch.inf)):
        y = attend(q, k, v, given, 0.3, True, sliding_window=(5, -1), seed=KEY)
        both = window_of((5, -1), 37, 37, True) & (True if given is None else seen)
        theirs = with_gradients(unfused(q, k, v, both, 0.3, seed=KEY), inputs)
        assert_close(with_gradients(y, inputs), theirs, 1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_windows_of_other_dtypes(dtype: "torch.dtype") -> None:
    inputs = tensors((1, 2, 40, 8), (1, 2, 40, 8), (1, 2, 40, 8), dtype=dtype)
    wide = [x.detach().double().requires_grad_() for x in inputs]
    added = torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(1)).to(dtype)
    seen = window_of((7, 0), 40, 40, False)
    ours = with_gradients(attend(*inputs, added, 0.3, sliding_window=(7, 0), seed=KEY), inputs)
    wide_mask = added.double().masked_fill(~seen, -torch.inf)
    wanted = with_gradients(unfused(*wide, wide_mask, 0.3, seed=KEY), wide)
    assert_close(ours, [x.to(dtype) for x in wanted], 2e-2)


def test_derivatives_with_a_window() -> None:
    inputs = tensors((1, 2, 6, 2), (1, 2, 7, 2), (1, 2, 7, 2))
    seen = torch.rand(6, 7, generator=torch.Generator().manual_seed(1)) < 0.8

    def function(*given: "torch.Tensor") -> "torch.Tensor":
        return attend(*given, seen, 0.3, True, sliding_window=(3, -1), seed=KEY)

    assert gradcheck(function, inputs)
    ours = torch.func.grad(lambda *x: function(*x).square().sum(), argnums=(0, 1, 2))(
        *(x.detach() for x in inputs)
    )
    y = function(*inputs)
    assert_close(list(ours), list(torch.autograd.grad(y.square().sum(), inputs)), 1e-13)


def test_windows_compiled() -> None:
    torch._dynamo.reset()
    inputs = tensors((2, 3, 20, 8), (2, 3, 20, 8), (2, 3, 20, 8), dtype=torch.float32)
    seen = torch.rand(20, 20, generator=torch.Generator().manual_seed(1)) < 0.8

    def function(*given: "torch.Tensor") -> "torch.Tensor":
        y = attend(*given, seen, 0.3, True, sliding_window=(6, -1), seed=4)
        return y + attend(*given, seen, 0.0, True) + attend(*given, dropout_p=0.3, training=False)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    found = [with_gradients(f(*inputs), inputs) for f in (function, compiled)]
    assert_close(found[1], found[0], 1e-5)


def test_training() -> None:
    inputs = tensors((2, 5, 4), (2, 5, 4), (2, 5, 4))
    before = torch.get_rng_state()
    y = attend(*inputs, dropout_p=0.5, training=False)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(y, F.scaled_dot_product_attention(*inputs))
    more: dict[str, Any] = {"is_causal": True, "sliding_window": (1, -1)}
    y = attend(*inputs, dropout_p=0.5, training=False, **more)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.allclose(y, unfused(*inputs, window_of((1, -1), 5, 5, True)), atol=1e-13)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.usefixtures("tiles")
def test_shared_heads_with_masks(heads: int) -> None:
    """Several heads of keys, each for two or three of queries, with masks of every kind."""
    for each, per_head in itertools.product((2, 3), (False, True)):
        q, k, v = inputs = tensors(
            (2, heads * each, 23, 4), (2, heads, 17, 4), (2, heads, 17, 5), dtype=torch.float64
        )
        shape = (2, heads * each, 23, 17) if per_head else (2, 1, 23, 17)
        seen = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.6
        more = {"sliding_window": (6, 9), "enable_gqa": True, "seed": KEY}
        wanted_mask = seen & window_of((6, 9), 23, 17, False)
        ours = with_gradients(attend(q, k, v, seen, 0.3, **more), inputs)
        rest = (x.repeat_interleave(each, 1) for x in (k, v))
        theirs = with_gradients(unfused(q, *rest, wanted_mask, 0.3, seed=KEY), inputs)
        assert_close(ours, theirs, 1e-13)


def test_shared_heads_of_several_batch_axes() -> None:
    q, k, v = inputs = tensors((2, 1, 6, 5, 4), (3, 2, 7, 4), (3, 2, 7, 4))
    ours = with_gradients(attend(q, k, v, dropout_p=0.3, enable_gqa=True, seed=KEY), inputs)
    rest = (x.repeat_interleave(3, -3) for x in (k, v))
    theirs = with_gradients(unfused(q, *rest, dropout_p=0.3, seed=KEY), inputs)
    assert_close(ours, theirs, 1e-13)


# --- what is not computed ------------------------------------------------------------------------


def spans(mask: "torch.Tensor | None", band: Band, rows: int = 64) -> list[tuple[int, int]]:
    """The keys of each tile of 256 queries and as many keys."""
    shape = (1, 2, 256, 256)
    seen = Seen(None if mask is None else mask.expand(shape), band, 256, torch.float32, 2 * 256**2)
    found = (seen.span(Part(0, slice(0, 2), first, rows)) for first in range(0, 256, rows))
    return [(span.start, span.stop) for span in found]


TRIANGLE = [(0, 64), (0, 128), (0, 192), (0, 256)]


@pytest.mark.parametrize("added", [False, True])
def test_keys_that_nothing_sees_are_left_out(added: bool) -> None:
    def given(seen: "torch.Tensor") -> "torch.Tensor":
        return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf) if added else seen

    causal = torch.ones(256, 256, dtype=torch.bool).tril()
    assert spans(None, Band(high=0)) == TRIANGLE
    assert spans(given(causal), EVERYTHING) == TRIANGLE
    assert spans(given(causal.expand(2, 256, 256).clone()), EVERYTHING) == TRIANGLE
    assert spans(given(causal.triu(-31)), EVERYTHING) == [(0, 64), (32, 128), (96, 192), (160, 256)]
    assert spans(None, Band(-31, 0)) == [(0, 64), (32, 128), (96, 192), (160, 256)]
    padding = (torch.arange(256) >= 100) & (torch.arange(256) < 130)
    assert spans(given(padding), EVERYTHING) == [(96, 160)] * 4
    assert spans(given(padding), Band(high=0)) == [(0, 0), (96, 128), (96, 160), (96, 160)]
    rows = torch.arange(256)[:, None] < 64
    assert spans(given(rows & causal), EVERYTHING) == [(0, 64), (0, 0), (0, 0), (0, 0)]
    blocks = torch.arange(256) // 64 == torch.arange(256)[:, None] // 64
    assert spans(given(blocks), EVERYTHING) == [(0, 64), (64, 128), (128, 192), (192, 256)]


def test_numbers_that_are_not_are_seen() -> None:
    mask = torch.full((256, 256), -torch.inf)
    mask[0, 70] = torch.nan
    assert spans(mask, EVERYTHING) == [(64, 96), (0, 0), (0, 0), (0, 0)]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [3, (1,), (1, 2, 3), (1.0, 2), (True, 1), "ab", (None, 1)])
def test_wrong_windows(window: Any) -> None:
    q = torch.ones(5, 3)
    with pytest.raises(TypeError, match="sliding_window has to be a pair of ints"):
        attend(q, q, q, dropout_p=0.3, sliding_window=window)


def test_wrong_numbers() -> None:
    q = torch.ones(5, 3)
    for window in ((-2, 0), (0, -2)):
        with pytest.raises(ValueError, match="sliding_window has to hold numbers from 0 on"):
            attend(q, q, q, dropout_p=0.3, sliding_window=window)
    with pytest.raises(TypeError, match="training has to be True or False, but got str"):
        attend(q, q, q, dropout_p=0.3, training="no")


def test_windows_without_dropout_under_a_mode() -> None:
    """Nothing is drawn, so that a seed is of no concern to whoever computes it."""
    q, k, v = (x.detach() for x in tensors((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)))
    wanted = attend(q, k, v, sliding_window=(1, 0))
    with torch.device("cpu"):
        found = attend(q, k, v, sliding_window=(1, 0), seed=KEY)
    assert torch.allclose(found, wanted)
    with torch.device("cpu"):
        found = attend(q, k, v, dropout_p=0.3, sliding_window=(1, 0), training=False, seed=KEY)
    assert torch.allclose(found, wanted)
