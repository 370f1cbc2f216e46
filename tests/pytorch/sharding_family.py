"""As `sharding`, and run so: the other functions, those of several tensors, all modules."""

from __future__ import annotations

import copy
from typing import Any

import torch
from cases import Case
from forms import reshaped
from on_torch import CASES, in_torch, module, module_name, takes
from on_torch import tensors as of
from sharding import KEY, compare, main, same, values
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

import fastdrop.torch as ft

LENGTHS = (6, 5, 7, 3, 4)
FAMILY = [reshaped(case, LENGTHS[: len(case.shape)]) for case in CASES if takes(case, "window")]
FAMILY = list({str(case): case for case in FAMILY if case.shape}.values())


def same_gradient(got: torch.Tensor, wanted: torch.Tensor, what: object) -> None:
    """Of a DTensor. That of a bias is a sum over rows, part by part."""
    if wanted.dim() == 1:
        torch.testing.assert_close(got.full_tensor(), wanted)
    else:
        same(got.full_tensor(), wanted, what)


def tensors(mesh: Any) -> None:
    """Every function of one tensor, by every placement."""
    for case in FAMILY:
        if len(case.shapes) > 1:
            continue
        keyed = lambda t, case=case: in_torch(case, [t], seed=KEY)  # noqa: E731
        for placement in (*map(Shard, range(len(case.shape))), Replicate()):
            for dtype in (torch.float32, torch.float64, torch.bfloat16):
                x = values(*case.shape, dtype=dtype)
                compare(keyed, x, mesh, [placement], (str(case), placement, dtype))


def learned(case: Case) -> list[torch.Tensor]:
    return [x.requires_grad_() for x in of(case)]


def pairs(mesh: Any) -> None:
    """Functions of several tensors: values and the gradients of all of them."""
    for case in FAMILY:
        if len(case.shapes) == 1:
            continue
        upper, like_first = values(*case.shape).flip(0), len(set(case.shapes.values())) == 1
        for placement in (*map(Shard, range(len(case.shape))), Replicate()):
            for keywords in ({"seed": KEY}, {"training": False}):
                whole = learned(case)
                wanted = in_torch(case, whole, **keywords)
                wanted.backward(upper)
                for elsewhere in (placement if like_first else Replicate(), Shard(0)):
                    places = ([placement], [elsewhere])
                    given = [
                        distribute_tensor(t.detach(), mesh, where).requires_grad_()
                        for t, where in zip(whole, places, strict=True)
                    ]
                    y = in_torch(case, given, **keywords)
                    assert y.placements == (placement,)
                    what = (str(case), placement, elsewhere, keywords)
                    same(y.full_tensor(), wanted.detach(), what)
                    y.backward(distribute_tensor(upper, mesh, [placement]))
                    for got, want in zip(given, whole, strict=True):
                        assert got.grad.placements == got.placements, what
                        same_gradient(got.grad, want.grad, what)
    shape = (4, 5, 6)
    x = distribute_tensor(values(*shape), mesh, [Shard(0)])
    torch.manual_seed(2)
    wanted = ft.dropout_add(values(*shape), values(*shape), 0.4), torch.rand(1)
    torch.manual_seed(2)
    same(ft.dropout_add(x, x, 0.4).full_tensor(), wanted[0], "the default generator")
    same(torch.rand(1), wanted[1], "as many draws")


def modules(mesh: Any) -> None:
    """Every module that computes elements one by one, with a generator of its own."""
    for case in [case for case in FAMILY if module_name(case) != "EmbeddingDropout"]:
        for axis in range(min(2, len(case.shape))):
            one, many = (module(case, seed=KEY) for _ in range(2))
            whole = learned(case)
            sharded = [
                distribute_tensor(
                    t.detach(), mesh, [Shard(axis) if t.shape == case.shape else Replicate()]
                ).requires_grad_()
                for t in whole
            ]
            for _ in range(2):
                wanted, got = one(*whole), many(*sharded)
                same(got.full_tensor(), wanted.detach(), (str(case), axis))
                upper = values(*wanted.shape).flip(0)
                gradients = torch.autograd.grad(wanted, whole, upper)
                placed = distribute_tensor(upper, mesh, [Shard(axis)])
                found = torch.autograd.grad(got, sharded, placed)
                for g, want in zip(found, gradients, strict=True):
                    same_gradient(g, want, (str(case), axis))
    torch.manual_seed(1)
    one = ft.EmbeddingDropout(10, 8, 0.5, seed=2)
    many = copy.deepcopy(one)
    parallelize_module(many, mesh, RowwiseParallel(input_layouts=Replicate()))
    words = torch.tensor([[1, 2, 3, 9], [0, 1, 5, 9]])
    wanted, got = one(words), many(words)
    same(got, wanted.detach(), "a table that is cut by words")
    wanted.square().sum().backward()
    got.square().sum().backward()
    same(many.weight.grad.full_tensor(), one.weight.grad, "its gradient")


if __name__ == "__main__":
    main((tensors, pairs, modules))
