"""README's picture of how cost grows, from a record of benchmarks/growth.py; `python -m workbook.plots.growth`.

The newest record in results/ becomes .github/growth.svg, on a white ground, so that it reads the same on a dark page.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from workbook.plots.base import COLORS, LINES, MARKERS, plain_ticks, styled, write_svg

COLUMNS = {  # of the picture: a record's axis → title, and what its values count
    "images": ("more images", "images to train on"),
    "classes": ("more classes", "classes"),
    "batch": ("a larger batch", "images in a step"),
    "teacher": ("a larger teacher", "its million multiply-adds"),
    "students": ("students at once", "students of digits"),
}
TIMES = {
    "fill_seconds": "filling the teacher's bank, once",
    "seconds_per_step": "a step of the student, or of all students",
}
SIZE = 11  # points of the small texts: README shows the picture at its own width, a pixel for a point


@styled
def curves(rows: Sequence[Mapping], columns: Mapping[str, tuple[str, str]] = COLUMNS) -> Figure:
    """Time above, on a logarithmic scale, and memory below, from zero on; a column for each axis, and scales for all.

    A marker is the median of the rounds, a thin bar goes from the lowest to the highest.

    Args:
        rows: one for each round of each point: its axis; its value, > 0; megabytes; seconds_per_step; and fill_seconds,
            which may be missing.
        columns: axis → title, and the label of its values.
    """
    figure = Figure(figsize=(11.5, 5.4), layout="constrained")
    axes = figure.subplots(2, len(columns), sharex="col", sharey="row", squeeze=False)
    for (axis, (title, label)), (time, memory) in zip(columns.items(), axes.T):
        mine = [row for row in rows if row["axis"] == axis]
        for i, (name, text) in enumerate(TIMES.items()):
            _curve(time, mine, name, 1000, i, text)
        _curve(memory, mine, "megabytes", 1, 2, "memory at its peak, beyond the imports")
        time.set_title(title, fontsize=12)
        memory.set_xlabel(label, fontsize=SIZE)
        memory.set_xscale("log")
        memory.xaxis.set_major_locator(FixedLocator(sorted({row["value"] for row in mine})))
        memory.xaxis.set_major_formatter(FuncFormatter(_plain))
        for ax in (time, memory):
            ax.margins(x=0.15)
    axes[0][0].set(yscale="log", ylabel="milliseconds")
    plain_ticks(axes[0][0].yaxis, subs=(1,))
    axes[0][0].yaxis.set_major_formatter(FuncFormatter(_plain))
    axes[1][0].set(ylim=(0, None), ylabel="megabytes")
    for ax in axes.flat:
        ax.minorticks_off()
        ax.tick_params(labelsize=SIZE)
    found = {text: line for ax in (axes[0][0], axes[1][0]) for line, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=3, fontsize=SIZE)
    return figure


def _curve(ax, rows: Sequence[Mapping], name: str, factor: float, number: int, label: str) -> None:
    """Medians of one figure of the rows, and their ranges; nothing where the rows lack it."""
    points = {}
    for row in rows:
        if name in row:
            points.setdefault(row["value"], []).append(factor * row[name])
    if points:
        places, color = sorted(points), COLORS[number]
        ax.vlines(places, [min(points[x]) for x in places], [max(points[x]) for x in places], color, linewidth=1)
        style = dict(color=color, marker=MARKERS[number], linestyle=LINES[number], markersize=6, label=label)
        [line] = ax.plot(places, [statistics.median(points[x]) for x in places], **style)
        line.set_gid(f"{rows[0]['axis']}-{name}")


def _plain(value: float, _=None) -> str:
    return f"{value:,.{int(value % 1 > 0)}f}"


def newest(results: Path) -> dict:
    """The record of benchmarks/growth.py that was made last."""
    records = [json.loads(path.read_text()) for path in results.glob("growth-*.json")]
    return max(records, key=lambda record: record["provenance"]["date"])


def write(root: Path, record: dict) -> Path:
    """Draws a record into .github/growth.svg below the repository's root, the same bytes each time."""
    rows = [row | ({"value": float(f"{row['teacher_multiply_adds'] / 1e6:.2g}")} if row["axis"] == "teacher" else {})
            for row in record["rows"]]
    return write_svg(curves(rows), root / ".github" / "growth.svg")


if __name__ == "__main__":
    ROOT = Path(__file__).parents[2]
    print(write(ROOT, newest(ROOT / "results")))
