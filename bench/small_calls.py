"""Calls on 16 elements beside NumPy's multiplication: ``python -m bench.small_calls``.

What is measured is the call, not its work: into a given array, where the function takes one. With
``--strided`` the arrays are every other element of others. The limit is
``np.multiply(x, s, out=y)``. All is measured in turn (A B C A B C ...), and medians make the
ratios. The last column says what a call may cost: `dropout` one multiplication, others two, and
four where more than one pass over the elements or memory of its own is needed.
"""

import argparse
import math
from collections.abc import Sequence
from timeit import Timer

import numpy as np

import fastdrop
from fastdrop._selfcheck import implementations
from fastdrop._throughput import Row, cpu_name, medians

from .peers import BLOCK
from .variants import CASES, Case, names_for

LIMIT = "np.multiply(x, s, out=y)"
N = 16
SIDES = {2: (4, 4), 3: (1, 4, 4), 4: (1, 1, 4, 4), 5: (1, 1, 1, 4, 4)}
FOUR_TIMES = ("bias_act_dropout", "drop_block", "softmax_dropout")


def small(case: Case) -> Case:
    """The same on 16 elements."""
    ours = case.ours.format("y").replace(f"p, {BLOCK},", "p, 2,")
    return case._replace(ours=ours, shape=SIDES[len(case.shape)])


def cases() -> dict[str, Case]:
    """The first case of every element-wise function, and of softmax."""
    found: dict[str, Case] = {}
    for case in CASES:
        if case.limit.startswith(("np.multiply(x, s", "np.add")) and "norm" not in case.function:
            found.setdefault(case.function, small(case))
    return found


def at_most(function: str) -> float:
    """What a call may cost, in multiplications."""
    return 4 if function.startswith(FOUR_TIMES) else 1 if function == "dropout" else 2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.small_calls", description=__doc__)
    parser.add_argument("--strided", action="store_true", help="arrays that are not contiguous")
    parser.add_argument("--seconds", type=float, default=10.0, help="in all (%(default)s)")
    options = parser.parse_args(arguments)
    found = cases()
    assert all(math.prod(case.shape) == N for case in found.values())
    one = implementations()[0]
    print(f"{cpu_name()}, {one}, fastdrop {fastdrop.__version__}, NumPy {np.__version__}\n")
    step = 2 if options.strided else 1
    rows = [Row("limit", Timer(LIMIT, globals=small_names(found["dropout"], step)))]
    for function, case in found.items():
        statement = f"fastdrop.{case.ours}"
        # Small arrays of their own: views of the large ones would be measured as well.
        rows.append(Row(function, Timer(statement, globals=small_names(case, step)), one))
    limit, *ours = medians(rows, options.seconds)
    print(f"| function | microseconds | of np.multiply's {1e6 * limit:.2f} | at most | |")
    print("|---|---:|---:|---:|---|")
    for row, seconds in zip(rows[1:], ours, strict=True):
        ratio, bound = seconds / limit, at_most(row.label)
        verdict = "" if ratio <= bound else "LONGER"
        print(f"| `{row.label}` | {1e6 * seconds:.2f} | {ratio:.2f} | {bound:g} | {verdict} |")


def small_names(case: Case, step: int = 1) -> dict[str, object]:
    """The names of a case, with arrays in memory of their own, `step` elements between neighbours.

    A bias stays contiguous.
    """
    names = names_for(case)
    for name, value in names.items():
        if isinstance(value, np.ndarray):
            apart = step if value.ndim > 1 else 1
            memory = np.empty((*value.shape[:-1], apart * value.shape[-1]), value.dtype)
            names[name] = memory[..., ::apart]
            memory[..., ::apart] = value
    return names


if __name__ == "__main__":
    main()
