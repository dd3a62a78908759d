"""The figures of lab 25 show every question of a path at its pixel, and every depth with its leaves."""

import pytest
import torch
from matplotlib.patches import Rectangle

from workbook.plots import trees
from workbook.plots.trees import Question

PICTURE = torch.zeros(1, 8, 8, dtype=torch.uint8)


def test_a_path_shows_each_question_at_its_pixel_and_the_answer_last():
    asked = [Question(3, 5, 0.25, True), Question(8, 1, 0.5, False)]
    figure = trees.path(PICTURE, asked, "the answer: 7", title="t")
    left, right = figure.axes
    marked = [patch.get_xy() for patch in left.patches if isinstance(patch, Rectangle)]
    assert marked == [(3.5, 1.5), (-0.5, 6.5)]
    told = [text.get_text() for text in right.texts]
    assert told == ["1  row 3, column 5: ink > 0.25", "2  row 8, column 1: ink ≤ 0.50", "the answer: 7"]
    assert [text.get_text() for text in left.texts] == ["1", "2"]


@pytest.mark.parametrize("asked, said", [
    ([], "at least one question"),
    ([Question(9, 1, 0.5, True)], "row and column must be in 1 .. 8 and 1 .. 8, got \\(9, 1\\)"),
    ([Question(1, 0, 0.5, True)], "got \\(1, 0\\)"),
])
def test_a_path_refuses_what_it_cannot_show(asked, said):
    with pytest.raises(ValueError, match=said):
        trees.path(PICTURE, asked, "", title="")


def test_depths_carry_their_leaves():
    figure = trees.depths({"a": {2: 30, 3: 50}, "b": {2: 20, 3: 40}}, title="t", ylabel="%")
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2\n(4)", "3\n(8)"]
    assert [list(line.get_ydata()) for line in ax.lines] == [[30, 50], [20, 40]]
