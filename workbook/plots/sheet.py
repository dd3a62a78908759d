"""A card for boxes, arrows and texts, of which the workbook's drawings are made."""

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from workbook.plots.base import COLORS

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK = COLORS
# Digit 17 of the training images of notebook 00 and its teacher's soft targets at T = 4, as they were computed there.
EIGHT = bytes.fromhex(
    "00004080ff500000 00008fff80af0000 0000509f00cf2000 000000cf40ef2000"
    "0000008fff800000 000080efdf500000 0000ff50df400000 000060ffbf100000"
)
SOFT = (0.035, 0.041, 0.095, 0.047, 0.034, 0.009, 0.045, 0.068, 0.580, 0.048)


class Sheet:
    """A card of so many tenths of an inch for boxes, arrows and texts; (0, 0) is its lower left corner."""

    def __init__(self, width: float, height: float):
        self.figure = Figure(figsize=(width / 10, height / 10), facecolor="none")
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.axis("off")
        card = "round,pad=0,rounding_size=2"
        edge = dict(facecolor="white", edgecolor="#d0d0d0", linewidth=1)
        self.ax.add_patch(FancyBboxPatch((0.3, 0.3), width - 0.6, height - 0.6, card, **edge))

    def box(self, x: float, y: float, width: float, height: float, text: str, color: str = BLACK, *, size=11.5) -> None:
        """A box with its lower left corner at (x, y); the first line of its text stands out."""
        shape = FancyBboxPatch((x, y), width, height, "round,pad=0,rounding_size=1", linewidth=1.8, edgecolor=color)
        shape.set_facecolor(_tint(color))
        self.ax.add_patch(shape)
        first, _, rest = text.partition("\n")
        middle, lines = y + height / 2, text.count("\n") + 1
        step = 1.75 * size / 11.5
        self.text(x + width / 2, middle + step * (lines - 1) / 2, first, size=size, weight="bold")
        for number, line in enumerate(rest.splitlines(), 1):
            self.text(x + width / 2, middle + step * (lines - 1) / 2 - step * number, line, size=size - 1.5)

    def text(self, x: float, y: float, text: str, *, size=10.5, color="black", ha="center", **options) -> None:
        """A text around (x, y)."""
        self.ax.text(x, y, text, ha=ha, va="center", fontsize=size, color=color, linespacing=1.35, **options)

    def arrow(self, *points: tuple[float, float], text: str = "", at=(0.0, 1.2), color="#404040", dashed=False) -> None:
        """A line through these points with a head at its end; its text stands `at` from its first part's middle."""
        for start, end in zip(points, points[1:-1]):
            self.ax.plot(*zip(start, end), color=color, linewidth=1.8, linestyle="--" if dashed else "-")
        style = dict(arrowstyle="-|>", mutation_scale=14, linewidth=1.8, color=color, shrinkA=0, shrinkB=0)
        self.ax.add_patch(FancyArrowPatch(points[-2], points[-1], linestyle="--" if dashed else "-", **style))
        if text:
            (a, b), (c, d) = points[:2]
            self.text((a + c) / 2 + at[0], (b + d) / 2 + at[1], text, color=color)

    def bars(self, x: float, y: float, width: float, height: float, values: Sequence[float], color: str) -> None:
        """Bars of these shares with the digits under them; the highest is as high as the space."""
        step = width / len(values)
        for i, value in enumerate(values):
            high = height * value / max(values)
            self.ax.add_patch(Rectangle((x + (i + 0.12) * step, y), 0.76 * step, high, color=color))
            self.text(x + (i + 0.5) * step, y - 0.9, str(i), size=9, color="#404040")

    def picture(self, x: float, y: float, size: float) -> None:
        """The digit, a square of this size."""
        for i, value in enumerate(EIGHT):
            row, column, step = i // 8, i % 8, size / 8
            shade = f"{1 - value / 255:.2f}"
            at = (x + column * step, y + (7 - row) * step)
            self.ax.add_patch(Rectangle(at, step, step, facecolor=shade, edgecolor="#dddddd", linewidth=0.4))


def _tint(color: str) -> tuple[float, ...]:
    """A light shade of a colour, on which black text is read."""
    light = 0.95 if color == BLACK else 0.84
    return tuple(light + (1 - light) * part for part in matplotlib.colors.to_rgb(color))
