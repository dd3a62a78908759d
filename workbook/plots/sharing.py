"""The figures of lab 15: who worked when, the size of a chunk, and what a teacher does to single classes."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, LETTERS, LINES, MARKERS, blank, plain_ticks, styled

Log = Sequence[tuple[int, float, float, int]]  # a chunk each: device, start and end in seconds, pictures
Gain = tuple[float, float, float]  # mean, low, high, and what else follows
DPI = 66  # keeps the notebook's file small


@styled
def schedule(
    logs: Mapping[str, Log], names: Sequence[str], simulated: Mapping[str, float], marks: Mapping[str, float], *,
    title: str,
) -> Figure:
    """Who worked when: a row of panels for each way, a row in it for each device, a bar for each chunk.

    Args:
        logs: way → its run.
        names: of the devices.
        simulated: way → the makespan that was expected, in seconds; a triangle on the panel's upper edge.
        marks: name → seconds, lines through all panels.
        title: text.
    """
    figure = Figure(figsize=(7.8, 1.15 * len(logs) + 0.9), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(logs), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (way, log) in zip(axes, logs.items()):
        for i in range(len(names)):
            spans = [(start, end - start) for device, start, end, _ in log if device == i]
            ax.broken_barh(spans, (i - 0.4, 0.8), color=COLORS[i % 7], edgecolor="white", linewidth=0.8)
        for (name, at), style in zip(marks.items(), LINES[1:]):
            ax.axvline(at, color="black", linestyle=style, linewidth=1.5, label=name)
        triangle = dict(marker="v", markersize=9, color="black", linestyle="none", clip_on=False, zorder=4)
        ax.plot(simulated[way], -0.6, label="simulated end", **triangle)
        ax.set_title(way, fontsize=12)
        ax.set_yticks(range(len(names)), names, fontsize=11)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.grid(axis="y", visible=False)
    axes[-1].set_xlabel("seconds since the start")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(marks) + 1)
    figure.suptitle(title, fontsize=13)
    return figure


@styled
def chunks(
    sizes: Sequence[int], curves: Mapping[str, Sequence[float]], runs: Mapping[int, Sequence[float]], *, title: str,
    ylabel: str,
) -> Figure:
    """Makespans by the size of a chunk: curves as simulated, and a point for each real run.

    Args:
        sizes: of the curves' values.
        curves: name → values (sizes,).
        runs: size → one value a run.
        title, ylabel: texts.
    """
    figure, ax = blank(title, "pictures in a chunk (shared queue)", ylabel, size=(7.5, 3.75), dpi=DPI)
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(sizes, values, color=COLORS[i], linestyle=LINES[i], label=name)
    x, y = zip(*((size, value) for size, values in runs.items() for value in values))
    ax.plot(x, y, color=COLORS[2], marker=MARKERS[2], linestyle="none", markersize=7, alpha=0.8, label="each real run")
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size}" for size in sizes])
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)
    ax.legend()
    return figure


@styled
def gains(results: Mapping[str, Gain], *, title: str, xlabel: str) -> Figure:
    """Means with their intervals, a line each, against zero; the means stand in a column beside the lines.

    An interval that excludes zero is filled, one that holds zero is hollow.
    """
    figure, ax = blank(title, xlabel, "", size=(8, 1.2 + 0.36 * len(results)), dpi=DPI)
    for i, (mean, low, high, *_) in enumerate(results.values()):
        holds = low <= 0 <= high
        color = "#666666" if holds else COLORS[2 if low > 0 else 1]
        ax.plot([low, high], [i, i], color=color, solid_capstyle="butt")
        ax.plot(mean, i, "o", markersize=9, color=color, markerfacecolor="white" if holds else color, mew=2)
        text = f"{mean:+.1f}".replace("-", "−")
        ax.text(1.08, i, text, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=11, **LETTERS)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(results)), results, fontsize=11)
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    return figure


@styled
def each_class(tables: Mapping[str, Mapping[str, Gain]], *, title: str, xlabel: str, ylabel: str) -> Figure:
    """Means with their intervals by class, one colour and marker for each table; the last column stands apart.

    Args:
        tables: name → class → (mean, low, high, …), the same classes in each, the last of them a summary.
        title, xlabel, ylabel: texts.
    """
    figure, ax = blank(title, xlabel, ylabel, size=(8.4, 4), dpi=DPI)
    for i, (name, table) in enumerate(tables.items()):
        shift = 0.18 * (i - (len(tables) - 1) / 2)
        mean, low, high = zip(*(gain[:3] for gain in table.values()))
        x = [c + shift + 0.5 * (c == len(table) - 1) for c in range(len(table))]
        ax.vlines(x, low, high, color=COLORS[i], linewidth=2)
        ax.plot(x, mean, marker=MARKERS[i], color=COLORS[i], linestyle="none", markersize=7, label=name)
    last = len(table) - 1
    ax.axhline(0, color="black", linewidth=1)
    ax.axvline(last - 0.25, color="#999999", linewidth=1)
    ax.set_xticks([*range(last), last + 0.5], table)
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
