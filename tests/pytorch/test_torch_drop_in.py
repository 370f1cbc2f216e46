"""Whatever a program may match on is PyTorch's: errors, warnings, representations, layouts.

The words are compared with those of the PyTorch that is installed.
"""

import copy
import itertools
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

ALPHA = ["alpha_dropout", "feature_alpha_dropout"]
FUNCTIONS = ["dropout", "dropout1d", "dropout2d", "dropout3d", *ALPHA]
MODULES = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
SHAPE = {"dropout1d": (2, 3, 4), "dropout2d": (2, 3, 4, 5), "dropout3d": (2, 3, 4, 5, 6)}
SHAPE["feature_alpha_dropout"] = SHAPE["featurealphadropout"] = (2, 3, 4)
functions = pytest.mark.parametrize("name", FUNCTIONS)
modules = pytest.mark.parametrize("name", MODULES)


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    """The warnings of a call, and its error or the shape of its result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            end: Any = tuple(call().shape)
        except Exception as error:
            end = type(error), str(error).partition("\n")[0]
    return [(w.category, str(w.message), w.filename) for w in caught], end


def both(call: Callable[[Any], Any], *of: Any) -> tuple[Any, Any]:
    """The outcomes of a call of ours and of PyTorch's."""
    ours, theirs = (outcome(lambda m=module: call(m)) for module in of or (ft, F))
    return ours, theirs


def ones(name: str) -> "torch.Tensor":
    return torch.ones(SHAPE.get(name.lower(), (2, 3)))


@pytest.mark.parametrize(
    "arguments",
    [
        *((p,) for p in (-0.1, 1.1, -1, 2, "0.5", None, 1j, float("inf"))),
        *((0.5, training) for training in (1, 0, None, "no")),
    ],
)
@functions
def test_errors_of_p_and_training(name: str, arguments: tuple[Any, ...]) -> None:
    ours, theirs = both(lambda m: getattr(m, name)(ones(name), *arguments))
    assert ours == theirs
    assert issubclass(ours[1][0], TypeError if len(arguments) == 2 else Exception)


@functions
def test_nan_as_p_is_a_value_error_with_the_same_words(name: str) -> None:
    ours, theirs = both(lambda m: getattr(m, name)(ones(name), float("nan")))
    assert theirs[1] == (RuntimeError, ours[1][1])
    assert ours[1][0] is ValueError


@pytest.mark.parametrize("batch", [2, 0])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dims", range(7))
@functions
def test_ranks(name: str, dims: int, p: float, batch: int) -> None:
    shape = (batch, 3, 1, 2, 1, 2)[:dims]
    for rest in itertools.product((True, False), repeat=2):
        ours, theirs = both(lambda m, rest=rest: getattr(m, name)(torch.ones(shape), p, *rest))
        assert ours[1] == theirs[1]
        assert [w[:2] for w in ours[0]] == [w[:2] for w in theirs[0]]
        assert all(w[2] == __file__ for w in ours[0])


LEFT_TO_PYTORCH = {
    "integers": lambda: torch.ones(3, dtype=torch.int64),
    "bools": lambda: torch.ones(3, dtype=torch.bool),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "8-bit floats": lambda: torch.ones(3).to(torch.float8_e4m3fn),
    "meta": lambda: torch.ones(3, device="meta"),
    "sparse": lambda: torch.ones(3).to_sparse(),
    "no tensor": lambda: [1.0],
}


@pytest.mark.parametrize("what", LEFT_TO_PYTORCH)
def test_what_is_left_to_pytorch(what: str) -> None:
    """Whose operator knows no seed."""
    make = LEFT_TO_PYTORCH[what]
    for rest in itertools.product((True, False), repeat=2):
        ours, theirs = both(lambda m, rest=rest: m.dropout(make(), 0.5, *rest))
        assert ours == theirs
    for keywords in ({"seed": 1}, {"generator": torch.Generator()}) if what != "no tensor" else ():
        with pytest.raises(NotImplementedError, match="generator and seed have to be left out for"):
            ft.dropout(make(), 0.5, **keywords)


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(1, 3),
    "permuted": lambda x: x.permute(3, 1, 0, 2),
    "every second": lambda x: x[:, :, ::2],
    "expanded": lambda x: x[:1, :, :, :1].expand(2, 3, 4, 5),
    "flipped": lambda x: x.flip(0),
    "sliced": lambda x: x[:, ::2, 1:],
    "narrow": lambda x: x[..., :1],
    "negated": lambda x: torch.complex(x, x).conj().imag,
    "one number": lambda x: x[0, 0, 0, 0],
}
GRADIENTS = {
    "contiguous": lambda y: torch.ones(y.shape),
    "as the output": torch.ones_like,
    "of a sum": lambda y: torch.ones(()).expand(y.shape),
    "reversed": lambda y: torch.ones(y.shape[::-1]).permute(tuple(range(y.dim()))[::-1]),
}


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides_of_results_and_gradients(layout: str, gradient: str) -> None:
    """With `enable`, too."""
    x = LAYOUTS[layout](torch.arange(1.0, 121).reshape(2, 3, 4, 5)).requires_grad_()

    def drawn(function: Callable[..., Any]) -> tuple["torch.Tensor", ...]:
        y = seeded(function, x, 0.5)
        return y, *torch.autograd.grad(y, x, GRADIENTS[gradient](y))

    theirs, ours = drawn(F.dropout), drawn(ft.dropout)
    with ft.enable():
        enabled = drawn(F.dropout)
    assert all(map(torch.equal, enabled, ours))
    for found in (ours, enabled):
        assert [y.stride() for y in found] == [y.stride() for y in theirs]


def leaf() -> "torch.Tensor":
    return torch.ones(4, requires_grad=True)


IN_PLACE = {
    "a leaf": leaf,
    "a view of a leaf": lambda: leaf()[1:],
    "a reshaped leaf": lambda: leaf().view(2, 2),
    "expanded": lambda: torch.ones(1).expand(3),
    "expanded, with a gradient": lambda: (leaf() * 2)[:1].expand(3),
    "one of several views": lambda: (leaf() * 2).unbind()[0],
    "a view made without gradient": lambda: _view_without_gradient(),
    "an intermediate": lambda: leaf() * 2,
    "a view of an intermediate": lambda: (leaf() * 2)[1:],
}


def _view_without_gradient() -> "torch.Tensor":
    x = leaf() * 2
    with torch.no_grad():
        return x[1:]


@pytest.mark.parametrize("what", IN_PLACE)
def test_errors_in_place(what: str) -> None:
    """Refusals come before anything happens."""
    ours, theirs = both(lambda m: m.dropout(IN_PLACE[what](), 0.5, True, True))
    assert ours == theirs
    if isinstance(theirs[1][0], type):
        x = IN_PLACE[what]()
        before, values = torch.get_rng_state(), x.detach().clone()
        with pytest.raises(RuntimeError):
            ft.dropout(x, 0.5, inplace=True)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(x, values)


@pytest.mark.parametrize("recorded", [True, False])
def test_in_place_counts_as_a_change(recorded: bool) -> None:
    y = torch.ones(4, requires_grad=True).exp()
    with torch.set_grad_enabled(recorded):
        ft.dropout(y, 0.5, inplace=True)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        y.sum().backward()


# --- modules -------------------------------------------------------------------------------------


@modules
def test_modules_are_pytorchs(name: str) -> None:
    ours, theirs = getattr(ft, name), getattr(nn, name)
    assert issubclass(ours, theirs)
    for arguments in [(), (0.25,), (0.25, True)]:
        assert repr(ours(*arguments)) == repr(theirs(*arguments))
    module = ours(0.25)
    assert module.state_dict() == theirs(0.25).state_dict() == {}
    module.load_state_dict(theirs().state_dict(), strict=True)
    model = nn.Sequential(theirs(0.25))
    assert ft.replace(model).replaced == ("0",)
    assert type(model[0]) is theirs
    assert torch.equal(seeded(model, ones(name)), seeded(module, ones(name)))


@modules
def test_modules_in_place(name: str) -> None:
    """Where PyTorch's writes there: in modules of alpha dropout it does not."""
    written = "Alpha" not in name
    for of in (ft, nn):
        x, module = ones(name), getattr(of, name)(0.5, True)
        assert (module(x) is x) == written
        assert bool((x == 1).all()) != written
        assert module.eval()(x) is x


@pytest.mark.parametrize("name", ALPHA)
def test_alpha_dropout_computes_pytorchs_values(name: str) -> None:
    x = torch.full((50, 40, 2), 0.25)
    ours, theirs = (getattr(m, name)(x, 0.3, True) for m in (ft, F))
    assert torch.allclose(ours.unique(), theirs.unique(), atol=1e-6)
    assert getattr(ft, name)(x) is x, "evaluation is the default"


@pytest.mark.parametrize("p", [-0.1, 1.1, "0.5"])
@modules
def test_errors_of_modules(name: str, p: Any) -> None:
    ours, theirs = both(lambda m: getattr(m, name)(p), ft, nn)
    assert ours == theirs
    assert isinstance(ours[1][0], type)


def test_p_of_a_module_is_checked_when_it_is_used() -> None:
    module = ft.Dropout(0.5)
    module.p = 1.5
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        module(torch.ones(3))


def test_copies_and_pickles_of_modules() -> None:
    for module in (ft.Dropout(0.5, seed=4), ft.Dropout(0.5, generator=torch.Generator())):
        module(torch.ones(10))
        twins = copy.deepcopy(module), pickle.loads(pickle.dumps(module))
        wanted = module(torch.ones(1000))
        for twin in twins:
            assert torch.equal(twin(torch.ones(1000)), wanted)


# --- generators and seeds ------------------------------------------------------------------------

TWO = {"generator": torch.Generator(), "seed": 1}


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"seed": -1}, ValueError, "seed has to be between 0 and"),
        ({"seed": 2**64}, ValueError, "seed has to be between 0 and"),
        ({"seed": 1.5}, TypeError, "seed has to be an integer, but got float"),
        ({"seed": True}, TypeError, "seed has to be an integer, but got bool"),
        ({"generator": 1}, TypeError, "generator has to be a torch.Generator or a fastdrop.Gen"),
        (TWO, ValueError, "only one of generator and seed has to be given, but got both"),
        ({"seed": fastdrop.Key(1, 0, 2**64 - 1)}, OverflowError, "would pass 2"),
    ],
)
def test_errors_of_generator_and_seed(keywords: dict, error: type, words: str) -> None:
    x = torch.ones(3)
    before = torch.get_rng_state()
    for inplace in (False, True):
        with pytest.raises(error, match=words):
            ft.dropout(x, 0.5, inplace=inplace, **keywords)
    if error is not OverflowError:
        with pytest.raises(error, match=words):
            ft.Dropout(**keywords)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, torch.ones(3))


@pytest.mark.parametrize("name", ["dropout", "feature_dropout", *ALPHA])
@pytest.mark.parametrize("inplace", [False, True])
def test_in_the_place_of_pytorchs_operators(
    name: str, inplace: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to PyTorch goes to its operator, and not to what stands in its place."""
    x = torch.ones(2, 3, 4, 4, dtype=torch.complex64)

    def call() -> "torch.Tensor":
        return getattr(torch, name + "_" * inplace)(x.clone(), 1.0, True)

    expected = outcome(call)
    ours = ft.dropout2d if name == "feature_dropout" else getattr(ft, name)
    monkeypatch.setattr(torch, name, lambda x, p, train: ours(x, p, train))
    monkeypatch.setattr(torch, name + "_", lambda x, p, train: ours(x, p, train, True))
    assert outcome(call) == expected
