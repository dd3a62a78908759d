"""The figure of the conventions: a bar for each that is off, and words that fit it."""

import math

import pytest

from workbook.plots.conventions import copies, off


@pytest.mark.parametrize("value, said", [
    (1.0, "right"), (0.1, "10 times too weak"), (1 / 1296, "1,296 times too weak"), (2.5, "2.5 times too strong"),
    (0.0, "the teacher is lost"), (math.inf, "the labels are lost"),
    (math.nan, "nothing to weigh: only the scale differs"), (0.09999999999999999, "10 times too weak"),
])
def test_how_far_off_in_words(value, said):
    assert off(value) == said


def test_the_bars_reach_from_one_to_the_value():
    times = {"one": 0.1, "two": 1.0, "three": 5.0, "four": 0.0, "five": math.nan}
    [ax] = copies(times, title="a copy").axes
    assert [bar.get_x() + bar.get_width() for bar in ax.patches] == pytest.approx([0.1, 1.0, 5.0])
    assert [text.get_text() for text in ax.texts] == [off(value) for value in times.values()]
    assert ax.get_xscale() == "log" and ax.get_title(loc="left") == "a copy"
