"""Turn a saved benchmark run into a chart: throughput over size, with the limit drawn in.

pytest --benchmark-only --benchmark-json=run.json && python -m bench.plot run.json chart.svg
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANELS = ("in place", "out of place")


class Look(NamedTuple):
    """How a curve is drawn; what has none of its own is drawn in grey."""

    colour: str
    style: str = "-"
    width: float = 1.6


LIMIT = "np.multiply"
BOUNDS = (LIMIT, "np.copyto")
LOOKS = {
    LIMIT: Look("#6b6b6b", "--", 2.0),
    "np.copyto": Look("#9a9a9a", ":"),
    "fastdrop c-avx512": Look("#b3123f", width=2.6),
    "fastdrop c-neon": Look("#b3123f", width=2.6),
    "fastdrop c-avx2": Look("#e4572e", width=2.2),
    "fastdrop c-vec128": Look("#f0a202"),
    "fastdrop c-scalar": Look("#c9b27c"),
    "fastdrop numba": Look("#3a9b5c"),
    "fastdrop numpy": Look("#8cc9a1"),
    "NumPy by hand": Look("#2e86ab", "-."),
    "PyTorch": Look("#5e4fa2", "-."),
    "PyTorch compiled": Look("#c04fa2", "-."),
    "JAX": Look("#9f8fd0", "-."),
    "Flax": Look("#c3b8e6", "-."),
    "fastdrop.jax": Look("#d9688a"),
    "Keras on PyTorch": Look("#7fb6d6", "-."),
    "fastdrop.keras on PyTorch": Look("#e79ab0"),
}

Info = dict[str, Any]
"""What is known of a measurement: who does what, how many elements, how fast, and the limit."""

Curves = dict[str, dict[int, float]]


def curves(infos: Sequence[Info], what: str, dtype: str = "float32") -> Curves:
    """Gel/s of everybody who does ``what``, by size, in the order in which they are drawn."""
    found: Curves = defaultdict(dict)
    limits: dict[int, list[float]] = defaultdict(list)
    for info in infos:
        if info.get("what") == what and info.get("dtype") == dtype:
            found[info["who"]][info["elements"]] = info["gel_s"]
            limits[info["elements"]].append(info["limit_gel_s"])
    # Every benchmark measured the limit too: their median is steadier than one measurement.
    found[LIMIT] = {size: statistics.median(values) for size, values in limits.items()}
    return {
        who: found[who] for who in [*LOOKS, *(w for w in found if w not in LOOKS)] if who in found
    }


def size_text(elements: float) -> str:
    for unit, name in ((1 << 20, " M"), (1 << 10, " K")):
        if elements >= unit:
            return f"{elements / unit:g}{name}"
    return f"{elements:g}"


def label(who: str) -> str:
    return f"limit: {who}" if who == LIMIT else who


def draw(axes: Axes, what: str, found: Curves) -> None:
    sizes = sorted({size for curve in found.values() for size in curve})
    for who, curve in found.items():
        look = LOOKS.get(who, Look("#999999"))
        x = sorted(curve)
        axes.plot(
            x,
            [curve[size] for size in x],
            look.style,
            color=look.colour,
            linewidth=look.width,
            marker=None if who in BOUNDS else "o",
            markersize=3.5,
            label=label(who),
            zorder=3 if who.startswith("fastdrop") else 2,
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [size_text(size) for size in sizes], minor=False)
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(title=what, xlabel="elements")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def heading(info: Info) -> str:
    """What holds for a whole chart."""
    threads = "1 thread" if info["threads"] == 1 else f"{info['threads']} threads"
    return f"float32, p = {info['p']:g}, {threads}, {info['cpu']}"


def throughput(infos: Sequence[Info]) -> Figure:
    """One panel in place and one out of place, float32, log-log."""
    panels = {what: curves(infos, what) for what in PANELS}
    if not any(panels[what][LIMIT] for what in PANELS):
        raise SystemExit("the run holds no float32 dropout: was bench/ run as a whole?")
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, (what, found) in zip(both, panels.items(), strict=True):
        draw(axes, what, found)
    both[0].set_ylabel("Gel/s: 1e9 elements a second")
    handles = {
        text: h for axes in both for h, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = [label(who) for who in LOOKS]
    names = sorted(handles, key=lambda text: order.index(text) if text in order else len(order))
    figure.legend([handles[n] for n in names], names, loc="outside right center", frameon=False)
    info = next(info for info in infos if info.get("what") in PANELS)
    figure.suptitle(f"Dropout, {heading(info)}")
    return figure


def chart(run: dict[str, Any]) -> Figure:
    """The throughput in a run that pytest-benchmark saved."""
    return throughput([benchmark["extra_info"] for benchmark in run["benchmarks"]])


def save(figure: Figure, path: Path) -> None:
    """Write a picture that depends on what it shows, and on neither time nor place."""
    # Without a salt of ours, names within an SVG file are random.
    nothing = {"Date": None} if path.suffix == ".svg" else {}
    with mpl.rc_context({"svg.hashsalt": "fastdrop"}):
        figure.savefig(path, dpi=150, metadata=nothing)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("run", type=Path, help="what --benchmark-json=run.json wrote")
    parser.add_argument("chart", type=Path, help="the picture: .svg, .png or .pdf")
    options = parser.parse_args(arguments)
    save(chart(json.loads(options.run.read_text(encoding="utf-8"))), options.chart)


if __name__ == "__main__":
    main()
