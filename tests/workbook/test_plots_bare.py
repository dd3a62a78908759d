"""A format's figure has a box for each bit over its worth; that of the browser has every measurement and the median."""

import pytest

from workbook.plots import bare


def test_each_bit_stands_over_what_it_is_worth():
    ax = bare.wires([(8, 4), (3, 2)], {"largest": 25.0, "weight": 0.1}, title="t").axes[0]
    boxes = {}
    for box in ax.patches:
        boxes.setdefault(round(box.get_y() + 0.31), []).append(box.get_x() + 0.5)
    assert boxes == {0: [-4, -3, -2, -1, 0, 1, 2, 3], 1: [-1, 0, 1]}
    assert [(text.get_text(), text.get_position()[0]) for text in ax.texts] == [("±", 3), ("±", 1)]
    places = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
    assert places == {"largest: 25": 4, "weight: 0.1": -4, "the point": -0.5}
    assert ax.get_xlim()[0] > ax.get_xlim()[1]  # the highest bit on the left
    assert [tick.get_text() for tick in ax.get_xticklabels()][:4] == ["1/16", "1/8", "1/4", "1/2"]


@pytest.mark.parametrize("value, power", [(1, 0), (25, 4), (31.9, 4), (32, 5), (0.5, -1), (0.3, -2)])
def test_a_values_first_bit(value, power):
    assert bare._first_bit(value) == power


def test_every_measurement_is_drawn_and_the_median_told():
    one, many = {"teacher": [100, 50, 75], "student": [20, 30, 25]}, {"teacher": [9, 8, 7], "student": [1, 1, 1]}
    ax = bare.openings({"one": one, "many": many}, title="t").axes[0]
    drawn = [len(line.get_xdata()) for line in ax.lines]
    assert drawn == [3, 1] * 4 and ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["75", "25", "8", "1"]
