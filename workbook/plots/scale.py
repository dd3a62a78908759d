"""The figure of lab 30: what two processes gain over one, and what the exchange takes."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, blank, styled


@styled
def speedups(rows: Mapping[str, tuple[float, float, float, float]], *, processes: int, title: str) -> Figure:
    """One row for each network: the median speed-up as a dot, the rounds from lowest to highest as a line.

    On the right stands the share of a step that the exchange would take by itself. A dashed line marks 1, where nothing
    is gained, a solid one the number of processes, which is the most.

    Args:
        rows: name → (median, lowest, highest, share of the exchange in 0 … 1).
        processes: >= 2.
        title: a text.
    """
    figure, ax = blank(title, "times as fast as one process", "", size=(8, 1.3 + 0.45 * len(rows)), dpi=72)
    for i, (middle, low, high, share) in enumerate(rows.values()):
        color = COLORS[2] if low > 1 else COLORS[1] if high < 1 else "#666666"
        ax.plot([low, high], [i, i], color=color, linewidth=4, solid_capstyle="butt")
        ax.plot(middle, i, "o", color=color, markersize=9, markeredgecolor="white")
        told = f"{middle:.2f}, exchange {share:.0%}" if share >= 0.01 else f"{middle:.2f}, exchange < 1%"
        ax.annotate(told, (1.01, i), xycoords=ax.get_yaxis_transform(), fontsize=11, va="center")
    ax.axvline(1, color="black", linewidth=1, linestyle="--")
    ax.axvline(processes, color="black", linewidth=1)
    ax.set_xlim(0, 1.05 * processes)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.grid(axis="y", visible=False)
    return figure
