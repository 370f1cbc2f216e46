"""The cost of `fastdrop.torch.enable` for a call, and its gain for a model, relative to PyTorch.

    python -m bench.enabled                 calls
    python -m bench.enabled --models        training steps of a GPT, BERT and GPT-2 (Transformers)
    python -m bench.enabled --quick         some seconds: shows that it runs, nothing more

One thread; its CPU time is measured, so that other processes do not count. Rows are measured in
turn (A B A B ...) in one process; medians. Memory that is freed stays with the process (glibc), or
the page faults of a result of some MiB would be counted at whichever row comes first.
"""

import argparse
import ctypes
import importlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from timeit import Timer
from typing import Any, NamedTuple

import torch

import fastdrop
import fastdrop.torch
from fastdrop._throughput import cpu_name

P = 0.1
_STEP = "gradient({}, leaf, g)"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


class Call(NamedTuple):
    """A statement whose time is compared with and without `enable`, and one of fastdrop.torch."""

    what: str
    size: int
    statement: str
    direct: str | None = None


def _calls(size: int) -> list[Call]:
    forward, direct = "F.dropout({}, p)", "ours.dropout({}, p)"
    return [
        Call("forward", size, forward.format("x"), direct.format("x")),
        Call("forward, recorded", size, forward.format("leaf"), direct.format("leaf")),
        Call(
            "forward and backward",
            size,
            _STEP.format(forward.format("leaf")),
            _STEP.format(direct.format("leaf")),
        ),
        Call("in place", size, "F.dropout(x, p, inplace=True)", "ours.dropout(x, p, inplace=True)"),
        Call("evaluation", size, "F.dropout(x, p, False)", "ours.dropout(x, p, False)"),
        Call("bernoulli_", size, "x.bernoulli_(0.9)"),
    ]


_OTHERS = [
    Call("a linear layer, no dropout", 16, "F.gelu(F.linear(x, w)).add_(1.0).sum()"),
    Call("attention, no dropout", 16, "F.scaled_dot_product_attention(q, q, q)"),
]


def _names(size: int) -> dict[str, Any]:
    x = torch.ones(size)
    return {
        "F": torch.nn.functional,
        "ours": fastdrop.torch,
        "gradient": torch.autograd.grad,
        "p": P,
        "x": x,
        "leaf": x.clone().requires_grad_(),
        "g": torch.ones(size),
        "w": torch.ones(16, 16),
        "q": torch.ones(1, 2, 4, 8),
    }


def in_turn(
    tasks: Sequence[tuple[AbstractContextManager[Any] | None, Callable[[], float]]], rounds: int
) -> list[float]:
    """Medians of what the tasks tell; None stands for a new `enable`."""
    told: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for (around, task), values in zip(tasks, told, strict=True):
            with fastdrop.torch.enable() if around is None else around:
                values.append(task())
    return [statistics.median(values) for values in told]


def compare_calls(quick: bool, rounds: int) -> Iterator[str]:
    yield f"{'':28}{'elements':>9}{'PyTorch':>12}{'enabled':>9}{'direct':>9}"
    sizes = (16, 1 << 12) if quick else (16, 1 << 12, 1 << 16, 1 << 20)
    for call in [*(call for size in sizes for call in _calls(size)), *_OTHERS]:
        names = _names(call.size)
        timer = Timer(call.statement, timer=time.thread_time, globals=names)
        number = max(10, int((0.001 if quick else 0.01) / max(timer.timeit(20) / 20, 1e-7)))

        def seconds(timer: Timer = timer, number: int = number) -> float:
            timer.timeit(max(20, number // 10))  # until results take turns in the same memory
            return timer.timeit(number) / number

        tasks: list[Any] = [(nullcontext(), seconds), (None, seconds)]
        if call.direct is not None:
            direct = Timer(call.direct, timer=time.thread_time, globals=names)
            tasks.append((nullcontext(), lambda timer=direct: seconds(timer)))
        theirs, *others = in_turn(tasks, rounds)
        row = f"{call.what:28}{call.size:9}{theirs * 1e6:9.1f} us"
        yield row + "".join(f"{other / theirs:9.2f}" for other in others)


class Model(NamedTuple):
    """A model's training step on one batch, and that of the same model without dropout."""

    what: str
    step: Callable[[], object]
    without: Callable[[], object]


def _training(model: Any, loss: Callable[[Any], Any]) -> Callable[[], object]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(model).backward()
        optimizer.step()

    return step


def _example(quick: bool) -> Iterator[Model]:
    """The GPT of ``examples/train_transformer.py``."""
    example = importlib.import_module("examples.train_transformer")
    size = example.TINY_GPT if quick else example.SMALL_GPT
    for batch, length in ((1, 16),) if quick else ((8, 256), (2, 1024)):
        text = torch.randint(0, 256, (batch, length + 1))

        def loss(model: Any, text: Any = text) -> Any:
            scores = model(text[:, :-1]).flatten(0, 1)
            return torch.nn.functional.cross_entropy(scores, text[:, 1:].flatten())

        models = (example.GPT(size, kind, length) for kind in ("PyTorch", "none"))
        yield Model(
            f"GPT of the example, {batch} x {length}", *(_training(one, loss) for one in models)
        )


def _transformers(quick: bool) -> Iterator[Model]:
    """Two layers as wide as they really are, with random weights."""
    tf = importlib.import_module("transformers")
    layers, batch, length = (1, 1, 32) if quick else (2, 2, 512)
    words = torch.randint(0, 30_000, (batch, length))
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    berts = (
        tf.BertForMaskedLM(tf.BertConfig(num_hidden_layers=layers, **rates)) for rates in ({}, none)
    )
    yield Model(
        f"BERT-base, {layers} layers, {batch} x {length}",
        *(_training(one, lambda model: model(words, labels=words).loss) for one in berts),
    )
    batch, length = (1, 32) if quick else (1, 1024)
    text = torch.randint(0, 50_000, (batch, length))
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    gpts = (tf.GPT2LMHeadModel(tf.GPT2Config(n_layer=layers, **rates)) for rates in ({}, none))
    yield Model(
        f"GPT-2, {layers} layers, {batch} x {length}",
        *(_training(one, lambda model: model(text, labels=text).loss) for one in gpts),
    )


def compare_models(quick: bool, rounds: int) -> Iterator[str]:
    yield f"{'a training step':44}{'PyTorch':>10}{'enabled':>9}{'no dropout':>12}"
    for model in itertools.chain(_example(quick), _transformers(quick)):

        def seconds(step: Callable[[], object]) -> float:
            start = time.thread_time()
            step()
            return time.thread_time() - start

        tasks = [
            (nullcontext(), lambda step=model.step: seconds(step)),
            (None, lambda step=model.step: seconds(step)),
            (nullcontext(), lambda step=model.without: seconds(step)),
        ]
        in_turn(tasks, 1)
        theirs, ours, without = in_turn(tasks, rounds)
        yield f"{model.what:44}{theirs:8.3f} s{ours / theirs:9.2f}{without / theirs:12.2f}"


def keep_memory() -> None:
    """Have malloc neither map large blocks one by one nor give them back."""
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for setting in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            libc.mallopt(setting, 1 << 25)  # the most that it takes


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    fastdrop.set_num_threads(1)
    keep_memory()
    print(f"{cpu_name()}, PyTorch {torch.__version__}, fastdrop {fastdrop.__version__}")
    compare, rounds = (compare_models, 9) if options.models else (compare_calls, 41)
    for line in compare(options.quick, options.rounds or (2 if options.quick else rounds)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
