"""Check an installation that has neither the compiled core nor Numba."""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module

import numpy as np

import fastdrop

x = np.ones(100_000, np.float32)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    y = fastdrop.dropout(x, 0.25, rng=1)
    fastdrop.dropout(x, 0.25, rng=1)


def complaint(call: Callable[[], object]) -> str:
    try:
        return f"nothing, but {call()}"
    except (ImportError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


no_c_api = [complaint(fastdrop.get_include), complaint(lambda: import_module("fastdrop.capi"))]
config = fastdrop.show_config(mode="dicts")
fastdrop.show_config()
dropped = float(np.mean(y == 0))
checks = {
    "NumPy runs": config["backend"]["active"] == "numpy",
    "the others cannot": sorted(config["backend"]["unavailable"]) == ["c", "numba"],
    "one warning says why": [w.category for w in caught] == [RuntimeWarning]
    and "_core" in str(caught[0].message),
    "there is no C API, and that is said": all("compiled core" in said for said in no_c_api),
    "a quarter is dropped": abs(dropped - 0.25) < 0.01,
}
failed = [name for name, holds in checks.items() if not holds]
if failed:
    sys.exit(f"not so: {failed}; {dropped=}; warnings: {[str(w.message) for w in caught]}")
