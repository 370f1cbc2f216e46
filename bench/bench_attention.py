"""`fastdrop.torch.scaled_dot_product_attention` beside PyTorch's; float32, p = 0.1.

One thread. A step is forward and backward. The limit is PyTorch's attention without dropout, its
flash kernel; PyTorch's with dropout is measured too. Elements are attention weights: half of them
where attention is causal.
"""

import importlib
from typing import NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import QUICK, Bench

_WIDTH = 64
_SHAPES = {"1x2x64": (1, 2, 64)} if QUICK else {"8x6x256": (8, 6, 256), "2x6x1024": (2, 6, 1024)}
"""Sequences, heads and tokens: those of a small GPT."""


class Case(NamedTuple):
    """Whose attention, with what, and whether its gradient is taken too."""

    who: str
    causal: bool
    step: bool
    shape: str

    def call(self, function: str, p: str) -> str:
        """As Python writes it."""
        call = f"{function}(q, k, v, dropout_p={p}, is_causal={self.causal})"
        return f"gradient({call}, (q, k, v), g)" if self.step else call


CASES = [
    Case(who, causal, step, shape)
    for shape in _SHAPES
    for causal in (True, False)
    for step in (False, True)
    for who in ("fastdrop.torch", "PyTorch")
]


def _what(case: Case) -> str:
    keys = "causal" if case.causal else "all keys"
    return f"attention {'step' if case.step else 'forward'}, {keys}, {case.shape}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{_what(case)}, {case.who}")
def test_attention(benchmark: BenchmarkFixture, case: Case) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = importlib.import_module("fastdrop.torch").scaled_dot_product_attention
    theirs = torch.nn.functional.scaled_dot_product_attention
    batch, heads, tokens = _SHAPES[case.shape]
    # One projection gives all three, as in models.
    packed = torch.randn(batch, tokens, 3, heads, _WIDTH)
    q, k, v = (x.requires_grad_() for x in packed.permute(2, 0, 3, 1, 4).unbind())
    elements = batch * heads * tokens**2 // (1 + case.causal)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measure.run(
            benchmark,
            Bench(
                who=case.who,
                what=_what(case),
                statement=case.call("ours" if case.who == "fastdrop.torch" else "theirs", "0.1"),
                limit=case.call("theirs", "0.0"),
                names={
                    "ours": ours,
                    "theirs": theirs,
                    "gradient": torch.autograd.grad,
                    "q": q,
                    "k": k,
                    "v": v,
                    "g": torch.randn(batch, tokens, heads, _WIDTH).transpose(1, 2),
                },
                n=elements,
                moved=4 * elements,
            ),
        )
    finally:
        torch.set_num_threads(before)
