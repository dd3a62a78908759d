"""Figures for any results: pictures, curves, bars, tables of shades, intervals, pairs and named points."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from workbook.plots.base import (
    CLEAR,
    COLORS,
    LINES,
    MARKERS,
    blank,
    lettered,
    plain_ticks,
    readable,
    side_by_side,
    styled,
)


@styled
def images(pictures: Tensor, titles: Sequence[str] = (), *, columns: int = 10, title: str = "") -> Figure:
    """Pictures in rows of so many columns, uint8 (n, channels, height, width), with a title for each, or none."""
    rows = -(-len(pictures) // columns)
    height = 1.25 if titles else 1.0
    figure = Figure(figsize=(columns, rows * height + (0.45 if title else 0)), dpi=72, layout="constrained")
    axes, look = figure.subplots(rows, columns, squeeze=False).ravel(), lettered(titles)
    for i, ax in enumerate(axes):
        ax.axis("off")
        if i < len(pictures):
            picture = pictures[i].cpu().permute(1, 2, 0).numpy()  # (height, width, channels)
            ax.imshow(picture.squeeze(), cmap="gray_r" if picture.shape[2] == 1 else None)
            if titles:
                ax.set_title(titles[i], fontsize=12, **look)
    figure.suptitle(title, fontsize=13)
    return figure


@styled
def lines(
    x: Sequence[float], series: Mapping[str, Sequence[float]], *, title: str, xlabel: str, ylabel: str, log: str = ""
) -> Figure:
    """Curves over a common axis, each with its own colour, marker and line style.

    Args:
        x: positions (n,).
        series: name → values (n,); None or nan leaves a gap.
        title, xlabel, ylabel: texts; the labels carry the units.
        log: "", "x", "y" or "xy": which axes are logarithmic (base 2 for x).
    """
    figure, ax = blank(title, xlabel, ylabel)
    few = len(x) <= 20
    for i, (name, values) in enumerate(series.items()):
        values = [float("nan") if value is None else value for value in values]
        style = dict(color=COLORS[i % 7], marker=MARKERS[i % 7] if few else None, linestyle=LINES[i % 4])
        ax.plot(x, values, label=name, markersize=6, **style)
    if "x" in log:
        ax.set_xscale("log", base=2)
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.minorticks_off()
    if "y" in log:
        ax.set_yscale("log")
        plain_ticks(ax.yaxis)
    if len(series) > 1:
        ax.legend()
    return figure


@styled
def bars(
    shares: Mapping[str, Sequence[float]], classes: Sequence[str], *, title: str, xlabel: str = "class",
    ylabel: str = "probability", top: float | None = 1.02, picture: Tensor | None = None,
) -> Figure:
    """Bars of several rows over the same classes, such as soft targets, with the picture that they speak of.

    Args:
        shares: name → values (classes,), >= 0.
        classes: their names.
        title, xlabel, ylabel: texts.
        top: where the axis ends; None to fit the values.
        picture: uint8 (channels, height, width), or None.
    """
    ratio = [1, 3.4] if picture is not None else [1]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, len(ratio), width_ratios=ratio, squeeze=False)[0]
    if picture is not None:
        axes[0].imshow(picture.cpu().permute(1, 2, 0).numpy().squeeze(), cmap="gray_r")
        axes[0].axis("off")
    side_by_side(ax := axes[-1], shares, classes)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, ylim=(0, top))
    ax.grid(axis="x", visible=False)
    if len(shares) > 1:
        figure.legend(loc="outside right upper")  # bars may fill the axes
    return figure


@styled
def matrix(
    values: Tensor, rows: Sequence[str], columns: Sequence[str], *, title: str, xlabel: str, ylabel: str
) -> Figure:
    """A table of probabilities, or of means with their intervals, as shades, with the figures in the cells.

    Args:
        values: (rows, columns), in [0, 1], shown in percent; or (rows, columns, 3), each a mean with the low and
            the high end of its interval, shown as `signed` writes them; the darker, the larger.
        rows, columns: their names.
        title, xlabel, ylabel: texts.
    """
    means, gains = (values[..., 0], True) if values.dim() == 3 else (values, False)
    figure, ax = blank(title, xlabel, ylabel, size=(7.6, 1.1 + 0.56 * len(rows)) if gains else (7.2, 6))
    low, high = (min(0.0, means.min().item()), max(0.0, means.max().item())) if gains else (0.0, 1.0)
    ax.imshow(means.cpu().numpy(), cmap="Blues", vmin=low, vmax=high, aspect="auto" if gains else "equal")
    for axis, names in ((ax.set_xticks, columns), (ax.set_yticks, rows)):
        labels, look = readable(names)
        axis(range(len(names)), labels, **look)
    ax.grid(False)
    for i, row in enumerate(means.tolist()):
        for j, value in enumerate(row):
            if gains or value >= 0.015:
                text = signed(*values[i, j].tolist()) if gains else f"{100 * value:.0f}"
                color = "white" if value > (low + high) / 2 else "black"
                ax.text(j, i, text, ha="center", va="center", color=color)
    return figure


def signed(mean: float, low: float, high: float) -> str:
    """A mean above the half of its interval, as "+9.6" over "±4.6"; in brackets where the interval holds zero.

    A dash where there is nothing to compare: all differences are zero.
    """
    if mean == low == high == 0:
        return "–"
    text = f"{mean:+.1f}\n±{(high - low) / 2:.1f}".replace("-", "−")
    return f"({text})" if low <= 0 <= high else text


@styled
def intervals(results: Mapping[str, tuple[float, float, float]], *, title: str, xlabel: str) -> Figure:
    """Means with their intervals, one line each, against zero: name → (mean, low, high, …).

    An interval that excludes zero is filled, one that holds zero is hollow.
    """
    figure, ax = blank(title, xlabel, "", size=(9, 1.3 + 0.46 * len(results)))
    for i, (mean, low, high, *_) in enumerate(results.values()):
        color = COLORS[2] if low > 0 else COLORS[1] if high < 0 else "#666666"
        ax.plot([low, high], [i, i], color=color, solid_capstyle="butt")
        fill = "white" if low <= 0 <= high else color
        ax.plot(mean, i, marker="o", markersize=9, color=color, markerfacecolor=fill, markeredgewidth=2)
        place = dict(xytext=(0, 9), textcoords="offset points", ha="center", fontsize=11, bbox=CLEAR)
        ax.annotate(f"{mean:+.1f}".replace("-", "−"), (mean, i), **place)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(results)), results)
    ax.set_ylim(len(results) - 0.5, -0.8)
    ax.grid(axis="y", visible=False)
    return figure


@styled
def pairs(
    before: Sequence[float], after: Sequence[float], names: tuple[str, str], *, title: str, ylabel: str
) -> Figure:
    """One line for each paired seed, from its first figure to its second; `names` are those of the two sides."""
    figure, ax = blank(title, "", ylabel, size=(6.5, 4.2))
    for a, b in zip(before, after, strict=True):
        rose = b > a
        ax.plot([0, 1], [a, b], color=COLORS[0 if rose else 1], linestyle="-" if rose else "--", marker="o", alpha=0.85)
    ax.set_xticks([0, 1], names)
    ax.set_xlim(-0.3, 1.3)
    ax.grid(axis="x", visible=False)
    return figure


@styled
def points(
    groups: Mapping[str, Iterable[tuple[float, float, str]]], *, title: str, xlabel: str, ylabel: str, log: str = "",
    line: tuple[str, float] | None = None,
) -> Figure:
    """Named points in a plane, one marker and colour for each group.

    Args:
        groups: name → (x, y, text beside the point).
        title, xlabel, ylabel: texts; the labels carry the units.
        log: "", "x", "y" or "xy".
        line: name and height of a level to compare with, or None.
    """
    figure, ax = blank(title, xlabel, ylabel)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
        plain_ticks(ax.yaxis)
    if line:
        ax.axhline(line[1], color="black", linestyle="--", linewidth=1.5, label=line[0])
    for i, (name, entries) in enumerate(groups.items()):
        entries = list(entries)
        style = dict(color=COLORS[i % 7], marker=MARKERS[i % 7], linestyle="none", markersize=9)
        ax.plot([e[0] for e in entries], [e[1] for e in entries], label=name, **style)
        for x, y, text in entries:
            ax.annotate(text, (x, y), (7, 5), textcoords="offset points", fontsize=11)
    ax.margins(x=0.12, y=0.12)
    if len(groups) > 1 or line:
        ax.legend()
    return figure
