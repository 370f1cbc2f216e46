"""The key of a call is an effect: not folded, not merged, and the same when computed again."""

import gc
import threading
from collections.abc import Callable, Iterator
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


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def attention(x: "torch.Tensor", **keywords: Any) -> "torch.Tensor":
    return ft.scaled_dot_product_attention(x, x, x, dropout_p=0.5, **keywords)


def numbers(*shape: int) -> "torch.Tensor":
    return torch.rand(shape or (4, 4), generator=torch.Generator().manual_seed(1)) + 1


# --- TorchScript ---------------------------------------------------------------------------------


@own
@pytest.mark.parametrize("name", MODULES)
def test_a_trace_draws_as_the_module_does(name: str, kind: str) -> None:
    torch.manual_seed(0)
    module, twin = MODULES[name](**OWN[kind]()), MODULES[name](**OWN[kind]())
    twin.load_state_dict(module.state_dict())
    x = numbers()
    traced = torch.jit.trace(module, (x,), check_trace=False)
    torch.manual_seed(5)
    twin(x)  # tracing has run the module once
    torch.manual_seed(1)
    expected = [twin(x) for _ in range(4)]
    torch.manual_seed(1)
    found = [traced(x) for _ in range(4)]
    assert len({tuple(y.flatten().tolist()) for y in found}) > 1
    for y, wanted in zip(found, expected, strict=True):
        assert torch.equal(y, wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_trace_takes_other_shapes(name: str) -> None:
    traced = torch.jit.trace(FUNCTIONS[name], (numbers(),), check_trace=False)
    x = numbers(6, 6)
    for _ in range(3):
        y = seeded(traced, x)
    assert torch.equal(y, seeded(FUNCTIONS[name], x))


def test_a_trace_does_not_merge_calls() -> None:
    def both(x: "torch.Tensor") -> "torch.Tensor":
        return torch.stack([ft.dropout(x, 0.5), ft.dropout(x, 0.5)])

    traced = torch.jit.trace(both, (numbers(),), check_trace=False)
    for _ in range(4):
        found = seeded(traced, torch.ones(100))
    assert torch.equal(found, seeded(both, torch.ones(100)))


# --- compiled functions --------------------------------------------------------------------------


@pytest.mark.heavy
@own
@pytest.mark.parametrize("budget", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("name", MODULES)
def test_every_memory_budget_gives_the_gradient_of_the_mask(
    name: str, budget: float, kind: str
) -> None:
    torch.manual_seed(0)
    module, twin = MODULES[name](**OWN[kind]()), MODULES[name](**OWN[kind]())
    twin.load_state_dict(module.state_dict())

    def deep(module: nn.Module) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        return lambda x: torch.tanh(module(torch.sin(module(x * 0.5).view(4, 4) * 2)))

    results = []
    with config.patch(activation_memory_budget=budget):
        compiled = torch.compile(deep(module), backend="aot_eager_decomp_partition", fullgraph=True)
        for call in (deep(twin), compiled):
            torch.manual_seed(1)
            x = numbers().requires_grad_()
            for _ in range(2):
                call(x).sum().backward()
            results.append((x.grad, ft.dropout(numbers(), 0.5)))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-6)
    assert torch.equal(results[0][1], results[1][1]), "the generator moved by the forward passes"


@pytest.mark.parametrize("budget", [1.0, 0.0])
def test_equal_calls_are_not_merged(budget: float) -> None:
    def both(x: "torch.Tensor") -> "torch.Tensor":
        return torch.stack([ft.dropout(x, 0.5), ft.dropout(x, 0.5)]).exp()

    x = torch.ones(100, requires_grad=True)
    with config.patch(activation_memory_budget=budget):
        compiled = torch.compile(both, backend="aot_eager_decomp_partition", fullgraph=True)
        y = seeded(compiled, x)
        y.sum().backward()
    assert torch.equal(y, seeded(both, x.detach()))
    assert not torch.equal(y[0], y[1])
    assert torch.allclose(x.grad, (y * (y != 1) * 2).sum(0))


# --- checkpoints ---------------------------------------------------------------------------------


# Of reentrant checkpoints in each other: the outer ones run their parts without autograd.
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@own
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_checkpoints_have_the_gradient_of_the_mask(name: str, reentrant: bool, kind: str) -> None:
    torch.manual_seed(0)
    module, twin = MODULES[name](**OWN[kind]()), MODULES[name](**OWN[kind]())
    twin.load_state_dict(module.state_dict())

    def block(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        for _ in range(3):
            x = torch.sin(module(x).view(4, 4))
        return x

    def plain(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        return block(module, block(module, x))

    def inner(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        return checkpoint(block, module, x, use_reentrant=reentrant)

    def outer(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        return inner(module, inner(module, x))

    def nested(module: nn.Module, x: "torch.Tensor") -> "torch.Tensor":
        return checkpoint(outer, module, x, use_reentrant=reentrant)

    for call in (outer, nested):
        found = []
        for target, function in ((twin, plain), (module, call)):
            torch.manual_seed(1)
            x = numbers().requires_grad_()
            for _ in range(2):
                function(target, x).sum().backward()
            found.append((x.grad, target(numbers())))
        assert torch.allclose(*(gradient for gradient, _ in found))
        assert torch.equal(*(after for _, after in found)), "no generator moves in between"


def test_checkpoints_that_leave_pytorchs_generator_alone() -> None:
    for reentrant in (False, True):
        drop, w = ft.Dropout(0.5, seed=1), torch.ones(256, requires_grad=True)
        x = torch.ones(256, requires_grad=True)
        y = checkpoint(
            lambda v, drop=drop, w=w: drop(v) * w,
            x,
            use_reentrant=reentrant,
            preserve_rng_state=False,
        )
        y.sum().backward()
        assert torch.equal(w.grad != 0, y != 0)


def test_several_backward_passes() -> None:
    drop, w = ft.Dropout(0.5, seed=1), torch.ones(256, requires_grad=True)
    parts = [checkpoint(lambda: drop(w.exp()) * w, use_reentrant=False) for _ in range(3)]
    for y in (*reversed(parts), *parts):
        w.grad = None
        y.sum().backward(retain_graph=True)
        assert torch.equal(w.grad != 0, y != 0)


def test_a_backward_pass_in_another_thread() -> None:
    for reentrant in (False, True):
        drop, w = ft.Dropout(0.5, seed=1), torch.ones(256, requires_grad=True)
        y = checkpoint(lambda v, drop=drop: drop(v) * v, w, use_reentrant=reentrant)
        thread = threading.Thread(target=lambda y=y: y.sum().backward())
        thread.start()
        thread.join()
        assert torch.equal(w.grad != 0, y != 0)


def test_selective_checkpoints() -> None:
    def contexts() -> Any:
        return create_selective_checkpoint_contexts([torch.ops.aten.mul.Tensor])

    for keywords in OWN.values():
        drop, w = ft.Dropout(0.5, **keywords()), torch.ones(256, requires_grad=True)
        y = checkpoint(
            lambda v, drop=drop: drop(v.exp()) * v, w, use_reentrant=False, context_fn=contexts
        )
        y.sum().backward()
        assert torch.equal(w.grad != 0, y != 0)


def test_compiled_functions_in_checkpoints() -> None:
    for keywords in OWN.values():
        drop = ft.Dropout(0.5, **keywords())
        step = torch.compile(lambda v, drop=drop: drop(v.exp()) * v, backend="aot_eager")
        w = torch.ones(256, requires_grad=True)
        y = checkpoint(step, w, use_reentrant=False)
        y.sum().backward()
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


@pytest.mark.parametrize("make", [torch.Generator, lambda: fastdrop.Generator(1)])
def test_a_graph_draws_from_the_generator_of_a_call(make: Callable[[], Any]) -> None:
    x, generator = torch.ones(64), make()
    graph = make_fx(lambda x: ft.dropout(x, 0.5, generator=generator))(x)
    results = {tuple(graph(x).tolist()) for _ in range(4)}
    assert len(results) == 4


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


@pytest.mark.parametrize("keywords", OWN)
@pytest.mark.parametrize("name", [*FUNCTIONS, "attention"])
def test_graphs_recorded_before_autograd(name: str, keywords: str) -> None:
    """Their mode counts among no others: what is written behind its back is not in the graph."""
    function = FUNCTIONS.get(name, attention)
    own, again = OWN[keywords](), OWN[keywords]()
    torch.manual_seed(1)
    graph = make_fx(lambda x: function(x, **own), pre_dispatch=True)(numbers())
    torch.manual_seed(1)
    for generator in own.values():
        if isinstance(generator, torch.Generator):
            generator.manual_seed(3)
        elif isinstance(generator, fastdrop.Generator):
            generator.state = fastdrop.Generator(3).state
    for _ in range(2):
        state = torch.get_rng_state()
        y = graph(numbers())
        torch.set_rng_state(state)
        assert torch.equal(y, function(numbers(), **again))


# --- vmap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in OWN if kind != "default"])
@pytest.mark.parametrize("name", MODULES)
def test_vmap_randomness(name: str, kind: str) -> None:
    torch.manual_seed(0)
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
