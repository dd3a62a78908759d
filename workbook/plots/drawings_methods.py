"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.sheet import BLUE, GREEN, ORANGE, Sheet


def two_texts() -> Sheet:
    """A student that reads a given text beside one that goes on by itself: in both the teacher judges each place."""
    sheet = Sheet(104, 44)
    sheet.text(3, 40.5, "A given text", size=12.5, ha="left", weight="bold")
    sheet.text(55, 40.5, "The student's own text", size=12.5, ha="left", weight="bold")
    sheet.box(3, 29, 45, 7, "for x in ran…\nwritten by people, or by the teacher before", GREEN)
    sheet.box(55, 29, 45, 7, "for x of the…\neach character drawn by the student", ORANGE)
    for x in (3, 55):
        sheet.box(x, 15, 20, 8, "Student\nnext character?", ORANGE)
        sheet.box(x + 25, 15, 20, 8, "Teacher\nnext character?", BLUE)
        sheet.arrow((x + 10, 28.4), (x + 10, 24))
        sheet.arrow((x + 35, 28.4), (x + 35, 24))
        sheet.arrow((x + 10, 14.2), (x + 10, 9.6))
        sheet.arrow((x + 35, 14.2), (x + 35, 9.6))
        sheet.box(x + 2, 3, 41, 6, "Divergence, at each place", "#000000")
    sheet.arrow((66, 24), (66, 28.4), dashed=True)
    return sheet


DRAWINGS = (two_texts,)
