"""Figures of the machines without Python: what the bits of a fixed-point number are worth, and times in a browser."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import median

from matplotlib.figure import Figure

from workbook.plots.base import CLEAR, COLORS, LINES, MARKERS, blank, plain_ticks, styled


@styled
def wires(formats: Sequence[Sequence[int]], values: Mapping[str, float], *, title: str) -> Figure:
    """The bits of fixed-point formats, each over what it is worth, and where given values begin.

    Args:
        formats: (bits, bits before the point, the sign among them), as in ap_fixed.
        values: name → a value > 0, drawn at its first bit that is not zero.
        title: text.
    """
    figure, ax = blank(title, "what the bit is worth", "", size=(9.4, 1.7 + 0.5 * len(formats)), dpi=75)
    for row, (width, integer) in enumerate(formats):
        for power in range(integer - width, integer):
            sign = power == integer - 1
            look = dict(facecolor="#555555" if sign else COLORS[5], edgecolor="white")
            ax.barh(row, 1, left=power - 0.5, height=0.62, **look)
            if sign:
                ax.text(power, row, "±", ha="center", va="center", color="white", fontsize=13)
    for i, (name, value) in enumerate(values.items()):
        power = _first_bit(value)
        ax.axvline(power, color=COLORS[1 + i % 6], linestyle=LINES[1 + i % 3], label=f"{name}: {value:.2g}")
    low, high = min(i - w for w, i in formats), max(i for _, i in formats) - 1
    powers = range(low, max(high, *map(_first_bit, values.values()), low) + 1)
    ax.set_xticks(powers, [str(Fraction(2) ** p) for p in powers], fontsize=11)
    ax.tick_params(axis="x", labelrotation=45 if len(powers) > 13 else 0)
    ax.set_xlim(powers[-1] + 0.7, low - 0.7)  # the highest bit on the left, as numbers are written
    ax.set_yticks(range(len(formats)), [f"<{width},{integer}>" for width, integer in formats])
    ax.set_ylim(len(formats) - 0.5, -0.5)
    ax.grid(visible=False)
    ax.axvline(-0.5, color="black", linewidth=2, label="the point")
    figure.legend(loc="outside lower center", ncols=len(values) + 1)
    return figure


def _first_bit(value: float) -> int:
    """The power of two of the first bit of a value > 0 that is not zero."""
    power = 0
    while 2.0 ** (power + 1) <= value:
        power += 1
    while 2.0**power > value:
        power -= 1
    return power


@styled
def openings(times: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> Figure:
    """Times of several networks, measured again and again: a dot a measurement, a large one at their median.

    Args:
        times: case → network → microseconds (n,), > 0.
        title: text.
    """
    figure, ax = blank(title, "microseconds per picture", "", size=(9.4, 1.6 + 0.75 * len(times)), dpi=75)
    ax.set_xscale("log")
    plain_ticks(ax.xaxis)
    for row, networks in enumerate(times.values()):
        for i, (name, found) in enumerate(networks.items()):
            at, style = row + 0.24 * (i - (len(networks) - 1) / 2), dict(color=COLORS[i], marker=MARKERS[i])
            ax.plot(found, [at] * len(found), linestyle="none", markersize=6, alpha=0.45, **style)
            label = name if row == 0 else None
            ax.plot(median(found), at, linestyle="none", markersize=11, markeredgecolor="white", label=label, **style)
            told = dict(xytext=(0, 10 if i == 0 else -21), textcoords="offset points", ha="center", fontsize=11)
            ax.annotate(f"{median(found):.3g}", (median(found), at), bbox=CLEAR, **told)
    ax.set_yticks(range(len(times)), times)
    ax.set_ylim(len(times) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside right upper")
    return figure
