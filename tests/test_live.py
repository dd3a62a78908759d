"""Panels without a browser: a moved control redraws, an error is shown, and the picture is part of the output."""

import base64
import io

import ipywidgets as widgets
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from kdlab import live
from kdlab.losses import soft_targets


def drawn(panel):
    return Image.open(io.BytesIO(panel.picture.value))


@pytest.fixture
def figures(monkeypatch):
    """Every Figure that a panel draws, newest last."""
    seen, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: (seen.append(self), save(self, *args, **kwargs))[1])
    return seen


def test_moving_a_slider_draws_anew():
    calls = []
    panel = live.Panel(lambda level: calls.append(level) or Figure((2, 1)), level=widgets.IntSlider(3))
    before = panel.picture.value
    panel.controls["level"].value = 7
    assert calls == [3, 7] and drawn(panel).size == (180, 90) and panel.picture.value is not before


def test_an_error_is_shown_and_the_panel_stays_usable():
    def draw(level):
        if level == 2:
            raise ValueError("two is too <many>")
        return Figure((2, 1))

    panel = live.Panel(draw, level=widgets.IntSlider(1))
    panel.controls["level"].value = 2
    assert "ValueError" in panel.message.value and "two is too &lt;many&gt;" in panel.message.value
    panel.controls["level"].value = 3
    assert panel.message.value == ""


def test_the_output_holds_a_picture_and_a_text_that_does_not_vary():
    bundles = [live.Panel(lambda level: Figure((2, 1)), level=widgets.IntSlider())._repr_mimebundle_() for _ in "ab"]
    for bundle in bundles:
        assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
        assert "application/vnd.jupyter.widget-view+json" in bundle
    assert {bundle["text/plain"] for bundle in bundles} == {"a panel with level"}


def test_the_explorer_shows_the_soft_targets_and_their_entropy(figures):
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    panel = live.explorer(logits, torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "abc", temperature=2.0)
    heights = [bar.get_height() for bar in figures[-1].axes[1].patches]
    assert heights == pytest.approx([*soft_targets(logits[0], 1.0).tolist(), *soft_targets(logits[0], 2.0).tolist()])
    panel.controls["image"].value = 1
    assert [bar.get_height() for bar in figures[-1].axes[1].patches] == pytest.approx([1 / 3] * 6)
    assert "1.58 bits at T = 2" in figures[-1].axes[1].get_title(loc="left")
    panel.controls["temperature"].value = 1.0  # one distribution is left, drawn once
    assert len(figures[-1].axes[1].patches) == 3


def test_each_move_of_the_retrain_panel_adds_a_student(figures):
    panel = live.retrain(lambda alpha, temperature: 50 + 10 * alpha + temperature, alone=55.0)
    panel.controls["alpha"].value = 0.5
    panel.controls["temperature"].value = 8.0
    assert panel.runs == [(1.0, 4.0, 64.0), (0.5, 4.0, 59.0), (0.5, 8.0, 63.0)]
    ax = figures[-1].axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[4.0, 64.0], [4.0, 59.0], [8.0, 63.0]]
    assert ax.collections[0].get_array().tolist() == [1.0, 0.5, 0.5] and ax.lines[1].get_ydata()[0] == 63.0


def test_the_missing_class_panel_trains_for_the_chosen_class(figures):
    asked = []

    def run(missing, temperature):
        asked.append((missing, temperature))
        return {"alone": [1.0, 0.0], "distilled": [0.9, 0.8]}

    panel = live.missing_class(run, ["a", "b"], missing=1)
    panel.controls["missing"].value = 0
    panel.controls["temperature"].value = 2.0
    assert asked == [(1, 4.0), (0, 4.0), (0, 2.0)]
    assert [bar.get_height() for bar in figures[-1].axes[0].patches] == [1.0, 0.0, 0.9, 0.8]
    assert "No a in training" in figures[-1].axes[0].get_title(loc="left")
