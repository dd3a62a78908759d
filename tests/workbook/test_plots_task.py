"""The card's figure, and names of classes in any script in all figures."""

import io
import warnings

import pytest
import torch
from matplotlib.text import Text

from workbook import plots
from workbook.plots import base, glyphs
from workbook.plots import task as figures

SCRIPTS = ["cat", "собака", "قطة", "猫", "हिन्दी"]


def test_names_that_no_font_has_are_numbered_in_the_figure(monkeypatch):
    assert base.readable(["cat", "été", "собака"])[0] == ["cat", "été", "собака"]
    assert base.readable(["cat", "قطة", "猫", "हिन्दी"])[0][:2] == ["cat", "#2"]
    monkeypatch.setattr(base, "_others", lambda: ["no such font", "DejaVu Sans"])
    assert base.readable(["cat", "猫", "ⴰ"]) == (["cat", "#2", "ⴰ"], {"fontfamily": ["monospace", "DejaVu Sans"]})
    assert base.readable(["x" * 40, "a\nb", "so\u00adft"])[0] == ["x" * 21 + "…", "a�b", "soft"]
    assert base.readable(["a\nb"], keep="\n") == (["a\nb"], base.readable(["ab"])[1])
    figure = figures.recall(["$a$", "b", "c"], [0.5, 0.25, float("nan")], [4, 8, 0], title="Recall")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["b (8)", "$a$ (4)"]
    assert [round(bar.get_width()) for bar in figure.axes[0].patches] == [25, 50]


def test_bars_and_matrices_take_names_in_any_script_and_draw_no_empty_boxes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a letter that no font has is a warning of matplotlib's
        bars = plots.bars({"T = 1": [0.2] * 5}, SCRIPTS, title="t")
        shares = plots.matrix(torch.full((5, 5), 0.2), SCRIPTS, SCRIPTS, title="t", xlabel="x", ylabel="y")
        for figure in (bars, shares):
            figure.savefig(io.BytesIO(), format="png")
            names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
            assert names[:2] == ["cat", "собака"]
            assert all(a in (b, f"#{i}") for i, (a, b) in enumerate(zip(names, SCRIPTS), 1))


def test_titles_of_pictures_take_the_fonts_that_their_letters_need(monkeypatch):
    monkeypatch.setattr(base, "_others", lambda: ["DejaVu Sans"])
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    for figure in (glyphs.row(pictures, ["cat", "cat\n→ ⴰ"]), plots.images(pictures, ["cat", "ⴰ"], columns=2)):
        [title] = [text for text in figure.axes[1].findobj(Text) if "ⴰ" in text.get_text()]
        assert title.get_fontfamily() == ["monospace", "DejaVu Sans"]


def test_wilsons_interval_is_that_of_the_literature():
    from scipy.stats import binomtest

    for hits, n in ((0, 10), (7, 10), (98, 100)):
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert figures.wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-4)
