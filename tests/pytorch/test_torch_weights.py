"""Softmax with dropout, DropConnect and max-norm: values, every kind of gradient, modules."""

import copy
from functools import partial
from typing import Any

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import numbers as normal  # noqa: E402
from on_torch import DTYPES, nothing_drawn, opcheck, same, stored  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

KEY = fastdrop.Key(5, 6, 4096)


def masks(shape: tuple[int, ...], dtype: "torch.dtype") -> dict[str, Any]:
    full = normal(*shape, seed=3) > -0.5
    full[0, 0] = False
    return {
        "none": None,
        "full": full,
        "keys": full[:1, 1],
        "rows": full[..., :1],
        "added": torch.where(full, normal(*shape, seed=4), -torch.inf).to(dtype),
    }


# --- softmax -------------------------------------------------------------------------------------

SHAPE = (3, 4, 33)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [-1, 0])
@pytest.mark.parametrize("mask", ["none", "full", "keys", "rows", "added"])
def test_softmax_gives_the_values_of_numpy(mask: str, dim: int, dtype: "torch.dtype") -> None:
    scores, dy = (normal(*SHAPE, dtype=dtype, seed=i) for i in (1, 2))
    seen = masks(SHAPE, dtype)[mask]
    options = {"mask": None if seen is None else stored(seen), "scale": 0.5, "axis": dim}
    array, more = stored(scores), {"dim": dim, "mask": seen, "scale": 0.5}
    wanted = fastdrop.softmax_dropout(array, 0.3, rng=KEY, **options)
    slope = fastdrop.softmax_dropout_backward(stored(dy), array, 0.3, rng=KEY, **options)
    for x in (scores, scores.transpose(0, -1).contiguous().transpose(0, -1)):
        x = x.detach().requires_grad_()
        y = ft.softmax_dropout(x, 0.3, seed=KEY, **more)
        assert same(y, wanted)
        assert same(torch.autograd.grad(y, x, dy)[0], slope)
    y = ft.softmax_dropout(scores, 0.3, False, **more)
    assert same(y, fastdrop.softmax_dropout(array, 0.3, False, **options))


@pytest.mark.parametrize("mask", ["none", "full", "added"])
@pytest.mark.parametrize("dim", [1, 0])
def test_gradients_of_softmax(dim: int, mask: str) -> None:
    scores = normal(3, 5, dtype=torch.float64).requires_grad_()
    seen = None if mask == "none" else masks((3, 5, 1), torch.float64)[mask][..., 0]
    if mask == "added":
        seen = normal(3, 5, dtype=torch.float64, seed=4)
    call = partial(ft.softmax_dropout, p=0.4, dim=dim, mask=seen, scale=0.7, seed=KEY)
    assert gradcheck(call, scores, check_forward_ad=True)
    assert gradgradcheck(call, scores)


def test_an_added_mask_has_a_gradient() -> None:
    scores, mask = (normal(2, 6, dtype=torch.float64, seed=i).requires_grad_() for i in (1, 2))
    mask = mask[:1].detach().requires_grad_()
    assert gradcheck(lambda x, m: ft.softmax_dropout(x, 0.3, mask=m, seed=KEY), (scores, mask))


# --- DropConnect ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize("per_sample", [True, False])
@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_dropconnect_gives_the_values_of_numpy(
    lead: tuple[int, ...], per_sample: bool, dtype: "torch.dtype"
) -> None:
    shapes, options = ((*lead, 70), (9, 70), (9,)), {"per_sample": per_sample, "rng": KEY}
    given = [normal(*shape, dtype=dtype).requires_grad_() for shape in shapes]
    x, w, bias = map(stored, given)
    y = ft.dropconnect_linear(*given, 0.3, per_sample=per_sample, seed=KEY)
    assert same(y, fastdrop.dropconnect_linear(x, w, bias, 0.3, **options))
    dy = normal(*lead, 9, dtype=dtype, seed=2)
    found = torch.autograd.grad(y, given, dy)
    wanted = fastdrop.dropconnect_linear_backward(stored(dy), x, w, 0.3, **options)
    assert all(map(same, found[:2], wanted))
    assert_allclose(found[2], wanted[2], rtol=5e-3)


@pytest.mark.parametrize("per_sample", [True, False])
def test_gradients_of_dropconnect(per_sample: bool) -> None:
    shapes = ((3, 4), (2, 4), (2,))
    operands = tuple(normal(*s, dtype=torch.float64).requires_grad_() for s in shapes)
    call = partial(ft.dropconnect_linear, p=0.4, per_sample=per_sample, seed=KEY)

    def slope(x: "torch.Tensor", w: "torch.Tensor") -> "torch.Tensor":
        return torch.autograd.grad(call(x, w, operands[2]).sin().sum(), w, create_graph=True)[0]

    assert gradcheck(call, operands, check_forward_ad=True)
    assert gradgradcheck(call, operands)
    assert gradcheck(slope, operands[:2])


def test_nothing_to_drop() -> None:
    x, w = normal(3, 4), normal(2, 4)
    with nothing_drawn():
        for options in ({"training": False}, {"p": 0.0}):
            assert torch.equal(ft.dropconnect_linear(x, w, **options), nn.functional.linear(x, w))
            torch.testing.assert_close(ft.softmax_dropout(x, **options), x.softmax(-1))
        assert ft.dropconnect_linear(x[:0], w).shape == (0, 2)
        assert ft.softmax_dropout(x[:0]).shape == (0, 4)
    bias = torch.ones(2)
    assert torch.equal(ft.dropconnect_linear(x, w, bias, 1.0), bias.expand(3, 2))
    assert not ft.softmax_dropout(x, 1.0).any()


@pytest.mark.heavy
def test_opcheck() -> None:
    word, ops = torch.tensor([5, 0, 0]), torch.ops.fastdrop
    x, w, g = (normal(*s, seed=s[1]).requires_grad_() for s in ((3, 4), (2, 4), (3, 2)))
    opcheck(ops.softmax, x, None, word, 0.5, 0.5)
    opcheck(ops.softmax, x, x.detach() > 0, word, 0.5, 0.5)
    opcheck(ops.softmax_backward, x, normal(3, 4).requires_grad_(), None, word, 0.5, 0.5)
    opcheck(ops.dropconnect, x, w, normal(2).requires_grad_(), word, 0.5, False)
    opcheck(ops.dropconnect, x, w, None, word, 0.5, True)
    opcheck(ops.dropconnect_dx, g, w, word, 0.5, False)
    opcheck(ops.dropconnect_dw, g, x, word, 0.5, False)
    opcheck(ops.max_norm_, normal(3, 4), 0.5, (1,))


def test_softmax_module() -> None:
    module = ft.SoftmaxDropout(0.3, dim=1, scale=0.5, seed=7)
    twin, generator = copy.deepcopy(module), fastdrop.Generator(7)
    scores, mask = normal(4, 5, 6), normal(5, 6) > 0
    for _ in range(2):
        wanted = ft.softmax_dropout(scores, 0.3, dim=1, mask=mask, scale=0.5, generator=generator)
        assert torch.equal(module(scores, mask), wanted)
        assert torch.equal(twin(scores, mask), wanted)
    assert repr(module) == "SoftmaxDropout(p=0.3, dim=1, scale=0.5)"
    torch.testing.assert_close(module.eval()(scores), (scores * 0.5).softmax(1))


def test_dropconnect_module() -> None:
    module = ft.DropConnectLinear(6, 3, p=0.3, seed=7)
    plain = nn.Linear(6, 3)
    found = plain.load_state_dict(module.state_dict(), strict=False)
    assert found == ([], ["_extra_state"])  # where the module's own generator stands
    generator, x = fastdrop.Generator(7), normal(5, 6)
    twin = copy.deepcopy(module)
    wanted = ft.dropconnect_linear(x, module.weight, module.bias, 0.3, generator=generator)
    assert torch.equal(module(x), wanted)
    state = {name: tensor * 2 for name, tensor in module.named_parameters()}
    y = torch.func.functional_call(twin, state, (x,))
    torch.testing.assert_close(y, 2 * wanted)
    assert torch.equal(module.eval()(x), plain(x))
    words = "in_features=6, out_features=3, bias=True, p=0.3, per_sample=True"
    assert repr(module) == f"DropConnectLinear({words})"
    with torch.autocast("cpu", torch.bfloat16):
        assert module.train()(x).dtype is torch.bfloat16


# --- max-norm ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, -1, (1, 2), (0, 2), None])
def test_max_norm(dim: Any, dtype: "torch.dtype") -> None:
    before = normal(5, 8, 3, dtype=dtype)
    wanted = fastdrop.max_norm_(stored(before).copy(), 2.0, dim)
    for w in (before.clone(), before.transpose(0, 2).contiguous().transpose(0, 2)):
        version = w._version
        assert ft.max_norm_(w, 2.0, dim) is w
        assert same(w, wanted)
        assert w._version > version


def test_max_norm_and_autograd() -> None:
    layer = nn.Linear(4, 3)
    y = layer(normal(2, 4).requires_grad_()) ** 2
    assert ft.max_norm_(layer.weight, 0.01) is layer.weight
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf
    torch.testing.assert_close(layer.weight.norm(dim=1), torch.full((3,), 0.01))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with torch.inference_mode():
        assert ft.max_norm_(torch.ones(1, 4), 1.0).sum() == 2


def test_max_norm_compiled() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda w: ft.max_norm_(w, 1.0) * 2, backend="aot_eager", fullgraph=True
    )
    w = normal(3, 4)
    wanted = ft.max_norm_(w.clone(), 1.0)
    assert torch.equal(compiled(w), wanted * 2)
    assert torch.equal(w, wanted)


X, W = torch.ones(3, 4), torch.ones(2, 4)

ELSEWHERE = "tensor has to have each element at a place of its own"
NARROW = r"weight has to have the shape \(outputs, 4\) .* but got \(2, 3\)"
BROADCAST = r"mask has to be broadcastable to scores' shape \(3, 4\), but got \(3,\)"
DTYPE = "mask has to be a tensor of dtype torch.bool, or of scores' dtype"
FLAG = "per_sample has to be True or False"
VALUES: list[tuple[Any, str]] = [
    (lambda: ft.softmax_dropout(X, 1.5), "between 0 and 1, but got 1.5"),
    (lambda: ft.softmax_dropout(X, dim=2), "dim has to be an axis of scores"),
    (lambda: ft.softmax_dropout(X[0, 0]), "dim has to be an axis of scores"),
    (lambda: ft.softmax_dropout(X, scale=torch.inf), "scale has to be a finite"),
    (lambda: ft.softmax_dropout(X, scale=torch.nan), "scale has to be a finite"),
    (lambda: ft.softmax_dropout(X, mask=X[:, 0] > 0), BROADCAST),
    (lambda: ft.SoftmaxDropout(2), "between 0 and 1, but got 2"),
    (lambda: ft.DropConnectLinear(3, 4, p=-1), "between 0 and 1, but got -1"),
    (lambda: ft.dropconnect_linear(X, W, None, -1), "between 0 and 1, but got -1"),
    (lambda: ft.dropconnect_linear(X, W[:, :3]), NARROW),
    (lambda: ft.dropconnect_linear(X, W[0, 0]), "weight has to have the shape"),
    (lambda: ft.dropconnect_linear(X, W, W), r"bias has to have the shape \(2,\)"),
    (lambda: ft.dropconnect_linear(X[0, 0], W), "input has to have at least 1 axis"),
    (lambda: ft.max_norm_(X, -1), "c has to be at least 0, but got -1"),
    (lambda: ft.max_norm_(X, 1, 2), "dim has to be an axis of tensor"),
    (lambda: ft.max_norm_(X, 1, (0, 0)), "dim has to name each axis of tensor once"),
    (lambda: ft.max_norm_(torch.ones(1, 4).expand(3, 4), 1), ELSEWHERE),
]
TYPES: list[tuple[Any, str]] = [
    (lambda: ft.softmax_dropout(X.long()), "scores has to be a strided tensor"),
    (lambda: ft.softmax_dropout([1.0]), "scores has to be .* but got list"),
    (lambda: ft.softmax_dropout(X, dim=0.5), "dim has to be an integer"),
    (lambda: ft.softmax_dropout(X, mask=X[0].int()), DTYPE),
    (lambda: ft.softmax_dropout(X, mask=True), "mask has to be a .* got bool"),
    (lambda: ft.softmax_dropout(X, 0.5, "no"), "training has to be True or False"),
    (lambda: ft.SoftmaxDropout(0.5, "x"), "dim has to be an integer"),
    (lambda: ft.DropConnectLinear(3, 4, per_sample=None), FLAG),
    (lambda: ft.dropconnect_linear(X.long(), W), "input has to be a strided tensor"),
    (lambda: ft.dropconnect_linear(X, 1), "weight has to be a strided tensor"),
    (lambda: ft.dropconnect_linear(X, W.double()), "weight has to have input's dtype"),
    (lambda: ft.dropconnect_linear(X, W, "x"), "bias has to be a strided tensor"),
    (lambda: ft.dropconnect_linear(X, W, W[:, 0].long()), "bias has to be a strided tensor"),
    (lambda: ft.dropconnect_linear(X, W, None, 0.5, 2), "training has to be True or"),
    (lambda: ft.dropconnect_linear(X, W, per_sample=None), FLAG),
    (lambda: ft.max_norm_(X.long(), 1), "tensor has to be a strided tensor"),
    (lambda: ft.max_norm_([1.0], 1), "tensor has to be .* but got list"),
]


@pytest.mark.parametrize(
    ("call", "words", "error"),
    [(*row, ValueError) for row in VALUES] + [(*row, TypeError) for row in TYPES],
)
def test_errors(call: Any, words: str, error: type[Exception]) -> None:
    with nothing_drawn(), pytest.raises(error, match=words):
        call()
    assert (X == 1).all()


def test_replace_knows_our_modules() -> None:
    model = torch.nn.Sequential(
        ft.DropConnectLinear(6, 5), ft.SoftmaxDropout(), torch.nn.Dropout(0.1)
    )
    report = ft.replace(model)
    assert report.replaced == ("2",)
    assert report.left == {}
