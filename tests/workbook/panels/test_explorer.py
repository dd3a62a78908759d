"""The explorer without a browser: its figure, its checks, and what the browser gets."""

import base64
import re

import pytest
import torch
import traitlets

from kdlab.losses import soft_targets
from workbook import panels

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.fixture
def explorer():
    return panels.explorer(LOGITS, torch.arange(32, dtype=torch.uint8).reshape(2, 1, 4, 4), "abc", temperature=2.0)


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
    assert bytes(state["pictures"]) == bytes(range(32))
    assert (state["shape"], state["classes"]) == ([2, 1, 4, 4], ["a", "b", "c"])
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
        panels.explorer(LOGITS, pictures, "ab")
    assert panels.explorer(LOGITS, pictures, "abc", temperature=1000).temperature == 32


def test_the_explorers_output_holds_its_picture_and_a_text_that_does_not_vary(explorer):
    explorer.image = 1
    bundle, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "a panel with image, temperature, logits"
    assert "application/vnd.jupyter.widget-view+json" in bundle
