"""Figures of lab 25: the questions that a tree asks one picture, and what a tree of some depth explains."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from workbook.plots import general
from workbook.plots.base import COLORS, styled

DPI = 72


class Question(NamedTuple):
    """Is there more ink than the threshold at this row and column, counted from 1? `yes` is the answer."""

    row: int
    column: int
    threshold: float
    yes: bool


@styled
def path(picture: Tensor, questions: Sequence[Question], answer: str, *, title: str) -> Figure:
    """A picture with the pixels that a tree asks for, numbered in their order, and what it finds there.

    Args:
        picture: uint8 (1, height, width).
        questions: from the root to the leaf; ValueError for none, or for a pixel outside the picture.
        answer: what the leaf says.
        title: text.
    """
    height, width = picture.shape[-2:]
    if not questions:
        raise ValueError("a path needs at least one question; a tree of one leaf asks none")
    for question in questions:
        if not (1 <= question.row <= height and 1 <= question.column <= width):
            raise ValueError(f"row and column must be in 1 .. {height} and 1 .. {width}, got {tuple(question[:2])}")
    figure = Figure(figsize=(7.6, max(3.0, 1.1 + 0.36 * len(questions))), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    left.imshow(picture.cpu().numpy().squeeze(), cmap="gray_r", vmin=0, vmax=255)
    left.set(xticks=range(width), xticklabels=range(1, width + 1), yticks=range(height))
    left.set(yticklabels=range(1, height + 1), xlabel="column", ylabel="row")
    left.grid(False)
    right.axis("off")
    figure.suptitle(title, fontsize=13)
    for number, (row, column, threshold, yes) in enumerate(questions, 1):
        color, found = COLORS[1 if yes else 0], ">" if yes else "≤"
        left.add_patch(Rectangle((column - 1.5, row - 1.5), 1, 1, fill=False, edgecolor=color, linewidth=3))
        box = dict(facecolor="white", edgecolor="none", pad=0.8)
        left.text(column - 1, row - 1, str(number), ha="center", va="center", fontsize=11, color=color, bbox=box)
        told = f"{number}  row {row}, column {column}: ink {found} {threshold:.2f}"
        right.text(0, 1 - number / (len(questions) + 2), told, fontsize=12, color=color, va="center")
    last = 1 - (len(questions) + 1) / (len(questions) + 2)
    right.text(0, last, answer, fontsize=12, va="center", weight="bold")
    return figure


@styled
def depths(shares: Mapping[str, Mapping[int, float]], *, title: str, ylabel: str) -> Figure:
    """Percentages over the depth of a tree, with the number of its leaves at most: name → depth → percent."""
    levels = list(next(iter(shares.values())))
    named = {name: [found[level] for level in levels] for name, found in shares.items()}
    figure = general.lines(levels, named, title=title, xlabel="depth (leaves at most)", ylabel=ylabel)
    figure.set_size_inches(7.5, 3.6)
    figure.set_dpi(DPI)
    (ax,) = figure.axes
    ax.set_xticks(levels, [f"{level}\n({2**level:,})" for level in levels])
    ax.set_ylim(0, 102)
    return figure
