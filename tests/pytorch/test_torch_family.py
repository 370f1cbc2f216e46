"""Alpha dropout and the family beyond PyTorch: its values, and every kind of gradient."""

import copy
from typing import Any

import numpy as np
import pytest
from cases import PLAIN

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import finite  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")

IMAGES, VOLUMES = (2, 3, 6, 5), (2, 2, 4, 3, 5)
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    **{variant.function: ((3, 2, 4), {"training": True}) for variant in PLAIN},
    "feature_alpha_dropout": ((2, 3, 4), {"training": True}),
    "drop_path": ((5, 3, 2), {}),
    "variational_dropout": ((2, 3, 4), {"time_axis": 1}),
    "drop_block1d": ((2, 3, 7), {"block_size": 3}),
    "drop_block2d": (IMAGES, {"block_size": 2}),
    "drop_block3d": (VOLUMES, {"block_size": 2}),
    "embedding_dropout": ((9, 3), {}),
    "gaussian_noise": ((4, 3, 2), {}),
}
PARAMETERS = ("embedding_dropout", "drop_connect")
"""Of what optimizers learn, which nobody writes to in place."""
KEY = fastdrop.Key(5, 6, 4096)


def call(name: str, x: "torch.Tensor", p: float = 0.4, **more: Any) -> "torch.Tensor":
    return getattr(ft, name)(x, p, **{**CASES[name][1], "seed": KEY, **more})


def data(name: str, dtype: "torch.dtype" = torch.float32) -> "torch.Tensor":
    generator = torch.Generator().manual_seed(1)
    return torch.randn(CASES[name][0], generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_numpy(name: str, dtype: "torch.dtype") -> None:
    x = data(name, dtype)
    wanted = getattr(fastdrop, name)(x.numpy(), 0.4, rng=KEY, **CASES[name][1])
    assert call(name, x).numpy().tobytes() == wanted.tobytes()
    strided = x.transpose(0, -1).contiguous().transpose(0, -1)
    y = call(name, strided)
    assert y.stride() == strided.stride()
    assert torch.equal(y, torch.from_numpy(wanted))


@pytest.mark.parametrize("name", CASES)
def test_bfloat16(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = data(name, torch.bfloat16)
    array = x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    wanted = getattr(fastdrop, name)(array, 0.4, rng=KEY, **CASES[name][1])
    assert call(name, x).view(torch.uint16).numpy().tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", [n for n in CASES if n not in PARAMETERS])
def test_in_place(name: str) -> None:
    x = data(name)
    wanted, version = call(name, x), x._version
    assert call(name, x, inplace=True) is x
    assert torch.equal(x, wanted)
    assert x._version > version


@pytest.mark.parametrize("name", CASES)
def test_nothing_to_drop(name: str) -> None:
    x = data(name)
    state = torch.get_rng_state()
    assert call(name, x, training=False) is x
    assert call(name, x, 0.0) is x
    empty = x[:0]
    assert call(name, empty) is empty
    assert torch.equal(torch.get_rng_state(), state)
    if name.startswith("gaussian"):
        return  # they know no p of 1, or have another use for the number
    wanted = getattr(fastdrop, name)(x.numpy(), 1.0, rng=KEY, **CASES[name][1])
    assert call(name, x, 1.0).numpy().tobytes() == wanted.tobytes()
    assert "block" in name or len(np.unique(wanted)) == 1, "blocks meet: some elements are left"


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    x = data(name, torch.float64).requires_grad_()
    assert gradcheck(
        lambda x: finite(call(name, x)),
        x,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(lambda x: finite(call(name, x)) ** 2, x)


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("name", CASES)
def test_vmap(name: str, randomness: str) -> None:
    x = torch.ones(8, *[4 * n for n in CASES[name][0]])
    y = torch.func.vmap(lambda x: call(name, x, 0.5, seed=None), randomness=randomness)(x)
    different = {sample.numpy().tobytes() for sample in y}
    assert len(different) == (1 if randomness == "same" else 8)
    torch.manual_seed(1)
    g = torch.func.vmap(
        torch.func.grad(lambda x: call(name, x, 0.5, seed=None).sum()), randomness=randomness
    )(x)
    assert g.shape == x.shape


@pytest.mark.parametrize("name", CASES)
def test_compiled_as_eager(name: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda x: call(name, x, seed=None), backend="aot_eager", fullgraph=True
    )
    x = data(name).requires_grad_()
    results = []
    for function in (lambda x: call(name, x, seed=None), compiled):
        torch.manual_seed(1)
        y = function(x)
        results.append((y, *torch.autograd.grad(y.sum(), x)))
    assert all(map(torch.equal, *results))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "rule",
    [
        "alpha_dropout",
        "alpha_dropout_backward",
        "kept",
        "gaussian_dropout",
        "gaussian_noise",
    ],
)
def test_opcheck(rule: str) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    arguments = (x, torch.tensor([5, 0, 0]), 0.5, rule, None)
    assert set(torch.library.opcheck(torch.ops.fastdrop.draw, arguments).values()) == {"SUCCESS"}


# --- alpha dropout beside PyTorch's --------------------------------------------------------------


@pytest.mark.parametrize("p", [-0.1, 1.1, "0.5", 0.0, 0.5, 1.0])
@pytest.mark.parametrize("dims", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_refuses_what_pytorch_refuses(name: str, dims: int, p: Any) -> None:
    outcomes = []
    for module in (ft, nn.functional):
        try:
            outcomes.append(getattr(module, name)(torch.ones((2, 3, 4)[:dims]), p, True).shape)
        except Exception as error:
            outcomes.append((type(error), str(error).partition("\n")[0]))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_computes_pytorchs_values(name: str) -> None:
    x = torch.full((50, 40, 2), 0.25)
    ours, theirs = (getattr(m, name)(x, 0.3, True) for m in (ft, nn.functional))
    assert torch.allclose(ours.unique(), theirs.unique(), atol=1e-6)
    assert getattr(ft, name)(x) is x, "evaluation is the default"


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_modules(name: str) -> None:
    ours, theirs = (getattr(m, name)(0.25, True) for m in (ft, nn))
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    x = torch.ones(3, 4)
    for module in (ours, theirs):
        module(x)
        assert (x == 1).all(), "`inplace` has no effect"
        assert module.eval()(x) is x
    model = nn.Sequential(nn.SELU(), theirs)
    assert ft.replace(model).replaced == ("1",)
    assert type(model[1]) is type(theirs)
    results = []
    for module in (ours, model[1]):
        torch.manual_seed(3)
        results.append(module.train()(torch.ones(3, 4)))
    assert torch.equal(*results)


# --- zoneout -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
def test_zoneout() -> None:
    new, old = torch.randn(2, 5000)
    wanted = fastdrop.zoneout(new.numpy(), old.numpy(), 0.3, rng=KEY)
    assert np.array_equal(ft.zoneout(new, old, 0.3, seed=KEY).numpy(), wanted)
    wanted = fastdrop.zoneout(new.numpy(), old.numpy(), 0.3, False)
    assert np.array_equal(ft.zoneout(new, old, 0.3, False).numpy(), wanted)
    assert torch.equal(ft.zoneout(new, old, 1.0), old)
    assert ft.zoneout(new, old, 0.0) is new
    old[0] = torch.nan
    y = ft.zoneout(new, old, 0.3, seed=4)
    assert int(y.isnan().sum()) == int(not fastdrop.dropout_mask(5000, 0.3, rng=4)[0])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_gradients_of_zoneout() -> None:
    states = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    new, old = (s.detach().requires_grad_() for s in states)
    for training in (True, False):
        assert gradcheck(
            lambda a, b, t=training: ft.zoneout(a, b, 0.4, t, seed=3),
            (new, old),
            check_forward_ad=True,
        )
    assert gradgradcheck(lambda a, b: ft.zoneout(a, b, 0.4, seed=3) ** 2, (new, old))


def test_zoneout_draws_one_mask_for_both_states() -> None:
    new, old = torch.ones(10, 100), torch.zeros(10, 100)
    for module in (
        ft.Zoneout(0.5),
        torch.compile(ft.Zoneout(0.5), backend="eager", fullgraph=True),
    ):
        torch.manual_seed(1)
        y = module(new, old)
        torch.manual_seed(1)
        assert torch.equal(y, ft.dropout(new, 0.5) / 2)
    y = torch.func.vmap(lambda a, b: ft.zoneout(a, b, 0.5), randomness="different")(new, old + 2)
    assert set(y.unique().tolist()) == {1.0, 2.0}
    assert len({row.numpy().tobytes() for row in y}) == 10


# --- Gaussian dropout ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_gaussian_noise_may_be_shared_by_samples(dtype: "torch.dtype") -> None:
    x = torch.randn(5, 40, 30).to(dtype)
    y = torch.func.vmap(lambda x: ft.gaussian_dropout(x, 0.3, seed=KEY))(x)
    for sample, of in zip(y, x, strict=True):
        assert torch.equal(sample, ft.gaussian_dropout(of, 0.3, seed=KEY))


# --- modules -------------------------------------------------------------------------------------

MODULES = {
    "StochasticDepth": ((5, 3), "drop_path", {"mode": "batch"}),
    "VariationalDropout": ((4, 3, 2), "variational_dropout", {"time_axis": 0}),
    **{str(variant.layer): ((10, 5), variant.function, {}) for variant in PLAIN},
    "GaussianNoise": ((4, 3), "gaussian_noise", {}),
    "DropBlock1d": ((2, 3, 7), "drop_block1d", {"block_size": 3}),
    "DropBlock2d": (IMAGES, "drop_block2d", {"block_size": 3}),
    "DropBlock3d": (VOLUMES, "drop_block3d", {"block_size": 2}),
    "FeatureAlphaDropout": ((5, 7, 2), "feature_alpha_dropout", {}),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    shape, function, keywords = MODULES[name]
    x = torch.ones(shape)
    module = getattr(ft, name)(0.5, **keywords, seed=7)
    twin = copy.deepcopy(module)
    generator = fastdrop.Generator(7)
    for _ in range(3):
        y = getattr(ft, function)(x, 0.5, training=True, generator=generator, **keywords)
        assert torch.equal(module(x), y)
        assert torch.equal(twin(x), y)
    assert list(module.state_dict()) == ["_extra_state"]  # where its generator stands
    assert getattr(ft, name)(0.5, **keywords).state_dict() == {}
    assert module.eval()(x) is x
    assert repr(module).startswith((f"{name}(p=0.5", f"{name}(std=0.5"))
    network = nn.Sequential(getattr(ft, name)(0.5, **keywords), nn.Sigmoid())
    result = ft.mc_dropout(network, torch.rand(shape), 8)
    assert (result.std > 0).any()


def test_embedding() -> None:
    torch.manual_seed(0)
    words = ft.EmbeddingDropout(50, 4, 0.5, padding_idx=3, seed=7)
    plain = nn.Embedding(50, 4, padding_idx=3)
    found = plain.load_state_dict(words.state_dict(), strict=False)
    assert found == ([], ["_extra_state"])  # where the module's own generator stands
    indices = torch.arange(50).repeat(2, 1)
    keep = torch.from_numpy(fastdrop.dropout_mask((50, 1), 0.5, rng=7))
    y = words(indices)
    assert torch.equal(y[0], y[1])
    assert torch.equal(y[0], plain.weight * keep * 2)
    y.sum().backward()
    wanted = (4.0 * keep).expand(50, 4).clone()
    wanted[3] = 0
    assert torch.equal(words.weight.grad, wanted)
    assert torch.equal(words.eval()(indices), plain(indices))
    assert repr(words) == "EmbeddingDropout(50, 4, padding_idx=3, p=0.5)"


# --- errors --------------------------------------------------------------------------------------

X = torch.ones(2, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ft.drop_path(X, 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: ft.drop_path(X, mode="rows"), ValueError, "mode has to be .row. or .batch."),
        (lambda: ft.drop_path(torch.ones(())), ValueError, "input has to have at least 1 axis"),
        (lambda: ft.drop_path(X, 0.5, "no"), TypeError, "training has to be True or False"),
        (
            lambda: ft.drop_path(X.long()),
            TypeError,
            "input has to be a strided tensor .* torch.int64",
        ),
        (lambda: ft.drop_path([1.0]), TypeError, "input has to be a strided tensor .* got list"),
        (lambda: ft.drop_path(X.to("meta")), TypeError, "input has to be .* device meta"),
        (
            lambda: ft.variational_dropout(X, time_axis=3),
            ValueError,
            r"time_axis has to be an axis of input, which has shape \(2, 3, 4\), but got 3",
        ),
        (
            lambda: ft.variational_dropout(X, time_axis=1.0),
            TypeError,
            "time_axis has to be an integer",
        ),
        (lambda: ft.drop_block2d(X[0]), ValueError, "input has to have 3 or 4 axes"),
        (lambda: ft.drop_block1d(X[0, 0]), ValueError, "input has to have 2 or 3 axes"),
        (lambda: ft.drop_block2d(X, block_size=0), ValueError, "block_size has to be at least 1"),
        (lambda: ft.drop_block3d(X), ValueError, "input has to have 4 or 5 axes"),
        (lambda: ft.embedding_dropout(X), ValueError, "table has to have 2 axes"),
        (lambda: ft.embedding_dropout(X[0].long()), TypeError, "table has to be a strided tensor"),
        (lambda: ft.zoneout(X, X[0]), ValueError, r"h_old has to have h_new's shape \(2, 3, 4\)"),
        (
            lambda: ft.zoneout(X, X.double()),
            TypeError,
            "h_old has to have h_new's dtype torch.float32",
        ),
        (lambda: ft.zoneout(X, 1), TypeError, "h_old has to be a strided tensor"),
        (lambda: ft.zoneout(X.long(), X.long()), TypeError, "h_new and h_old has to be|h_new"),
        (lambda: ft.gaussian_dropout(X, 1.0), ValueError, "p has to be less than 1"),
        (lambda: ft.gaussian_dropout(X, 1, False), ValueError, "p has to be less than 1"),
        (lambda: ft.gaussian_noise(X, -1.0), ValueError, "std has to be at least 0, but got -1"),
        (lambda: ft.gaussian_noise(X, float("inf")), ValueError, "std has to be a finite number"),
        (lambda: ft.gaussian_noise(X, "1"), TypeError, "std has to be a real number"),
        (lambda: ft.GaussianNoise(-1.0), ValueError, "std has to be at least 0, but got -1"),
        (lambda: ft.drop_connect([1.0]), TypeError, "weight has to be a strided tensor"),
        (lambda: ft.attention_dropout(X.long()), TypeError, "weights has to be a strided tensor"),
        (lambda: ft.gaussian_dropout(X.long()), TypeError, "input has to be a strided tensor"),
        (lambda: ft.GaussianDropout(1.0), ValueError, "p has to be less than 1"),
        (lambda: ft.GaussianDropout(-1), ValueError, "between 0 and 1, but got -1"),
        (lambda: ft.StochasticDepth(2), ValueError, "between 0 and 1, but got 2"),
        (lambda: ft.StochasticDepth(0.5, "rows"), ValueError, "mode has to be"),
        (lambda: ft.DropBlock2d(0.5, 0), ValueError, "block_size has to be at least 1"),
        (lambda: ft.VariationalDropout(0.5, "x"), TypeError, "time_axis has to be an integer"),
        (lambda: ft.Zoneout(float("nan")), ValueError, "between 0 and 1, but got nan"),
        (
            lambda: ft.EmbeddingDropout(3, 4, max_norm=1.0),
            ValueError,
            "max_norm has to be left out, but got 1.0",
        ),
        (lambda: ft.EmbeddingDropout(3, 4, 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: ft.EmbeddingDropout(3, 4, sparse=True), ValueError, "sparse has to be left out"),
    ],
)
def test_errors(call: Any, error: type, words: str) -> None:
    state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        call()
    assert torch.equal(torch.get_rng_state(), state)
    assert (X == 1).all()
