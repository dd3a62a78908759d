"""The style that all figures share, and what several of them are made of."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

# Okabe and Ito's colours, which stay apart for colour-blind eyes; markers and line styles repeat the distinction.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx")
CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # behind a text, so that no line crosses it

_STYLE = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "lines.linewidth": 2,
}
LETTERS = {"fontfamily": "monospace"}  # for names of classes: I, l and 1 must look different
styled = matplotlib.rc_context(_STYLE)  # as a decorator: the style holds while a figure is made, and nowhere else


def blank(title: str, xlabel: str, ylabel: str, size: tuple = (8, 4.2), dpi: int | None = None) -> tuple[Figure, Axes]:
    """A figure of so many inches with named axes; for functions that are `styled`."""
    ax = (figure := Figure(figsize=size, dpi=dpi, layout="constrained")).subplots()
    ax.tick_params(labelsize=12)  # ticks are made when the figure is drawn, outside the style
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, ax


def plain_ticks(axis: Axis, *, subs: Sequence[int] = (1, 2, 5)) -> None:
    """Ticks at these multiples of the powers of ten on a logarithmic axis, written without exponents."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.axes.minorticks_off()


def side_by_side(ax: Axes, shares: Mapping[str, Sequence[float]], classes: Sequence[str]) -> None:
    """The bars of `bars`, into these axes; no style is set for them, so that a thread may draw too."""
    width = 0.8 / len(shares)
    for i, (name, values) in enumerate(shares.items()):
        at = [c - 0.4 + width * (i + 0.5) for c in range(len(classes))]
        ax.bar(at, values, width, label=name, color=COLORS[i % 7], hatch=HATCHES[i % 4], edgecolor="white")
    ax.set_xticks(range(len(classes)), classes, **LETTERS)
