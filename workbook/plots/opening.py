"""The figures of the first notebook: three networks at one test, and one picture with what its teacher says."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from workbook.plots.base import COLORS, HATCHES, LETTERS, blank, styled


@styled
def contest(accuracy: Mapping[str, float | None], *, title: str) -> Figure:
    """A bar for each network with its share of right answers on it; a dashed place with "?" where it is not yet known.

    Args:
        accuracy: name → share in [0, 1], or None: two students, in oranges, and a teacher, in blue, as they are drawn.
        title: a text.
    """
    figure, ax = blank(title, "", "right answers on new digits (%)", size=(8, 3.9), dpi=90)
    for i, (share, color) in enumerate(zip(accuracy.values(), (COLORS[4], COLORS[1], COLORS[0]), strict=True)):
        place = dict(ha="center", va="bottom", fontsize=20, fontweight="bold")
        if share is None:
            ax.bar(i, 100, 0.62, facecolor="none", edgecolor=color, linestyle="--", linewidth=2)
            ax.text(i, 44, "?", **place | {"fontsize": 40}, color=color)
        else:
            ax.bar(i, 100 * share, 0.62, color=color, hatch=HATCHES[i % 4], edgecolor="white")
            ax.text(i, 100 * share + 1, f"{100 * share:.0f} %", **place)
    ax.set_xticks(range(len(accuracy)), accuracy)
    ax.tick_params(axis="x", length=0, labelsize=13)
    ax.set(xlim=(-0.6, len(accuracy) - 0.4), ylim=(0, 114), yticks=range(0, 101, 20))
    ax.grid(axis="x", visible=False)
    return figure


@styled
def answers(picture: Tensor, shares: Mapping[str, Sequence[float]], classes: Sequence[str], *, title: str) -> Figure:
    """One large picture, and beside it what is said of it: a column of bars for each name, in percent.

    Args:
        picture: uint8 (1, height, width), drawn smoothly and with more contrast, so that so few pixels read as a digit.
        shares: name → probabilities (classes,); below 0.05 percent a bar has no number.
        classes: their names.
        title: of the picture.
    """
    figure = Figure(figsize=(10, 4.2), dpi=84, layout="constrained")
    shown, *axes = figure.subplots(1, 1 + len(shares), width_ratios=[1.15] + [1] * len(shares))
    shown.imshow((picture.cpu().squeeze(0) / 255).numpy() ** 1.6, cmap="gray_r", interpolation="bicubic")
    shown.set(xticks=[], yticks=[])
    shown.set_title(title, fontsize=15)
    shown.grid(False)
    shown.spines[:].set(visible=True, color="#999999")
    for i, (ax, (name, values)) in enumerate(zip(axes, shares.items(), strict=True)):
        ax.barh(
            range(len(values)),
            [100 * v for v in values],
            0.75,
            color=COLORS[0],
            hatch=HATCHES[i % 4],
            edgecolor="white",
        )
        for c, value in enumerate(values):
            text = f"{100 * value:.0f}" if value >= 0.01 else f"{100 * value:.1f}" if value >= 0.0005 else ""
            ax.text(100 * value + 3, c, text, va="center", fontsize=12)
        ax.set_title(name, fontsize=15)
        ax.set_yticks(range(len(classes)), classes, **LETTERS)
        ax.tick_params(axis="y", length=0, labelsize=14)
        ax.tick_params(axis="x", labelsize=12)
        ax.set(xlim=(0, 124), xticks=(0, 50, 100), xlabel="probability (%)")
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    return figure
