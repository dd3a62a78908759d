"""A row of small pictures whose pixels stay sharp: each is drawn as 2x2 of the screen's, so that the file is small."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from workbook.plots.base import lettered, styled

SIDE, GAP, LINE, DPI = 64, 14, 20, 72  # pixels on the screen; a line of a title is LINE high
LONGEST = 10  # characters of a line, then it is cut


@styled
def row(pictures: Tensor, titles: Sequence[str]) -> Figure:
    """Pictures in one row, uint8 (n, channels, height, width), with a title above each, of a line or more.

    They look best with 32x32 pixels.
    """
    lines = [[_cut(line) for line in title.split("\n")] for title in titles]
    look = lettered([line for title in lines for line in title])
    width, height = len(pictures) * (SIDE + GAP), SIDE + 6 + LINE * max(map(len, lines), default=0)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    for i, (picture, title) in enumerate(zip(pictures, map("\n".join, lines), strict=True)):
        ax = figure.add_axes(((i * (SIDE + GAP) + GAP / 2) / width, 0, SIDE / width, SIDE / height))
        shown = picture.cpu().permute(1, 2, 0).numpy().squeeze()  # (height, width, channels)
        ax.imshow(shown, cmap="gray_r" if shown.ndim == 2 else None, interpolation="nearest")
        ax.set_title(title, fontsize=12, loc="center", pad=5, **look)
        ax.axis("off")
    return figure


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
