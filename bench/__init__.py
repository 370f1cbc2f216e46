"""Benchmarks: `pytest --benchmark-only`, `python -m bench.plot` and `python -m bench.targets`."""
