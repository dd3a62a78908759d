"""Figures of a cascade under load: what waiting buys, and who answered under which trouble, and how late."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, HATCHES, LINES, MARKERS, plain_ticks, styled

# Why a picture was answered as it was, as workbook/labs/cascade.py names it; in the order in which bars are stacked.
REASONS = {
    "asked": COLORS[0], "sure": "#c9c9c9", "late": COLORS[1], "resting": COLORS[4], "garbage": COLORS[3],
    "refused": COLORS[5], "gone": "#555555", "busy": COLORS[2], "unreadable": "#8c6d31",
}
DARK = ("asked", "late", "gone", "busy", "unreadable")  # white letters stand on these


@styled
def waiting(rows: Mapping[str, Mapping], *, title: str) -> Figure:
    """What each threshold costs in milliseconds, and the accuracy that its mean wait buys.

    Args:
        rows: threshold as text → {"mean", "p99": milliseconds > 0, "accuracy": percent}, in rising order.
        title: text.
    """
    figure = Figure(figsize=(10.5, 4.1), dpi=72, layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (key, name) in enumerate({"mean": "mean", "p99": "99th percentile"}.items()):
        style = dict(color=COLORS[i], marker=MARKERS[i], linestyle=LINES[i])
        left.plot(list(rows), [row[key] for row in rows.values()], label=name, **style)
    left.set(yscale="log", xlabel="threshold: below it the edge asks", ylabel="wait for an answer (ms)")
    plain_ticks(left.yaxis)
    left.legend()
    means, accuracies = ([row[key] for row in rows.values()] for key in ("mean", "accuracy"))
    right.plot(means, accuracies, color=COLORS[0], marker="o", markersize=9, linewidth=1, linestyle=":")
    for name, x, y in zip(rows, means, accuracies, strict=True):
        right.annotate(name, (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=12)
    right.set(xlabel="mean wait (ms)", ylabel="accuracy (%)")
    right.margins(x=0.16, y=0.16)
    for ax in (left, right):
        ax.tick_params(labelsize=12)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    return figure


@styled
def answers(rows: Mapping[str, Mapping], *, title: str, deadline: float) -> Figure:
    """Who answered and why under each trouble, and beside it the mean and the longest wait.

    Args:
        rows: name → {"why": reason → count, "mean", "longest": milliseconds}.
        title: text.
        deadline: milliseconds after which nobody waits, drawn as a line.
    """
    figure = Figure(figsize=(10.5, 1.8 + 0.5 * len(rows)), dpi=72, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.3, 1])
    for i, row in enumerate(rows.values()):
        _stack(left, i, row["why"])
        right.plot([row["mean"], row["longest"]], [i, i], color="#999999", linewidth=1)
    for key, marker, color in (("mean", "o", COLORS[0]), ("longest", "s", COLORS[1])):
        values = [row[key] for row in rows.values()]
        right.plot(values, range(len(rows)), linestyle="none", marker=marker, markersize=8, color=color, label=key)
    right.axvline(deadline, color="black", linewidth=1, linestyle="--", label="deadline")
    left.set_yticks(range(len(rows)), rows)
    left.set(xlabel="pictures, by why they were answered as they were", ylim=(len(rows) - 0.45, -0.55))
    right.set(xlabel="wait (ms)", xlim=(0, None))
    for ax in (left, right):
        ax.tick_params(labelsize=12)
        ax.grid(axis="y", visible=False)
    names, handles = {}, right.get_legend_handles_labels()
    for bar, name in zip(*left.get_legend_handles_labels(), strict=True):
        names.setdefault(name, bar)
    legend = [*names.values(), *handles[0]], [*names, *handles[1]]
    columns = -(-len(legend[0]) // 2)  # two lines of names
    figure.legend(*legend, loc="outside lower center", ncols=columns, columnspacing=1.4, handlelength=1.5)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    return figure


def _stack(ax, place: int, why: Mapping[str, int]) -> None:
    """One bar of counts; each part wide enough carries its number."""
    begin, total = 0, sum(why.values())
    for reason, color in REASONS.items():
        if not (count := why.get(reason, 0)):
            continue
        hatch = HATCHES[1] if reason in ("late", "garbage") else ""
        ax.barh(place, count, left=begin, height=0.72, color=color, hatch=hatch, edgecolor="white", label=reason)
        if count >= 0.05 * total:
            style = dict(color="white" if reason in DARK else "black", fontsize=11, fontweight="bold")
            box = dict(facecolor=color, edgecolor="none", pad=1.5)
            ax.text(begin + count / 2, place, f"{count}", ha="center", va="center", bbox=box, **style)
        begin += count
