"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

from collections.abc import Container

from matplotlib.patches import Rectangle

from workbook.plots.base import styled
from workbook.plots.sheet import BLACK, BLUE, GREEN, ORANGE, PINK, SKY, SOFT, Sheet


@styled
def article() -> Sheet:
    """Notebook 20: what the article's program does, where its seven faults are, and what is missing from it."""
    sheet, red, green = Sheet(106, 44), "#a82c00", "#00684c"
    sheet.text(3, 40.6, "numbers: the seven faults", ha="left", size=11.5, color=red, weight="bold")
    sheet.box(3, 13, 17, 9, "images\nin random batches", BLACK)
    sheet.box(35, 28, 20, 9, "teacher\nconv 32, conv 64, fc", BLUE)
    sheet.box(35, 13, 20, 9, "student\nconv 16, conv 32, fc", ORANGE)
    sheet.box(70, 13, 17, 9, "loss\ncross-entropy", GREEN)
    sheet.box(70, 2.5, 17, 5, "labels", BLACK)
    sheet.arrow((20, 17.5), (35, 17.5), text="to(device)")
    sheet.arrow((55, 17.5), (70, 17.5), text="softmax")
    sheet.arrow((78.5, 7.5), (78.5, 13))
    sheet.arrow((87, 17.5), (93, 17.5))
    sheet.text(99, 17.5, "a training\nloss")
    sheet.arrow((45, 28), (45, 22))
    sheet.text(43.5, 25, "5  copy weights", ha="right", color=red, weight="bold")
    sheet.text(33.5, 32.5, "4  never trained,\nnever asked", ha="right", color=red, weight="bold")
    sheet.text(27.5, 14.8, "3  not defined", color=red, weight="bold")
    sheet.text(45, 10.6, "2  fc of the wrong size", color=red, weight="bold")
    sheet.text(62.5, 14.8, "1  too many", color=red, weight="bold")
    sheet.text(90, 26, "6  wrong formulas", color=red, weight="bold")
    sheet.text(11.5, 8.6, "7  no seed,\nnot normalised", color=red, weight="bold")
    sheet.text(98, 10.4, "7  no test", color=red, weight="bold")
    missing = dict(text="missing: the teacher’s answers", at=(2, 1.6), dashed=True, color=green)
    sheet.arrow((55, 32.5), (78.5, 32.5), (78.5, 22), **missing)
    return sheet


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


@styled
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
        sheet.box(x + 2, 3, 41, 6, "Divergence, at each place", BLACK)
    sheet.arrow((66, 24), (66, 28.4), dashed=True)
    return sheet


@styled
def searching() -> Sheet:
    """Notebook 31: processes share the file of a study; its choice and the hand-set one meet on other seeds."""
    sheet = Sheet(106, 39)
    for y, name in ((28, "process 1"), (17, "process 2")):
        sheet.box(3, y, 22, 7.5, f"{name}\ntrain, look, go on or leave", ORANGE, size=10.5)
        sheet.arrow((25, y + 4.8), (36, y + 4.8))
        sheet.arrow((36, y + 2.4), (25, y + 2.4))
    sheet.text(30.5, 34.6, "value", size=10)
    sheet.text(30.5, 28.3, "next setting", size=10)
    sheet.box(36, 17, 23, 18.5, "the study: one file\nall settings tried\ntheir values\nsigns of life", BLUE)
    sheet.arrow((59, 31), (68, 31), text="the best", at=(0, 1.4))
    sheet.box(68, 28, 17, 6, "the found setting", BLUE, size=10.5)
    sheet.box(68, 17, 17, 6, "the hand-set one", BLACK, size=10.5)
    sheet.arrow((85, 31), (95, 31), (95, 28.6))
    sheet.arrow((85, 20), (92, 20), (92, 22.4))
    sheet.text(95, 25.5, "other seeds:\nwhich is better?", weight="bold")
    sheet.box(3, 3, 26, 6.5, "800 train\nteacher; students: a few", ORANGE, size=10)
    sheet.box(29.8, 3, 29.2, 6.5, "200 validation\na trial’s value", BLUE, size=10)
    sheet.box(68, 3, 35, 6.5, "797 test\nno search has seen them", GREEN, size=10)
    sheet.arrow((14, 9.5), (14, 16.6), dashed=True)
    sheet.arrow((44, 9.5), (44, 12.8), (18, 12.8), (18, 16.6), dashed=True)
    sheet.arrow((98, 9.5), (98, 22.4), dashed=True)
    return sheet


@styled
def federation() -> Sheet:
    """Notebook 32: what goes over the line in a round, what stays with a client, and who teaches whom."""
    sheet = Sheet(108, 48)
    sheet.text(3, 45, "The clients", size=12.5, ha="left", weight="bold")
    sheet.text(74, 45, "The server", size=12.5, ha="left", weight="bold")
    for i, (name, color) in enumerate((("mlp-64", ORANGE), ("cnn-8-16", GREEN), ("mlp-32-32", PINK))):
        y = 33 - 14 * i
        sheet.box(3, y, 15, 9, "own images,\nown labels", BLACK)
        sheet.box(24, y, 16, 9, f"own weights\n{name}", color)
        sheet.arrow((18, y + 4.5), (24, y + 4.5))
        sheet.arrow((40, y + 6.2), (56, y + 6.2), (56, 31), (73, 31))
        sheet.arrow((73, 17), (52, 17), (52, y + 2.8), (40, y + 2.8), dashed=True)
    sheet.box(74, 17, 30, 15, "consensus\nthe mean of the logits", BLUE)
    sheet.box(74, 4, 30, 7, "a network of its own", BLACK)
    sheet.arrow((89, 17), (89, 11.4))
    sheet.text(64.5, 33, "logits for the\npublic images", size=10)
    sheet.text(64.5, 13.6, "consensus\nfor the same", size=10)
    sheet.text(91, 14.2, "FedDF teaches here", ha="left", size=9.5)
    sheet.text(47, 1.6, "FedMD teaches the clients: dashed", size=10)
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


@styled
def many_processes() -> Sheet:
    """Notebook 30: two replicas, each with its shard, that make the same step from one mean gradient."""
    sheet = Sheet(104, 44)
    for i, (name, y) in enumerate((("first process", 26), ("second process", 3))):
        color = (BLUE, ORANGE)[i]
        sheet.text(3, y + 15.2, name, ha="left", size=12, weight="bold", color=color)
        sheet.box(3, y + 7, 19, 6, "its shard\nof the images", color)
        sheet.box(3, y, 19, 6, "its slice\nof the bank", color)
        sheet.box(32, y + 2.5, 17, 8.5, "student\nthe same weights\nin both", GREEN)
        sheet.arrow((22, y + 10), (27, y + 10), (27, y + 8), (32, y + 8))
        sheet.arrow((22, y + 3), (27, y + 3), (27, y + 5), (32, y + 5))
        sheet.arrow((49, y + 6.7), (59, y + 6.7))
        sheet.text(54, y + 9.8, "gradient\nof its half", size=10)
        sheet.box(86, y + 2.5, 15, 8.5, "the same step\nthe same weights\nagain", GREEN)
        sheet.arrow((77, y + 6.7), (86, y + 6.7))
        sheet.text(81.5, y + 9.8, "mean\ngradient", size=10)
    sheet.box(59, 5, 18, 33, "all-reduce\nthe mean of both\ngradients, to both", PINK)
    return sheet


DRAWINGS = (
    article, conventions, clinic, where_methods_take_hold, weighted, other_students, starts, two_texts,
    many_processes, searching, federation,
)
