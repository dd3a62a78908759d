"""The figures of lab 12 show what they were given: every bar, every draw, and the budget's corner."""

import pytest

from workbook.plots import runtimes as drawn


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_bars_stand_side_by_side_with_their_figures_and_ticks():
    panels = {"test error, %": {"a": (12.5,), "b int8": (13.0,)}, "kB": {"a": (1234.0, 26.0), "b int8": (20.0, 6.5)}}
    figure = drawn.across(panels, hatched=["b int8"], tick="weights")
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [12.5, 13.0]
    assert [bool(bar.get_hatch()) for bar in left.patches] == [False, True]
    assert texts(right) == ["1,234 | 26", "20 | 6.5"]
    assert [line.get_xdata()[0] for line in right.lines if len(line.get_xdata())] == [26.0, 6.5]
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("test error, %", "kB | weights, log scale")
    assert (left.get_xscale(), right.get_xscale()) == ("linear", "log")


def test_every_draw_is_a_marker_and_no_two_ways_share_a_line():
    found = {"one": {"1 image": [50.0, 80.0], "256 images": [85.0]}, "two": {"1 image": [81.0], "256 images": [85.0]}}
    figure = drawn.draws({"% right": found, "off": found}, line={"% right": 85.8}, log="off")
    left, right = figure.axes
    ours, theirs, level = left.lines[:3]
    assert sorted(ours.get_xdata()) == [50.0, 80.0, 85.0] and sorted(theirs.get_xdata()) == [81.0, 85.0]
    assert not set(ours.get_ydata()) & set(theirs.get_ydata())
    assert level.get_xdata()[0] == 85.8 and right.get_xscale() == "log"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two", "float32"]


def test_the_budget_is_a_corner_and_says_who_keeps_it():
    rows = {"small": (0.1, 15.0), "large": (0.2, 1800.0)}
    figure = drawn.budget(rows, ["small"], max_ms=1.0, max_kb=25, title="t")
    (ax,) = figure.axes
    corner = ax.patches[0]
    assert (corner.get_x() + corner.get_width(), corner.get_y() + corner.get_height()) == pytest.approx((1.0, 25))
    keeps, others = ax.lines
    assert (keeps.get_xdata()[0], keeps.get_ydata()[0]) == (0.1, 15.0) and list(others.get_xdata()) == [0.2]
    assert keeps.get_markerfacecolor() != "white" == others.get_markerfacecolor()
    assert texts(ax) == ["small"]


def test_names_are_written_only_where_they_are_few():
    rows = {f"runtime {i}": (0.1 + i, 15.0 + i) for i in range(9)}
    figure = drawn.budget(rows, rows, max_ms=100.0, max_kb=100, title="t")
    assert texts(figure.axes[0]) == []
