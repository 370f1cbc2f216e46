"""`fastdrop.torch.enable` as a switch: handles, threads, warnings, and what is there afterwards."""

import threading
import warnings
from pathlib import Path

import pytest
from callers import at_once
from fresh import output
from switching import check_handles

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import FUNCTIONS, alike, numbers, seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402


def plain() -> list["torch.Tensor"]:
    x = numbers(30, 6)
    return [
        *(seeded(function, x) for function in FUNCTIONS.values()),
        seeded(x.clone().bernoulli_, 0.3),
        seeded(torch.bernoulli, x, 0.3),
        seeded(torch.native_dropout, x, 0.3, True)[1],
    ]


def test_handles() -> None:
    check_handles(ft, plain, alike)
    before = plain()
    with ft.enable():
        assert not any(map(torch.equal, before, plain()))
    with pytest.raises(TypeError, match="bernoulli has to be a bool, but got int"):
        ft.enable(bernoulli=1)  # type: ignore[arg-type]


def test_no_cycle_between_ours_and_pytorchs() -> None:
    """What our functions leave to PyTorch arrives there."""
    with ft.enable():
        assert ft.dropout(torch.ones(3, device="meta"), 0.5).device.type == "meta"
        with pytest.raises(RuntimeError, match="can't be cast"):
            ft.dropout(torch.arange(5), 0.5)
        with pytest.raises(RuntimeError):
            ft.scaled_dot_product_attention(
                *torch.ones(3, 1, 2, 4, 8, dtype=torch.int64), dropout_p=0.5
            )
        x = numbers(100)
        assert torch.equal(seeded(ft.dropout, x), seeded(F.dropout, x))
        assert torch.equal(ft.dropout(x, seed=5), ft.dropout(x, seed=fastdrop.Key(5)))
        model = nn.Sequential(nn.Linear(100, 10), nn.Dropout(0.3))
        y = seeded(model, x)
        ft.replace(model)
        assert torch.equal(seeded(model, x), y)


def test_switching_in_many_threads_at_once() -> None:
    x, before = numbers(64), plain()

    def switch(_: int) -> None:
        for _ in range(20):
            with ft.enable():
                assert F.dropout(x, 0.5).shape == x.shape
            F.dropout(x, 0.5)

    at_once(switch, 4)
    assert alike(plain(), before)


@pytest.mark.heavy
def test_silent_and_only_about_this() -> None:
    code = """
        import warnings
        import torch
        import fastdrop.torch as ft
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.set_warn_always({always})
            with ft.enable():
                warnings.warn("another")
            ft.enable()
            ft.disable()
        print([str(w.message) for w in caught], torch.is_warn_always_enabled())
    """
    for always in (False, True):
        assert output(code.replace("{always}", str(always))) == f"['another'] {always}"


def test_whoever_overrides_next_is_warned() -> None:
    """PyTorch warns once in a process: the warning that is silenced here is not that one."""
    with ft.enable(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.set_warn_always(True)
        try:
            with torch.library._scoped_library("aten", "IMPL") as library:
                library.impl("native_dropout", lambda *_: None, "CPU")
        finally:
            torch.set_warn_always(False)
    assert any("verrid" in str(warning.message) for warning in caught)


def test_another_overriding_of_before_is_called_where_ours_is_not() -> None:
    called = []

    def theirs(x: "torch.Tensor", p: float, train: bool) -> "torch.Tensor":
        called.append((p, train))
        return x + 1

    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("dropout", theirs, "AutogradCPU")
        with ft.enable():
            x = numbers(10)
            assert torch.equal(seeded(F.dropout, x), seeded(ft.dropout, x))
            assert torch.equal(F.dropout(x, 1.0), x + 1)
        assert called == [(1.0, True)]
        assert torch.equal(F.dropout(x), x + 1)


def test_all_threads_see_it() -> None:
    x, results = numbers(1000), []
    thread = threading.Thread(target=lambda: results.append(seeded(F.dropout, x)))
    with ft.enable():
        thread.start()
        thread.join()
    assert torch.equal(results[0], seeded(ft.dropout, x))


@pytest.mark.heavy
@pytest.mark.skipif(
    not (Path(__file__).parents[2] / "bench").exists(),
    reason="an installed fastdrop is tested apart from its repository",
)
def test_its_benchmark_runs() -> None:
    enabled = pytest.importorskip("bench.enabled")
    lines = list(enabled.compare_calls(True, 1))
    assert any(line.startswith("bernoulli_") for line in lines)
