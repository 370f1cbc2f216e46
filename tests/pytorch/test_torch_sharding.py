"""Parts of tensors: by hand with `window=`, and DTensors in several processes (see `sharding`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import fastdrop  # noqa: E402
import fastdrop.torch  # noqa: E402
from fastdrop import Key  # noqa: E402
from fastdrop.torch import dropout  # noqa: E402

SHAPE, CUT, START = (6, 7, 9), (slice(1, 5), slice(2, 7), slice(3, 8)), (1, 2, 3)
WINDOW = (SHAPE, START)
KEY = Key(3, 4, 4090)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_part_and_its_gradient(dtype: torch.dtype) -> None:
    whole = torch.randn(SHAPE).to(dtype).requires_grad_()
    upper = torch.randn(SHAPE).to(dtype)
    y = dropout(whole, 0.3, seed=KEY)
    y.backward(upper)
    part = whole.detach()[CUT].clone().requires_grad_()
    z = dropout(part, 0.3, seed=KEY, window=WINDOW)
    z.backward(upper[CUT])
    assert torch.equal(z, y[CUT])
    assert part.grad is not None
    assert whole.grad is not None
    assert torch.equal(part.grad, whole.grad[CUT])
    turned = whole.detach()[CUT].transpose(0, 2).contiguous().transpose(0, 2)
    assert torch.equal(dropout(turned, 0.3, seed=KEY, window=WINDOW), y[CUT])
    assert dropout(turned, 0.3, inplace=True, seed=KEY, window=WINDOW) is turned
    assert torch.equal(turned, y[CUT])


def test_the_default_generator_draws_as_for_the_whole() -> None:
    x = torch.randn(SHAPE)
    torch.manual_seed(1)
    wanted = [dropout(x)[CUT], dropout(x)]
    torch.manual_seed(1)
    got = [dropout(x[CUT], window=WINDOW), dropout(x)]
    assert all(map(torch.equal, got, wanted))
    ours, theirs = fastdrop.Generator(1), fastdrop.Generator(1)
    dropout(x, generator=theirs)
    dropout(x[CUT], generator=ours, window=WINDOW)
    assert ours.state == theirs.state
    dropout(x[:0], generator=ours, window=(SHAPE, (6, 0, 0)))
    dropout(x, generator=theirs)
    assert ours.state == theirs.state


def test_evaluation_of_a_part() -> None:
    x = torch.randn(SHAPE)[CUT]
    assert dropout(x, 0.5, False, window=WINDOW) is x
    assert dropout(x, 0.0, window=WINDOW) is x


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_derivatives_of_every_order() -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    part = lambda t: dropout(t, 0.4, seed=KEY, window=((9, 9), (3, 4)))  # noqa: E731
    assert torch.autograd.gradcheck(part, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(part, x)


def test_compiled_code_is_cut_at_a_window() -> None:
    x = torch.randn(4, 5)

    @torch.compile(backend="eager")
    def function(t: torch.Tensor) -> torch.Tensor:
        return dropout(t * 2, 0.4, seed=KEY, window=((9, 9), (3, 4))) + 1

    wanted = dropout(x * 2, 0.4, seed=KEY, window=((9, 9), (3, 4))) + 1
    assert torch.equal(function(x), wanted)


def test_errors() -> None:
    x, before = torch.ones(4, 5), torch.get_rng_state()
    for window, words in (
        (((9,), (0,)), "for each of the 2 axes of input"),
        (((9, 9), (6, 0)), "window has to hold input"),
        (((9, 9), (-1, 0)), "no negative numbers"),
        (7, "has to be a pair"),
    ):
        with pytest.raises(ValueError, match=words):
            dropout(x, window=window, inplace=True)  # type: ignore[arg-type]
    for other in (x.int(), x.to("meta"), x.to_sparse()):
        with pytest.raises(NotImplementedError, match="window has to be left out"):
            dropout(other, window=((4, 5), (0, 0)))
    with pytest.raises(NotImplementedError, match="within transforms"):
        torch.func.vmap(lambda t: dropout(t, window=((5,), (0,))))(x)
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(x, 1.5, window=((4, 5), (0, 0)))
    assert (x == 1).all()
    assert torch.equal(torch.get_rng_state(), before)


CHECKS = {
    "tensors": 2, "shapes": 2, "generators": 2, "sums": 2, "refused": 2, "plans": 2, "data": 2,
    "enabled": 2, "recomputed": 2, "grid": 4, "shapes-of-three": 3,
    "family.tables": 2, "family.pairs": 2, "family.modules": 2,
}  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("check", CHECKS)
def test_processes(check: str, tmp_path: Path) -> None:
    """The processes have nothing but their parts, and get what one device gets."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    family, dot, name = check.rpartition(".")
    program = Path(__file__).with_name(f"sharding_{family}.py" if dot else "sharding.py")
    meeting = tmp_path / "meeting"
    package = Path(fastdrop.__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo"),
    }
    n = CHECKS[check]
    processes = [
        subprocess.Popen(
            [sys.executable, program, name.partition("-")[0], str(rank), str(n), str(meeting)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(n)
    ]
    try:
        reports = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, report in zip(processes, reports, strict=True):
        assert process.returncode == 0, report
        assert report.endswith("the same\n")
