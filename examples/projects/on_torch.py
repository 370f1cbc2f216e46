"""PyTorch's part of a case: a training step, `enable`, dropout's share by PyTorch's profiler."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

import fastdrop.torch

from .common import SEED, Step

# Operators that draw and apply; what they call themselves is part of them.
DROPOUT = {
    f"aten::{name}"
    for name in ("dropout", "dropout_", "native_dropout", "feature_dropout", "alpha_dropout")
}
BACKWARD = "autograd::engine::evaluate_function"
PROFILED = 3

switch = fastdrop.torch.enable


def prepare() -> None:
    """The same weights and one thread for every variant."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)


def training(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]
) -> Step:
    """Forward, backward, update."""
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def share(step: Step) -> float:
    """Dropout's part of a step, forward and backward.

    A node of the backward pass has the sequence number of the operator that made it. Attention
    that does not call dropout as an operator, as fastdrop's, has no share of its own: nan.
    """
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(PROFILED):
            with record_function("step"):
                step()
    events = recorded.events()
    whole = sum(event.cpu_time_total for event in events if event.name == "step")
    drops = [event for event in events if event.name in DROPOUT]
    if any(event.name.startswith("fastdrop::attend") for event in events) or not whole:
        return math.nan
    numbers = {event.sequence_nr for event in drops} - {-1}
    spent = sum(
        event.cpu_time_total
        for event in drops
        if getattr(event.cpu_parent, "name", "") not in DROPOUT
    )
    spent += sum(
        event.cpu_time_total
        for event in events
        if event.name.startswith(BACKWARD) and event.sequence_nr in numbers
    )
    return spent / whole
