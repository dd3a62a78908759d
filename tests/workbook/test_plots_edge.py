"""The figures of a cascade show every count and every wait that they are given."""

import pytest

from workbook.plots import edge

ROWS = {
    "none": {"why": {"sure": 20, "asked": 40}, "mean": 50.0, "p99": 120.0, "longest": 140.0, "accuracy": 97.0},
    "slow": {"why": {"late": 24, "sure": 21, "resting": 15}, "mean": 200.0, "p99": 500.0, "longest": 502.0,
             "accuracy": 73.0},
}


def test_each_bar_holds_all_pictures_and_names_its_counts():
    left, right = edge.answers(ROWS, title="t", deadline=500).axes
    widths = {}
    for bar in left.patches:
        place = round(bar.get_y() + bar.get_height() / 2)
        widths[place] = widths.get(place, 0) + bar.get_width()
    assert widths == {0: 60, 1: 60}
    assert [text.get_text() for text in left.texts] == ["40", "20", "21", "24", "15"]
    shown = {line.get_label(): list(line.get_xdata()) for line in right.lines}
    assert shown["mean"] == [50, 200] and shown["longest"] == [140, 502] and shown["deadline"] == [500, 500]


def test_the_legend_names_a_reason_once():
    figure = edge.answers(ROWS, title="t", deadline=500)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["asked", "sure", "late", "resting", "mean", "longest", "deadline"]


def test_a_part_too_narrow_for_a_number_has_none():
    rows = {"gone": {"why": {"gone": 1, "resting": 59}, "mean": 1.0, "longest": 2.0}}
    assert [text.get_text() for text in edge.answers(rows, title="t", deadline=500).axes[0].texts] == ["59"]


def test_waiting_draws_mean_and_percentile_and_names_each_threshold():
    left, right = edge.waiting(ROWS, title="t").axes
    assert [list(line.get_ydata()) for line in left.lines] == [[50, 200], [120, 500]] and left.get_yscale() == "log"
    assert [text.get_text() for text in right.texts] == ["none", "slow"]
    assert list(right.lines[0].get_xdata()) == [50, 200] and list(right.lines[0].get_ydata()) == [97, 73]


@pytest.mark.parametrize("reason", edge.DARK)
def test_the_reasons_with_white_letters_are_there(reason):
    assert reason in edge.REASONS
