"""The drawings: no text leaves its box or meets another, and the committed files are what the code draws."""

import itertools
import re
from pathlib import Path

import pytest
from matplotlib.patches import FancyBboxPatch

from workbook.plots import drawings

ROOT = Path(__file__).parents[2]
SHEETS = {draw.__name__: draw() for draw in drawings.DRAWINGS}


def places(sheet):
    """The texts and what they cover, in pixels, without the room above and below that letters as a rule leave free."""
    sheet.figure.canvas.draw()
    return [(text.get_text(), text.get_window_extent().padded(0, -3)) for text in sheet.ax.texts]


@pytest.mark.parametrize("name", SHEETS)
def test_no_text_meets_another_or_the_border(name):
    found = places(SHEETS[name])
    for (one, a), (other, b) in itertools.combinations(found, 2):
        assert not a.overlaps(b), (one, other)
    width, height = SHEETS[name].figure.canvas.get_width_height()
    for text, place in found:
        assert place.x0 > 3 and place.y0 > 3 and place.x1 < width - 3 and place.y1 < height - 3, text


@pytest.mark.parametrize("name", SHEETS)
def test_a_text_is_inside_a_box_or_outside(name):
    sheet = SHEETS[name]
    found = places(sheet)
    boxes = [patch.get_window_extent() for patch in sheet.ax.patches[1:] if isinstance(patch, FancyBboxPatch)]
    for text, place in found:
        for box in (box for box in boxes if box.overlaps(place)):
            assert box.x0 < place.x0 and place.x1 < box.x1 and box.y0 < place.y0 and place.y1 < box.y1, text


def texts(svg):
    """What the drawing says, in its order: matplotlib writes it beside the outlines."""
    return re.findall(r"<!-- (.+?) -->", svg)


def test_the_committed_files_are_these_drawings(tmp_path):
    for folder in ("notebooks/drawings", ".github"):
        (tmp_path / folder).mkdir(parents=True)
    made = drawings.write(tmp_path)
    there = {*(ROOT / "notebooks/drawings").glob("*.svg"), *(ROOT / ".github").glob("*.svg")}
    there -= {ROOT / ".github" / f"{name}.svg" for name in ("growth", "machines")}  # drawn from records, tested there
    assert {ROOT / file.relative_to(tmp_path) for file in made} == there
    for file in made:
        committed = (ROOT / file.relative_to(tmp_path)).read_text()
        assert len(texts(committed)) > 5 and texts(committed) == texts(file.read_text()), file.name
        assert committed.count("<path") == file.read_text().count("<path"), file.name


def test_a_drawing_is_the_same_bytes_each_time(tmp_path):
    for folder in ("notebooks/drawings", ".github"):
        (tmp_path / folder).mkdir(parents=True)
    first, second = ([file.read_bytes() for file in drawings.write(tmp_path)] for _ in range(2))
    assert first == second
