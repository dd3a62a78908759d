"""The translator's panel without a browser: its figure, its checks, and what the browser gets."""

import base64
import re

import pytest
import traitlets

from workbook import panels
from workbook.labs import conventions


@pytest.fixture
def panel():
    return panels.conventions(conventions, settings={"alpha": 0.9}, classes=10)


def told(figure):
    """Convention → what stands beside its bar."""
    [ax] = figure.axes
    return dict(zip((label.get_text() for label in ax.get_yticklabels()), (text.get_text() for text in ax.texts)))


def test_the_picture_says_how_far_off_an_unchanged_copy_is(panel):
    said = told(panel.figure())
    assert len(said) == 14 and "kdlab" not in said and "KD_Lib" not in said
    assert said["DeiT"] == "10 times too weak" and said["Keras 3"] == "81 times too weak"
    assert said["HF guide"] == "right"
    panel.source = "mdistiller"
    assert panel.settings == {"TEMPERATURE": 4.0, "CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9}  # as published
    panel.source = "haitongli"
    assert told(panel.figure())["kdlab"] == "10 times too strong"
    panel.classes = 1000
    assert told(panel.figure())["kdlab"] == "1,000 times too strong"


def test_settings_that_another_does_not_take_have_no_bar(panel):
    panel.source = "Distillation-Zoo"
    panel.settings = {"lambda_kd": 3.0, "T": 4.0}
    assert set(told(panel.figure())) == {"PyTorch tutorial", "RepDistiller", "torchdistill", "mdistiller", "TextBrewer",
                                         "timm"}
    panel.source = "TextBrewer"
    panel.settings = {"kd_loss_weight": 0, "hard_label_weight": 0, "temperature": 4.0}
    assert told(panel.figure()) == {}


def test_the_browser_gets_what_each_convention_is(panel):
    state = panel.get_state()
    names = [one["name"] for one in state["conventions"]]
    assert names == list(conventions.CONVENTIONS) and "perWeight" in str(state["_esm"])
    assert (state["source"], state["settings"], state["classes"]) == ("kdlab", {"alpha": 0.9, "temperature": 4.0}, 10)


@pytest.mark.parametrize("name, value, sentence", [
    ("source", "KD_Lib", "KD_Lib has another loss"), ("source", "FitNets", "there is no convention 'FitNets'"),
    ("settings", {"alpha": 1.0}, "settings of kdlab must be numbers for alpha, temperature"), ("classes", 1, "2"),
    ("settings", {"alpha": "much", "temperature": 4.0}, "must be numbers"),
])
def test_the_panel_refuses_what_does_not_fit_and_keeps_what_it_had(panel, name, value, sentence):
    before = getattr(panel, name)
    with pytest.raises(traitlets.TraitError, match=re.escape(sentence)):
        setattr(panel, name, value)
    assert getattr(panel, name) == before


@pytest.mark.parametrize("options, sentence", [
    (dict(source="FitNets"), "there is no convention 'FitNets'"), (dict(source="KD_Lib"), "KD_Lib has another loss"),
    (dict(settings={"T": 1}), "kdlab has no 'T'"), (dict(classes=1), "classes must be a whole number >= 2, got 1"),
])
def test_a_panel_that_cannot_be_made_says_why(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        panels.conventions(conventions, **options)


def test_the_panels_output_holds_its_picture_and_a_text_that_does_not_vary(panel):
    bundle, _ = panel._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "a panel with convention, settings, classes"
    assert "application/vnd.jupyter.widget-view+json" in bundle
