"""The figures of lab 15 show every chunk, every run and every interval that they were given."""

import pytest

from workbook.plots import sharing

LABELS = {"title": "A title", "xlabel": "x (units)", "ylabel": "y (units)"}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_schedule_has_a_bar_for_each_chunk_and_a_mark_where_the_simulation_ends():
    logs = {"even": [(0, 0.0, 1.0, 8), (1, 0.0, 3.0, 8)], "queue": [(0, 0.0, 1.0, 8), (0, 1.0, 2.0, 8)]}
    figure = sharing.schedule(logs, ["fast", "slow"], {"even": 2.5, "queue": 2.0}, {"bound": 1.5}, title="t")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["even", "queue"]
    bars = [[len(row.get_paths()) for row in ax.collections] for ax in figure.axes]
    assert bars == [[1, 1], [2, 0]]
    assert [ax.lines[-1].get_xdata()[0] for ax in figure.axes] == [2.5, 2.0]
    assert legend(figure) == ["bound", "simulated end"]


def test_chunks_show_curves_as_lines_and_each_run_as_a_point_without_one():
    curves = {"simulated": [3, 2, 1], "with a price": [6, 4, 3]}
    ax = sharing.chunks([1, 2, 4], curves, {1: [3, 5], 4: [2]}, title="t", ylabel="y").axes[0]
    *lines, points = ax.lines
    assert [list(line.get_ydata()) for line in lines] == [[3, 2, 1], [6, 4, 3]]
    assert list(points.get_xdata()) == [1, 1, 4] and list(points.get_ydata()) == [3, 5, 2]
    assert points.get_linestyle() == "None" and points.get_marker() not in ("", "None")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [*curves, "each real run"]


def test_gains_stand_beside_the_lines_and_are_filled_only_where_they_exclude_zero():
    found = {"gain": (2, 1, 3, 5), "unclear": (0.2, -1, 3), "loss": (-2, -3, -1)}
    figure = sharing.gains(found, title="t", xlabel="points")
    [ax] = figure.axes
    means = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in means] == [2, 0.2, -2]
    assert [line.get_markerfacecolor() == "white" for line in means] == [False, True, False]
    assert [text.get_text() for text in ax.texts] == ["+2.0", "+0.2", "−2.0"]
    figure.canvas.draw()
    assert all(text.get_window_extent().x0 > ax.get_window_extent().x1 for text in ax.texts)  # clear of every line


@pytest.mark.parametrize("count", [1, 3])
def test_each_class_has_an_interval_in_each_table_and_the_summary_stands_apart(count):
    table = {"0": (1, 0, 2), "1": (-1, -2, 0), "mean": (0, -1, 1)}
    figure = sharing.each_class({f"table {i}": table for i in range(count)}, **LABELS)
    [ax] = figure.axes
    assert len(ax.collections) == count
    first, second, mean = ax.get_xticks()
    assert mean - second > second - first
    assert [text.get_text() for text in ax.get_xticklabels()] == list(table)
    assert legend(figure) == [f"table {i}" for i in range(count)]
