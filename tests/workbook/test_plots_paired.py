"""Figures of paired seeds show each seed, each interval, and which of the two is the record."""

import pytest

from kdlab import paired_difference
from workbook.plots import paired

RECORDED = {
    "gain": {"mean": 2.0, "low": 1.0, "high": 3.0, "wins": 9},
    "none": {"mean": 0, "low": -1, "high": 1, "wins": 5},
}


def marked(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_levels_are_the_pairs_in_a_small_figure():
    figure = paired.levels([70, 80], [90, 75], ("alone", "distilled"), title="t", ylabel="%")
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[70, 90], [80, 75]]
    assert figure.get_size_inches()[0] < 6


def test_dots_draw_every_difference_and_the_bar_of_its_mean():
    found = paired_difference([3, 4, 6], [1, 1, 1])
    ax = paired.dots({"a": ([2, 3, 5], found), "b": ((), (-1, -2, 0))}, title="t", xlabel="points").axes[0]
    assert [list(line.get_xdata()) for line in marked(ax, "o")] == [[2, 3, 5], []]
    assert [line.get_xdata()[0] for line in marked(ax, "D")] == pytest.approx([10 / 3, -1])
    assert ax.texts[1].get_text() == "−1.0  [−2.0, +0.0]"


def test_an_interval_for_many_is_wider_and_for_one_the_same():
    assert paired.wider((2, 1, 3), 10, 1) == pytest.approx((1, 3))
    low, high = paired.wider((2, 1, 3), 10, 10)
    assert 2 - low == pytest.approx(high - 2) == pytest.approx(3.6897 / 2.2622, rel=1e-4)  # t of 9 degrees of freedom


def test_a_live_run_stands_beside_its_record_which_is_filled_only_where_it_excludes_zero():
    live = {"gain": (1, 0, 2), "none": (0, -2, 2), "new": (1, 0, 2)}
    figure = paired.beside(live, RECORDED, pairs=10, together=4, title="t", xlabel="points")
    ax = figure.axes[0]
    means = [(line.get_xdata()[0], line.get_markerfacecolor() == "white") for line in marked(ax, "o")[:2]]
    assert means == [(2, False), (0, True)] and [line.get_xdata()[0] for line in marked(ax, "x")[:3]] == [1, 0, 1]
    assert [text.get_text() for text in ax.texts] == ["+2.0, 9/10", "+0.0, 5/10"]
    assert "this run: 95 %" in [text.get_text() for text in figure.legends[0].get_texts()]
    bare = paired.beside(live, RECORDED, pairs=10, together=4, title="t", xlabel="points", legend=False)
    assert not bare.legends


def test_curves_draw_means_with_their_bars_at_their_settings():
    found = {"a": {1.0: (1, 0, 2), 4.0: (3, 1, 5)}, "b": {1.0: (0, 0, 0), 4.0: (1, 1, 1)}}
    ax = paired.curves(found, title="t", xlabel="T", ylabel="points").axes[0]
    first, second = (container[0] for container in ax.containers)
    assert list(first.get_ydata()) == [1, 3] and list(second.get_ydata()) == [0, 1]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4"]


def test_students_stand_beside_the_one_teacher_of_their_row():
    rows = {"a": paired.Pair(70, [60, 61, 62], [61, 62, 63], (1, -0.5, 2.5))}
    figure = paired.students(rows, title="t", xlabel="%")
    ax = figure.axes[0]
    assert list(marked(ax, "o")[0].get_xdata()) == [60, 61, 62] and list(marked(ax, "s")[0].get_xdata()) == [61, 62, 63]
    assert list(marked(ax, "|")[0].get_xdata()) == [70] and ax.texts[0].get_text() == "+1.0 [−0.5, +2.5]"


def test_classes_draw_every_seed_and_a_line_at_the_mean():
    ax = paired.classes({"T = 1": [[0, 0.5], [1, 1]]}, "ab", title="t", ylabel="%").axes[0]
    assert list(marked(ax, "o")[0].get_ydata()) == [0, 50]
    assert list(ax.lines[1].get_ydata()) == [25, 25]
