"""As `sharding`, and run so: the other functions, those of several tensors, all modules."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sharding import KEY, Function, compare, main, same, values
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

import fastdrop.torch as ft

TABLES: dict[str, Function] = {
    "drop_connect": ft.drop_connect,
    "embedding_dropout": ft.embedding_dropout,
    "dropout1d": ft.dropout1d,
}


def same_gradient(got: torch.Tensor, wanted: torch.Tensor, what: object) -> None:
    """Of a DTensor. That of a bias is a sum over rows, part by part."""
    if wanted.dim() == 1:
        torch.testing.assert_close(got.full_tensor(), wanted)
    else:
        same(got.full_tensor(), wanted, what)


def tables(mesh: Any) -> None:
    """Functions of matrices, and of volumes."""
    for placement in (Shard(0), Shard(1), Replicate()):
        for name, function in TABLES.items():
            keyed = lambda t, f=function: f(t, 0.4, seed=KEY)  # noqa: E731
            compare(keyed, values(7, 130), mesh, [placement], (name, placement))
        volumes = lambda t: ft.dropout3d(t, 0.4, seed=KEY)  # noqa: E731
        compare(volumes, values(2, 5, 3, 3, 3), mesh, [placement], ("dropout3d", placement))


def pairs(mesh: Any) -> None:
    """Functions of several tensors: values and the gradients of all of them."""
    shape, upper = (4, 5, 6), values(4, 5, 6).flip(0)
    others = {"residual": values(4, 5, 6) * 3, "bias": values(6)}
    calls: dict[str, tuple[str, Function]] = {
        "dropout_add": ("residual", lambda x, r, **k: ft.dropout_add(x, r, 0.4, **k)),
        "zoneout": ("residual", lambda x, r, **k: ft.zoneout(x, r, 0.4, **k)),
        "bias_act_dropout": ("bias", lambda x, b, **k: ft.bias_act_dropout(x, b, "gelu", 0.4, **k)),
    }
    for name, (other, function) in calls.items():
        for placement in (Shard(0), Shard(1), Shard(2), Replicate()):
            for keywords in ({"seed": KEY}, {"training": False}):
                whole = [t.clone().requires_grad_() for t in (values(*shape), others[other])]
                wanted = function(*whole, **keywords)
                wanted.backward(upper)
                for elsewhere in (placement if other == "residual" else Replicate(), Shard(0)):
                    places = ([placement], [elsewhere])
                    given = [
                        distribute_tensor(t.detach(), mesh, where).requires_grad_()
                        for t, where in zip(whole, places, strict=True)
                    ]
                    y = function(*given, **keywords)
                    assert y.placements == (placement,)
                    what = (name, placement, elsewhere, keywords)
                    same(y.full_tensor(), wanted.detach(), what)
                    y.backward(distribute_tensor(upper, mesh, [placement]))
                    for got, want in zip(given, whole, strict=True):
                        assert got.grad.placements == got.placements, what
                        same_gradient(got.grad, want.grad, what)
    x = distribute_tensor(values(*shape), mesh, [Shard(0)])
    torch.manual_seed(2)
    wanted = ft.dropout_add(values(*shape), values(*shape), 0.4), torch.rand(1)
    torch.manual_seed(2)
    same(ft.dropout_add(x, x, 0.4).full_tensor(), wanted[0], "the default generator")
    same(torch.rand(1), wanted[1], "as many draws")


def modules(mesh: Any) -> None:
    """Every module that computes elements one by one, with a generator of its own."""
    x = values(4, 6, 5)
    made: dict[str, tuple[Any, ...]] = {
        "Dropout": (x,), "Dropout1d": (x,), "Dropout2d": (values(4, 6, 3, 3),),
        "Dropout3d": (values(4, 6, 3, 2, 3),), "AlphaDropout": (x,), "FeatureAlphaDropout": (x,),
        "GaussianDropout": (x,), "GaussianNoise": (x,), "StochasticDepth": (x,),
        "VariationalDropout": (x,), "DropConnect": (x,), "AttentionDropout": (x,),
        "DropoutAdd": (x, x + 1), "Zoneout": (x, x + 1), "BiasActDropout": (x, values(5)),
    }  # fmt: skip
    for name, given in made.items():
        arguments: dict[str, Any] = {"std": 0.5} if name == "GaussianNoise" else {"p": 0.4}
        if name == "BiasActDropout":
            arguments["act"] = "relu"
        for axis in range(2):
            one, many = (getattr(ft, name)(**arguments, seed=KEY) for _ in range(2))
            whole = [t.clone().requires_grad_() for t in given]
            sharded = [
                distribute_tensor(t, mesh, [Shard(axis) if t.dim() > 1 else Replicate()])
                for t in given
            ]
            sharded = [t.requires_grad_() for t in sharded]
            for _ in range(2):
                wanted, got = one(*whole), many(*sharded)
                same(got.full_tensor(), wanted.detach(), (name, axis))
                upper = values(*wanted.shape).flip(0)
                gradients = torch.autograd.grad(wanted, whole, upper)
                placed = distribute_tensor(upper, mesh, [Shard(axis)])
                found = torch.autograd.grad(got, sharded, placed)
                for g, want in zip(found, gradients, strict=True):
                    same_gradient(g, want, (name, axis))
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
    main((tables, pairs, modules))
