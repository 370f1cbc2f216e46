"""The key of a call is an effect: not folded, not merged, and the same when computed again."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fresh import run

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import FUNCTIONS, MODULES  # noqa: E402
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch._functorch import config  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch import _recompute  # noqa: E402

OWN: dict[str, Callable[[], dict[str, Any]]] = {
    "default": dict,
    "seed": lambda: {"seed": 3},
    "torch.Generator": lambda: {"generator": torch.Generator().manual_seed(3)},
    "fastdrop.Generator": lambda: {"generator": fastdrop.Generator(3)},
}
own = pytest.mark.parametrize("kind", OWN)
modules = pytest.mark.parametrize("name", MODULES)


def twins(name: str, kind: str) -> tuple[nn.Module, nn.Module]:
    """Two modules that draw the same, each from what is its own."""
    torch.manual_seed(0)
    module, twin = (MODULES[name](**OWN[kind]()) for _ in range(2))
    twin.load_state_dict(module.state_dict())
    return module, twin


def both(x: "torch.Tensor", **keywords: Any) -> "torch.Tensor":
    """Two calls that look alike."""
    return torch.stack([ft.dropout(x, 0.5, **keywords), ft.dropout(x, 0.5, **keywords)])


def attention(x: "torch.Tensor", **keywords: Any) -> "torch.Tensor":
    return ft.scaled_dot_product_attention(x, x, x, dropout_p=0.5, **keywords)


CALLS = {**FUNCTIONS, "both": both}


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def numbers(*shape: int) -> "torch.Tensor":
    return torch.rand(shape or (4, 4), generator=torch.Generator().manual_seed(1)) + 1


def check_passes(*ways: tuple[nn.Module, Callable[..., Any]], atol: float = 1e-8) -> None:
    """Two ways to call a module have the same gradients, and move generators by the same."""
    found = []
    for module, call in ways:
        torch.manual_seed(1)
        x = numbers().requires_grad_()
        for _ in range(2):
            call(x).sum().backward()
        found.append((x.grad, module(numbers()), ft.dropout(numbers(), 0.5)))
    (one, *after), (other, *too) = found
    assert torch.allclose(one, other, atol=atol)
    assert all(map(torch.equal, after, too))


# --- TorchScript ---------------------------------------------------------------------------------


@own
@modules
def test_a_trace_draws_as_the_module_does(name: str, kind: str) -> None:
    module, twin = twins(name, kind)
    x = numbers()
    traced = torch.jit.trace(module, (x,), check_trace=False)
    seeded(twin, x)  # tracing has run the module once
    found, expected = (seeded(lambda m=m: [m(x) for _ in range(4)]) for m in (traced, twin))
    assert len({tuple(y.flatten().tolist()) for y in found}) > 1
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("name", CALLS)
def test_a_trace_takes_other_shapes_and_merges_no_calls(name: str) -> None:
    traced = torch.jit.trace(CALLS[name], (numbers(),), check_trace=False)
    x = numbers(6, 6)
    for _ in range(4):
        y = seeded(traced, x)
    assert torch.equal(y, seeded(CALLS[name], x))


# --- compiled functions --------------------------------------------------------------------------


@pytest.mark.heavy
@own
@pytest.mark.parametrize("budget", [1.0, 0.5, 0.0])
@modules
def test_every_memory_budget_gives_the_gradient_of_the_mask(
    name: str, budget: float, kind: str
) -> None:
    module, twin = twins(name, kind)

    def deep(module: nn.Module) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        return lambda x: torch.tanh(module(torch.sin(module(x * 0.5).view(4, 4) * 2)))

    with config.patch(activation_memory_budget=budget):
        compiled = torch.compile(deep(module), backend="aot_eager_decomp_partition", fullgraph=True)
        check_passes((twin, deep(twin)), (module, compiled), atol=1e-6)


@pytest.mark.parametrize("budget", [1.0, 0.0])
def test_equal_calls_are_not_merged(budget: float) -> None:
    x = torch.ones(100, requires_grad=True)
    with config.patch(activation_memory_budget=budget):
        compiled = torch.compile(
            lambda x: both(x).exp(), backend="aot_eager_decomp_partition", fullgraph=True
        )
        y = seeded(compiled, x)
        y.sum().backward()
    assert torch.equal(y, seeded(both, x.detach()).exp())
    assert not torch.equal(y[0], y[1])
    assert torch.allclose(x.grad, (y * (y != 1) * 2).sum(0))


# --- checkpoints ---------------------------------------------------------------------------------


# Of reentrant checkpoints in each other: the outer ones run their parts without autograd.
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@own
@pytest.mark.parametrize("reentrant", [False, True])
@modules
def test_checkpoints_have_the_gradient_of_the_mask(name: str, reentrant: bool, kind: str) -> None:
    module, twin = twins(name, kind)

    def block(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        for _ in range(3):
            x = torch.sin(module(x).view(4, 4))
        return x

    def outer(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        return around(block, module, around(block, module, x))

    around = partial(checkpoint, use_reentrant=reentrant)
    plain = twin, lambda x: block(twin, block(twin, x))
    for call in (outer, partial(around, outer)):
        check_passes(plain, (module, partial(call, module)))


def contexts() -> Any:
    return create_selective_checkpoint_contexts([torch.ops.aten.mul.Tensor])


WAYS: dict[str, dict[str, Any]] = {
    "reentrant": {"use_reentrant": True},
    "not reentrant": {"use_reentrant": False},
    "reentrant, no state kept": {"use_reentrant": True, "preserve_rng_state": False},
    "not reentrant, no state kept": {"use_reentrant": False, "preserve_rng_state": False},
    "selective": {"use_reentrant": False, "context_fn": contexts},
}


@own
@pytest.mark.parametrize(
    ("way", "compiled"),
    [*((way, False) for way in WAYS), *((way, True) for way in WAYS if way[0] != "r")],
)
@pytest.mark.parametrize("thread", ["one thread", "another thread"])
def test_ways_of_checkpoints(kind: str, way: str, thread: str, compiled: bool) -> None:
    drop, x = ft.Dropout(0.5, **OWN[kind]()), torch.ones(256, requires_grad=True)

    def step(x: "torch.Tensor") -> "torch.Tensor":
        return drop(x.exp()) * x

    call = torch.compile(step, backend="aot_eager") if compiled else step
    y = checkpoint(call, x, **WAYS[way])
    if thread == "one thread":
        y.sum().backward()
    else:
        other = threading.Thread(target=lambda: y.sum().backward())
        other.start()
        other.join()
    drew_again = kind == "default" and "no state" in way
    assert torch.equal(x.grad != 0, y != 0) is not drew_again


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("ends", ["threads that end", "threads that go on"])
def test_checkpoints_of_other_threads(ends: str, reentrant: bool, threads: int) -> None:
    """One generator draws in all of them and here, too: each part has its own keys again."""
    drop = ft.Dropout(0.5, generator=torch.Generator().manual_seed(3))
    x, w = (torch.ones(256, requires_grad=True) for _ in range(2))
    for _ in range(40):
        w = w * 1.0 + drop(torch.ones(256)) * 0  # nodes and keys of this thread's own
    pools = [ThreadPoolExecutor(1) for _ in range(threads)]

    def forward() -> "torch.Tensor":
        return checkpoint(lambda x: drop(x.exp()) * x, x, use_reentrant=reentrant)

    parts = [pool.submit(forward).result() for pool in pools]
    if ends == "threads that end":
        for pool in pools:
            pool.shutdown()
    y = sum(parts)
    (y.sum() + w.sum()).backward()
    kept = sum((part != 0).float() for part in parts)
    with torch.no_grad():
        one = (x.exp() * x / 0.5 + x.exp() / 0.5) * 1.0
    torch.testing.assert_close(x.grad, kept * one)


def test_a_reentrant_checkpoint_of_a_compiled_function_is_refused() -> None:
    """It is compiled once without gradients and once with them: the two draw at other places."""
    drop, x = ft.Dropout(0.5, seed=1), torch.ones(256, requires_grad=True)
    compiled = torch.compile(lambda x: drop(x.exp()) * x, backend="aot_eager")
    y = checkpoint(compiled, x, use_reentrant=True)
    with pytest.raises(NotImplementedError, match="pass use_reentrant=False"):
        y.sum().backward()


def test_several_backward_passes() -> None:
    drop, w = ft.Dropout(0.5, seed=1), torch.ones(256, requires_grad=True)
    parts = [checkpoint(lambda: drop(w.exp()) * w, use_reentrant=False) for _ in range(3)]
    for y in (*reversed(parts), *parts):
        w.grad = None
        y.sum().backward(retain_graph=True)
        assert torch.equal(w.grad != 0, y != 0)


def test_what_has_been_forgotten_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recompute, "KEPT", 10)
    monkeypatch.setattr(_recompute._thread, "notes", _recompute._Notes())
    for reentrant in (False, True):
        drop, w = ft.Dropout(0.5, seed=1), torch.ones(16, requires_grad=True)
        y = checkpoint(lambda v, drop=drop: drop(v) * v, w, use_reentrant=reentrant)
        for _ in range(40):
            drop(w)
        with pytest.raises(RuntimeError, match="drew its keys before the last 10 ones"):
            y.sum().backward()


# --- graphs that outlive generators --------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in OWN if kind != "default"])
@pytest.mark.parametrize("strict", [False, True])
def test_export_of_an_own_generator_is_refused(kind: str, strict: bool) -> None:
    module = nn.Sequential(ft.Dropout(0.5, **OWN[kind]()))
    with pytest.raises(Exception, match="cannot be exported"):
        torch.export.export(module, (torch.ones(16),), strict=strict)


def test_a_graph_keeps_its_generator() -> None:
    x = torch.ones(16)
    module = ft.Dropout(0.5, seed=3)
    graph = make_fx(module)(x)
    del module
    gc.collect()
    twin = ft.Dropout(0.5, seed=3)
    twin(x)  # make_fx has run the module once
    for _ in range(3):
        assert torch.equal(graph(x), twin(x))


@pytest.mark.heavy
def test_numbers_name_nothing_in_other_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "traced.pt")
    torch.jit.trace(ft.Dropout(0.5, seed=3), (torch.ones(4),), check_trace=False).save(path)
    done = run(
        f"""
        import warnings
        warnings.simplefilter("ignore")
        import torch, fastdrop.torch as ft
        others = [ft.Dropout(0.5, seed=i) for i in range(4)]
        torch.jit.load({path!r})(torch.ones(4))
        """
    )
    assert done.returncode == 1
    assert "draws from a generator of the process that traced it" in done.stderr


@own
@pytest.mark.parametrize("before_autograd", [True, False])
@pytest.mark.parametrize("name", [*CALLS, "attention"])
def test_graphs_draw_anew(name: str, before_autograd: bool, kind: str) -> None:
    """The mode before autograd counts among no others: what is written behind its back is lost."""
    function, given, again = CALLS.get(name, attention), OWN[kind](), OWN[kind]()
    trace = make_fx(lambda x: function(x, **given), pre_dispatch=before_autograd)
    graph = seeded(trace, numbers())
    seeded(function, numbers(), **again)
    for _ in range(2):
        state = torch.get_rng_state()
        y = graph(numbers())
        torch.set_rng_state(state)
        assert torch.equal(y, function(numbers(), **again))


# --- vmap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in OWN if kind != "default"])
@modules
def test_vmap_randomness(name: str, kind: str) -> None:
    module, x = MODULES[name](**OWN[kind]()), torch.ones(64, 4, 4)
    if name == "DropConnectLinear":
        nn.init.constant_(module.weight, 1.0)
    with pytest.raises(RuntimeError, match="called random operation while in randomness error"):
        torch.func.vmap(module)(x)
    same = torch.func.vmap(module, randomness="same")(x)
    assert all(torch.equal(row, same[0]) for row in same)
    different = torch.func.vmap(module, randomness="different")(x)
    assert any(not torch.equal(row, different[0]) for row in different)


def test_vmap_reserves_for_every_sample() -> None:
    generator = fastdrop.Generator(1)
    torch.func.vmap(
        torch.func.vmap(lambda x: ft.dropout(x, 0.5, generator=generator), randomness="same"),
        randomness="different",
    )(torch.ones(10, 3, 4096))
    assert generator.offset == 10 * 4096
