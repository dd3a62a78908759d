"""Panels without a browser: a moved control redraws, an error is shown, and the picture is part of the output."""

import base64
import io
import re

import ipywidgets as widgets
import pytest
import torch
import traitlets
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


LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.fixture
def explorer():
    return live.explorer(LOGITS, torch.arange(32, dtype=torch.uint8).reshape(2, 1, 4, 4), "abc", temperature=2.0)


def heights(figure):
    return [bar.get_height() for bar in figure.axes[-1].patches]


def test_the_explorers_picture_shows_the_soft_targets_and_their_entropy(explorer):
    both = [*soft_targets(LOGITS[0], 1.0).tolist(), *soft_targets(LOGITS[0], 2.0).tolist()]
    assert heights(explorer.figure()) == pytest.approx(both)
    explorer.image = 1
    assert heights(explorer.figure()) == pytest.approx([1 / 3] * 6)
    assert "1.58 bits at T = 2" in explorer.figure().axes[1].get_title(loc="left")
    explorer.temperature = 1.0  # one distribution is left, drawn once
    assert len(heights(explorer.figure())) == 3


def test_typed_logits_take_the_place_of_the_pictures(explorer):
    explorer.logits = [0.0, 0.0, 50.0]
    assert heights(explorer.figure()) == pytest.approx([0, 0, 1] * 2, abs=1e-6) and len(explorer.figure().axes) == 1
    explorer.logits = []
    assert heights(explorer.figure())[0] == pytest.approx(soft_targets(LOGITS[0], 1.0)[0].item())


def test_the_browser_gets_the_logits_as_float32_and_the_pictures_as_bytes(explorer):
    state = explorer.get_state()
    assert torch.frombuffer(bytearray(state["table"]), dtype=torch.float32).reshape(2, 3).equal(LOGITS)
    assert (bytes(state["pictures"]), state["shape"], state["classes"]) == (bytes(range(32)), [2, 1, 4, 4], ["a", "b", "c"])
    assert {"image", "temperature", "logits"} <= state.keys() and "softmax" in str(state["_esm"])


@pytest.mark.parametrize(
    "name, value, sentence",
    [("image", 2, "image must be below 2, got 2"), ("logits", [1.0], "logits must be 3 finite numbers or none"),
     ("logits", [0.0, 0.0, float("inf")], "3 finite"), ("temperature", 0.0, "0.25")],
)
def test_the_explorer_refuses_what_does_not_fit_and_keeps_what_it_had(explorer, name, value, sentence):
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=re.escape(sentence)):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


def test_logits_of_other_pictures_are_refused_and_a_far_temperature_starts_at_the_end():
    pictures = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"logits must be \(2, 2\)"):
        live.explorer(LOGITS, pictures, "ab")
    assert live.explorer(LOGITS, pictures, "abc", temperature=1000).temperature == 32


def test_the_explorers_output_holds_its_picture_and_a_text_that_does_not_vary(explorer):
    explorer.image = 1
    bundle, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "a panel with image, temperature, logits"
    assert "application/vnd.jupyter.widget-view+json" in bundle


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
