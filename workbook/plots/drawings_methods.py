"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.base import styled
from workbook.plots.sheet import BLUE, GREEN, ORANGE, PINK, SKY, Sheet


@styled
def conventions() -> Sheet:
    """Notebook 21: four questions to a library's line, what the gradient is made of, another library's line."""
    sheet = Sheet(98, 38)
    sheet.box(3, 15, 17, 11, "one library\nalpha = 0.9\nT = 4", BLUE)
    asked = ("What does alpha weigh?\nthe teacher, or the labels",
             "Is the soft loss times T²?\nelse it fades as T grows",
             "Averaged over what?\nimages, or classes as well", "KL or cross-entropy?\nthe same gradient")
    for i, text in enumerate(asked):
        sheet.box(27, 29.2 - 8.6 * i, 25, 6.6, text, (ORANGE, GREEN, PINK, SKY)[i], size=10.5)
        sheet.arrow((20, 20.5), (23.5, 20.5), (23.5, 32.5 - 8.6 * i), (27, 32.5 - 8.6 * i))
        sheet.arrow((52, 32.5 - 8.6 * i), (55.5, 32.5 - 8.6 * i), (55.5, 20.5), (58, 20.5))
    sheet.box(58, 15, 17, 11, "the gradient\nhard · ∇CE\n+ soft · ∇KL", BLUE)
    sheet.arrow((75, 20.5), (79, 20.5))
    sheet.box(79, 15, 16, 11, "another library\nalpha = 0.989\ntau = 4", BLUE)
    sheet.text(77, 8.6, "the same four answers,\nread backwards", size=10)
    return sheet


DRAWINGS = (conventions,)
