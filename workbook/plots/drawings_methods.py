"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from collections.abc import Container

from matplotlib.patches import Rectangle

from workbook.plots.base import styled
from workbook.plots.sheet import BLUE, ORANGE, Sheet


@styled
def starts() -> Sheet:
    """Notebook 26: three ways in which a smaller student can start from its teacher."""
    sheet = Sheet(98, 40)
    for x, title in ((17, "fewer layers"), (48, "fewer units"), (81, "two thin matrices")):
        sheet.text(x, 37, title, size=12, weight="bold")
    for i in range(6):
        sheet.box(4, 7.5 + 4.4 * i, 10, 3, f"layer {i + 1}", BLUE, size=10)
        if i % 2:
            sheet.box(20, 7.5 + 4.4 * i, 10, 3, f"layer {i + 1}", ORANGE, size=10)
            sheet.arrow((14, 9 + 4.4 * i), (20, 9 + 4.4 * i))
    numbers(sheet, (38, 23), 5, 2, BLUE, rows={0, 2, 3})
    numbers(sheet, (54, 25), 3, 2, ORANGE)
    sheet.text(48, 20.6, "first layer: the rows of the kept units", size=10)
    numbers(sheet, (36, 13.5), 2, 5, BLUE, columns={0, 2, 3})
    numbers(sheet, (54, 13.5), 2, 3, ORANGE)
    sheet.text(48, 11.1, "next layer: the same units’ columns", size=10)
    numbers(sheet, (68, 17), 5, 5, BLUE)
    sheet.text(80.7, 21.7, "≈", size=20)
    numbers(sheet, (84, 17), 5, 1, ORANGE)
    numbers(sheet, (87, 24.6), 1, 5, ORANGE)
    sheet.arrow((44, 27.8), (52, 27.8))
    sheet.arrow((47, 15.4), (52, 15.4))
    sheet.text(81, 12.2, "the nearest pair: the largest\nsingular values, and no others", size=10)
    sheet.text(49, 3.4, "blue: the teacher’s numbers · orange: the student’s first ones", weight="bold")
    return sheet


def numbers(
    sheet: Sheet, at: tuple[float, float], down: int, across: int, color: str, *, rows: Container[int] = range(9),
    columns: Container[int] = range(9),
) -> None:
    """A matrix as squares with its lower left corner at a place; those outside of the rows and columns stay white."""
    for row in range(down):
        for column in range(across):
            face = color if row in rows and column in columns else "white"
            corner = at[0] + 1.9 * column, at[1] + 1.9 * (down - 1 - row)
            sheet.ax.add_patch(Rectangle(corner, 1.9, 1.9, facecolor=face, edgecolor="#888888", alpha=0.75))


DRAWINGS = (starts,)
