"""What is made once, at import or at first use, does not depend on the settings of that time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from fresh import output

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import FUNCTIONS, INPLACE  # noqa: E402
from enabling import seeded  # noqa: E402
from on_torch import nothing_drawn  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.overrides import BaseTorchFunctionMode  # noqa: E402
from torch.utils._device import DeviceContext  # noqa: E402
from watching import Functions, Operators  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "device meta": lambda: torch.device("meta"),
    "device cpu": lambda: torch.device("cpu"),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "FakeTensorMode": FakeTensorMode,
    "function mode": Functions,
    "idle function mode": BaseTorchFunctionMode,
    "dispatch mode": Operators,
    "default dtype": default_dtype,
}


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

    with ThreadPoolExecutor(1) as threads:
        threads.submit(first).result()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s != "FakeTensorMode"])
def test_every_function_under_every_setting(setting: str, name: str) -> None:
    x = torch.rand(4, 4) + 1
    expected = seeded(FUNCTIONS[name], x)
    with nothing_drawn(), SETTINGS[setting]():
        y = seeded(FUNCTIONS[name], x)
    assert (y.device, y.dtype) == (x.device, x.dtype)
    assert torch.equal(y, expected)


@pytest.mark.parametrize(
    ("name", "more"),
    [*((name, {}) for name in FUNCTIONS), *((name, {"inplace": True}) for name in INPLACE)],
)
def test_fake_tensors(name: str, more: dict[str, Any]) -> None:
    generator, mode = torch.Generator(), FakeTensorMode()
    state = generator.get_state()
    like = FUNCTIONS[name](torch.ones(4, 4), seed=1)
    for given in ({}, {"seed": 1}, {"generator": generator}):
        x = mode.from_tensor(torch.ones(4, 4))
        with nothing_drawn():
            found = [FUNCTIONS[name](x, **given, **more)]
            with mode:
                found.append(FUNCTIONS[name](x, **given, **more))
        for y in found:
            assert (y.fake_mode, y.shape, y.stride()) == (mode, like.shape, like.stride())
    assert torch.equal(generator.get_state(), state)


def test_idle_modes_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for mode in (DeviceContext, BaseTorchFunctionMode):

        def see(self: Any, f: Any, *rest: Any, inner: Any = mode.__torch_function__) -> Any:
            seen.append(f)
            return inner(self, f, *rest)

        monkeypatch.setattr(mode, "__torch_function__", see)
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
