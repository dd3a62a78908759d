"""The picture of how cost grows shows every point of its record, and the committed one is that of the newest record."""

import itertools
import json
import re
from pathlib import Path

import pytest

from workbook.plots import growth

ROOT = Path(__file__).parents[2]
TWO = {"images": ("more", "images"), "students": ("at once", "students")}
ROWS = [
    {"axis": "images", "value": value, "fill_seconds": value / 1000, "seconds_per_step": step, "megabytes": mb}
    for value, step, mb in [(1000, 0.02, 50), (16000, 0.03, 120), (1000, 0.03, 60), (16000, 0.02, 140),
                            (1000, 0.04, 70), (16000, 0.04, 130)]
] + [{"axis": "students", "value": value, "seconds_per_step": value / 1e4, "megabytes": value} for value in (5, 125)]


def drawn(ax):
    return {line.get_gid(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}


def test_a_line_is_the_median_of_the_rounds_and_a_bar_their_range():
    (time, other), (memory, more) = (axes := growth.curves(ROWS, TWO).axes)[:2], axes[2:]
    assert drawn(time) == {"images-fill_seconds": ([1000, 16000], [1000, 16000]),
                           "images-seconds_per_step": ([1000, 16000], [30, 30])}
    assert drawn(memory) == {"images-megabytes": ([1000, 16000], [60, 130])}
    assert drawn(other) == {"students-seconds_per_step": ([5, 125], pytest.approx([0.5, 12.5]))}
    assert drawn(more) == {"students-megabytes": ([5, 125], [5, 125])}
    [bars] = memory.collections
    assert [[y for _, y in bar] for bar in bars.get_segments()] == [[50, 70], [120, 140]]


def test_time_is_logarithmic_and_memory_begins_at_zero_with_plain_ticks_at_what_was_measured():
    figure = growth.curves(ROWS, TWO)
    figure.draw_without_rendering()
    assert [ax.get_xscale() for ax in figure.axes] == 4 * ["log"]
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "log", "linear", "linear"]
    assert figure.axes[2].get_ylim()[0] == 0
    images = figure.axes[2].xaxis
    assert [tick.label1.get_text() for tick in images.get_major_ticks()] == ["1,000", "16,000"]
    assert all("$" not in text.get_text() for ax in figure.axes for text in ax.get_yticklabels())


@pytest.fixture(scope="module")
def record():
    return growth.newest(ROOT / "results")


def test_no_text_meets_another(record, tmp_path, monkeypatch):
    figures = []
    curves = growth.curves
    monkeypatch.setattr(growth, "curves", lambda rows: figures.append(curves(rows)) or figures[0])
    (tmp_path / ".github").mkdir()
    growth.write(tmp_path, record)
    [figure] = figures
    figure.draw_without_rendering()
    texts = [text for ax in figure.axes for text in (ax._left_title, ax.xaxis.label, ax.yaxis.label)]
    texts += [tick.label1 for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()
              if tick.label1.get_visible() and axis.get_view_interval()[0] <= tick.get_loc() <=
              axis.get_view_interval()[1]]
    texts += figure.legends[0].get_texts()
    places = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    assert len(places) > 30
    for (one, a), (other, b) in itertools.combinations(places, 2):
        assert not a.overlaps(b), (one, other)


def told(svg):
    """What the picture says, in its order: matplotlib writes it beside the outlines."""
    return re.findall(r"<!-- (.+?) -->", svg)


def lines(svg):
    """name → the numbers of each line's path."""
    found = re.findall(r'<g id="([a-z]+-[a-z_]+)">\s*<path d="([^"]+)"', svg)
    return {name: [float(number) for number in re.findall(r"[\d.]+", path)] for name, path in found}


def test_the_committed_picture_is_that_of_the_newest_record(record, tmp_path):
    committed = (ROOT / ".github" / "growth.svg").read_text()
    (tmp_path / ".github").mkdir()
    made = growth.write(tmp_path, record).read_text()
    assert told(committed) == told(made) and len(told(made)) > 30
    assert len(lines(made)) == 14 and lines(committed).keys() == lines(made).keys()
    for name, numbers in lines(made).items():
        assert lines(committed)[name] == pytest.approx(numbers, abs=1.5), name  # points of a layout by other fonts


def test_another_record_is_another_picture(record, tmp_path):
    (tmp_path / ".github").mkdir()
    made = lines(growth.write(tmp_path, record).read_text())
    other = json.loads(json.dumps(record))
    for row in other["rows"]:
        if (row["axis"], row["value"]) == ("images", 16_000):
            row["fill_seconds"] *= 1.3
    changed = lines(growth.write(tmp_path, other).read_text())
    assert changed["images-fill_seconds"] != pytest.approx(made["images-fill_seconds"], abs=1.5)


def test_a_picture_is_the_same_bytes_each_time(record, tmp_path):
    (tmp_path / ".github").mkdir()
    first, second = (growth.write(tmp_path, record).read_bytes() for _ in range(2))
    assert first == second
