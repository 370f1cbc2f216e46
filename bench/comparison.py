"""The measurements of the report: who is compared with whom, and on how many elements.

Everything in a group is measured in turn (A B C A B C ...) beside its limit, each after running
unmeasured for a millisecond, and the medians are kept: ``fastdrop._throughput`` does it.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from timeit import Timer
from typing import Any, NamedTuple

import numpy as np

import fastdrop
from fastdrop import _throughput
from fastdrop._arrays import Array
from fastdrop._selfcheck import Implementation, implementations
from fastdrop._throughput import Row, cpu_name, samples

from .measure import ALL_SIZES, SLOW, names_for
from .peers import PEERS, TORCH_COMPILED, MissingError
from .plot import LIMIT, Info, size_text

FLOAT32 = np.dtype(np.float32)
OURS = {
    "in place": _throughput.IN_PLACE,
    "out of place": _throughput.OUT_OF_PLACE,
    "new array": "dropout(x, p, rng=rng)",
}


class Effort(NamedTuple):
    """How much is measured: the sizes of each group, and seconds for each of its sizes."""

    throughput: Sequence[int]
    peers: Sequence[int]
    calls: Sequence[int]
    scaling: Sequence[int]
    seconds: Mapping[str, float]
    least: int
    compile: bool
    """Whether torch.compile takes part, which compiles for up to a minute."""


FULL = Effort(
    throughput=[1 << k for k in range(10, 27, 2)],
    peers=[1 << 20, 1 << 24],
    calls=[16, 256, 1 << 10, 1 << 12],
    scaling=[1 << 20, 1 << 26],
    seconds={"throughput": 6, "peers": 15, "calls": 6, "scaling": 15},
    least=5,
    compile=True,
)
QUICK = Effort(
    throughput=[1 << 12, 1 << 16, 1 << 20],
    peers=[1 << 20],
    calls=[16, 1 << 10],
    scaling=[1 << 22],
    seconds={"throughput": 0.3, "peers": 1, "calls": 0.3, "scaling": 0.5},
    least=3,
    compile=False,
)

# With more elements the peers would take minutes, and show what the size below shows.
PEERS_UP_TO = ALL_SIZES["16 M"]

# Below this, starting NumPy's threads takes longer than the multiplication.
THREADED_LIMIT_FROM = 1 << 22


class Entry(NamedTuple):
    """Who does what by which statement, and what it needs."""

    who: str
    what: str
    statement: str
    names: Mapping[str, object]
    implementation: Implementation | None = None
    threads: int = 1


def measured(group: str, n: int, entries: Sequence[Entry], effort: Effort) -> list[Info]:
    """The figures of the entries, and of the limit that each is compared with."""
    print(f"{group}: {size_text(n)} elements, {entries[0].what}", file=sys.stderr, flush=True)
    rows = [
        Row(e.who, Timer(e.statement, globals=dict(e.names)), e.implementation, e.threads)
        for e in entries
    ]
    infos = []
    found = samples(rows, effort.seconds[group], effort.least)
    for entry, values in zip(entries, found, strict=True):
        low, median, high = quantiles(values, n=4, method="inclusive")
        infos.append(
            {
                "group": group,
                "who": entry.who,
                "what": entry.what,
                "statement": entry.statement,
                "dtype": "float32",
                "elements": n,
                "p": _throughput.P,
                "threads": entry.threads,
                "seconds": median,
                "quartiles": [low, high],
                "samples": len(values),
                "gel_s": n / median / 1e9,
                "cpu": cpu_name(),
            }
        )
    limits = [info for info in infos if info["who"] == LIMIT]
    for info in infos:
        limit = _limit_of(info, limits)
        info["limit_gel_s"] = limit["gel_s"]
        info["ratio_to_limit"] = limit["seconds"] / info["seconds"]
    return infos


def _limit_of(info: Info, limits: Sequence[Info]) -> Info:
    """The limit for the same thing on as many threads, as far as the group has it."""
    what = "out of place" if info["what"] == "new array" else info["what"]
    return max(limits, key=lambda one: (one["what"] == what, one["threads"] == info["threads"]))


class Comparison:
    """Measures group after group, and keeps a note of who could not take part."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.skipped: dict[str, str] = {}
        self.implementations = implementations()
        self.best = self.implementations[0]
        config = fastdrop.show_config(mode="dicts")
        missing = {
            **config["backend"]["unavailable"],
            **{f"c-{isa}": why for isa, why in config["instruction_sets"]["unavailable"].items()},
        }
        for name, reason in missing.items():
            self.skipped[f"fastdrop {name}"] = reason

    def ours(self, what: str, n: int, found: Sequence[Implementation]) -> list[Entry]:
        names = names_for(n, FLOAT32)
        return [Entry(f"fastdrop {one}", what, OURS[what], names, one) for one in found]

    def peers(self, n: int, wanted: Collection[tuple[str, str]]) -> list[Entry]:
        """Those of PEERS that are wanted (who, and what) and can run; the limits are among them."""
        names = names_for(n, FLOAT32)
        x = names["x"]
        assert isinstance(x, np.ndarray)
        entries = []
        for peer in PEERS:
            if (peer.who, peer.what) not in wanted or peer.who in self.skipped:
                continue
            if peer.statement == TORCH_COMPILED and not self.effort.compile:
                self.skipped[peer.who] = "compiling takes too long for a quick run"
                continue
            try:
                names_of_peer = {**names, **peer.extend(x)}
            except MissingError as error:
                self.skipped[peer.who] = str(error)
                continue
            entries.append(Entry(peer.who, peer.what, peer.statement, names_of_peer))
        return entries

    def throughput(self, n: int) -> list[Info]:
        """In place and out of place, over sizes; the limits at all of them."""
        fast = [one for one in self.implementations if str(one) not in SLOW]
        taking_part = [LIMIT, "np.copyto"]
        if n <= PEERS_UP_TO:
            taking_part += ["NumPy by hand", "PyTorch", "JAX"]
        infos = []
        for what in ("in place", "out of place"):
            ways = [(who, what) for who in taking_part]
            entries = self.ours(what, n, fast) + self.peers(n, ways)
            infos += measured("throughput", n, entries, self.effort)
        return infos

    def against_peers(self, n: int) -> list[Info]:
        """Every implementation and every peer. Peers return a new array, unless in place."""
        slow_ones_too = n <= ALL_SIZES["1 M"]
        found = [one for one in self.implementations if slow_ones_too or str(one) not in SLOW]
        entries = [
            *self.ours("in place", n, [self.best]),
            *self.ours("new array", n, [self.best]),
            *self.ours("out of place", n, found),
            *self.peers(n, [(peer.who, peer.what) for peer in PEERS]),
        ]
        return measured("peers", n, entries, self.effort)

    def calls(self, n: int) -> list[Info]:
        """Small arrays, in place by those who can."""
        numba = [one for one in self.implementations[1:] if one.backend == "numba"]
        in_place = {peer.who: peer.what for peer in PEERS if peer.what == "in place"}
        ways = {peer.who: peer.what for peer in PEERS if peer.who != "np.copyto"} | in_place
        entries = [*self.ours("in place", n, [self.best, *numba]), *self.peers(n, ways.items())]
        return measured("calls", n, entries, self.effort)

    def scaling(self, n: int) -> list[Info]:
        """In place by one thread and more, beside NumPy in as many Python threads."""
        names, most = names_for(n, FLOAT32), max(counts := thread_counts())
        x = names["x"]
        assert isinstance(x, np.ndarray)
        what, one = "in place", self.best
        entries = [Entry(f"fastdrop {one}", what, OURS[what], names, one, k) for k in counts]
        entries.append(Entry(LIMIT, what, _throughput.LIMIT, names))
        with ThreadPoolExecutor(most) as pool:
            if n >= THREADED_LIMIT_FROM:
                for k in counts[1:]:
                    names = {"multiply": in_threads(pool, np.array_split(x, k))}
                    entries.append(Entry(LIMIT, what, "multiply()", names, threads=k))
            return measured("scaling", n, entries, self.effort)

    def results(self) -> list[Info]:
        """Everything, which takes minutes."""
        infos = []
        for sizes, group in (
            (self.effort.throughput, self.throughput),
            (self.effort.peers, self.against_peers),
            (self.effort.calls, self.calls),
            (self.effort.scaling, self.scaling),
        ):
            for n in sizes:
                infos += group(n)
        return infos


def thread_counts(cpus: int | None = None) -> list[int]:
    """1 to as many threads as fastdrop would use here; of many, the powers of two."""
    cpus = fastdrop.get_num_threads() if cpus is None else cpus
    return [k for k in range(1, cpus + 1) if cpus <= 8 or k == cpus or k & (k - 1) == 0]


def in_threads(pool: ThreadPoolExecutor, parts: Sequence[Array]) -> Callable[[], Any]:
    """NumPy's multiplication of all parts at once: it lets go of the interpreter's lock."""
    one = np.float32(1)

    def multiply() -> None:
        for _ in pool.map(lambda part: np.multiply(part, one, out=part), parts):
            pass

    return multiply
