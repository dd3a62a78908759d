"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.base import styled
from workbook.plots.sheet import BLUE, GREEN, ORANGE, PINK, Sheet


@styled
def where_methods_take_hold() -> Sheet:
    """Notebook 23: logits, features, and relations between images, each with the methods that compare them."""
    sheet = Sheet(98, 42)
    for y, who, color in ((29, "teacher", BLUE), (4, "student", ORANGE)):
        sheet.text(3, y + 9.7, who, ha="left", size=12, weight="bold")
        sheet.box(3, y, 13, 7, "a batch\nof pictures")
        sheet.box(25, y, 17, 7, "first layers\nmaps", color)
        sheet.box(51, y, 17, 7, "last layers\nmaps, then rows", color)
        sheet.box(79, y, 15, 7, "logits", color)
        for a, b in ((16, 25), (42, 51), (68, 79)):
            sheet.arrow((a, y + 3.5), (b, y + 3.5))
    for x, text in ((33.5, "features\nof each picture:\nAT, ReviewKD"), (59.5, "features\nFitNets")):
        sheet.box(x - 9, 16, 16 if x < 50 else 10, 8, text, PINK, size=11)
    sheet.box(62, 16, 15, 8, "relations\nbetween pictures:\nRKD, SP, CRD", GREEN, size=11)
    sheet.box(80, 16, 15, 8, "logits\nKD, logit MSE,\nDKD, DIST, …", BLUE, size=11)
    for x, tip in ((32.5, 32.5), (55.5, 55.5), (66, 66), (87, 87)):
        sheet.arrow((x, 29), (tip, 24), color="#777777")
        sheet.arrow((x, 11), (tip, 16), color="#777777")
    return sheet


DRAWINGS = (where_methods_take_hold,)
