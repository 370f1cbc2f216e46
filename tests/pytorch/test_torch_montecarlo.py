"""`mc_dropout`: only dropout is on, and nothing stays changed."""

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


class Spy(nn.Module):
    """Notes which modules were training when it ran."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.outputs: list[Any] = []
        self.training_modules: set[str] = set()

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        self.training_modules = {n for n, m in self.model.named_modules() if m.training}
        self.outputs.append(self.model(x).detach().clone())
        return self.outputs[-1]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 6),
        nn.BatchNorm1d(6),
        nn.Dropout(0.5),
        nn.ReLU(),
        ft.Dropout(0.5),
        nn.Linear(6, 3),
    )


@pytest.mark.parametrize("training", [True, False])
def test_only_dropout_is_on(training: bool) -> None:
    spy = Spy(network()).train(training)
    spy.model[2].train(not training)
    before = [(m, m.training) for m in spy.modules()]
    state = {k: v.clone() for k, v in spy.state_dict().items()}
    result = ft.mc_dropout(spy, torch.randn(4, 6), 20, seed=1)
    assert spy.training_modules == {"2", "4"}
    assert [(m, m.training) for m in spy.modules()] == before
    assert all(torch.equal(v, spy.state_dict()[k]) for k, v in state.items())
    assert not result.mean.requires_grad

    samples = np.stack([y.double().numpy() for y in spy.outputs])
    assert result.samples == len(samples) == 20
    assert (samples.std(axis=0) > 0).any()
    np.testing.assert_allclose(result.mean.numpy(), samples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.std.numpy(), samples.std(axis=0), rtol=1e-12, atol=1e-14)
    assert result.entropy is result.mutual_information is None


def test_an_exception_leaves_the_model_as_it_was() -> None:
    class Fails(nn.Module):
        def forward(self, x: "torch.Tensor") -> "torch.Tensor":  # noqa: ARG002
            raise ArithmeticError

    model = nn.Sequential(nn.Dropout(0.5), Fails()).eval()
    model[1].train()
    state = torch.get_rng_state()
    with pytest.raises(ArithmeticError):
        ft.mc_dropout(model, torch.ones(3), 2, seed=1)
    assert [m.training for m in model.modules()] == [False, False, True]
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds() -> None:
    model, x = network(), torch.randn(4, 6)
    state = torch.get_rng_state()
    spies = [Spy(model) for _ in range(3)]
    for spy, samples in zip(spies, (3, 3, 5), strict=True):
        ft.mc_dropout(spy, x, samples, seed=2**64 - 1)
    assert torch.equal(torch.get_rng_state(), state)
    for one, other, longer in zip(*(spy.outputs for spy in spies), strict=False):
        assert torch.equal(one, other)
        assert torch.equal(one, longer)
    first = ft.mc_dropout(model, x, 2)
    assert not torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(ft.mc_dropout(model, x, 2).mean, first.mean)


MODELS = {
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True), 2
    ),
    "attention": lambda: Attention(),
    "lstm": lambda: First(nn.LSTM(8, 8, 2, dropout=0.5)),
}


class First(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *arguments: "torch.Tensor") -> "torch.Tensor":
        return self.model(*arguments)[0]


class Attention(First):
    def __init__(self) -> None:
        super().__init__(nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.model(x, x, x)[0]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_dropout_inside_pytorchs_modules(name: str, replaced: bool) -> None:
    model = MODELS[name]().eval()
    if replaced:
        ft.replace(model)
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        before = model(x)
    result = ft.mc_dropout(model, x, 4, seed=1)
    assert (result.std > 0).any()
    with torch.no_grad():
        assert torch.equal(model(x), before)


def test_a_model_without_dropout_has_no_spread() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.LSTM(3, 3, 2), nn.Identity())[:2]
    with pytest.warns(UserWarning, match="drew no random number.* No module was found"):
        result = ft.mc_dropout(model, torch.randn(4, 3), 3)
    assert (result.std == 0).all()


def test_probabilities() -> None:
    class Coin(nn.Module):
        """Certain of one class or the other, by a coin."""

        def __init__(self) -> None:
            super().__init__()
            self.drop = ft.Dropout(0.5)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            heads = self.drop(x) > 0
            return torch.stack([heads, ~heads], -1).double()

    result = ft.mc_dropout(Coin(), torch.ones(500), 200, seed=1, probabilities=True)
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
    state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        ft.mc_dropout(**{"model": nn.Dropout(0.5), "x": torch.ones(3), **arguments})
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("result", "probabilities", "error", "words"),
    [
        ("abc", False, TypeError, "has to be a tensor of real numbers, but got str"),
        (
            torch.ones(2, dtype=torch.cfloat),
            False,
            TypeError,
            "real numbers, but got torch.complex",
        ),
        (torch.tensor([0.5, 0.6]), True, ValueError, "has to be probabilities, .* other numbers"),
        (torch.tensor([1.5, -0.5]), True, ValueError, "has to be probabilities, .* other numbers"),
        (
            torch.tensor([math.nan, 1]),
            True,
            ValueError,
            "has to be probabilities, .* other numbers",
        ),
        (torch.tensor(1.0), True, ValueError, "has to be probabilities, .* a single number"),
    ],
)
def test_bad_results(result: Any, probabilities: bool, error: type, words: str) -> None:
    class Bad(nn.Module):
        def forward(self, x: Any) -> Any:  # noqa: ARG002
            return result

    with pytest.raises(error, match=words):
        ft.mc_dropout(Bad(), 0, 2, probabilities=probabilities)


def test_results_of_two_shapes() -> None:
    class Grows(nn.Module):
        def forward(self, x: list) -> "torch.Tensor":
            x.append(1.0)
            return torch.tensor(x)

    with pytest.raises(ValueError, match=r"the same shape .*, but got \(2,\) after \(1,\)"):
        ft.mc_dropout(Grows(), [], 3)
