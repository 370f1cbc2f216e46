"""What is made once, at import or at first use, does not depend on the settings of that time."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from fresh import output

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import FUNCTIONS  # noqa: E402
from enabling import seeded  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.overrides import BaseTorchFunctionMode  # noqa: E402
from torch.utils._device import DeviceContext  # noqa: E402
from watching import Functions, Operators  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "device meta": lambda: torch.device("meta"),
    "device cpu": lambda: torch.device("cpu"),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "FakeTensorMode": FakeTensorMode,
    "function mode": Functions,
    "idle function mode": BaseTorchFunctionMode,
    "dispatch mode": Operators,
}


def in_a_thread(function: Callable[[], None]) -> None:
    """Run it in a thread of its own, where everything is used for the first time."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("setting", SETTINGS)
def test_first_use_of_a_thread(setting: str) -> None:
    x = torch.ones(4, 4)
    expected = seeded(ft.dropout, x, 0.5)

    def first() -> None:
        with SETTINGS[setting]():
            ft.dropout(torch.empty(3, device="cpu"), 0.5, generator=torch.Generator())
            ft.gaussian_dropout(torch.empty(3, device="cpu"), 0.5)
        assert torch.equal(seeded(ft.dropout, x, 0.5), expected)
        z = torch.ones(4, 4, requires_grad=True)
        ft.dropout(z, 0.5).sum().backward()

    in_a_thread(first)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s != "FakeTensorMode"])
def test_every_function_under_every_setting(setting: str, name: str) -> None:
    x = torch.rand(4, 4) + 1
    expected = seeded(FUNCTIONS[name], x)
    state = torch.get_rng_state()
    with SETTINGS[setting]():
        y = seeded(FUNCTIONS[name], x)
    assert y.device == x.device
    assert torch.equal(y, expected)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_default_dtype_is_of_no_account(name: str) -> None:
    x = torch.rand(4, 4) + 1
    expected = FUNCTIONS[name](x, seed=1)
    torch.set_default_dtype(torch.float64)
    try:
        y = FUNCTIONS[name](x, seed=1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert y.dtype is torch.float32
    assert torch.equal(y, expected)


@pytest.mark.parametrize("keywords", ["", "seed=1", "generator=torch.Generator()"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_fake_tensors(name: str, keywords: str) -> None:
    generator = torch.Generator()
    given = {"": {}, "seed=1": {"seed": 1}}.get(keywords, {"generator": generator})
    before, state = torch.get_rng_state(), generator.get_state()
    mode = FakeTensorMode()
    x = mode.from_tensor(torch.ones(4, 4))
    outside = FUNCTIONS[name](x, **given)
    with mode:
        inside = FUNCTIONS[name](x, **given)
    like = FUNCTIONS[name](torch.ones(4, 4), seed=1)
    for y in (outside, inside):
        assert y.fake_mode is mode
        assert y.shape == like.shape
        assert y.stride() == like.stride()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(generator.get_state(), state)


def test_idle_modes_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for mode in (DeviceContext, BaseTorchFunctionMode):
        inner = mode.__torch_function__
        monkeypatch.setattr(
            mode,
            "__torch_function__",
            lambda self, f, *rest, inner=inner: seen.append(f) or inner(self, f, *rest),
        )
    x = torch.ones(4, 4, requires_grad=True)
    for setting in ("device cpu", "idle function mode"):
        with SETTINGS[setting]():
            for function in (ft.dropout, ft.dropout1d, ft.drop_path, ft.gaussian_dropout):
                function(x, 0.5)
                assert function not in seen


@pytest.mark.heavy
@pytest.mark.parametrize("later", ["", "import numpy; fastdrop.dropout_mask(4, 0.5)"])
@pytest.mark.parametrize(
    "setting",
    [
        "torch.device('meta')",
        "torch.inference_mode()",
        "torch.no_grad()",
        "torch._subclasses.FakeTensorMode()",
        "torch.overrides.BaseTorchFunctionMode()",
        "nullcontext(torch.set_default_dtype(torch.float64))",
        "nullcontext(torch.set_default_device('meta'))",
    ],
)
def test_settings_at_import(setting: str, later: str) -> None:
    code = f"""
    import torch, torch._subclasses, torch.overrides
    from contextlib import nullcontext
    with {setting}:
        import fastdrop, fastdrop.torch as ft
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    {later}
    torch.manual_seed(1)
    seed = int(torch.randint(0, 2**63 - 1, ()))
    torch.manual_seed(1)
    x = torch.ones(64, requires_grad=True)
    y = ft.dropout(x, 0.5)
    y.sum().backward()
    z = ft.alpha_dropout(x, 0.5, True, inplace=False)
    print(torch.equal(y, ft.dropout(x, 0.5, seed=seed)), torch.equal(x.grad, y), z.device)
    """
    assert output(code) == "True True cpu"
