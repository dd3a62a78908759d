"""The figures of lab 13 show every mean, every range, and every interval beside its like."""

from workbook.plots import precision


def test_stages_show_means_and_the_range_of_the_seeds():
    found = {"a": [[1, 3], [0, 1]], "b": [[5, 7], [4, 4]]}
    figure = precision.stages(["float", "2 bits"], found, title="t", ylabel="%")
    (ax,) = figure.axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[2, 0.5], [6, 4]]
    bars = [[(low, high) for (_, low), (_, high) in found.get_segments()] for found in ax.collections]
    assert bars == [[(1, 3), (0, 1)], [(5, 7), (4, 4)]]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["float", "2 bits"]


def test_intervals_stand_beside_each_other_and_are_filled_where_they_exclude_zero():
    here = {"float": (2, 1, 3, 5), "2 bits": (1, -1, 3)}
    ten = {"float": (2, 1, 3), "3 bits": (1, 0.5, 2), "2 bits": (0, -1, 1)}
    panels = {"few": {"this run": here, "ten seeds": ten}, "all": {"ten seeds": ten}}
    figure = precision.beside(panels, xlabel="points")
    few, every = figure.axes
    assert [text.get_text() for text in few.get_yticklabels()] == ["float", "3 bits", "2 bits"]
    assert [text.get_text() for text in every.get_yticklabels()] == ["", "", ""]  # those of its neighbour
    marks = [line for line in few.lines if line.get_marker() in "os" and len(line.get_xdata()) == 1]
    assert [mark.get_xdata()[0] for mark in marks] == [2, 1, 2, 1, 0]
    assert [mark.get_markerfacecolor() == "white" for mark in marks] == [False, True, False, False, True]
    assert len({round(mark.get_ydata()[0], 2) for mark in marks}) == len(marks)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["this run", "ten seeds"]


def test_one_panel_names_its_rows():
    figure = precision.beside({"pruning": {"this run": {"tuned": (0.5, -1, 2)}}}, xlabel="points")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["tuned"]
    assert figure.axes[0].get_xlabel() == "points"
