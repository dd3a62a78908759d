"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.base import styled
from workbook.plots.sheet import BLUE, GREEN, ORANGE, PINK, SOFT, Sheet


@styled
def other_students() -> Sheet:
    """Notebook 25: a teacher's answers are numbers, and whatever learns from numbers can be a student."""
    sheet = Sheet(98, 40)
    sheet.picture(3, 24.5, 8)
    sheet.text(7, 22.8, "pictures")
    sheet.box(2.5, 5, 14, 9, "made up\nmixtures of two\nof the pictures", PINK)
    sheet.box(22, 16, 14, 10, "teacher\na network\nasked once", BLUE)
    sheet.arrow((11.5, 28.5), (29, 28.5), (29, 26))
    sheet.arrow((16.5, 9.5), (29, 9.5), (29, 16))
    sheet.arrow((36, 21), (43, 21))
    sheet.bars(44, 17.5, 17, 8.5, SOFT, BLUE)
    sheet.text(52.5, 29.2, "ten numbers\nfor each picture", size=11, color=BLUE, weight="bold")
    kinds = ("decision tree\nquestions, one after the other", "boosting\nmany small trees, added up")
    kinds += ("logistic regression\none weight a pixel and class", "soft tree\nquestions with a gradient")
    for i, kind in enumerate(kinds):
        sheet.box(71, 30 - 8.4 * i, 25, 6.4, kind, ORANGE)
        sheet.arrow((63, 21), (67, 21), (67, 33.2 - 8.4 * i), (71, 33.2 - 8.4 * i))
    sheet.box(40, 3.5, 25, 6, "or a person’s knowledge\na table, a mirror, a rule", GREEN)
    sheet.arrow((52.5, 9.5), (52.5, 15.4), dashed=True)
    return sheet


DRAWINGS = (other_students,)
