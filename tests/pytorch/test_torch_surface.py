"""The same set of functions and modules as for NumPy."""

import inspect

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from on_torch import FIRST, RENAMED  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import layers  # noqa: E402

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


@pytest.mark.parametrize("name", [case.name for case in FIRST if hasattr(F, case.name)])
def test_signatures_begin_as_pytorchs(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(m, name)).parameters.values() for m in (ft, F))
    wanted = [(given.name, given.default) for given in theirs]
    assert [(given.name, given.default) for given in ours][: len(wanted)] == wanted


def test_modules_are_the_layers() -> None:
    assert {RENAMED.get(name, name) for name in layers.__all__} <= set(ft.__all__)


ALGORITHMS = {"dropconnect_linear", "max_norm_", "softmax_dropout"}  # test_torch_weights.py

# Attention's errors are compared with PyTorch's own elsewhere.
OTHER_FUNCTIONS = {
    *("disable", "enable", "mc_dropout", "register_attention", "replace", "restore"),
    "scaled_dot_product_attention",
}


def test_the_table_is_complete() -> None:
    functions = {name for name in ft.__all__ if not inspect.isclass(getattr(ft, name))}
    assert functions == {*ALGORITHMS, *OTHER_FUNCTIONS, *(case.name for case in FIRST)}
