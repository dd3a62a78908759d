"""Pictures for a large page: said in words, and enlarged without rings or ramps."""

import io

import harness
import nbformat
import numpy as np
import pytest
from PIL import Image

from workbook import pictures

LESSON = sorted((harness.ROOT / "notebooks").glob("0*.ipynb"))


def values(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def test_an_edge_is_enlarged_three_times_and_steeper_than_by_smoothing_and_does_not_ring():
    small = np.full((8, 12, 3), 255, "uint8")
    small[:, :6], small[:, 6] = (0, 114, 178), (128, 184, 216)  # one pixel in between, as matplotlib draws an edge
    file = io.BytesIO()
    Image.fromarray(small).save(file, "PNG")
    large = values(pictures.enlarged(file.getvalue()))
    smooth = np.asarray(Image.fromarray(small).resize((36, 24), Image.Resampling.BICUBIC), dtype=int)
    assert large.shape == (24, 36, 3) and large[:, :, 0].min() >= 0 and large[:, :, 2].min() >= 178 - 2  # rounding
    between = [((row > 20) & (row < 235)).sum() for row in (large[12, :, 0], smooth[12, :, 0])]
    assert 0 < between[0] < between[1]


def test_a_picture_says_its_title_its_kind_and_its_axes():
    source = '%matplotlib inline\nplots.lines(x, y, title=f"{n:g} seeds of {m}", xlabel="step", ylabel="accuracy (%)")'
    said = pictures.alternative(source, {"n": 5.0})
    assert said.startswith("5 seeds of …. Curves over a common axis") and said.endswith("Axes: step; accuracy (%).")
    assert pictures.alternative("for in") == ""


@pytest.mark.parametrize("notebook", LESSON, ids=lambda path: path.stem)
def test_every_picture_of_the_lesson_has_words(notebook):
    nb = nbformat.read(notebook, 4)
    shown = [cell.source for cell in nb.cells if any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))]
    for said in (pictures.alternative(source, pictures.parameters(nb)) for source in shown):
        assert len(said) >= 30 and "uint8" not in said, said
