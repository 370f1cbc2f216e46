"""`mc_dropout`: only dropout is on, wherever it is found, and nothing stays changed."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from on_torch import left_alone, nothing_drawn  # noqa: E402
from torch import fx, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402


class Calls(nn.Module):
    """A module that only calls a function, in which there may be another module."""

    def __init__(self, function: Callable[[Any], Any], inner: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.inner = function, inner

    def forward(self, x: Any) -> Any:
        return self.function(x)


def network() -> nn.Sequential:
    first = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.ReLU()
    return nn.Sequential(*first, ft.Dropout(0.5), nn.Linear(6, 3))


def outputs(model: nn.Module, *arguments: Any, **more: Any) -> tuple[Any, list[Any]]:
    """The result, and the samples that it is made of."""
    found: list[Any] = []
    with model.register_forward_hook(lambda _, __, y: found.append(y.double().numpy())):
        return ft.mc_dropout(model, *arguments, **more), found


@pytest.mark.parametrize("training", [True, False])
def test_only_dropout_is_on(training: bool) -> None:
    model, on = network().train(training), set()
    model[2].train(not training)
    for name, module in model.named_modules():
        module.register_forward_hook(lambda m, *_, name=name: on.add(name) if m.training else None)
    with left_alone(model):
        result, samples = outputs(model, torch.randn(4, 6), 20, seed=1)
    assert on == {"2", "4"}
    assert not result.mean.requires_grad
    assert result.samples == len(samples) == 20
    assert (np.std(samples, axis=0) > 0).any()
    np.testing.assert_allclose(result.mean.numpy(), np.mean(samples, axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.std.numpy(), np.std(samples, axis=0), rtol=1e-12, atol=1e-14)
    assert result.entropy is result.mutual_information is None


def test_an_exception_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Dropout(0.5), Calls(lambda x: 1 / 0)).eval()  # noqa: ARG005
    model[1].train()
    with left_alone(model), nothing_drawn(), pytest.raises(ZeroDivisionError):
        ft.mc_dropout(model, torch.ones(3), 2, seed=1)


def test_seeds() -> None:
    model, x = network(), torch.randn(4, 6)
    with nothing_drawn():
        runs = [outputs(model, x, samples, seed=2**64 - 1)[1] for samples in (3, 3, 5)]
    for one, other, longer in zip(*runs, strict=False):
        assert np.array_equal(one, other)
        assert np.array_equal(one, longer)
    first, second = (ft.mc_dropout(model, x, 2) for _ in range(2))
    assert not torch.equal(first.mean, second.mean)


def test_probabilities() -> None:
    """Certain of one class or the other, by a coin."""
    model = nn.Sequential(
        ft.Dropout(0.5), Calls(lambda x: torch.stack([x > 0, x == 0], -1).double())
    )
    result = ft.mc_dropout(model, torch.ones(500), 200, seed=1, probabilities=True)
    assert result.entropy.shape == (500,)
    assert abs(float(result.entropy.mean()) - math.log(2)) < 0.02
    assert torch.equal(result.entropy, result.mutual_information)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"samples": 0}, ValueError, "samples has to be at least 1, but got 0"),
        ({"samples": 2.0}, TypeError, "samples has to be an integer, but got float"),
        ({"seed": -1}, ValueError, "seed has to be between 0"),
        ({"seed": "x"}, TypeError, "seed has to be an integer, but got str"),
        ({"probabilities": "yes"}, TypeError, "probabilities has to be True or False, but got str"),
        ({"model": abs}, TypeError, "model has to be a torch.nn.Module, but got builtin"),
    ],
)
def test_errors(arguments: dict, error: type, words: str) -> None:
    with nothing_drawn(), pytest.raises(error, match=words):
        ft.mc_dropout(**{"model": nn.Dropout(0.5), "x": torch.ones(3), **arguments})


BAD: dict[Any, tuple[type[Exception], str]] = {
    "abc": (TypeError, "has to be a tensor of real numbers, but got str"),
    torch.ones(2).cfloat(): (TypeError, "real numbers, but got torch.complex"),
    torch.tensor([0.5, 0.6]): (ValueError, "has to be probabilities, .* other numbers"),
    torch.tensor([1.5, -0.5]): (ValueError, "has to be probabilities, .* other numbers"),
    torch.tensor([math.nan, 1]): (ValueError, "has to be probabilities, .* other numbers"),
    torch.tensor(1.0): (ValueError, "has to be probabilities, .* a single number"),
}


@pytest.mark.parametrize("result", BAD)
def test_bad_results(result: Any) -> None:
    error, words = BAD[result]
    with pytest.raises(error, match=words):
        ft.mc_dropout(Calls(lambda _: result), 0, 2, probabilities=error is ValueError)


def test_results_of_two_shapes() -> None:
    results = iter([torch.ones(1), torch.ones(2)])
    with pytest.raises(ValueError, match=r"the same shape .*, but got \(2,\) after \(1,\)"):
        ft.mc_dropout(Calls(lambda _: next(results)), 0, 2)


# --- what is found -------------------------------------------------------------------------------


class DropPath(nn.Module):
    """As in timm: no subclass of PyTorch's dropout."""

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return x * torch.empty(len(x), 1).bernoulli_(0.5) * 2 if self.training else x


class Functional(nn.Module):
    """A block that calls the function, with batch normalisation inside."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.dropout(self.norm(x), 0.5, self.training)


class Holds(nn.Module):
    """Dropout as a child, for what is derived from it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)


class PassedOn(Holds):
    """Attention as in Transformers and timm: the probability is a child's."""

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        p = self.dropout.p if self.training else 0.0
        return F.scaled_dot_product_attention(x, x, x, dropout_p=p)


class Helped(nn.Module):
    """Its `forward` leaves the work to a method."""

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.work(x)

    def work(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.dropout1d(x[None], 0.5, self.training)[0]


class Skeleton(nn.Module):
    """Its `forward` leaves the work to what is derived from it."""

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.work(x)


class Derived(Skeleton):
    """In a function within its method, too."""

    def work(self, x: "torch.Tensor") -> "torch.Tensor":
        drop = lambda y: F.dropout(y, 0.5, self.training)  # noqa: E731
        return drop(x)


def between(module: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 8), module, nn.BatchNorm1d(8), nn.Linear(8, 2)).eval()


def first(module: nn.Module, times: int = 1) -> nn.Module:
    """The first of what a module gives for so many times the same."""
    return Calls(lambda x: module(*[x] * times)[0], module).eval()


def drops() -> nn.Sequential:
    return between(nn.Dropout(0.5))


X = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))

FOUND = {
    "module": drops,
    "own generator": lambda: between(ft.Dropout(0.5, seed=1)),
    "own generator of PyTorch's": lambda: between(ft.Dropout(0.5, generator=torch.Generator())),
    "scripted": lambda: torch.jit.script(drops()),
    "scripted function": lambda: torch.jit.script(between(Functional())),
    "part scripted": lambda: between(torch.jit.script(nn.Dropout(0.5))),
    "traced in training": lambda: torch.jit.trace(drops().train(), X, check_trace=False),
    "foreign": lambda: between(DropPath()),
    "function": lambda: between(Functional()),
    "passed on": lambda: between(PassedOn()),
    "in a method": lambda: between(Helped()),
    "in a method of a derived class": lambda: between(Derived()),
    "fx": lambda: fx.symbolic_trace(drops()),
    "compiled": lambda: torch.compile(between(Functional()), backend="eager"),
    "parametrized": lambda: between(nn.utils.parametrizations.weight_norm(WeightDrop(8, 8))),
    "encoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.5), 2).eval(),
    "attention": lambda: first(nn.MultiheadAttention(8, 2, 0.5), 3),
    "LSTM": lambda: first(nn.LSTM(8, 8, 2, dropout=0.5)),
    "DropConnect": lambda: between(ft.DropConnectLinear(8, 8)),
    "softmax": lambda: between(ft.SoftmaxDropout()),
}


class WeightDrop(nn.Linear):
    """DropConnect, on weights that have a parametrization."""

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.linear(x, F.dropout(self.weight, 0.5, self.training), self.bias)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(
    ("name", "replaced"),
    [*((name, False) for name in FOUND), ("encoder", True), ("attention", True), ("LSTM", True)],
)
def test_dropout_is_found(name: str, replaced: bool) -> None:
    model = FOUND[name]()
    if replaced:
        ft.replace(model)
    # The one that was traced in training has batch normalisation in training for ever.
    with nullcontext() if name == "traced in training" else left_alone(model):
        result = ft.mc_dropout(model, X, 10, seed=1)  # a warning is an error
    assert (result.std > 0).any()
    if "own" not in name:
        assert torch.equal(ft.mc_dropout(model, X, 10, seed=1).std, result.std)


class Fixed(nn.Module):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.dropout(x, 0.5, training=False)


def traced(model: nn.Module) -> Any:
    return torch.jit.trace(model.eval(), X)


NO_MODULE, NO_NUMBER = "No module was found whose dropout", "drew no random number"
ITSELF, OFF = r"the model itself \(Sequential\)", "was traced or frozen in evaluation"

NOTHING = {
    "no dropout": (lambda: between(nn.ReLU()), NO_MODULE),
    "off in the code": (lambda: between(Fixed()), NO_MODULE),
    "p is 0": (lambda: between(nn.Dropout(0.0)), r"training were: 1 \(Dropout\); see whether"),
    "never called": (
        lambda: Calls(lambda x: x, nn.Dropout(0.5)),
        r"training were: inner \(Dropout\); see whether they are ca",
    ),
    "traced in evaluation": (lambda: traced(drops()), f"{ITSELF} {OFF}"),
    "part traced": (
        lambda: between(traced(nn.Dropout(0.5))),
        rf"1 \(Dropout\) {OFF}: do that in training",
    ),
    "frozen": (lambda: torch.jit.freeze(torch.jit.script(drops())), NO_NUMBER),
    "fx of a function": (
        lambda: fx.symbolic_trace(between(Functional())),
        f"{ITSELF} was traced in evaluation",
    ),
    "exported": (lambda: torch.export.export(drops(), (X,)).module(), NO_NUMBER),
}


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.filterwarnings("ignore::FutureWarning:torch.*")
def test_certainty_is_not_in_silence(name: str, samples: int) -> None:
    make, words = NOTHING[name]
    model = make()
    with pytest.warns(UserWarning, match=words) as caught:
        result = ft.mc_dropout(model, X, samples)
    assert "drew no random number" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not result.std.any()


def test_a_part_that_is_off_for_good_is_named_beside_others_that_drop() -> None:
    model = nn.Sequential(nn.Dropout(0.5), traced(nn.Dropout(0.5)))
    with pytest.warns(UserWarning, match=r"^mc_dropout: 1 \(Dropout\) was traced or frozen"):
        assert ft.mc_dropout(model, X, 3).std.any()


def test_draws_that_change_nothing() -> None:
    drop = nn.Dropout(0.5)
    with pytest.warns(UserWarning, match="drew random numbers, but all samples are equal"):
        ft.mc_dropout(Calls(lambda x: x + 0 * drop(x), drop), torch.ones(3), 3)


def test_randomness_that_no_generator_knows_of() -> None:
    own = fastdrop.Generator(1)
    coins = Calls(lambda x: torch.from_numpy(fastdrop.dropout(x.numpy(), rng=own)))
    assert ft.mc_dropout(coins, torch.ones(100), 5).std.any()  # a warning is an error


# --- modules that do more in training than drop --------------------------------------------------


class Auxiliary(Holds):
    """As in Inception: another result in training."""

    def forward(self, x: "torch.Tensor") -> Any:
        y = self.dropout(x)
        return (y, x) if self.training else y


class Counts(Holds):
    """Statistics of its own beside dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        if self.training:
            self.mean.lerp_(x.mean(0), 0.1)
        return self.dropout(x - self.mean)


class Refuses(Holds):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        if self.training:
            raise ValueError("targets should not be none when in training mode")
        return self.dropout(x)


@pytest.mark.parametrize("kind", [Auxiliary, Counts, Refuses])
def test_modules_that_do_more_in_training(kind: type[nn.Module]) -> None:
    model = kind().eval()
    words = rf"the model itself \({kind.__name__}\) was left in eval"
    with left_alone(model), pytest.warns(UserWarning, match=words):
        result = ft.mc_dropout(model, X, 10, seed=1)
    assert (result.std > 0).any()
    plain = ft.mc_dropout(nn.Sequential(nn.Dropout(0.5)), X, 10, seed=1)
    assert torch.equal(plain.mean, result.mean), "the first attempt leaves no draw behind"


@pytest.mark.outside
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_transformers(name: str, attention: str) -> None:
    inner: Any = outside.model(name)
    inner.set_attn_implementation(attention)
    model = Calls(lambda ids: inner(ids).logits, inner).eval()
    ids = torch.randint(50, (2, 7), generator=torch.Generator().manual_seed(1))
    result = ft.mc_dropout(model, ids, 5, seed=1)
    assert (result.std > 0).any()
    assert not any(m.training for m in model.modules())
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and not name.endswith(("attn_dropout", "self.dropout")):
            module.p = 0.0
    assert (ft.mc_dropout(model, ids, 5, seed=1).std > 0).any(), "attention drops too"


@pytest.mark.outside
def test_timm() -> None:
    timm = outside.timm()
    model = timm.create_model(
        "convnext_atto", num_classes=3, drop_path_rate=0.5, conv_mlp=False
    ).eval()
    model.get_classifier().weight.data.normal_()
    result = ft.mc_dropout(model, torch.randn(2, 3, 64, 64), 4, seed=1)
    assert (result.std > 0).any()
