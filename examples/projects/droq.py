"""DroQ in JAX by SBX (Stable Baselines Jax): critics with dropout of 0.01, learned 20 times a step.

The agent is the one that SBX's documentation calls DroQ: `SAC` with `dropout_rate=0.01`,
`layer_norm=True`, 20 gradient steps for each step in the world. The world is Gymnasium's pendulum,
and the steps in it, 500 at random, are made before anything is measured. Flax' `Dropout` is set to
`fastdrop.flax.linen.Dropout`.

    python -m examples.projects.droq
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

# XLA reads it once: one thread, as for everybody else.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import jax
import numpy as np
from flax import linen
from sbx import SAC

import fastdrop.flax

from .common import SEED, Case, Step, main

P, BATCH, UPDATES, SEEN = 0.01, 256, 20, 500
THEIRS = linen.Dropout


@contextmanager
def switch() -> Iterator[None]:
    """It acts where a function is traced: in an agent's first step."""
    linen.Dropout = fastdrop.flax.linen.Dropout
    try:
        yield
    finally:
        linen.Dropout = THEIRS


def build(variant: str, quick: bool) -> Step:
    np.random.seed(SEED)  # noqa: NPY002 - Stable Baselines draws from it
    agent = SAC(
        "MlpPolicy", "Pendulum-v1", learning_rate=1e-3, learning_starts=SEEN + 1,
        gradient_steps=UPDATES, policy_delay=UPDATES, seed=SEED,
        policy_kwargs={"dropout_rate": 0.0 if variant == "none" else P, "layer_norm": True},
    )  # fmt: skip
    agent.learn(SEEN)
    batch = BATCH // 8 if quick else BATCH

    def step() -> float:
        agent.train(UPDATES, batch)
        jax.block_until_ready(agent.policy.qf_state.params)
        return float(agent.logger.name_to_value["train/critic_loss"])

    return step


CASES = (
    Case(
        "DroQ, SBX", f"{UPDATES} updates of 2 critics of 2 x 256 units, batch of {BATCH}, p = {P}",
        build, switch, lambda _: math.nan, ("jax", "flax", "sbx-rl"),
    ),
)  # fmt: skip

if __name__ == "__main__":
    main(CASES, __doc__)
