"""Every variant on tensors: NumPy's bits, one draw, and every kind of derivative.

Where operators are seen (vmap, compilers, export, subclasses): test_torch_tracers.py.
"""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from enabling import seeded  # noqa: E402
from forms import reshaped, small  # noqa: E402
from on_torch import (  # noqa: E402
    CASES,
    DTYPES,
    FIRST,
    FORMS,
    KEY,
    LAYOUTS,
    MODULES,
    SEVERAL,
    finite,
    in_numpy,
    in_torch,
    learned,
    like,
    module,
    module_name,
    nothing_drawn,
    same,
    stored,
    takes,
    tensors,
)
from torch import nn  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from watching import Operators  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402
from fastdrop import backends  # noqa: E402


@pytest.mark.usefixtures("impl")
@parametrize([*CASES, *FORMS])
def test_values_are_those_of_numpy(case: Case) -> None:
    for dtype in DTYPES:
        for p in case.rates:
            # Where p is 0, a tensor comes back as it is, and no -0.0 becomes 0.0.
            operands = tensors(case, dtype, special=p > 0)
            y = in_torch(case, operands, p)
            assert same(y, in_numpy(case, operands, p))
            assert case.evaluated is not None or (y is operands[0]) == (p == 0)
            operands = tensors(case, dtype, special=True)
            evaluated = in_torch(case, operands, p, training=False)
            assert same(evaluated, in_numpy(case, operands, p, training=False))
            assert case.evaluated is not None or evaluated is operands[0]


@parametrize([case for case in CASES if takes(case, "inplace")])
def test_in_place(case: Case) -> None:
    (x,) = tensors(case)
    wanted, version = in_torch(case, [x]), x._version
    assert in_torch(case, [x], inplace=True) is x
    assert torch.equal(x, wanted)
    assert x._version > version


@pytest.mark.parametrize("layout", LAYOUTS)
@parametrize(FORMS)
def test_layouts(case: Case, layout: str) -> None:
    """Of the operands and the gradient, each by itself and all together."""
    change, operands = LAYOUTS[layout], tensors(case)
    wanted, every = in_torch(case, operands), range(len(operands))
    for which in ([0], [len(operands) - 1], list(every)):
        changed = [change(x) if i in which else x for i, x in enumerate(operands)]
        changed = [x.detach().requires_grad_() for x in changed]
        y = in_torch(case, changed)
        assert torch.equal(y, wanted)
        assert y.stride() == torch.empty_like(changed[0]).stride()
        upper = like(y)
        found = torch.autograd.grad(y, changed, change(upper), retain_graph=True)
        for gradient, expected in zip(found, torch.autograd.grad(y, changed, upper), strict=True):
            assert torch.allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize("around", [nullcontext, Operators])
@pytest.mark.parametrize("training", [True, False])
@parametrize(FORMS)
def test_gradients_are_those_of_numpy(case: Case, training: bool, around: Any) -> None:
    """To the bit, but for a bias', a sum that is PyTorch's."""
    for dtype, bound in zip(DTYPES, (1e-5, 1e-12, 0.15, 1), strict=True):
        operands = learned(case, dtype)
        with around():
            y = in_torch(case, operands, training=training)
        upper = like(y)
        arrays = dict(zip(case.shapes, map(stored, operands), strict=True))
        wanted = case.gradients(arrays, stored(upper), 0.4, training=training, rng=KEY)
        found = torch.autograd.grad(y, operands, upper)
        for x, gradient, want in zip(operands, found, wanted, strict=False):
            if x.shape == operands[0].shape:
                assert same(gradient, want)
            else:
                np.testing.assert_allclose(
                    gradient.double(), want.astype(np.float64), atol=bound * 30, rtol=bound
                )


@pytest.mark.parametrize("training", [True, False])
@parametrize(FORMS)
def test_derivatives(case: Case, training: bool) -> None:
    operands = learned(small(case), torch.float64)

    def call(*operands: Any) -> "torch.Tensor":
        return (finite(in_torch(case, operands, training=training)) + 1) ** 2

    more = {"check_batched_grad": True, "check_batched_forward_grad": True}
    assert gradcheck(call, operands, check_forward_ad=True, **more)
    assert gradgradcheck(call, operands, check_fwd_over_rev=True, check_rev_over_rev=True)


@parametrize([case for case in FIRST if takes(case, "inplace")])
def test_derivatives_in_place(case: Case) -> None:
    """Of what is computed before, and of a part of it; at the ends of p, too."""
    (x,) = learned(small(case), torch.float64)
    inside = lambda x, p=0.4: finite(in_torch(case, [x], p, inplace=True))  # noqa: E731
    for p in case.rates:
        assert gradcheck(lambda x, p=p: finite(in_torch(case, [x], p)), x, check_forward_ad=True)
        assert gradcheck(lambda x, p=p: inside(x * 1, p), x, check_forward_ad=True)
        assert gradcheck(lambda x, p=p: inside((x * 1)[1:], p), x, check_forward_ad=True)
    assert gradgradcheck(lambda x: inside(x * x) ** 2, x)
    for dtype in DTYPES:
        (x,) = learned(case, dtype)
        upper = like(x)
        plain, written = (
            torch.autograd.grad(y, x, upper)[0]
            for y in (in_torch(case, [x]), in_torch(case, [x * 1], inplace=True))
        )
        assert torch.equal(plain, written)


@parametrize(SEVERAL)
def test_third_derivatives(case: Case) -> None:
    operands = learned(reshaped(case, (2, 2, 3)), torch.float64)

    def slope(*operands: Any) -> "torch.Tensor":
        y = (in_torch(case, operands) ** 3).sum()
        return torch.autograd.grad(y, operands[0], create_graph=True)[0]

    assert gradgradcheck(slope, operands)


@parametrize(FORMS)
def test_one_call_of_the_kernel_each_way(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    operands = learned(case)
    backend, seen = backends.active(), []
    run = backend.run
    monkeypatch.setattr(backend, "run", lambda call: seen.append(call.operation) or run(call))
    y = in_torch(case, operands)
    # What is only scaled has a way of its own to the kernel.
    assert len(seen) <= 1
    assert seen or case.variant.operation == "scale"
    torch.autograd.grad(y, operands, torch.ones_like(y))
    assert len(seen) <= 2
    if case.variant.gradient.endswith("_backward"):
        assert len(seen) == 2


@parametrize(SEVERAL)
def test_operands_that_are_inference_tensors(case: Case) -> None:
    operands = tensors(case)
    with torch.inference_mode():
        twins = [x.clone() for x in operands]
    for i, x in enumerate(operands):
        x = x.detach().requires_grad_()
        found = []
        for others in (operands, twins):
            given = [x if j == i else y for j, y in enumerate(others)]
            found.append(torch.autograd.grad(in_torch(case, given).sum(), x)[0])
        assert torch.equal(*found)


@parametrize(FORMS)
def test_what_is_drawn(case: Case) -> None:
    operands = tensors(case)
    generator, twin = fastdrop.Generator(3), fastdrop.Generator(3)
    y = in_torch(case, operands, generator=generator)
    assert same(y, in_numpy(case, operands, rng=twin))
    assert generator.offset == twin.offset > 0
    with nothing_drawn():
        in_torch(case, operands, seed=None, training=False)
        in_torch(case, operands, 0.0, seed=None)
        if case in MODULES:
            module(case).eval()(*operands)
        empty = [x[:0] if x.shape == operands[0].shape else x for x in operands]
        y = in_torch(case, empty, seed=None)
    assert y.shape == empty[0].shape
    assert (y is empty[0]) == (case.evaluated is None)


@parametrize(MODULES)
def test_modules(case: Case) -> None:
    operands = tensors(case)
    drop, other = module(case, seed=7), module(case, generator=fastdrop.Generator(7))
    generator = fastdrop.Generator(7)
    for _ in range(3):
        y = in_torch(case, operands, generator=generator)
        assert torch.equal(drop(*operands), y)
        assert torch.equal(other(*operands), y)
    assert list(drop.state_dict()) == ["_extra_state"]  # where its generator stands
    plain = module(case)
    assert torch.equal(seeded(plain, *operands), seeded(in_torch, case, operands, seed=None))
    assert torch.equal(drop.eval()(*operands), in_torch(case, operands, training=False))
    assert repr(drop).startswith(f"{module_name(case)}(")
    assert f"{case.rate}=0.4" in repr(drop)
    plain.register_forward_pre_hook(lambda _, given: (*given, *operands[1:]))
    plain.register_forward_hook(lambda _, __, y: finite(y))
    assert (ft.mc_dropout(plain, operands[0], 8).std > 0).any()


def test_embedding() -> None:
    torch.manual_seed(0)
    words = ft.EmbeddingDropout(50, 4, 0.5, padding_idx=3, seed=7)
    plain = nn.Embedding(50, 4, padding_idx=3)
    found = plain.load_state_dict(words.state_dict(), strict=False)
    assert found == ([], ["_extra_state"])  # where the module's own generator stands
    indices = torch.arange(50).repeat(2, 1)
    keep = torch.from_numpy(fastdrop.dropout_mask((50, 1), 0.5, rng=7))
    y = words(indices)
    assert torch.equal(y[0], y[1])
    assert torch.equal(y[0], plain.weight * keep * 2)
    y.sum().backward()
    wanted = (4.0 * keep).expand(50, 4).clone()
    wanted[3] = 0
    assert torch.equal(words.weight.grad, wanted)
    assert torch.equal(words.eval()(indices), plain(indices))
    assert repr(words) == "EmbeddingDropout(50, 4, padding_idx=3, p=0.5)"
