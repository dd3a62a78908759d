"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from workbook.plots.base import styled
from workbook.plots.sheet import BLACK, BLUE, GREEN, ORANGE, Sheet


@styled
def clinic() -> Sheet:
    """Notebook 22: one training step, and the six places at which a fault can sit unseen."""
    sheet = Sheet(100, 41)
    place = dict(size=11, color="#a84900", weight="bold")
    sheet.box(3, 17, 13, 8, "pictures\nand labels", BLACK)
    for y, name, color, soft in ((26, "teacher", BLUE, "softmax"), (9, "student", ORANGE, "log softmax")):
        sheet.box(23, y, 13, 8, f"{name}\nlogits", color)
        sheet.box(43, y, 13, 8, f"{soft}\nof logits / T", color)
        sheet.arrow((16, 21), (19.5, 21), (19.5, y + 4), (23, y + 4))
        sheet.arrow((36, y + 4), (43, y + 4))
        sheet.arrow((56, y + 4), (72.5, y + 4), (72.5, 25.5 if y > 20 else 17.5))
    sheet.box(66, 17.5, 13, 8, "soft loss\nT² · KL", GREEN)
    sheet.box(86, 17.5, 11, 8, "optimizer\nmoves", BLACK)
    sheet.arrow((79, 21.5), (86, 21.5))
    sheet.arrow((91.5, 17.5), (91.5, 5.5), (29.5, 5.5), (29.5, 9))
    sheet.text(29.5, 36.5, "a  eval mode, left as it is", **place)
    sheet.text(29.5, 19.5, "b  train mode", **place)
    sheet.text(56, 36.5, "c  same picture, same classes?", **place)
    sheet.text(53, 19.5, "d  once, and of whom?", **place)
    sheet.text(82.5, 28, "e  its size, its sign", **place)
    sheet.text(61, 3.2, "f  the student’s weights alone, and the next step sees them", **place)
    return sheet


DRAWINGS = (clinic,)
