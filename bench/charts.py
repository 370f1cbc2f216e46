"""The report's charts, from its saved results: who is how fast, and how far from the limit."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plot import BOUNDS, LIMIT, LOOKS, Info, Look, heading, label, size_text, throughput

GREY = LOOKS[LIMIT].colour
SPEED = "Gel/s: 1e9 elements a second"


def select(infos: Sequence[Info], group: str, **wanted: object) -> list[Info]:
    """The measurements of a group that have the wanted values."""
    return [
        info
        for info in infos
        if info["group"] == group and all(info[key] == value for key, value in wanted.items())
    ]


def sizes(infos: Sequence[Info], group: str) -> list[int]:
    return sorted({info["elements"] for info in select(infos, group)})


def name(info: Info) -> str:
    """Who did it, and how, for a bar's label or a table's row."""
    return f"{info['who']}, {info['what']}"


def time_text(seconds: float) -> str:
    for unit, text in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {text}"
    return f"{seconds / 1e-9:.3g} ns"


def bars(axes: Axes, infos: Sequence[Info], values: Sequence[float], texts: Sequence[str]) -> None:
    """Horizontal bars on a log scale, the first on top, each with its value beside it."""
    rows = range(len(infos))
    drawn = axes.barh(
        rows,
        values,
        color=[LOOKS.get(info["who"], Look("#999999")).colour for info in infos],
        # What bounds the others is drawn paler, so that the eye finds the others first.
        alpha=0.85,
        height=0.72,
    )
    for bar, info in zip(drawn, infos, strict=True):
        if info["who"] in BOUNDS:
            bar.set_alpha(0.45)
    on_white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.bar_label(drawn, texts, padding=3, fontsize=8, bbox=on_white)
    axes.set_yticks(rows, [name(info) for info in infos], fontsize=8)
    axes.set_ylim(len(infos) - 0.4, -0.6)
    axes.set_xscale("log")
    # Bars on a log scale begin anywhere: here at a third of the smallest. The labels need room.
    axes.set_xlim(min(values) / 3, max(values) * 4)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def panels(count: int, rows: int, width: float, share_y: bool = True) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(2.6 + width * count, 1.4 + 0.3 * rows), layout="constrained")
    return figure, list(figure.subplots(1, count, sharey=share_y, squeeze=False)[0])


def peers(infos: Sequence[Info]) -> Figure:
    """Everybody as bars, the fastest on top, one panel for each size."""
    found = {n: select(infos, "peers", elements=n) for n in sizes(infos, "peers")}
    figure, axes = panels(len(found), max(map(len, found.values())), 4.6, share_y=False)
    for panel, (n, those) in zip(axes, found.items(), strict=True):
        those = sorted(those, key=lambda info: info["seconds"])
        speeds = [info["gel_s"] for info in those]
        bars(panel, those, speeds, [f"{speed:.3g}" for speed in speeds])
        limit = next(i for i in those if (i["who"], i["what"]) == (LIMIT, "in place"))
        panel.axvline(limit["gel_s"], color=GREY, linestyle="--", linewidth=1, zorder=0)
        panel.set(title=f"{size_text(n)} elements", xlabel=SPEED)
    figure.suptitle(f"Dropout, {heading(those[0])}; dashed: {LIMIT} in place")
    return figure


def calls(infos: Sequence[Info]) -> Figure:
    """What a call on a small array takes, one panel for each size."""
    found = {n: select(infos, "calls", elements=n) for n in sizes(infos, "calls")}
    figure, axes = panels(len(found), max(map(len, found.values())), 2.9)
    for panel, (n, those) in zip(axes, found.items(), strict=True):
        seconds = [info["seconds"] for info in those]
        bars(panel, those, seconds, [time_text(t) for t in seconds])
        panel.xaxis.set_major_formatter(lambda value, _: time_text(value))
        limit = next(info for info in those if info["who"] == LIMIT)
        panel.axvline(limit["seconds"], color=GREY, linestyle="--", linewidth=1, zorder=0)
        panel.set(title=f"{size_text(n)} elements", xlabel="time of a call")
    figure.suptitle(f"One call on a small array, {heading(those[0])}; dashed: {LIMIT}")
    return figure


def scaling(infos: Sequence[Info]) -> Figure:
    """Speed over threads, one panel for each size."""
    ns = sizes(infos, "scaling")
    figure, axes = panels(len(ns), 9, 4.2, share_y=False)
    for panel, n in zip(axes, ns, strict=True):
        those = select(infos, "scaling", elements=n)
        for who in dict.fromkeys(info["who"] for info in those):
            curve = {i["threads"]: i["gel_s"] for i in those if i["who"] == who}
            look = LOOKS.get(who, Look("#999999"))
            text = label(who)
            style: dict[str, Any] = {"color": look.colour, "linestyle": look.style}
            if len(curve) == 1:
                panel.axhline(curve[1], label=f"{text}, 1 thread", **style)
                continue
            text += ", as many Python threads" if who == LIMIT else ""
            panel.plot(list(curve), list(curve.values()), marker="o", label=text, **style)
        counts = sorted({info["threads"] for info in those})
        if counts[-1] > 8:
            panel.set_xscale("log", base=2)
            panel.minorticks_off()
        panel.set_xticks(counts, [str(k) for k in counts])
        # Room for the legend above the curves.
        panel.set_ylim(0, 1.3 * max(info["gel_s"] for info in those))
        panel.set(title=f"in place, {size_text(n)} elements", xlabel="threads")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(loc="upper left", frameon=False, fontsize=8)
    axes[0].set_ylabel(SPEED)
    first = select(infos, "scaling", threads=1)[0]
    figure.suptitle(f"Dropout, float32, p = {first['p']:g}, {first['cpu']}")
    return figure


def all_charts(infos: Sequence[Info]) -> dict[str, Figure]:
    """Every chart, by the name of its file."""
    return {
        "throughput": throughput([info for info in infos if info["group"] == "throughput"]),
        "peers": peers(infos),
        "calls": calls(infos),
        "scaling": scaling(infos),
    }
