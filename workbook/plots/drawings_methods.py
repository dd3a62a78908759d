"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.base import styled
from workbook.plots.sheet import BLACK, BLUE, GREEN, ORANGE, PINK, Sheet


@styled
def weighted() -> Sheet:
    """Notebook 24: a weight for each image's part of the loss, and whom it may be taken from."""
    sheet = Sheet(98, 40)
    sheet.text(21, 37, "each image’s own soft loss", size=11, weight="bold")
    for y, text, weight in ((28, "a sure answer", "1.0"), (19, "a doubtful one", "0.4"), (10, "a wrong answer", "0")):
        sheet.box(3, y, 17, 6, text, BLUE)
        sheet.box(25, y, 15, 6, "T² · KL", ORANGE)
        sheet.arrow((20, y + 3), (25, y + 3))
        sheet.arrow((40, y + 3), (49, y + 3), text="×", at=(0, 1.4))
        sheet.box(49, y, 10, 6, weight, PINK)
        sheet.arrow((59, y + 3), (64, y + 3), (64, 22), (70, 22))
    sheet.text(54, 37, "its weight", size=11, weight="bold")
    sheet.box(70, 17.5, 24, 9, "the loss\nsum of the products\n÷ sum of the weights", GREEN)
    sheet.text(82, 31.5, "only the proportions\nof the weights count", size=10)
    sheet.box(14, 1.8, 80, 5, "who says the weight? teacher · label · student · a second teacher", BLACK, size=10.5)
    sheet.arrow((54, 6.8), (54, 10), color="#b04a8a", dashed=True)
    return sheet


DRAWINGS = (weighted,)
