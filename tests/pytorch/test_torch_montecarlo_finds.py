"""`mc_dropout` finds dropout that is no module of PyTorch's, and says where it finds none."""

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from torch import fx, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402


class DropPath(nn.Module):
    """As in timm: no subclass of PyTorch's dropout."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        if not self.training:
            return x
        return x * torch.empty(x.shape[0], 1).bernoulli_(1 - self.p) / (1 - self.p)


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
    def work(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.dropout(x, 0.5, self.training)


def between(module: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 8), module, nn.BatchNorm1d(8), nn.Linear(8, 2)).eval()


X = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))

FOUND = {
    "module": lambda: between(nn.Dropout(0.5)),
    "own generator": lambda: between(ft.Dropout(0.5, seed=1)),
    "own generator of PyTorch's": lambda: between(ft.Dropout(0.5, generator=torch.Generator())),
    "scripted": lambda: torch.jit.script(between(nn.Dropout(0.5))),
    "scripted function": lambda: torch.jit.script(between(Functional())),
    "part scripted": lambda: between(torch.jit.script(nn.Dropout(0.5))),
    "traced in training": lambda: torch.jit.trace(
        between(nn.Dropout(0.5)).train(), X, check_trace=False
    ),
    "foreign": lambda: between(DropPath()),
    "function": lambda: between(Functional()),
    "passed on": lambda: between(PassedOn()),
    "in a method": lambda: between(Helped()),
    "in a method of a derived class": lambda: between(Derived()),
    "fx": lambda: fx.symbolic_trace(between(nn.Dropout(0.5))),
    "compiled": lambda: torch.compile(between(Functional()), backend="eager"),
    "parametrized": lambda: between(nn.utils.parametrizations.weight_norm(WeightDrop())),
}


class WeightDrop(nn.Linear):
    """DropConnect, on weights that have a parametrization."""

    def __init__(self) -> None:
        super().__init__(8, 8)

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.linear(x, F.dropout(self.weight, 0.5, self.training), self.bias)


@pytest.mark.parametrize("name", FOUND)
def test_dropout_is_found(name: str) -> None:
    model = FOUND[name]()
    before = {n: m.training for n, m in model.named_modules()}
    state = {k: v.clone() for k, v in model.state_dict().items()}
    result = ft.mc_dropout(model, X, 10, seed=1)  # a warning is an error
    assert (result.std > 0).any()
    assert {n: m.training for n, m in model.named_modules()} == before
    if name != "traced in training":  # which has batch normalisation in training for ever
        assert all(torch.equal(v, state[k]) for k, v in model.named_buffers())
    if "own" not in name:
        assert torch.equal(ft.mc_dropout(model, X, 10, seed=1).std, result.std)


class Uncalled(Holds):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return x


class Fixed(nn.Module):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return F.dropout(x, 0.5, training=False)


NOTHING = {
    "no dropout": (lambda: between(nn.ReLU()), "No module was found whose dropout"),
    "off in the code": (lambda: between(Fixed()), "No module was found whose dropout"),
    "p is 0": (lambda: between(nn.Dropout(0.0)), r"training were: 1 \(Dropout\); see whether"),
    "never called": (Uncalled, r"training were: dropout \(Dropout\); see whether they are ca"),
    "traced in evaluation": (
        lambda: torch.jit.trace(between(nn.Dropout(0.5)), X),
        r"the model itself \(Sequential\) was traced or frozen in evaluation",
    ),
    "part traced": (
        lambda: between(torch.jit.trace(nn.Dropout(0.5).eval(), X)),
        r"1 \(Dropout\) was traced or frozen in evaluation: do that in training",
    ),
    "frozen": (
        lambda: torch.jit.freeze(torch.jit.script(between(nn.Dropout(0.5)))),
        "drew no random number",
    ),
    "fx of a function": (
        lambda: fx.symbolic_trace(between(Functional())),
        r"the model itself \(Sequential\) was traced in evaluation",
    ),
    "exported": (
        lambda: torch.export.export(between(nn.Dropout(0.5)), (X,)).module(),
        "drew no random number",
    ),
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
    model = nn.Sequential(nn.Dropout(0.5), torch.jit.trace(nn.Dropout(0.5).eval(), X))
    with pytest.warns(UserWarning, match=r"^mc_dropout: 1 \(Dropout\) was traced or frozen"):
        assert ft.mc_dropout(model, X, 3).std.any()


def test_draws_that_change_nothing() -> None:
    class Unused(Holds):
        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            return x + 0 * self.dropout(x)

    with pytest.warns(UserWarning, match="drew random numbers, but all samples are equal"):
        ft.mc_dropout(Unused(), torch.ones(3), 3)


def test_randomness_that_no_generator_knows_of() -> None:
    class Coins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = fastdrop.Generator(1)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            return torch.from_numpy(fastdrop.dropout(x.numpy(), rng=self.generator))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ft.mc_dropout(Coins(), torch.ones(100), 5).std.any()


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
    state = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.warns(UserWarning, match=rf"the model itself \({kind.__name__}\) was left in eval"):
        result = ft.mc_dropout(model, X, 10, seed=1)
    assert (result.std > 0).any()
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    plain = ft.mc_dropout(nn.Sequential(nn.Dropout(0.5)), X, 10, seed=1)
    assert torch.equal(plain.mean, result.mean), "the first attempt leaves no draw behind"


# --- other projects' models ----------------------------------------------------------------------


class Logits(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: "torch.Tensor") -> "torch.Tensor":
        return self.model(ids).logits


@pytest.mark.outside
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_transformers(name: str, attention: str) -> None:
    inner: Any = outside.model(name)
    inner.set_attn_implementation(attention)
    model = Logits(inner).eval()
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
