"""Models under a machine's roof, as plain numbers say where they stand; measuring is workbook.labs.roofline's."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from workbook.plots.base import COLORS, MARKERS, blank, styled
from workbook.plots.latency import beside


@styled
def draw(peaks, groups: Mapping[str, Iterable[tuple[float, float, str]]], *, title: str) -> Figure:
    """Models under the machine's roof, both axes logarithmic.

    Args:
        peaks: the roof, a `workbook.labs.roofline.Peaks`: copying limits its two slopes, arithmetic its flat part.
        groups: name → (operations per byte, GFLOP/s achieved, text beside the point).

    Source: Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785.
    """
    groups = {name: list(entries) for name, entries in groups.items()}
    points = [entry for entries in groups.values() for entry in entries]
    everything = [x for x, _, _ in points] + [peaks.gflops / peaks.memory]
    low, high = min(everything) / 3, max(everything) * 4
    figure, ax = blank(title, "operations per byte moved", "GFLOP/s", size=(8, 4.4), dpi=68)
    across = np.geomspace(low, high, 200)
    for name, cached, line in (("cache", True, "--"), ("memory", False, "-")):
        speed = f"{peaks.cache if cached else peaks.memory:.0f} GB/s"
        heights = [peaks.roof(x, cached=cached) for x in across]
        ax.plot(across, heights, line, color="black", label=f"roof, bytes from {name}: {speed}")
    ax.annotate(f"{peaks.gflops:.0f} GFLOP/s", (high, peaks.gflops), (-4, 6), textcoords="offset points", ha="right")
    for i, (name, entries) in enumerate(groups.items()):
        style = dict(color=COLORS[i % 7], marker=MARKERS[i % 7], linestyle="none", markersize=9)
        ax.plot([x for x, _, _ in entries], [y for _, y, _ in entries], label=name, **style)
    ax.margins(y=0.12)
    ax.set(xscale="log", yscale="log", xlim=(low, high))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.legend(loc="outside lower center", ncols=2)
    beside(ax, points)
    return figure
