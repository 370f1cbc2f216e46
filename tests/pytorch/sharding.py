"""One of several processes that hold parts of the same tensors: every check is against one device.

``python sharding.py CHECK RANK PROCESSES FILE``. Each process computes what one device would, and
compares it with what all of them have computed together, bit for bit.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from enabling import FUNCTIONS, seeded
from forms import reshaped
from on_torch import CASES, in_torch, learned, module, module_name, takes
from torch import nn
from torch.distributed import device_mesh, fsdp
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, parallel
from torch.distributed.tensor.placement_types import _StridedShard
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import fastdrop
import fastdrop.torch as ft

LENGTHS = (6, 5, 7, 3, 4)
SHAPE = LENGTHS[:4]
KEY = fastdrop.Key(7, 8, 4095)
FAMILY = [reshaped(case, LENGTHS[: len(case.shape)]) for case in CASES if takes(case, "window")]
FAMILY = list({str(case): case for case in FAMILY if case.shape}.values())

OPERATORS: dict[str, Callable[[Any], Any]] = {
    # What is written to a view of a DTensor is lost.
    **{name: function for name, function in FUNCTIONS.items() if "view" not in name},
    "dropout of a module": nn.Dropout(0.4),
    "alpha_dropout, in place": lambda x: functional.alpha_dropout(x * 1, 0.4, True, True),
    "feature_dropout, in place": lambda x: torch.feature_dropout_(x * 1, 0.4, True),
    "feature_alpha_dropout, in place": lambda x: torch.feature_alpha_dropout_(x * 1, 0.4, True),
    "native_dropout, the mask": lambda x: torch.native_dropout(x, 0.4, True)[1],
    "bernoulli_": lambda x: torch.empty_like(x).bernoulli_(0.4),
    "bernoulli": lambda x: torch.bernoulli(torch.empty_like(x), 0.4),
}
"""What `enable` is about, as calls of a tensor."""


def values(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def full(x: Any) -> torch.Tensor:
    """What all processes have of it."""
    return x.full_tensor() if isinstance(x, DTensor) else x


def same(got: torch.Tensor, wanted: torch.Tensor, what: object) -> None:
    assert got.dtype == wanted.dtype, what
    assert torch.equal(full(got), wanted), what


def same_gradients(got: Iterable[torch.Tensor], wanted: Any, what: object) -> None:
    """That of a bias is a sum over rows, part by part."""
    for g, want in zip(got, wanted, strict=True):
        if want.dim() == 1:
            torch.testing.assert_close(full(g), want)
        else:
            same(g, want, what)


def compare(
    function: Callable[..., Any], x: torch.Tensor, mesh: Any, placements: Any, what: object
) -> None:
    """Values and gradients of the sharded tensor, and of the whole one."""
    whole = x.clone().requires_grad_()
    upper = values(*x.shape, dtype=x.dtype).flip(0)
    wanted = function(whole)
    wanted.backward(upper)
    sharded = distribute_tensor(x, mesh, placements).requires_grad_()
    y = function(sharded)
    assert isinstance(y, DTensor), what
    assert y.placements == tuple(placements), what
    same(y, wanted, what)
    y.backward(distribute_tensor(upper, mesh, placements))
    same(sharded.grad, whole.grad, what)
    # Gradients that are placed otherwise.
    replicated = distribute_tensor(upper, mesh, [Replicate()] * mesh.ndim)
    (again,) = torch.autograd.grad(function(sharded), sharded, replicated)
    same(again, whole.grad, what)


def keyed(x: torch.Tensor) -> torch.Tensor:
    return ft.dropout(x, 0.3, seed=KEY)


def shapes(mesh: Any) -> None:
    """Shards of other lengths, none at all in the last process, and blocks of the stream within."""
    for shape in ((3,), (1, 5), (4097, 3), (3, 9001), (2, 1, 3, 1, 2)):
        for axis in range(len(shape)):
            compare(keyed, values(*shape), mesh, [Shard(axis)], (shape, axis))
    x = distribute_tensor(values(4, 6).t(), mesh, [Shard(1)])
    same(ft.dropout(x, seed=2), ft.dropout(values(4, 6).t(), seed=2), "transposed")
    assert ft.dropout(x, 0.5, False) is x
    assert ft.dropout(x, 0.0) is x


def generators(mesh: Any) -> None:
    """The same draws as on one device, from whatever is drawn."""
    x = values(4, 9)
    sharded = distribute_tensor(x, mesh, [Shard(1)])
    draws = lambda x: (ft.dropout(x), ft.dropout(x), ft.gaussian_dropout(x))  # noqa: E731
    for got, want in zip(seeded(draws, sharded), seeded(draws, x), strict=True):
        same(got, want, "the default generator")
    ours, theirs = fastdrop.Generator(1), fastdrop.Generator(1)
    for _ in range(2):
        one, whole = ft.dropout(sharded, generator=ours), ft.dropout(x, generator=theirs)
        same(one, whole, "a generator of fastdrop")
    assert ours.state == theirs.state
    z = distribute_tensor(x, mesh, [Shard(0)])
    assert ft.dropout(z, 0.5, inplace=True, seed=2) is z
    same(z, ft.dropout(x, seed=2), "in place")


def sums(mesh: Any) -> None:
    """Partial sums: small integers, whose sums have no rounding."""
    x = torch.arange(24.0).reshape(4, 6)
    rank = mesh.get_rank()
    for function in (ft.dropout, ft.drop_path):
        local = (x - rank).requires_grad_()
        partial = DTensor.from_local(local, mesh, [Partial()])
        y = function(partial, 0.5, seed=2)
        assert y.placements == (Partial(),)
        whole = sum(x - i for i in range(mesh.size())).requires_grad_()
        wanted = function(whole, 0.5, seed=2)
        same(y, wanted, "partial sums")
        (y.full_tensor() * x).sum().backward()
        (wanted * x).sum().backward()
        same(local.grad, whole.grad, "their gradients")
    for refused in (ft.alpha_dropout, ft.gaussian_noise):
        with pytest.raises(NotImplementedError, match="not linear"):
            refused(partial, 0.5, True)


def refused(mesh: Any) -> None:
    """What no part of the mask is known for."""
    local, shape = torch.ones(2, 3), (4, 3, 9, 9)
    x = DTensor.from_local(local, mesh, [_StridedShard(0, split_factor=2)], run_check=False)
    images = distribute_tensor(values(*shape), mesh, [Shard(0)])
    partial, window = DTensor.from_local(local, mesh, [Partial()]), (shape, (0,) * 4)
    windowed = ft.dropout, ft.dropout2d, ft.drop_path
    attend = functools.partial(ft.scaled_dot_product_attention, *[images] * 3, dropout_p=0.1)
    for call, words in (
        *((lambda f=f: f(images, window=window), "window has to be left out") for f in windowed),
        (lambda: ft.dropout(x), "redistribute it first"),
        (lambda: ft.drop_block2d(images, 0.3, 3), "drop_block2d has to have whole tensors"),
        (lambda: ft.dropout_add(partial, partial), "not linear"),
        (lambda: ft.dropout_add(images, local), "has to be a DTensor"),
        (lambda: ft.dropout_add(local, images), "no DTensor where it is none"),
        (lambda: ft.softmax_dropout(images), "in the CPU's memory"),
        (lambda: ft.softmax_dropout(images, training=False), "in the CPU's memory"),
        (attend, "attention with dropout has to have whole tensors"),
        (functools.partial(attend, seed=1), "attention with dropout has to have whole tensors"),
    ):
        with pytest.raises((NotImplementedError, TypeError), match=words):
            call()
    with ft.enable():
        for call, words in (
            (lambda: images.bernoulli_(1e-6), "from 2..-16 to 1 - 2..-16"),
            (lambda: x.bernoulli_(0.5), "redistribute it first"),
            (lambda: torch.native_dropout(x, 0.5, True), "redistribute it first"),
            (lambda: torch.export.export(nn.Dropout(), (images,)), "cannot be exported"),
        ):
            with pytest.raises(NotImplementedError, match=words):
                call()
    q = values(*shape)
    y = attend(dropout_p=0.0)  # PyTorch's
    assert isinstance(y, DTensor)
    torch.testing.assert_close(full(y), functional.scaled_dot_product_attention(q, q, q))
    whole = distribute_tensor(values(*shape), mesh, [Replicate()])
    blocks = ft.drop_block2d(whole, 0.3, 3, seed=2)
    same(blocks, ft.drop_block2d(values(*shape), 0.3, 3, seed=2), "blocks")


def network(of: Any = ft) -> nn.Sequential:
    torch.manual_seed(0)
    first, second = nn.Linear(8, 16), nn.Linear(16, 8)
    return nn.Sequential(
        nn.LayerNorm(8), first, nn.ReLU(), of.Dropout(0.5), second, of.Dropout(0.25)
    )


def plans(mesh: Any) -> None:
    """Sequence-parallel and tensor-parallel plans: the masks of one device, and so its results."""
    x, drop = values(2, 6, 8), ft.Dropout(0.5)
    plan = parallel.SequenceParallel(use_local_output=False)
    sequence = parallel.parallelize_module(ft.Dropout(0.5), mesh, plan)
    call = lambda t: seeded(sequence if isinstance(t, DTensor) else drop, t)  # noqa: E731
    compare(call, x, mesh, [Shard(1)], "a sequence-parallel plan")

    one, many = network(), network()
    columns = parallel.ColwiseParallel(use_local_output=False)
    rows = parallel.RowwiseParallel(output_layouts=Shard(1), use_local_output=False)
    parallel.parallelize_module(many, mesh, {"1": columns, "4": rows})
    wanted, y = seeded(one, x), seeded(many, x)
    assert y.placements == (Shard(1),)
    torch.testing.assert_close(y.full_tensor(), wanted)
    same(y.full_tensor() == 0, wanted == 0, "the mask of a tensor-parallel network")
    wanted.square().sum().backward()
    y.square().sum().backward()
    close_gradients(many, one)


def close_gradients(many: nn.Module, one: nn.Module) -> None:
    for (name, a), (_, b) in zip(many.named_parameters(), one.named_parameters(), strict=True):
        torch.testing.assert_close(full(a.grad), b.grad, msg=name)


def data(mesh: Any) -> None:
    """DDP and FSDP2: masks by each process' seed; by hand, each takes its samples' window."""
    rank, x = mesh.get_rank(), values(4, 8)
    part = slice(2 * rank, 2 * rank + 2)
    by_hand = seeded(ft.dropout, x[part], 0.5, window=((4, 8), (2 * rank, 0)))
    same(by_hand, seeded(ft.dropout, x, 0.5)[part], "samples by hand")
    one, alone = network(), []
    for i, samples in enumerate(x.chunk(2)):
        torch.manual_seed(i)
        alone.append(one(samples))
        (alone[i].sum() / 2).backward()  # gradients are averaged
    for of, switch in ((ft, contextlib.nullcontext), (nn, ft.enable)):
        sharded = fsdp.fully_shard(network(of), mesh=mesh)
        for many in (DistributedDataParallel(network(of)), sharded):
            with switch():
                torch.manual_seed(rank)
                y = many(x[part])
                torch.testing.assert_close(y, alone[rank])
                y.sum().backward()
            close_gradients(many, one)


def enabled(mesh: Any) -> None:
    """PyTorch's own functions and modules on DTensors, computed here."""
    x = values(4, 5, 6)
    for mode in (contextlib.nullcontext, torch.no_grad, torch.inference_mode):
        for name, function in OPERATORS.items():
            with ft.enable(), mode():
                wanted, after = seeded(function, x), torch.rand(1)
                for placement in (*map(Shard, range(3)), Replicate()):
                    y = seeded(function, distribute_tensor(x, mesh, [placement]))
                    alike(y, wanted, (name, placement, mode))
                    same(torch.rand(1), after, "as many draws")
    with ft.enable():
        for name in ("dropout", "dropout, in place", "alpha_dropout", "native_dropout"):
            call = functools.partial(seeded, OPERATORS[name])
            compare(call, x, mesh, [Shard(1)], name)
        own = lambda t: t.clone().bernoulli_(0.4, generator=torch.Generator().manual_seed(2))  # noqa: E731
        same(own(distribute_tensor(x, mesh, [Shard(1)])), own(x), "a generator")


def alike(got: torch.Tensor, wanted: torch.Tensor, what: tuple[Any, ...]) -> None:
    """PyTorch's attention of parts sums in another order."""
    if what[0] == "attention":
        torch.testing.assert_close(full(got), wanted)
    else:
        same(got, wanted, what)


def enabled_sums(mesh: Any) -> None:
    """Partial sums, by PyTorch's own functions; masks are no sums."""
    x = torch.arange(24.0).reshape(4, 6)
    partial = DTensor.from_local(x - mesh.get_rank(), mesh, [Partial()])
    whole = sum(x - i for i in range(mesh.size()))
    for mode in (contextlib.nullcontext, torch.inference_mode):
        with ft.enable(), mode():
            for name in ("dropout", "dropout, in place", "native_dropout"):
                y = seeded(OPERATORS[name], partial)
                assert y.placements == (Partial(),), name
                torch.testing.assert_close(full(y), seeded(OPERATORS[name], whole))
            for name in ("native_dropout, the mask", "bernoulli_", "bernoulli"):
                same(seeded(OPERATORS[name], partial), seeded(OPERATORS[name], whole), name)
            with pytest.raises(NotImplementedError, match="not linear"):
                functional.alpha_dropout(partial, 0.5, True)


def compiled(mesh: Any) -> None:
    """The same in compiled code, with gradients, and for shards of other lengths."""
    for (name, function), placement in itertools.product(
        OPERATORS.items(), (Shard(0), Shard(1), Replicate())
    ):
        torch._dynamo.reset()
        whole = values(3, 5, 6).requires_grad_()
        sharded = distribute_tensor(whole.detach(), mesh, [placement]).requires_grad_()
        with ft.enable():
            y = seeded(torch.compile(function, backend="aot_eager"), sharded)
            wanted = seeded(function, whole)
        alike(y.detach(), wanted.detach(), (name, placement))
        if wanted.requires_grad:
            y.square().sum().backward()
            wanted.square().sum().backward()
            torch.testing.assert_close(full(sharded.grad), whole.grad)
    code = torch.compile(OPERATORS["dropout"], backend="aot_eager", fullgraph=True)
    for mode in (contextlib.nullcontext, torch.inference_mode):
        for n in (4, 1, 7, 9):
            with ft.enable(), mode():
                y = seeded(code, distribute_tensor(values(n, 5), mesh, [Shard(0)]))
                same(y, seeded(OPERATORS["dropout"], values(n, 5)), (mode, n))


def recomputed(mesh: Any) -> None:
    """What a checkpoint computes again has the same mask."""
    x = values(4, 6)
    sharded = distribute_tensor(x, mesh, [Shard(1)]).requires_grad_()
    module, alone = (ft.Dropout(0.5, seed=1) for _ in range(2))
    checkpoint(lambda t: module(t) * t, sharded, use_reentrant=False).sum().backward()
    whole = x.clone().requires_grad_()
    (alone(whole) * whole).sum().backward()
    same(sharded.grad, whole.grad, "checkpoint")


def grid(mesh: Any) -> None:
    """Two axes of processes."""
    for placements in (
        (Shard(0), Shard(1)),
        (Shard(1), Replicate()),
        (Shard(2), Shard(2)),
        (Replicate(), Shard(3)),
    ):
        compare(keyed, values(*SHAPE), mesh, placements, placements)


def tensors(mesh: Any) -> None:
    """Every function of one tensor, by every placement."""
    for case in [case for case in FAMILY if len(case.shapes) == 1]:
        call = lambda t, case=case: in_torch(case, [t], seed=KEY)  # noqa: E731
        for placement in (*map(Shard, range(len(case.shape))), Replicate()):
            for dtype in (torch.float32, torch.float64, torch.bfloat16):
                x = values(*case.shape, dtype=dtype)
                compare(call, x, mesh, [placement], (str(case), placement, dtype))


def pairs(mesh: Any) -> None:
    """Functions of several tensors: values and the gradients of all of them."""
    for case in [case for case in FAMILY if len(case.shapes) > 1]:
        upper, like_first = values(*case.shape).flip(0), len(set(case.shapes.values())) == 1
        for placement in (*map(Shard, range(len(case.shape))), Replicate()):
            for keywords in ({"seed": KEY}, {"seed": None}, {"training": False}):
                whole = learned(case)
                wanted = seeded(in_torch, case, whole, **keywords)
                after = torch.rand(1)
                wanted.backward(upper)
                for elsewhere in (placement if like_first else Replicate(), Shard(0)):
                    places = ([placement], [elsewhere])
                    given = [
                        distribute_tensor(t.detach(), mesh, where).requires_grad_()
                        for t, where in zip(whole, places, strict=True)
                    ]
                    y = seeded(in_torch, case, given, **keywords)
                    same(torch.rand(1), after, "as many draws")
                    assert y.placements == (placement,)
                    what = (str(case), placement, elsewhere, keywords)
                    same(y, wanted, what)
                    y.backward(distribute_tensor(upper, mesh, [placement]))
                    assert [t.grad.placements for t in given] == [t.placements for t in given], what
                    same_gradients([t.grad for t in given], [t.grad for t in whole], what)


def modules(mesh: Any) -> None:
    """Every module that computes elements one by one, with a generator of its own."""
    for case in [case for case in FAMILY if module_name(case) != "EmbeddingDropout"]:
        for axis in range(min(2, len(case.shape))):
            one, many = (module(case, seed=KEY) for _ in range(2))
            whole, what = learned(case), (str(case), axis)
            places = [Shard(axis) if t.shape == case.shape else Replicate() for t in whole]
            sharded = [
                distribute_tensor(t.detach(), mesh, [where]).requires_grad_()
                for t, where in zip(whole, places, strict=True)
            ]
            for _ in range(2):
                wanted, got = one(*whole), many(*sharded)
                same(got, wanted, what)
                upper = values(*wanted.shape).flip(0)
                placed = distribute_tensor(upper, mesh, [Shard(axis)])
                found = torch.autograd.grad(got, sharded, placed)
                same_gradients(found, torch.autograd.grad(wanted, whole, upper), what)
    one = seeded(ft.EmbeddingDropout, 10, 8, 0.5, seed=2)
    many = copy.deepcopy(one)
    parallel.parallelize_module(many, mesh, parallel.RowwiseParallel(input_layouts=Replicate()))
    words = torch.tensor([[1, 2, 3, 9], [0, 1, 5, 9]])
    wanted, got = one(words), many(words)
    same(got, wanted, "a table that is cut by words")
    wanted.square().sum().backward()
    got.square().sum().backward()
    same(many.weight.grad, one.weight.grad, "its gradient")


def main(check: str, rank: str, processes: str, file: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=int(rank), world_size=int(processes)
    )
    shape = (2, int(processes) // 2) if check == "grid" else (int(processes),)
    globals()[check](device_mesh.init_device_mesh("cpu", shape))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    print("the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
