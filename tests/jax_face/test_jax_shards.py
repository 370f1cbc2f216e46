"""Arrays over several devices: the result of one device, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fresh import output
from on_jax import jax

HERE = Path(__file__).parent


@pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="this JAX has no jax.shard_map")
@pytest.mark.parametrize(
    "check",
    ["shard_map", "shard_map_of_two_axes", "keys_of_shards", "jit_of_shards", "typed_shardings"],
)
def test_on_four_devices(check: str) -> None:
    output(
        f"import sharded; sharded.{check}()",
        JAX_PLATFORMS="cpu",
        PYTHONPATH=os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        PYTHONWARNINGS="error::UserWarning",
        XLA_FLAGS="--xla_force_host_platform_device_count=4",
    )
