"""Figures of the card that goes out with a student: how well each class is recognised, in any script."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, blank, readable, styled

SHOWN = 24  # classes that one figure has room for


@styled
def recall(classes: Sequence[str], shares: Sequence[float], counts: Sequence[int], *, title: str) -> Figure:
    """The share of each class's pictures that are recognised, with its 95 % interval, the worst first.

    Of more than 24 classes the worst are shown. A name that no installed font can write is a number, #1 for the first
    class.

    Args:
        classes, shares, counts: names, shares in [0, 1] (nan where there are no pictures), and numbers of pictures.
        title: text.

    Source: Wilson 1927, 10.1080/01621459.1927.10502953.
    """
    labels, look = readable(classes)
    order = sorted((i for i in range(len(classes)) if counts[i]), key=lambda i: shares[i])[:SHOWN]
    size = (5.4, 1.6 + 0.34 * len(order))
    figure, ax = blank(title, "pictures recognised (%),\n95% interval", "", size=size, dpi=150)
    for place, i in enumerate(order):
        low, high = wilson(shares[i], counts[i])
        ax.barh(place, 100 * shares[i], height=0.7, color=COLORS[5], edgecolor="none")
        ax.plot([100 * low, 100 * high], [place, place], color="black", linewidth=1.5)
        ax.plot(100 * shares[i], place, marker="o", markersize=5, color="black")
    ax.set_yticks(range(len(order)), [f"{labels[i]} ({counts[i]})" for i in order], parse_math=False, **look)
    ax.set(xlim=(0, 101), ylim=(len(order) - 0.4, -0.6))
    ax.grid(axis="y", visible=False)
    return figure


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The ends of the 95 % interval of a share in [0, 1] that was found in so many, >= 1."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
