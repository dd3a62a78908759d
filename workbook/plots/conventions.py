"""The figure of the conventions: how far a setting that is copied unchanged is off."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from workbook.plots.base import CLEAR, COLORS, blank, plain_ticks, styled


@styled
def copies(times: Mapping[str, float], *, title: str) -> Figure:
    """Bars on a logarithmic axis around 1: the weight of the teacher against the labels, after over before.

    Args:
        times: name → a positive number; 0 where the teacher is lost, inf where the labels are, nan where neither before
            nor after both count.
        title: a text.
    """
    figure, ax = blank(title, "the teacher against the labels, in times of what it was", "", dpi=72,
                       size=(9, 1.2 + 0.3 * len(times)))
    known = [value for value in times.values() if 0 < value < math.inf]
    low, high = min([0.3, *known]) / 2, max([3.0, *known]) * 2
    for i, value in enumerate(times.values()):
        there, right = 0 < value < math.inf, off(value) == "right"
        look = dict(color=COLORS[2]) if right else dict(color=COLORS[1], hatch="//", edgecolor="white")
        if there:
            ax.barh(i, value - 1, 0.62, left=1, **look)
        place = dict(xytext=(6, 0), textcoords="offset points", va="center", fontsize=11, bbox=CLEAR)
        ax.annotate(off(value), (max(value, 1) if there else 1, i), color="black" if there else "#555555", **place)
    ax.set_xscale("log")
    plain_ticks(ax.xaxis, subs=(1,))
    ax.set_xlim(low, high * 8)
    ax.axvline(1, color="black", linewidth=1)
    ax.set_yticks(range(len(times)), times)
    ax.set_ylim(len(times) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    return figure


def off(value: float) -> str:
    """In words how far off a copy is: "right", "10 times too weak", "3 times too strong"."""
    if math.isnan(value):
        return "nothing to weigh: only the scale differs"
    if value in (0, math.inf):
        return "the teacher is lost" if value == 0 else "the labels are lost"
    if math.isclose(value, 1, rel_tol=1e-9):
        return "right"
    much = max(value, 1 / value)
    number = f"{much:.3g}" if much < 999.5 else f"{much:,.0f}"
    return f"{number} times too {'weak' if value < 1 else 'strong'}"
