"""One of several processes that hold parts of the same tensors: every check is against one device.

``python sharding.py CHECK RANK PROCESSES FILE``. Each process computes what one device would, and
compares it with what all of them have computed together, bit for bit.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed import device_mesh, fsdp
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import fastdrop
import fastdrop.torch as ft

SHAPE = (6, 5, 7, 3)
KEY = fastdrop.Key(7, 8, 4095)


def values(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def same(got: torch.Tensor, wanted: torch.Tensor, what: object) -> None:
    assert got.dtype == wanted.dtype, what
    assert torch.equal(got, wanted), what


Function = Callable[..., torch.Tensor]


def compare(function: Function, x: torch.Tensor, mesh: Any, placements: Any, what: object) -> None:
    """Values and gradients of the sharded tensor, and of the whole one."""
    whole = x.clone().requires_grad_()
    upper = values(*x.shape, dtype=x.dtype).flip(0)
    wanted = function(whole)
    wanted.backward(upper)
    sharded = distribute_tensor(x, mesh, placements).requires_grad_()
    y = function(sharded)
    assert isinstance(y, DTensor), what
    assert y.placements == tuple(placements), what
    same(y.full_tensor(), wanted.detach(), what)
    y.backward(distribute_tensor(upper, mesh, placements))
    assert sharded.grad is not None
    assert whole.grad is not None
    same(sharded.grad.full_tensor(), whole.grad, what)
    # Gradients that are placed otherwise.
    replicated = distribute_tensor(upper, mesh, [Replicate()] * mesh.ndim)
    (again,) = torch.autograd.grad(function(sharded), sharded, replicated)
    same(again.full_tensor(), whole.grad, what)


def shapes(mesh: Any) -> None:
    """Shards of other lengths, none at all in the last process, and blocks of the stream within."""
    for shape in ((3,), (1, 5), (4097, 3), (3, 9001), (2, 1, 3, 1, 2)):
        for axis in range(len(shape)):
            keyed = lambda t: ft.dropout(t, 0.3, seed=KEY)  # noqa: E731
            compare(keyed, values(*shape), mesh, [Shard(axis)], (shape, axis))
    x = distribute_tensor(values(4, 6).t(), mesh, [Shard(1)])
    same(ft.dropout(x, seed=2).full_tensor(), ft.dropout(values(4, 6).t(), seed=2), "transposed")
    assert ft.dropout(x, 0.5, False) is x
    assert ft.dropout(x, 0.0) is x


def generators(mesh: Any) -> None:
    """The same draws as on one device, from whatever is drawn."""
    x = values(4, 9)
    sharded = distribute_tensor(x, mesh, [Shard(1)])
    torch.manual_seed(3)
    functions = (ft.dropout, ft.dropout, ft.gaussian_dropout, ft.Dropout(0.2))
    wanted = [function(x) for function in functions]
    torch.manual_seed(3)
    for want, function in zip(wanted, functions, strict=True):
        same(function(sharded).full_tensor(), want, "the default generator")
    ours, theirs = fastdrop.Generator(1), fastdrop.Generator(1)
    for _ in range(2):
        one, all_of_it = ft.dropout(sharded, generator=ours), ft.dropout(x, generator=theirs)
        same(one.full_tensor(), all_of_it, "a generator of fastdrop")
    assert ours.state == theirs.state
    module = ft.Dropout(0.3, seed=5)
    whole = ft.Dropout(0.3, seed=5)
    same(module(sharded).full_tensor(), whole(x), "a module")
    z = distribute_tensor(x, mesh, [Shard(0)])
    assert ft.dropout(z, 0.5, inplace=True, seed=2) is z
    same(z.full_tensor(), ft.dropout(x, seed=2), "in place")


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
        same(y.full_tensor(), wanted.detach(), "partial sums")
        (y.full_tensor() * x).sum().backward()
        (wanted * x).sum().backward()
        same(local.grad, whole.grad, "their gradients")
    for refused in (ft.alpha_dropout, ft.gaussian_noise):
        try:
            refused(partial, 0.5, True)
        except NotImplementedError as error:
            assert "not linear" in str(error)  # noqa: PT017 - this is no test
        else:
            raise AssertionError(refused)


def refused(mesh: Any) -> None:
    """What no part of the mask is known for."""
    from torch.distributed.tensor.placement_types import _StridedShard

    local = torch.ones(2, 3)
    x = DTensor.from_local(local, mesh, [_StridedShard(0, split_factor=2)], run_check=False)
    images = distribute_tensor(values(4, 3, 9, 9), mesh, [Shard(0)])
    partial = DTensor.from_local(local, mesh, [Partial()])
    for call, words in (
        (lambda: ft.dropout(x), "redistribute it first"),
        (lambda: ft.drop_block2d(images, 0.3, 3), "drop_block2d has to have whole tensors"),
        (lambda: ft.dropout(images, window=((4, 3, 9, 9), (0,) * 4)), "window has to be left out"),
        (lambda: ft.dropout2d(images, window=((4, 3, 9, 9), (0,) * 4)), "window has to be left"),
        (lambda: ft.drop_path(images, window=((4, 3, 9, 9), (0,) * 4)), "window has to be left"),
        (lambda: ft.dropout_add(partial, partial), "not linear"),
        (lambda: ft.dropout_add(images, local), "has to be a DTensor"),
        (lambda: ft.dropout_add(local, images), "no DTensor where it is none"),
        (lambda: ft.softmax_dropout(images), "in the CPU's memory"),
        (
            lambda: ft.scaled_dot_product_attention(images, images, images, dropout_p=0.1),
            "attention with dropout has to have whole tensors",
        ),
        (lambda: ft.softmax_dropout(images, training=False), "in the CPU's memory"),
    ):
        try:
            call()
        except (NotImplementedError, TypeError) as error:
            assert words in str(error), error  # noqa: PT017 - this is no test
        else:
            raise AssertionError(words)
    whole = distribute_tensor(values(4, 3, 9, 9), mesh, [Replicate()])
    blocks = ft.drop_block2d(whole, 0.3, 3, seed=2).full_tensor()
    same(blocks, ft.drop_block2d(values(4, 3, 9, 9), 0.3, 3, seed=2), "blocks")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 8)
        self.inner, self.outer = ft.Dropout(0.5), ft.Dropout(0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        return self.outer(self.second(self.inner(self.first(x).relu())))


def network() -> Network:
    torch.manual_seed(0)
    return Network()


def plans(mesh: Any) -> None:
    """Sequence-parallel and tensor-parallel plans: the masks of one device, and so its results."""
    x = values(2, 6, 8)
    drop = ft.Dropout(0.5)
    torch.manual_seed(2)
    whole = x.clone().requires_grad_()
    wanted = drop(whole)
    wanted.sum().backward()
    sequence = parallelize_module(ft.Dropout(0.5), mesh, SequenceParallel(use_local_output=False))
    torch.manual_seed(2)
    sharded = distribute_tensor(x, mesh, [Shard(1)]).requires_grad_()
    y = sequence(sharded)
    y.sum().backward()
    same(y.full_tensor(), wanted.detach(), "a sequence-parallel plan")
    same(sharded.grad.full_tensor(), whole.grad, "its gradient")

    one, many = network(), network()
    parallelize_module(
        many,
        mesh,
        {
            "first": ColwiseParallel(use_local_output=False),
            "second": RowwiseParallel(output_layouts=Shard(1), use_local_output=False),
        },
    )
    torch.manual_seed(4)
    wanted = one(x)
    torch.manual_seed(4)
    y = many(x)
    assert y.placements == (Shard(1),)
    torch.testing.assert_close(y.full_tensor(), wanted)
    same(y.full_tensor() == 0, wanted == 0, "the mask of a tensor-parallel network")
    wanted.square().sum().backward()
    y.square().sum().backward()
    for (name, a), (_, b) in zip(many.named_parameters(), one.named_parameters(), strict=True):
        gradient = a.grad.full_tensor() if isinstance(a.grad, DTensor) else a.grad
        torch.testing.assert_close(gradient, b.grad, msg=name)


def data(mesh: Any) -> None:
    """DDP and FSDP2 compute what they did; by hand, each process takes its samples' window."""
    rank, x = mesh.get_rank(), values(4, 8)
    part = slice(2 * rank, 2 * rank + 2)
    window = ((4, 8), (2 * rank, 0))
    torch.manual_seed(1)
    wanted = ft.dropout(x, 0.5)
    torch.manual_seed(1)
    same(ft.dropout(x[part], 0.5, window=window), wanted[part], "samples by hand")
    for wrap in (DistributedDataParallel, lambda m: fsdp.fully_shard(m, mesh=mesh)):
        one, many = network(), wrap(copy.deepcopy(network()))
        torch.manual_seed(5)
        alone = one(x[part])
        torch.manual_seed(5)
        torch.testing.assert_close(many(x[part]), alone)
        many(x[part]).sum().backward()


def enabled(mesh: Any) -> None:
    """PyTorch's own functions and modules on DTensors, computed here."""
    x = values(*SHAPE)
    with ft.enable():
        for function in (
            lambda t: functional.dropout(t, 0.4),
            lambda t: functional.dropout2d(t, 0.4),
            lambda t: functional.alpha_dropout(t, 0.4, True),
            nn.Dropout(0.4),
        ):
            for placement in (Shard(0), Shard(3), Replicate()):
                torch.manual_seed(6)
                wanted = function(x)
                torch.manual_seed(6)
                y = function(distribute_tensor(x, mesh, [placement]))
                same(y.full_tensor(), wanted, placement)
        with torch.no_grad():
            torch.manual_seed(6)
            wanted = functional.dropout(x, 0.4)
            torch.manual_seed(6)
            y = functional.dropout(distribute_tensor(x, mesh, [Shard(1)]), 0.4)
            same(y.full_tensor(), wanted, "without autograd")


def recomputed(mesh: Any) -> None:
    """What a checkpoint computes again has the same mask."""
    x = values(4, 6)
    sharded = distribute_tensor(x, mesh, [Shard(1)]).requires_grad_()
    module = ft.Dropout(0.5, seed=1)
    y = checkpoint(lambda t: module(t) * t, sharded, use_reentrant=False)
    y.sum().backward()
    whole = x.clone().requires_grad_()
    alone = ft.Dropout(0.5, seed=1)
    (alone(whole) * whole).sum().backward()
    same(sharded.grad.full_tensor(), whole.grad, "checkpoint")


def grid(mesh: Any) -> None:
    """Two axes of processes."""
    for placements in (
        (Shard(0), Shard(1)),
        (Shard(1), Replicate()),
        (Shard(2), Shard(2)),
        (Replicate(), Shard(3)),
    ):
        keyed = lambda t: ft.dropout(t, 0.4, seed=KEY)  # noqa: E731
        compare(keyed, values(*SHAPE), mesh, placements, placements)


CHECKS = (shapes, generators, sums, refused, plans, data, enabled, recomputed, grid)


def main(checks: Sequence[Callable[[Any], None]]) -> None:
    check, rank, processes, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=processes
    )
    shape = (2, processes // 2) if check == "grid" else (processes,)
    mesh = device_mesh.init_device_mesh("cpu", shape)
    (function,) = [function for function in checks if function.__name__ == check]
    function(mesh)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    print("the same")


if __name__ == "__main__":
    main(CHECKS)
