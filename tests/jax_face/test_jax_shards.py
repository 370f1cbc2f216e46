"""Arrays over several devices: the result of one device, or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from on_jax import jax

HERE = Path(__file__).parent
CHECKS = (
    "shard_map",
    "shard_map_of_two_axes",
    "keys_of_shards",
    "jit_of_shards",
    "typed_shardings",
)


@pytest.mark.parametrize("check", CHECKS)
def test_on_four_devices(check: str) -> None:
    if not hasattr(jax, "shard_map"):
        pytest.skip("this JAX has no jax.shard_map")
    paths = [str(HERE), str(HERE.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    run = [sys.executable, "-W", "error::UserWarning", str(HERE / "sharded.py"), check]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["done"]
