"""Plain ``pytest`` runs the tests, ``pytest --benchmark-only`` the benchmarks in ``bench/``."""

import functools
import os
import sys

import pytest

# Under coverage every traced call takes a lock. A child that was forked while another thread held
# it would wait for ever, so children are not traced; a partial, because a function would be.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=functools.partial(sys.settrace, None))


def pytest_configure(config: pytest.Config) -> None:
    """Turn to ``bench/`` where only benchmarks are asked for and no path is given."""
    by_default = config.args_source is not pytest.Config.ArgsSource.ARGS
    from_root = config.invocation_params.dir == config.rootpath
    if by_default and from_root and config.getoption("benchmark_only", default=False):
        config.args = [str(config.rootpath / "bench")]
