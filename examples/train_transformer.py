"""Train a small GPT with PyTorch's dropout, with fastdrop's, and without: what does a step cost?

A transformer of 11 M parameters (6 layers, width 384, 6 heads) learns to continue text, byte by
byte. Dropout of 0.1 acts on embeddings, attention weights, and the outputs of attention and of the
feed-forward part. The text is Python's own language reference, as ``help()`` shows it, its licence,
docstrings of the standard library, and what of this repository's documents is at hand.

Four models start from the same weights and see the same text, one step each in turn, so that
whatever else the machine does slows all of them alike:

    none      no dropout; PyTorch's flash attention
    PyTorch   nn.Dropout, and F.scaled_dot_product_attention with dropout
    fastdrop  fastdrop.torch.Dropout and fastdrop.torch.scaled_dot_product_attention
    fused     the same, but DropoutAdd, which drops and adds to the residual in one pass

At the end come loss, seconds for a step, and the memory that steps take at most beyond the weights,
side by side. The last one is measured in a process of its own for each model, and on Linux only.

    python examples/train_transformer.py             8 x 256 and 2 x 1024 tokens: some minutes
    python examples/train_transformer.py --epoch     once through all of the text: long
    python examples/train_transformer.py --quick     some seconds: shows that it runs, nothing more
"""

from __future__ import annotations

import argparse
import inspect
import math
import pkgutil
import pydoc_data.topics
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

import fastdrop
import fastdrop.torch

VARIANTS = ("none", "PyTorch", "fastdrop", "fused")
OURS = ("fastdrop", "fused")
P = 0.1
BYTES = 256
HELD_OUT = 0.05
LEARNING_RATE = 5e-4
WARM_UP = 20
LONGEST_GRADIENT = 1.0
SEED = 1


class Size(NamedTuple):
    """How large a model is."""

    layers: int
    width: int
    heads: int


SMALL_GPT, TINY_GPT = Size(6, 384, 6), Size(2, 32, 2)


class Shape(NamedTuple):
    """Sequences in a batch, and tokens in a sequence."""

    batch: int
    context: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.context}"


# --- text -----------------------------------------------------------------------------------------


def text() -> Tensor:
    """All of the text as bytes."""
    here, python = Path(__file__).resolve().parents[1], Path(sysconfig.get_paths()["stdlib"])
    files = [*sorted(here.glob("*.md")), *sorted(here.glob("docs/*.md")), here / "LICENSE"]
    parts = [path.read_text("utf-8") for path in (*files, python / "LICENSE.txt") if path.exists()]
    parts += [topic for _, topic in sorted(pydoc_data.topics.topics.items())]
    for name in ("argparse", "collections", "decimal", "inspect", "pathlib", "statistics"):
        module = pkgutil.resolve_name(name)
        members = [module, *(value for _, value in inspect.getmembers(module, inspect.isclass))]
        parts += [inspect.getdoc(member) or "" for member in members]
    return torch.frombuffer(bytearray("\n\n".join(parts).encode()), dtype=torch.uint8)


class Text:
    """What is learnt, and the last part, which only judges."""

    def __init__(self, shape: Shape, limit: int | None = None) -> None:
        everything = text()[:limit]
        cut = int(len(everything) * (1 - HELD_OUT))
        self.learn, self.judge, self.shape = everything[:cut], everything[cut:], shape
        self.order = torch.randperm(
            (cut - 1) // shape.context, generator=torch.Generator().manual_seed(SEED)
        )

    def steps(self) -> int:
        """How many batches an epoch has."""
        return len(self.order) // self.shape.batch

    def _cut(self, source: Tensor, starts: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows = torch.stack([source[at : at + self.shape.context + 1] for at in starts]).long()
        return rows[:, :-1], rows[:, 1:]

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Bytes, and those that follow them."""
        size, context = self.shape
        first = number % self.steps() * size
        return self._cut(
            self.learn, [i * context for i in self.order[first : first + size].tolist()]
        )

    def judged(self) -> tuple[Tensor, Tensor]:
        """The same from the text held out: as many tokens as fit, at most 16,384."""
        context = self.shape.context
        count = max(1, min((len(self.judge) - 1) // context, 16384 // context))
        return self._cut(self.judge, [i * context for i in range(count)])


# --- the model ------------------------------------------------------------------------------------


def dropout(variant: str) -> nn.Module:
    """A module for the outputs of layers that nothing else needs: it writes to its input."""
    if variant in OURS:
        return fastdrop.torch.Dropout(P, inplace=True)
    return nn.Dropout(P if variant == "PyTorch" else 0.0, inplace=True)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, size: Size, variant: str) -> None:
        super().__init__()
        self.heads = size.heads
        self.project = nn.Linear(size.width, 3 * size.width)
        self.join = nn.Linear(size.width, size.width)
        self.p = 0.0 if variant == "none" else P
        self.attend = (fastdrop.torch if variant in OURS else F).scaled_dot_product_attention

    def forward(self, x: Tensor) -> Tensor:
        batch, context, width = x.shape
        packed = self.project(x).view(batch, context, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        y = self.attend(query, key, value, dropout_p=p, is_causal=True)
        joined: Tensor = self.join(y.transpose(1, 2).reshape(x.shape))
        return joined


class Residual(nn.Module):
    """What a part makes of its input, with dropout, added to that input."""

    def __init__(self, variant: str, *part: nn.Module) -> None:
        super().__init__()
        self.fused = variant == "fused"
        self.part = nn.Sequential(*part)
        self.drop = fastdrop.torch.DropoutAdd(P) if self.fused else dropout(variant)

    def forward(self, x: Tensor) -> Tensor:
        made = self.part(x)
        y: Tensor = self.drop(made, x) if self.fused else x + self.drop(made)
        return y


def block(size: Size, variant: str) -> nn.Module:
    """A layer: attention and a feed-forward part."""
    width = size.width
    return nn.Sequential(
        Residual(variant, nn.LayerNorm(width), Attention(size, variant)),
        Residual(
            variant,
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        ),
    )


class GPT(nn.Module):
    """From bytes to scores for the byte that follows each of them."""

    def __init__(self, size: Size, variant: str, context: int) -> None:
        super().__init__()
        self.token = nn.Embedding(BYTES, size.width)
        self.place = nn.Embedding(context, size.width)
        self.drop = dropout(variant)
        self.blocks = nn.Sequential(*(block(size, variant) for _ in range(size.layers)))
        self.head = nn.Sequential(nn.LayerNorm(size.width), nn.Linear(size.width, BYTES))
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.token(x) + self.place.weight[: x.shape[1]])
        scores: Tensor = self.head(self.blocks(h))
        return scores


class Run:
    """A model in training."""

    def __init__(self, size: Size, variant: str, context: int) -> None:
        torch.manual_seed(SEED)
        self.model = GPT(size, variant, context)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), LEARNING_RATE, fused=True)
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def step(self, batch: tuple[Tensor, Tensor]) -> None:
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (len(self.losses) + 1) / WARM_UP)
        loss = F.cross_entropy(self.model(batch[0]).flatten(0, 1), batch[1].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        # Without it some runs, whatever their dropout, stay long where others leave after 50 steps.
        nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST_GRADIENT)
        self.optimizer.step()
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)

    def judge(self, batch: tuple[Tensor, Tensor]) -> float:
        """The loss on text held out, without dropout."""
        self.model.eval()
        with torch.no_grad():
            losses = [
                F.cross_entropy(self.model(x[None]).flatten(0, 1), y).item()
                for x, y in zip(*batch, strict=True)
            ]
        self.model.train()
        return statistics.fmean(losses)


# --- memory ---------------------------------------------------------------------------------------


def memory_now(what: str) -> int:
    """VmRSS (now) or VmHWM (most since the mark was reset) of this process, in bytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


def measure_memory(size: Size, variant: str, shape: Shape) -> str:
    """In a process of its own: what two steps take at most beyond what is there before them."""
    run, words = Run(size, variant, shape.context), Text(shape, 1 << 16)
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets the high-water mark
        before = memory_now("VmRSS")
    except OSError:
        return ""
    # The first step makes the optimizer's moments, the second one has all that a step has. What the
    # first one freed may still be the process's, so that the mark is not set between them.
    for number in range(2):
        run.step(words.batch(number))
    return str(memory_now("VmHWM") - before)


def memory(size: Size, variant: str, shape: Shape, threads: int) -> float:
    """MiB that steps take at most beyond the weights; nan where it is not known."""
    command = [sys.executable, __file__, "--memory-of", variant, "--shapes", str(shape)]
    command += ["--threads", str(threads), *(["--quick"] if size is TINY_GPT else [])]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return int(found) / 2**20 if found else math.nan


# --- the experiment -------------------------------------------------------------------------------


def compare(size: Size, shape: Shape, steps: int | None, threads: int) -> str:
    """Train the models, and say what came out."""
    peaks = {variant: memory(size, variant, shape, threads) for variant in VARIANTS}
    words = Text(shape)
    runs = {variant: Run(size, variant, shape.context) for variant in VARIANTS}
    count = words.steps() if steps is None else steps
    for number in range(count):
        batch = words.batch(number)
        for run in runs.values():
            run.step(batch)
        if number % 10 == 9:
            losses = ", ".join(f"{name} {run.losses[-1]:.3f}" for name, run in runs.items())
            print(f"  {shape}: step {number + 1} of {count}, loss {losses}", file=sys.stderr)
    parameters = sum(p.numel() for p in runs["none"].model.parameters())
    usual = [seconds(run) for run in runs.values()]
    late = max(1, count // 4)
    lines = [
        f"{shape} tokens, {count} steps, {parameters / 1e6:.1f} M parameters, {threads} thread(s)",
        f"  {'dropout':<9} {'loss':>6} {'held out':>9} {'s / step':>9} {'more':>7} {'peak MiB':>9}",
    ]
    for (variant, run), cost in zip(runs.items(), usual, strict=True):
        lines.append(
            f"  {variant:<9} {statistics.fmean(run.losses[-late:]):6.3f} "
            f"{run.judge(words.judged()):9.3f} {cost:9.3f} {100 * (cost / usual[0] - 1):6.1f} % "
            f"{peaks[variant]:9.0f}"
        )
    return "\n".join(lines)


def seconds(run: Run) -> float:
    """A step's, the median but for the first two."""
    return statistics.median(run.seconds[2:] or run.seconds)


def shape_of(given: str) -> Shape:
    """Read a shape such as 8x256."""
    batch, _, context = given.partition("x")
    shape = Shape(int(batch), int(context))
    if min(shape) < 1:
        raise ValueError(given)
    return shape


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT with and without dropout.")
    parser.add_argument("--steps", type=int, default=30, help="for each model (%(default)s)")
    parser.add_argument("--epoch", action="store_true", help="all of the text instead of --steps")
    parser.add_argument(
        "--shapes", type=shape_of, nargs="+", default=[Shape(8, 256), Shape(2, 1024)],
        metavar="BxT", help="sequences x tokens of a batch (8x256 2x1024)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a tiny model, 40 steps: does it run?")
    parser.add_argument("--memory-of", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.steps < 1 or options.threads < 1:
        parser.error("--steps and --threads have to be at least 1")
    if options.epoch:
        options.steps = None
    if options.quick:
        options.steps = 40
        if not options.memory_of:
            options.shapes = [Shape(2, 64)]
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, compare, report."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    fastdrop.set_num_threads(options.threads)
    size = TINY_GPT if options.quick else SMALL_GPT
    if options.memory_of:
        print(measure_memory(size, options.memory_of, options.shapes[0]))
        return
    for shape in options.shapes:
        print(compare(size, shape, options.steps, options.threads) + "\n", flush=True)
    print("loss: of the last quarter of the steps, with dropout; held out: other text, without.")
    if options.quick:
        print("A quick run says nothing about what dropout costs: leave out --quick for that.")


if __name__ == "__main__":
    main()
