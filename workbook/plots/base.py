"""The style that all figures share, and what several of them are made of."""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.ticker import FuncFormatter, LogLocator

# Okabe and Ito's colours, which stay apart for colour-blind eyes; markers and line styles repeat the distinction.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx")
CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # behind a text, so that no line crosses it

_STYLE = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "lines.linewidth": 2,
}
LETTERS = {"fontfamily": "monospace"}  # for names: I, l and 1 must look different; see `lettered` for any script
LONGEST = 22  # letters of a class's name
styled = matplotlib.rc_context(_STYLE)  # as a decorator: the style holds while a figure is made, and nowhere else


def write_svg(figure: Figure, file: Path) -> Path:
    """Writes a figure as SVG, the same bytes each time, and returns the file."""
    with matplotlib.rc_context({"svg.hashsalt": file.stem}):
        figure.savefig(file, metadata={"Date": None, "Creator": None})
    return file


def blank(title: str, xlabel: str, ylabel: str, size: tuple = (8, 4.2), dpi: int | None = None) -> tuple[Figure, Axes]:
    """A figure of so many inches with named axes; for functions that are `styled`."""
    ax = (figure := Figure(figsize=size, dpi=dpi, layout="constrained")).subplots()
    ax.tick_params(labelsize=12)  # ticks are made when the figure is drawn, outside the style
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, ax


def plain_ticks(axis: Axis, *, subs: Sequence[int] = (1, 2, 5)) -> None:
    """Ticks at these multiples of the powers of ten on a logarithmic axis, written without exponents."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.axes.minorticks_off()


def side_by_side(ax: Axes, shares: Mapping[str, Sequence[float]], classes: Sequence[str]) -> None:
    """The bars of `bars`, into these axes; no style is set for them, so that a thread may draw too."""
    width = 0.8 / len(shares)
    for i, (name, values) in enumerate(shares.items()):
        at = [c - 0.4 + width * (i + 0.5) for c in range(len(classes))]
        ax.bar(at, values, width, label=name, color=COLORS[i % 7], hatch=HATCHES[i % 4], edgecolor="white")
    labels, look = readable(classes, keep="\n")
    ax.set_xticks(range(len(classes)), labels, **look)


def lettered(texts: Sequence[str]) -> dict:
    """The options of texts in any script: the fonts here that have their letters, the usual one first."""
    lacking, family = {ord(letter) for letter in set("".join(texts))}, [LETTERS["fontfamily"]]
    lacking -= _covered(family[0])
    for font in _others() if lacking else []:
        if lacking & (has := _covered(font)):
            family.append(font)
            lacking -= has
    return {"fontfamily": family}


def readable(names: Sequence[str], *, keep: str = "") -> tuple[list[str], dict]:
    """The names as a figure can write them, and the options of its texts; "#2" for the second where no font can.

    Scripts that run from right to left, or whose letters join, are numbered too: matplotlib < 3.11 sets them wrong.
    `keep`: characters without a picture that stay, such as line breaks.
    """
    unseen = {"Cf": "", "Cc": "�", "Zl": "�", "Zp": "�", "Cs": "�"}
    short = ["".join(letter if letter in keep else unseen.get(unicodedata.category(letter), letter)
                     for letter in unicodedata.normalize("NFC", name)) for name in names]
    short = [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…" for name in short]
    letters = set("".join(short)) - set(keep)
    bad = {x for x in letters if unicodedata.bidirectional(x) in ("R", "AL") or unicodedata.category(x)[0] == "M"}
    look = lettered(sorted(letters - bad))
    bad |= {x for x in letters if not any(ord(x) in _covered(font) for font in look["fontfamily"])}
    labels = [f"#{i + 1}" if bad & set(name) else name for i, name in enumerate(short)]
    return labels, look


@cache
def _covered(font: str) -> frozenset[int]:
    try:
        return frozenset(get_font(findfont(font, fallback_to_default=False)).get_charmap())
    except (ValueError, RuntimeError, OSError):  # not a font, or not one that matplotlib reads
        return frozenset()


def _others() -> list[str]:
    """Fonts for people's scripts, by name; those that draw a box for every letter are none."""
    names = {font.name for font in fontManager.ttflist}
    kinds = ("Last Resort", "STIX", "cm", "Adobe Blank")
    usual = ("DejaVu", "Noto")
    return sorted((x for x in names if not x.startswith(kinds)), key=lambda x: (not x.startswith(usual), x))
