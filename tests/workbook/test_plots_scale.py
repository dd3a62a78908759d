"""The figure of lab 30 shows each network's speed-up at its place, and says what the exchange takes."""

import pytest
from matplotlib.colors import same_color

from workbook.plots import scale
from workbook.plots.base import COLORS


def test_speedups_stand_at_their_values_in_the_colour_of_their_verdict():
    rows = {"fast": (1.6, 1.5, 1.8, 0.005), "slow": (0.4, 0.3, 0.5, 0.5), "open": (1.0, 0.9, 1.2, 0.1)}
    (ax,) = scale.speedups(rows, processes=2, title="t").axes
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == pytest.approx([1.6, 0.4, 1.0])
    for dot, color in zip(dots, (COLORS[2], COLORS[1], "#666666")):
        assert same_color(dot.get_color(), color)
    told = [text.get_text() for text in ax.texts]
    assert told == ["1.60, exchange < 1%", "0.40, exchange 50%", "1.00, exchange 10%"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(rows)
    assert [line.get_xdata()[0] for line in ax.lines[-2:]] == [1, 2]
