"""Alpha dropout beside PyTorch's: what is refused, the values, the modules."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


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
