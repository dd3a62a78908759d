"""Figures show the numbers they were given, with titles and units, and leave pyplot alone."""

import subprocess
import sys

import pytest
import torch

from workbook import plots

LABELS = {"title": "A title", "xlabel": "x (units)", "ylabel": "y (units)"}


def test_lines_draw_every_series_with_its_own_color_marker_and_style():
    figure = plots.lines([1, 2, 4], {"a": [1, 2, 3], "b": [3, None, 1]}, log="xy", **LABELS)
    (ax,) = figure.axes
    first, second = ax.lines
    assert list(first.get_ydata()) == [1, 2, 3] and second.get_ydata()[1] != second.get_ydata()[1]  # nan: a gap
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(first, look)() != getattr(second, look)()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == ("A title", "x (units)", "y (units)")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_bars_have_the_heights_of_the_shares():
    black = torch.zeros(3, 4, 4, dtype=torch.uint8)
    figure = plots.bars({"T = 1": [0.9, 0.1], "T = 4": [0.6, 0.4]}, ["I", "l"], title="t", picture=black)
    picture, ax = figure.axes
    assert [round(bar.get_height(), 2) for bar in ax.patches] == [0.9, 0.1, 0.6, 0.4]
    assert ax.get_xticklabels()[0].get_fontfamily() == ["monospace"]  # I and l must look different
    assert len({bar.get_hatch() for bar in ax.patches}) == 2 and len(picture.images) == 1


def test_intervals_are_filled_only_where_they_exclude_zero():
    found = {"gain": (2, 1, 3, 5), "unclear": (1, -1, 3), "loss": (-2, -3, -1)}
    figure = plots.intervals(found, title="t", xlabel="points")
    means = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in means] == [2, 1, -2]
    assert [line.get_markerfacecolor() == "white" for line in means] == [False, True, False]
    assert [text.get_text() for text in figure.axes[0].texts] == ["+2.0", "+1.0", "−2.0"]


def test_pairs_draw_one_line_a_seed_and_dash_the_losses():
    ax = plots.pairs([70, 80], [90, 75], ("alone", "distilled"), title="t", ylabel="%").axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[70, 90], [80, 75]]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    with pytest.raises(ValueError, match="shorter|longer"):
        plots.pairs([1, 2], [1], ("a", "b"), title="t", ylabel="%")


def test_points_name_themselves_and_the_level_they_are_compared_with():
    ax = plots.points({"g": [(1, 2, "p"), (10, 3, "q")]}, log="x", line=("alone", 2.5), **LABELS).axes[0]
    assert [text.get_text() for text in ax.texts] == ["p", "q"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["alone", "g"]


def test_a_gain_is_in_brackets_where_its_interval_holds_zero_and_a_dash_where_nothing_differs():
    said = [plots.signed(*gain) for gain in ((9.6, 5, 14.2), (-1, -3, 1), (0, 0, 0))]
    assert said == ["+9.6\n±4.6", "(−1.0\n±2.0)", "–"]


def test_the_matrix_writes_percents_and_leaves_small_ones_out():
    ax = plots.matrix(torch.tensor([[0.99, 0.01], [0.4, 0.6]]), "ab", "cd", **LABELS).axes[0]
    assert [text.get_text() for text in ax.texts] == ["99", "40", "60"]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_fill_rows_and_blank_the_rest(channels):
    figure = plots.images(torch.zeros(7, channels, 8, 8, dtype=torch.uint8), list("abcdefg"), columns=5, title="t")
    assert [len(ax.images) for ax in figure.axes] == [1] * 7 + [0] * 3
    assert figure.axes[6].get_title() == "" and figure.axes[6].get_title(loc="left") == "g"


def test_pyplot_is_never_imported():
    code = (
        "import importlib, pkgutil, sys, workbook.plots, workbook.panels\n"
        "for module in pkgutil.iter_modules(workbook.panels.__path__, 'workbook.panels.'):\n"
        "    importlib.import_module(module.name)\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_matrix_of_gains_writes_intervals_and_brackets_those_that_hold_zero():
    gains = torch.tensor([[[5.0, 3.0, 7.0], [1.0, -1.0, 3.0]], [[-2.0, -2.5, -1.5], [0.0, 0.0, 0.0]]])
    ax = plots.matrix(gains, "ab", "cd", **LABELS).axes[0]
    assert [text.get_text() for text in ax.texts] == ["+5.0\n±2.0", "(+1.0\n±2.0)", "−2.0\n±0.5", "–"]
    (picture,) = ax.images
    assert picture.get_clim() == (-2, 5) and ax.texts[0].get_color() == "white" and ax.texts[2].get_color() == "black"
