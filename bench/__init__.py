"""Benchmarks: `pytest --benchmark-only`; `python -m` bench.report, bench.plot, bench.targets."""
