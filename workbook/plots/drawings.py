"""The workbook's drawings, made by code: what goes where, in boxes and arrows; `python -m workbook.plots.drawings`.

They are SVG files on a light ground of their own, so that they read the same on a dark page. The committed ones lie in
notebooks/drawings, and the one of README in .github.
"""

from pathlib import Path

from matplotlib.patches import FancyBboxPatch, Rectangle

from workbook.plots import drawings_methods
from workbook.plots.base import styled, write_svg
from workbook.plots.sheet import BLACK, BLUE, GREEN, ORANGE, PINK, SKY, SOFT, YELLOW, Sheet


@styled
def distillation() -> Sheet:
    """Notebook 00: one picture, two targets, and what the student learns from."""
    sheet = Sheet(94, 38)
    sheet.picture(3, 14, 10)
    sheet.text(8, 12.4, "one picture")
    sheet.box(21, 23, 20, 11, "teacher\nlarge: 301,066 weights\nhas seen 1,000 pictures", BLUE)
    sheet.box(21, 4, 20, 9, "student\nsmall: 2,410 weights\nhas seen 50 pictures", ORANGE)
    sheet.arrow((14, 20), (17.5, 20), (17.5, 28.5), (21, 28.5))
    sheet.arrow((17.5, 20), (17.5, 8.5), (21, 8.5))
    sheet.arrow((41, 28.5), (48, 28.5))
    sheet.bars(49, 24, 17, 8.5, SOFT, BLUE)
    sheet.text(57.5, 34.8, "soft targets: “an 8, a little like a 2”", size=11, color=BLUE, weight="bold")
    sheet.arrow((41, 8.5), (48, 8.5))
    sheet.bars(49, 5.5, 17, 6, (0.16, 0.07, 0.1, 0.05, 0.09, 0.1, 0.07, 0.08, 0.2, 0.08), ORANGE)
    sheet.text(57.5, 2.2, "the student’s answer, at first", size=11, color="#a84900", weight="bold")
    sheet.box(73, 14, 18, 10, "how far apart?\nthe loss", GREEN)
    sheet.arrow((67, 28.5), (82, 28.5), (82, 24))
    sheet.arrow((67, 8.5), (82, 8.5), (82, 14))
    back = dict(text="the loss corrects the student’s weights", at=(-3, 1.3), color="#00684c")
    sheet.arrow((73, 17.8), (31, 17.8), (31, 13), **back)
    return sheet


@styled
def loss() -> Sheet:
    """Notebooks 02 and 03: from two rows of logits and a label to one number."""
    sheet = Sheet(98, 40)
    sheet.box(3, 29, 17, 7, "teacher’s logits\none number a class", BLUE)
    sheet.box(3, 15, 17, 7, "student’s logits\none number a class", ORANGE)
    sheet.box(3, 3, 17, 6, "label\nthe right class", BLACK)
    for y, color, name in ((29, BLUE, "softmax"), (17.5, ORANGE, "log softmax")):
        sheet.box(26, y, 10, 6.5, "÷ T", color)
        sheet.box(41, y, 14, 6.5, name, color)
        sheet.arrow((36, y + 3.25), (41, y + 3.25))
    sheet.arrow((20, 32.3), (26, 32.3))
    sheet.arrow((20, 20.2), (26, 20.2))
    sheet.text(49, 37.2, "soft targets", color=BLUE, weight="bold")
    sheet.box(60, 22.5, 13, 8, "KL\nhow far apart?", GREEN)
    sheet.arrow((55, 32.3), (66.5, 32.3), (66.5, 30.5))
    sheet.arrow((55, 20.2), (66.5, 20.2), (66.5, 22.5))
    sheet.box(41, 4, 20, 8, "cross-entropy\nof the label, at T = 1", GREEN)
    sheet.arrow((20, 17), (23, 17), (23, 9.5), (41, 9.5))
    sheet.arrow((20, 6), (41, 6))
    sheet.arrow((73, 26.5), (80, 26.5), (80, 20), text="× T² × alpha", at=(3.2, 1.7), color="#00684c")
    sheet.arrow((61, 8), (80, 8), (80, 14), text="× (1 − alpha)", at=(0, 1.4), color="#00684c")
    sheet.box(74.5, 14, 11, 6, "+", BLACK, size=14)
    sheet.arrow((85.5, 17), (89, 17))
    sheet.text(93, 17, "loss", size=13, weight="bold")
    return sheet


@styled
def bank() -> Sheet:
    """Notebook 10: a teacher on one machine, a student on another, and the file between them."""
    sheet = Sheet(98, 34)
    for x, title in ((2, "a machine with the teacher"), (68, "a machine with the student")):
        place = dict(facecolor="#f7f7f7", edgecolor="#9a9a9a", linestyle="--", linewidth=1.2)
        sheet.ax.add_patch(FancyBboxPatch((x, 3), 28, 25, "round,pad=0,rounding_size=1.2", **place))
        sheet.text(x + 14, 30.3, title, size=11.5, weight="bold")
    sheet.box(4.5, 17, 23, 8.5, "teacher\nasked once, in any framework", BLUE)
    sheet.box(4.5, 5.5, 23, 6, "pictures", BLACK)
    sheet.arrow((16, 11.5), (16, 17))
    sheet.box(70.5, 17, 23, 8.5, "student\nno teacher is needed here", ORANGE)
    sheet.box(70.5, 5.5, 23, 6, "the same pictures", BLACK)
    sheet.arrow((82, 11.5), (82, 17))
    inside = ("logits of every picture", "the pictures’ places", "names of the classes", "fingerprint of the pictures")
    sheet.box(37, 8, 24, 20, "\n".join(["the bank, a file", *inside, "who made it"]), GREEN)
    sheet.arrow((30, 21), (37, 21))
    sheet.arrow((61, 21), (68, 21))
    sheet.text(49, 4.5, "other pictures than those of the fingerprint\nare refused, with the reason", size=10)
    return sheet


@styled
def edge() -> Sheet:
    """Notebook 14: who answers, what goes over the link, and what happens when nothing comes back."""
    sheet = Sheet(98, 36)
    sheet.picture(2.5, 17, 7)
    sheet.text(6, 15.3, "a picture")
    sheet.box(14, 15, 18, 11, "student\non the device\nanswer and confidence", ORANGE)
    sheet.arrow((9.8, 20.5), (14, 20.5))
    sheet.box(39, 15.5, 13, 10, "sure\nenough?", BLACK)
    sheet.arrow((32, 20.5), (39, 20.5))
    sheet.box(55, 3, 24, 6.5, "the student’s answer", GREEN)
    sheet.arrow((45.5, 15.5), (45.5, 6.2), (55, 6.2), text="yes", at=(-2.4, 0))
    sheet.box(78.5, 15, 17, 11, "teacher\nin the cloud\nqueue and batches", BLUE)
    sheet.arrow((52, 22.5), (78.5, 22.5), text="no: the link, narrow and late", at=(0, 1.6))
    sheet.arrow((78.5, 18), (67, 18), (67, 9.5), color="#404040", dashed=True)
    sheet.text(66, 12.6, "nothing by the deadline:\nthe student’s answer counts", ha="right", size=10, color="#404040")
    sheet.arrow((87, 26), (87, 30.5), (79, 30.5))
    sheet.box(55, 27.5, 24, 6, "the teacher’s answer", GREEN)
    return sheet


@styled
def sharing() -> Sheet:
    """Notebook 15: one pile of pictures, three unequal devices, four ways of making queues."""
    sheet = Sheet(98, 42)
    sheet.text(34, 39, "queues of chunks", size=11, weight="bold")
    sheet.box(3, 19, 11, 10, "pictures\ncut into\nchunks", BLACK)
    for y, device, speed, waiting in ((31, 1, 4, 8), (21, 2, 2, 0), (11, 3, 1, 2)):
        sheet.arrow((14, 24), (17.5, 24), (17.5, y + 3), (23, y + 3))
        for i in range(8):  # the last one is taken next
            fill = BLUE if i < waiting else "white"
            place = dict(facecolor=fill, edgecolor=BLUE, linewidth=1)
            sheet.ax.add_patch(Rectangle((40.2 - 2.2 * i, y + 1.4), 1.8, 3.2, **place))
        sheet.arrow((43, y + 3), (48, y + 3))
        unit = "picture" if speed == 1 else "pictures"
        sheet.box(48, y, 20, 6, f"device {device}\n{speed} {unit} a second", ORANGE)
        sheet.arrow((68, y + 3), (75, y + 3))
    sheet.arrow((25.7, 25.6), (25.7, 32.4), color="#b04a8a", dashed=True)
    steal = "stealing: whoever is idle takes\na chunk from the longest queue"
    sheet.text(27, 29, steal, ha="left", size=9.5, color="#b04a8a")
    sheet.box(75, 11, 19, 26, "logits\nall are there when\nthe last device is done:\nthe makespan", GREEN)
    ways = "even: equal queues  ·  in proportion: by speed  ·  shared queue: one for all  ·  work stealing"
    sheet.text(49, 5, ways, size=10.5)
    return sheet


@styled
def quantisation() -> Sheet:
    """Notebook 13: rounding a trained student, and training a student that rounds."""
    sheet = Sheet(98, 36)
    sheet.text(3, 33, "after training", ha="left", size=12, weight="bold")
    sheet.box(3, 22, 20, 8, "train in float\nlabels or soft targets", ORANGE)
    sheet.box(30, 22, 21, 8, "look at pictures\nranges of the values", BLACK)
    sheet.box(58, 22, 17, 8, "round\nto 8 bits or fewer", PINK)
    sheet.box(82, 22, 13, 8, "integers", GREEN)
    for a, b in ((23, 30), (51, 58), (75, 82)):
        sheet.arrow((a, 26), (b, 26))
    sheet.text(3, 17, "during training", ha="left", size=12, weight="bold")
    sheet.box(3, 4, 20, 9, "start from\nfresh weights", ORANGE)
    sheet.box(30, 4, 21, 9, "compute coarsely\nrounded weights and\nvalues, as the device will", PINK)
    sheet.box(58, 4, 17, 9, "loss\nlabels, or a teacher’s\nsoft targets", BLUE)
    sheet.box(82, 4, 13, 9, "integers", GREEN)
    for a, b in ((23, 30), (51, 58)):
        sheet.arrow((a, 7.5), (b, 7.5))
    sheet.arrow((75, 7.5), (82, 7.5))
    sheet.arrow((66, 13), (66, 16), (40, 16), (40, 13), color="#b04a8a")
    sheet.text(53, 17.8, "the gradient passes the rounding straight through", color="#b04a8a")
    return sheet


@styled
def task() -> Sheet:
    """Notebook 05: what an engineer has, what the device takes, and the question between them."""
    sheet = Sheet(98, 40)
    sheet.text(15, 37, "what you have", size=11.5, weight="bold")
    sheet.box(3, 23, 24, 11, "a folder of pictures\ntrain, val and test,\none folder a class", BLACK)
    sheet.box(3, 7, 24, 11, "a teacher\na name, a checkpoint,\nONNX, torch.export, a bank", BLUE)
    sheet.box(36, 23, 24, 11, "students, alone\nlearn from the labels,\nseveral seeds", ORANGE)
    sheet.box(36, 7, 24, 11, "students, distilled\nlearn from the teacher,\nthe same seeds", ORANGE)
    sheet.arrow((27, 28.5), (36, 28.5))
    sheet.arrow((27, 12.5), (36, 12.5))
    sheet.arrow((15, 23), (15, 18))
    sheet.arrow((27, 26), (31.5, 26), (31.5, 15.5), (36, 15.5))
    sheet.box(67, 15, 12, 11, "worth it?\nchosen on val,\ntold on test", GREEN)
    sheet.arrow((60, 28.5), (73, 28.5), (73, 26))
    sheet.arrow((60, 12.5), (73, 12.5), (73, 15))
    sheet.text(88, 37, "what goes out", size=11.5, weight="bold")
    sheet.box(84, 9, 11, 23, "a folder\nONNX\nint8\nlabels\na script\na card", PINK)
    sheet.arrow((79, 20.5), (84, 20.5))
    sheet.text(49, 3.4, "every step says what it left out, what it changed, and what is not shown", size=10.5)
    return sheet


@styled
def workbook() -> Sheet:
    """README: the lesson, what hangs on it, and what stands below."""
    sheet = Sheet(104, 80)
    lesson = ("start here", "train a\nteacher", "soft\ntargets", "distil a\nstudent", "CPU or\nGPU?", "your own\ntask")
    sheet.text(3, 76.8, "the lesson, in this order", ha="left", size=12, weight="bold", color=BLUE)
    for i, text in enumerate(lesson):
        sheet.box(3 + 17 * i, 65, 13, 9, f"{i:02}\n{text}", BLUE)
        if i:
            sheet.arrow((3 + 17 * i - 4, 69.5), (3 + 17 * i, 69.5))
    labs = ("the bank:\nno teacher\nin the loop", "the map of\nalpha and T", "ONNX, int8,\nOpenVINO, …")
    labs += ("8 bits and\nfewer", "cloud and\nedge", "sharing\nthe work", "TPU, FPGA,\nbare C", "your files,\nfor real")
    methods = ("the article,\nmended", "sixteen\nconventions", "a clinic\nfor bugs", "fifteen\nmethods")
    methods += ("answers that\ncount more", "trees and\nrules", "a start from\nthe teacher", "language\nmodels")
    machines = ("one loop in many processes", "a search for the setting")
    machines += ("many owners of pictures:\nanswers travel, pictures stay",)
    rows = (("the labs, each by itself", labs, 10, 48, ORANGE, "#a84900"),)
    rows += (("the methods, each by itself", methods, 20, 31, SKY, "#1f6f9f"),)
    rows += (("beyond one machine", machines, 30, 14, YELLOW, "#8a5d00"),)
    for title, row, first, y, color, ink in rows:
        sheet.text(3, y + 13.2, title, ha="left", size=12, weight="bold", color=ink)
        for i, text in enumerate(row):
            wide = 99.2 / len(row)
            sheet.box(3 + wide * i, y, wide - 1.2, 11, f"{first + i}\n{text}", color, size=10.5)
    sheet.box(3, 3, 47.5, 7.5, "kdlab: the method\nlosses, models, devices, banks, training, latency", GREEN)
    sheet.box(53.5, 3, 47.5, 7.5, "workbook: what the pages need\npanels, runtimes, exercises, methods, drawings", PINK)
    return sheet


DRAWINGS = (distillation, loss, bank, edge, sharing, quantisation, task, *drawings_methods.DRAWINGS, workbook)


def write(root: Path) -> list[Path]:
    """Writes every drawing below the repository's root, the same bytes each time, and returns the files."""
    files = []
    for draw in DRAWINGS:
        folder = root / (".github" if draw is workbook else "notebooks/drawings")
        files.append(write_svg(draw().figure, folder / f"{draw.__name__}.svg"))
    return files


if __name__ == "__main__":
    print(*write(Path(__file__).parents[2]), sep="\n")
