"""The same set of functions and modules as for NumPy; errors name arguments as signatures do."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from on_torch import FIRST, RENAMED  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import layers, variants  # noqa: E402
from fastdrop.torch._draw import NAMED  # noqa: E402

# Names of `fastdrop` that `fastdrop.torch` has not, and why.
LEFT_OUT = {
    **{name: "autograd" for name in fastdrop.__all__ if name.endswith("_backward")},
    "dropout_": "`inplace=True`",
    "apply_mask": "`torch.where`: a mask that is there is PyTorch's to apply",
    "dropout_mask": "no mask is ever made; where one is wanted, NumPy's serves",
    "dropout_samples": '`torch.func.vmap` with randomness="different"',
    "sparsity": "a measurement of activations, which takes tensors' arrays",
    "Generator": "`fastdrop.Generator` itself, as `generator=`",
    "Key": "`fastdrop.Key` itself, as `seed=`",
    "Sparsity": "what `sparsity` returns",
    "backend": "one for both",
    "default_generator": "PyTorch's default generator",
    "get_include": "one for both",
    "get_num_threads": "`torch.get_num_threads`",
    "layers": "modules",
    "manual_seed": "`torch.manual_seed`",
    "set_backend": "one for both",
    "set_num_threads": "`torch.set_num_threads`",
    "show_config": "one for both",
}


def test_functions_are_those_of_numpy() -> None:
    assert set(fastdrop.__all__) - set(ft.__all__) == set(LEFT_OUT)


def test_modules_are_the_layers() -> None:
    assert {RENAMED.get(name, name) for name in layers.__all__} <= set(ft.__all__)


def test_every_variant_has_a_function_or_is_a_gradient() -> None:
    for variant in variants.VARIANTS:
        assert hasattr(ft, variant.function) or variant.function.endswith("_backward")
        assert NAMED[variant.function].function == variant.function


X = torch.ones(2, 3, 4, 5)


def calls(name: str) -> list[Callable[[], Any]]:
    """Calls of a function with each argument wrong in its turn."""
    function = getattr(ft, name)
    wrong: dict[str, list[Any]] = {
        "training": ["yes", 2],
        "dim": [4, "x"],
        "scale": [float("nan")],
        "per_sample": ["x"],
        "c": [-1.0],
    }
    parameters = inspect.signature(function).parameters
    tensors = TENSORS[name]
    found: list[Callable[[], Any]] = []

    def with_(argument: str, value: Any) -> Callable[[], Any]:
        more = {"training": True} if "training" in parameters else {}
        given = {**more, **OTHERS.get(name, {}), **tensors, argument: value}
        return lambda: function(**given)

    for argument in parameters:
        if argument in tensors:
            values: list[Any] = ["x", tensors[argument].long()]
            values += [torch.ones(())] if name != "max_norm_" else []
        else:
            values = wrong.get(argument, [])
        found += [with_(argument, value) for value in values]
    return found


TENSORS: dict[str, dict[str, Any]] = {
    "dropconnect_linear": {"input": X, "weight": torch.ones(2, 5), "bias": torch.ones(2)},
    "max_norm_": {"tensor": X},
    "softmax_dropout": {"scores": X},
}
"""Algorithms of their own; test_torch_refusals.py has the variants that are declared."""
OTHERS: dict[str, dict[str, Any]] = {"max_norm_": {"c": 1.0}}

# Attention's errors are compared with PyTorch's own elsewhere.
OTHER_FUNCTIONS = {
    *("disable", "enable", "mc_dropout", "register_attention", "replace", "restore"),
    "scaled_dot_product_attention",
}


def test_the_table_is_complete() -> None:
    functions = {name for name in ft.__all__ if not inspect.isclass(getattr(ft, name))}
    assert functions == {*TENSORS, *OTHER_FUNCTIONS, *(case.name for case in FIRST)}


@pytest.mark.parametrize("name", TENSORS)
def test_errors_name_arguments_of_the_signature(name: str) -> None:
    parameters = inspect.signature(getattr(ft, name)).parameters
    state = torch.get_rng_state()
    for call in calls(name):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        words = str(caught.value)
        found = re.match(r"(\w+) has to (be|have|name) ", words) or re.search(
            r"argument '(\w+)' must be ", words
        )
        assert found, words
        assert found[1] in parameters, words
        others = re.findall(r"\b(\w+)'s? (?:shape|dtype|last axis)|axis of (\w+)", words)
        assert all((a or b) in parameters for a, b in others), words
    assert torch.equal(torch.get_rng_state(), state)
    assert (X == 1).all()
