"""Figures of lab 13: accuracies stage by stage, and paired differences of this run beside those of a record."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, LINES, MARKERS, blank, styled

DPI = 72  # a lab of many figures stays a small file
Interval = Sequence[float]  # mean, low end, high end, …


@styled
def stages(names: Sequence[str], series: Mapping[str, Sequence[Sequence[float]]], *, title: str, ylabel: str) -> Figure:
    """Means from stage to stage, with a thin bar from the lowest to the highest seed of each.

    Args:
        names: of the stages.
        series: name → for each stage the figures of its seeds.
        title, ylabel: texts.
    """
    figure, ax = blank(title, "", ylabel, size=(2.8 + 0.85 * len(names), 3.7), dpi=DPI)
    for i, (name, found) in enumerate(series.items()):
        at = [place + 0.07 * (i - (len(series) - 1) / 2) for place in range(len(names))]
        style = dict(color=COLORS[i % 7], marker=MARKERS[i % 7], linestyle=LINES[i % 4])
        ax.vlines(at, [min(values) for values in found], [max(values) for values in found], COLORS[i % 7], linewidth=1)
        ax.plot(at, [sum(values) / len(values) for values in found], label=name, markersize=7, **style)
    ax.set_xticks(range(len(names)), names)
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=2)  # the bars may be anywhere
    return figure


@styled
def beside(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]], *, xlabel: str) -> Figure:
    """Intervals from several sources, one line each below the other, in panels two abreast.

    A marker is filled where its interval excludes zero and hollow where it holds zero.

    Args:
        panels: title → {source → {row → (mean, low, high, …)}}; at most three sources; a source may lack rows.
        xlabel: text, which stands below the last row of panels.
    """
    sources = list(dict.fromkeys(source for panel in panels.values() for source in panel))
    across, down = min(2, len(panels)), -(-len(panels) // 2)
    longest = max(len(rows_of(panel)) for panel in panels.values())
    size = (9.5 if across > 1 else 8, 0.8 + down * (0.4 + 0.36 * longest))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    for place, (ax, (name, panel)) in enumerate(zip(figure.subplots(down, across, squeeze=False).flat, panels.items())):
        rows = rows_of(panel)
        for k, source in enumerate(sources):
            for row, (mean, low, high, *_) in panel.get(source, {}).items():
                height, color = rows.index(row) + 0.3 * (k - (len(sources) - 1) / 2), COLORS[k]
                ax.plot([low, high], [height, height], color=color, solid_capstyle="butt")
                fill = "white" if low <= 0 <= high else color
                ax.plot(mean, height, MARKERS[k], color=color, markersize=7, markerfacecolor=fill, markeredgewidth=2)
        ax.axvline(0, color="black", linewidth=1)
        named = place % 2 == 0 or rows != rows_of(list(panels.values())[place - 1])
        ax.set(title=name, ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel if place >= len(panels) - across else "")
        ax.set_yticks(range(len(rows)), rows if named else [""] * len(rows))
        ax.tick_params(labelsize=12)
        ax.grid(axis="y", visible=False)
    handles = [figure.axes[0].plot([], [], MARKERS[k] + "-", color=COLORS[k])[0] for k in range(len(sources))]
    figure.legend(handles, sources, loc="outside lower center", ncols=len(sources))
    return figure


def rows_of(panel: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    """The rows of all sources, in the order of the one that has most."""
    longest = sorted(panel.values(), key=len, reverse=True)
    return list(dict.fromkeys(row for found in longest for row in found))
