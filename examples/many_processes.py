"""One model, trained by one process and by two, in three ways: is it the same training?

A small causal transformer (2 layers, width 64, 4 heads, dropout of 0.1 on embeddings, in and after
the feed-forward part and after attention) learns text, byte by byte, on CPUs. It is trained by

    one process    everything in one place
    data           two processes, each with half of the samples (DistributedDataParallel)
    tensor         two processes, each with half of the heads and hidden units, the residual stream
                   in both (parallelize_module, ColwiseParallel and RowwiseParallel)
    sequence       the same, and each with half of the time steps between the products
                   (SequenceParallel)

each time with PyTorch's dropout and with fastdrop's. All start from the same weights and see the
same batches, so that the losses of one dropout differ by the masks, and by the order of sums. What
comes out are curves, and a table of how far from one process' the losses are.

    python examples/many_processes.py              about two minutes
    python examples/many_processes.py --quick      some seconds a training: that it runs, no more
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pydoc_data.topics
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.nn.parallel import DistributedDataParallel

import fastdrop.torch
from fastdrop._throughput import cpu_name

WAYS = {"one process": 1, "data": 2, "tensor": 2, "sequence": 2}
DROPOUTS = ("PyTorch", "fastdrop")
LAYERS, WIDTH, HEADS, P = 2, 64, 4, 0.1
BATCH, CONTEXT = 8, 64
STEPS, QUICK_STEPS = 200, 8
SEED = 1


# --- the model ------------------------------------------------------------------------------------


class Part:
    """Which samples of the batch a process has, for those that do not have them all."""

    def __init__(self, rank: int = 0, processes: int = 1) -> None:
        self.samples = BATCH // processes
        self.first = rank * self.samples

    def window(self, x: Tensor) -> Any:
        """Where `x` lies in the whole batch's tensor."""
        if self.samples == BATCH:
            return None
        return (BATCH, *x.shape[1:]), (self.first, *(0,) * (x.dim() - 1))


class Drop(nn.Module):
    """The one or the other dropout; fastdrop's is told which samples it has."""

    def __init__(self, dropout: str, part: Part) -> None:
        super().__init__()
        self.part = part
        self.drop = fastdrop.torch.Dropout(P) if dropout == "fastdrop" else nn.Dropout(P)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.drop, fastdrop.torch.Dropout):
            result: Tensor = self.drop(x, window=self.part.window(x))
            return result
        plain: Tensor = self.drop(x)
        return plain


class Attention(nn.Module):
    """Causal self-attention; in a process that has half of the heads, of those."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.join = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        given = [project(x) for project in (self.query, self.key, self.value)]
        shape = (*given[0].shape[:2], -1, WIDTH // HEADS)
        heads = [one.reshape(shape).transpose(1, 2) for one in given]
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        joined: Tensor = self.join(y.transpose(1, 2).flatten(2))
        return joined


class FeedForward(nn.Module):
    def __init__(self, dropout: str, part: Part) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.drop = Drop(dropout, part)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(self.drop(F.gelu(self.widen(x))))
        return y


class Block(nn.Module):
    def __init__(self, dropout: str, part: Part) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.second_norm, self.feed_forward = nn.LayerNorm(WIDTH), FeedForward(dropout, part)
        self.drop, self.second_drop = Drop(dropout, part), Drop(dropout, part)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norm(x)))
        return x + self.second_drop(self.feed_forward(self.second_norm(x)))


class Model(nn.Module):
    def __init__(self, dropout: str, part: Part) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.drop = Drop(dropout, part)
        self.blocks = nn.ModuleList(Block(dropout, part) for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256)

    def forward(self, words: Tensor) -> Tensor:
        x = self.words(words) + self.places(torch.arange(CONTEXT)[None])
        x = self.drop(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def parallelize(model: Model, mesh: DeviceMesh, sequence: bool) -> None:
    """Cut heads and hidden units and, if told so, time steps wherever nothing looks across them."""
    columns = ColwiseParallel()
    ends = RowwiseParallel()
    norm = None
    if sequence:
        # From here to there the stream is a DTensor, of which a process has half of the steps.
        ends = RowwiseParallel(output_layouts=Shard(1), use_local_output=False)
        table = RowwiseParallel(
            input_layouts=Replicate(), output_layouts=Shard(1), use_local_output=False
        )
        norm = SequenceParallel(use_local_output=False)
        head = ColwiseParallel(input_layouts=Shard(1), output_layouts=Replicate())
        parallelize_module(
            model, mesh, {"words": table, "places": table, "norm": norm, "head": head}
        )
    for block in model.blocks:
        plan: dict[str, Any] = {
            "attention.query": columns,
            "attention.key": columns,
            "attention.value": columns,
            "attention.join": ends,
            "feed_forward.widen": ColwiseParallel(use_local_output=False),
            "feed_forward.narrow": ends,
        }
        if norm is not None:
            whole = PrepareModuleInput(
                input_layouts=Shard(1), desired_input_layouts=Replicate(), use_local_output=False
            )
            plan |= {"norm": norm, "second_norm": norm, "attention": whole, "feed_forward": whole}
        parallelize_module(block, mesh, plan)


# --- training -------------------------------------------------------------------------------------


def batches(steps: int) -> Tensor:
    """Bytes of Python's language reference: for each step so many sequences, and what follows."""
    topics = "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    text = torch.frombuffer(bytearray(topics.encode()), dtype=torch.uint8)
    draws = torch.Generator().manual_seed(SEED)
    starts = torch.randint(len(text) - CONTEXT - 1, (steps, BATCH, 1), generator=draws)
    return text[starts + torch.arange(CONTEXT + 1)].long()


def train(rank: int, way: str, dropout: str, steps: int, folder: str) -> None:
    """The losses of a training, which process 0 writes into the folder."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of DTensors' own dropout on CPUs: what this is about
    processes = WAYS[way]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    part = Part(rank, processes) if way == "data" else Part()
    torch.manual_seed(SEED)
    model: Any = Model(dropout, part)
    if way == "data":
        model = DistributedDataParallel(model)
    elif processes > 1:
        parallelize(model, init_device_mesh("cpu", (processes,)), way == "sequence")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, foreach=False)
    # PyTorch's advice for samples of their own: a seed for each process.
    torch.manual_seed(SEED + (rank if way == "data" and dropout == "PyTorch" else 0))
    losses = []
    for batch in batches(steps):
        mine = batch[part.first : part.first + part.samples]
        logits = model(mine[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), mine[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        shown = loss.detach()
        if way == "data":
            torch.distributed.all_reduce(shown)
            shown /= processes
        losses.append(shown.item())
    if rank == 0:
        Path(folder, "losses.json").write_text(json.dumps(losses), "utf-8")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def losses_of(way: str, dropout: str, steps: int) -> list[float]:
    """A training in processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (way, dropout, steps, folder), nprocs=WAYS[way])
        losses: list[float] = json.loads(Path(folder, "losses.json").read_text("utf-8"))
    return losses


# --- what came out --------------------------------------------------------------------------------


def table(losses: dict[str, dict[str, list[float]]]) -> str:
    """In Markdown: how far from the losses of one process those of two are."""
    lines = [
        "| dropout | processes | loss of the first step | of the last | largest difference |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for dropout, ways in losses.items():
        alone = ways["one process"]
        for way, found in ways.items():
            apart = max(abs(a - b) for a, b in zip(found, alone, strict=True))
            shown = "" if way == "one process" else f"{apart:.1e}"
            name = way if way == "one process" else f"two, {way}"
            lines.append(f"| {dropout} | {name} | {found[0]:.5f} | {found[-1]:.5f} | {shown} |")
    return "\n".join(lines)


def draw(losses: dict[str, dict[str, list[float]]], path: Path) -> None:
    """A panel for each dropout: losses, and how far they are from those of one process."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = dict(zip(WAYS, ("#8a8a8a", "#1f6fb4", "#d9730d", "#2e8b57"), strict=True))
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 2))
    for over, under, (dropout, ways) in zip(upper, lower, losses.items(), strict=True):
        alone = ways["one process"]
        for number, (way, found) in enumerate(ways.items()):
            # The later ones are thinner, so that those below can be seen.
            style: dict[str, Any] = {"color": colours[way], "lw": 4 - number}
            over.plot(range(1, len(found) + 1), found, label=way, **style)
            if found is not alone:
                apart = [max(abs(a - b), 1e-8) for a, b in zip(found, alone, strict=True)]
                under.plot(range(1, len(found) + 1), apart, **{**style, "lw": 1})
        over.set_title(f"{dropout}'s dropout" if dropout == "PyTorch" else dropout, fontsize=10)
        under.set(yscale="log", xlabel="step")
        for axes in (over, under):
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
    upper[0].set_ylabel("loss")
    lower[0].set_ylabel("from one process'")
    upper[1].legend(frameon=False, fontsize=9)
    with mpl.rc_context({"svg.hashsalt": "fastdrop", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps: does it run?")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training (%(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("many_processes.svg"), help="figure (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps has to be at least 1, but got {options.steps}")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the processes are all on this machine
    steps = QUICK_STEPS if options.quick else options.steps
    losses: dict[str, dict[str, list[float]]] = {}
    for dropout in DROPOUTS:
        losses[dropout] = {}
        for way in WAYS:
            losses[dropout][way] = losses_of(way, dropout, steps)
            print(f"{dropout}, {way}: {losses[dropout][way][-1]:.5f}", flush=True)
    print(f"\n{table(losses)}\n\n{steps} steps. {cpu_name()}, Python "
          f"{platform.python_version()}, PyTorch {torch.__version__}, fastdrop "
          f"{fastdrop.__version__}.")  # fmt: skip
    draw(losses, options.output)
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
