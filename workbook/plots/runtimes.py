"""Figures of one student on many runtimes: bars side by side, calibration's draws, and a budget with what keeps it."""

from collections.abc import Iterable, Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workbook.plots.base import COLORS, MARKERS, blank, plain_ticks, styled

DPI = 76  # the figures are wide, and a notebook's file is small
NAMED = 5  # so many names have room in a plane


@styled
def across(panels: Mapping[str, Mapping[str, tuple]], *, hatched: Iterable[str] = (), tick: str = "") -> Figure:
    """Horizontal bars of several quantities over the same names, on logarithmic axes but for percent.

    Args:
        panels: title → {name → (value,) or (value, value of the black tick)}; the names are those of the first.
        hatched: the names whose bars are set apart.
        tick: what the black ticks are, for the title of the panels that have them.
    """
    names, hatched = list(next(iter(panels.values()))), set(hatched)
    figure = Figure(figsize=(10, 1 + 0.36 * len(names)), dpi=DPI, layout="constrained")
    for ax, (title, values) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items()):
        for name, (value, *ticks) in values.items():
            place, small = names.index(name), name in hatched
            ax.barh(place, value, color=COLORS[small], hatch="//" if small else "", edgecolor="white")
            ax.plot(ticks, [place] * len(ticks), marker="|", markersize=13, markeredgewidth=2.5, color="black")
            style = dict(xytext=(7, 0), textcoords="offset points", va="center", fontsize=11)
            ax.annotate(" | ".join(map(short, (value, *ticks))), (max(value, *ticks, value), place), **style)
        told = f"{title} | {tick}" if any(len(found) > 1 for found in values.values()) else title
        scale = "linear" if "%" in title else "log"
        ax.set_title(f"{told}, log scale" if scale == "log" else told, fontsize=12)
        ax.set_xscale(scale)
        ax.set_yticks(range(len(names)), names, fontsize=11)
        ax.margins(x=0.35 if len(panels) > 1 else 0.15)
        ax.minorticks_off()
        ax.set_xticks([])  # the figures stand at the bars
        ax.grid(False)
    ax.invert_yaxis()
    return figure


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@styled
def draws(
    panels: Mapping[str, Mapping[str, Mapping[str, list]]], *, line: Mapping[str, float], log: str = ""
) -> Figure:
    """Every draw a marker, a row for each set that was drawn from, and a colour for each way that used it.

    Args:
        panels: title → {way → {set → values, one for each draw}}; at most three ways.
        line: title → a level to compare with.
        log: the title of the panel with a logarithmic axis.
    """
    sets = list(next(iter(next(iter(panels.values())).values())))
    figure = Figure(figsize=(10, 1.2 + 0.62 * len(sets)), dpi=DPI, layout="constrained")
    for ax, (title, ways) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items()):
        for k, (way, found) in enumerate(ways.items()):
            height = 0.28 * (k - (len(ways) - 1) / 2)
            spots = [(value, place + height) for place, name in enumerate(sets) for value in found[name]]
            style = dict(marker=MARKERS[k], color=COLORS[k], markersize=8, markerfacecolor="none", linestyle="none")
            ax.plot(*zip(*spots), label=way, markeredgewidth=1.5, **style)
        if title in line:
            ax.axvline(line[title], color="black", linestyle="--", linewidth=1.5, label="float32")
        if title == log:
            ax.set_xscale("log")
            plain_ticks(ax.xaxis)
        ax.set(title=title, ylim=(len(sets) - 0.5, -0.5))
        ax.set_yticks(range(len(sets)), sets)
        ax.tick_params(labelsize=12)
        ax.grid(axis="y", visible=False)
        for edge in range(len(sets) - 1):
            ax.axhline(edge + 0.5, color="#e4e4e4", linewidth=1)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def budget(
    rows: Mapping[str, tuple[float, float]], kept: Iterable[str], *, max_ms: float, max_kb: float, title: str
) -> Figure:
    """Where each row stands in time and size, with the budget as a shaded corner and the names of what keeps it.

    Args:
        rows: name → (milliseconds, kilobytes).
        kept: the names that keep the budget; they are written beside their points where they are few.
        max_ms, max_kb: the budget.
        title: text.
    """
    figure, ax = blank(title, "milliseconds for one image, p95", "kilobytes on disk", size=(9, 4.2), dpi=DPI)
    kept, low = set(kept), (min(ms for ms, _ in rows.values()), min(kb for _, kb in rows.values()))
    ax.set(xscale="log", yscale="log")
    corner = (low[0] / 2, low[1] / 2)
    shade = dict(facecolor=COLORS[2], alpha=0.15, edgecolor="none")
    ax.add_patch(Rectangle(corner, max_ms - corner[0], max_kb - corner[1], label="the budget", **shade))
    for word, inside in (("keeps it", True), ("does not", False)):
        spots = [spot for name, spot in rows.items() if (name in kept) == inside] or [(float("nan"), float("nan"))]
        style = dict(color=COLORS[2 if inside else 1], marker=MARKERS[not inside], markersize=9, linestyle="none")
        ax.plot(*zip(*spots), markerfacecolor=COLORS[2] if inside else "white", label=word, **style)
    for name in kept if len(kept) <= NAMED else ():
        ax.annotate(name, rows[name], (8, 5), textcoords="offset points", fontsize=11)
    ax.set_xlim(corner[0], 2.5 * max(max_ms, *(ms for ms, _ in rows.values())))
    ax.set_ylim(corner[1], 2.5 * max(max_kb, *(kb for _, kb in rows.values())))
    for axis in (ax.xaxis, ax.yaxis):
        plain_ticks(axis)
    ax.legend(loc="upper left")
    return figure
