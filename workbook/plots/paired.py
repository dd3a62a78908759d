"""Figures of paired seeds: the dots behind an interval, a live run beside a record, students beside their teacher."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workbook.plots import general
from workbook.plots.base import CLEAR, COLORS, LINES, MARKERS, blank, plain_ticks, readable, styled

Gain = Sequence[float]  # mean, low and high end of its interval, and more that is not drawn here
GREY, DPI = "#666666", 72  # many figures stand in one notebook: fewer dots keep its file small


class Pair(NamedTuple):
    """Students of one recipe, and their teacher: accuracies in percent."""

    teacher: float
    alone: Sequence[float]
    distilled: Sequence[float]
    gain: Gain


def levels(
    before: Sequence[float], after: Sequence[float], names: tuple[str, str], *, title: str, ylabel: str
) -> Figure:
    """`plots.pairs`, small: one line for each seed, from its first figure to its second."""
    figure = general.pairs(before, after, names, title=title, ylabel=ylabel)
    figure.set_size_inches(5.5, 3.5)
    figure.set_dpi(DPI)
    return figure


@styled
def dots(rows: Mapping[str, tuple[Sequence[float], Gain]], *, title: str, xlabel: str) -> Figure:
    """One row for each experiment: a dot for each seed's difference, where there are any, and below them mean and bar.

    Args:
        rows: name → the differences, () for none, and (mean, low, high).
        title, xlabel: texts; the label carries the unit.
    """
    figure, ax = blank(title, xlabel, "", size=(9, 1.25 + 0.75 * len(rows)), dpi=DPI)
    for i, (differences, (mean, low, high, *_)) in enumerate(rows.values()):
        color = COLORS[i % 7]
        seen = dict(color=color, markeredgecolor="white", markersize=9, clip_on=False)
        ax.plot(differences, [i - 0.2] * len(differences), "o", **seen)
        ax.plot([low, high], [i + 0.14] * 2, color=color, linewidth=3, solid_capstyle="butt")
        ax.plot(mean, i + 0.14, "D", color=color, markersize=8)
        _signed(ax, f"{mean:+.1f}  [{low:+.1f}, {high:+.1f}]", (high, i + 0.14), (8, 0), ha="left", va="center")
    ax.axvline(0, color="black", linewidth=1)
    _named_rows(ax, rows)
    ax.margins(x=0.16)
    return figure


def _signed(ax: Axes, text: str, at: tuple[float, float], by: tuple[float, float], **look) -> None:
    place = dict(xytext=by, textcoords="offset points", fontsize=11, bbox=CLEAR) | look
    ax.annotate(text.replace("-", "−"), at, **place)


def _named_rows(ax: Axes, names: Iterable[str]) -> None:
    names = list(names)
    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.45, -0.65)
    ax.grid(axis="y", visible=False)


def wider(gain: Gain, pairs: int, together: int) -> tuple[float, float]:
    """The ends that a 95 % t interval of so many pairs needs, for so many of them to be right together (Bonferroni)."""
    from scipy.stats import t

    mean, low, high, *_ = gain
    half = (high - low) / 2 * t.ppf(1 - 0.025 / together, pairs - 1) / t.ppf(0.975, pairs - 1)
    return mean - half, mean + half


@styled
def beside(
    live: Mapping[str, Gain], recorded: Mapping[str, Mapping[str, float]], *, pairs: int, together: int, title: str,
    xlabel: str, legend: bool = True,
) -> Figure:
    """Recorded intervals, thick at 95 % and thin where they have 95 % all together, and above each the live one.

    On the right stand the recorded mean and the pairs that were won.

    Args:
        live: name → (mean, low, high, …); in its order and with its names.
        recorded: name → "mean", "low", "high" and "wins"; a name that it lacks has the live interval alone.
        pairs, together: of the record: paired seeds, and intervals that are looked at.
        title, xlabel: texts; the label carries the unit.
        legend: whether it says what the lines are.
    """
    figure, ax = blank(title, xlabel, "", size=(9.5, 1.5 + 0.5 * len(live)), dpi=DPI)
    for i, (name, (mean, low, high, *_)) in enumerate(live.items()):
        ax.plot([low, high], [i - 0.22] * 2, color="#999999", linewidth=1.5)
        ax.plot(mean, i - 0.22, "x", color="#999999", markersize=6, markeredgewidth=1.5)
        if name in recorded:
            kept = recorded[name]
            mean, low, high = (kept[key] for key in ("mean", "low", "high"))
            color = COLORS[2] if low > 0 else COLORS[1] if high < 0 else GREY
            ax.plot(wider((mean, low, high), pairs, together), [i + 0.12] * 2, color=color, linewidth=1)
            ax.plot([low, high], [i + 0.12] * 2, color=color, linewidth=4, solid_capstyle="butt")
            fill = "white" if low <= 0 <= high else color
            ax.plot(mean, i + 0.12, "o", color=color, markerfacecolor=fill, markeredgewidth=2, markersize=8)
            told = f"{mean:+.1f}, {kept['wins']}/{pairs}".replace("-", "−")
            ax.annotate(told, (1.01, i + 0.12), xycoords=ax.get_yaxis_transform(), fontsize=11, va="center")
    ax.axvline(0, color="black", linewidth=1)
    _named_rows(ax, live)
    ax.plot([], [], "x-", color="#999999", linewidth=1.5, markeredgewidth=1.5, label="this run: 95 %")
    ax.plot([], [], color=GREY, linewidth=4, label=f"{pairs} recorded seeds: 95 %")
    ax.plot([], [], color=GREY, linewidth=1, label=f"95 % for all {together} together")
    ax.plot([], [], "o", color=GREY, markerfacecolor="white", markeredgewidth=2, label="hollow: 95 % hold zero")
    if legend:
        figure.legend(loc="outside lower center", ncols=2, fontsize=11)
    return figure


@styled
def curves(gains: Mapping[str, Mapping[float, Gain]], *, title: str, xlabel: str, ylabel: str) -> Figure:
    """Means with their intervals over a setting on a logarithmic axis: name → setting → (mean, low, high, …)."""
    figure, ax = blank(title, xlabel, ylabel, size=(8, 3.5), dpi=DPI)
    for i, (name, found) in enumerate(gains.items()):
        x = [setting * 1.03 ** (2 * i - 1) for setting in found]  # apart, so that no bar hides another
        mean, low, high = np.array([gain[:3] for gain in found.values()]).T
        look = dict(color=COLORS[i % 7], marker=MARKERS[i % 7], linestyle=LINES[i % 4], capsize=4, markersize=7)
        ax.errorbar(x, mean, [mean - low, high - mean], label=name, **look)
    ax.set_xscale("log", base=2)
    plain_ticks(ax.xaxis, subs=(1,))
    ax.set_xticks(list(found), [f"{setting:g}" for setting in found])
    ax.axhline(0, color="black", linewidth=1)
    ax.legend()
    return figure


@styled
def students(rows: Mapping[str, Pair], *, title: str, xlabel: str) -> Figure:
    """One row for each recipe: each student alone, each distilled one, their teacher, and the gain in words."""
    figure, ax = blank(title, xlabel, "", size=(9.5, 1.75 + 0.5 * len(rows)), dpi=DPI)
    for i, pair in enumerate(rows.values()):
        n, first = len(pair.alone), i == 0
        shared = dict(linestyle="none", markersize=8, clip_on=False)
        told = [name if first else None for name in ("students alone", "the same seeds, distilled", "their teacher")]
        hollow = dict(color=COLORS[1], marker="o", markerfacecolor="white", label=told[0])
        apart = [0.07 * (k - (n - 1) / 2) for k in range(n)]  # so that equal students are seen beside each other
        ax.plot(pair.alone, [i + 0.18 + step for step in apart], **hollow, **shared)
        filled = dict(color=COLORS[0], marker="s", markeredgecolor="white", label=told[1])
        ax.plot(pair.distilled, [i - 0.18 + step for step in apart], **filled, **shared)
        ax.plot([pair.teacher], [i], color="black", marker="|", label=told[2], **shared | dict(markersize=20))
        mean, low, high, *_ = pair.gain
        gain = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")
        ax.annotate(gain, (1.01, i), xycoords=ax.get_yaxis_transform(), fontsize=11, va="center")
    _named_rows(ax, rows)
    ax.margins(x=0.08)
    figure.legend(loc="outside lower center", ncols=3, fontsize=11)
    return figure


@styled
def classes(
    values: Mapping[str, Sequence[Sequence[float]]], names: Sequence[str], *, title: str, ylabel: str
) -> Figure:
    """A dot for each seed and a line at their mean, for each class: name → shares (classes, seeds) in [0, 1]."""
    figure, ax = blank(title, "class that was left out of the student's training", ylabel, size=(9, 3.25), dpi=DPI)
    for i, (name, rows) in enumerate(values.items()):
        color, shift = COLORS[i % 7], 0.36 * (i - (len(values) - 1) / 2)
        for c, found in enumerate(rows):
            x, mean = c + shift, 100 * sum(found) / len(found)
            seen = dict(color=color, markeredgecolor="white", markersize=8)
            ax.plot([x] * len(found), [100 * share for share in found], MARKERS[i % 7], **seen)
            ax.plot([x - 0.17, x + 0.17], [mean] * 2, color=color, linewidth=3, label=name if c == 0 else None)
    labels, look = readable(names)
    ax.set_xticks(range(len(names)), labels, **look)
    ax.set_ylim(-2, 102)
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside right upper", fontsize=11)
    return figure
