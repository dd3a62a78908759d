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

from kdlab import latency
from workbook.panels import live
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


def test_a_panel_holds_what_keeps_its_keys_from_jupyterlab():
    panel = live.Panel(lambda level: Figure((2, 1)), level=widgets.IntSlider())
    assert "kd-panel" in panel._dom_classes and isinstance(panel.children[-1], live.Keys)


def test_a_screen_reader_hears_the_titles_of_the_figure():
    def draw(level):
        figure = Figure((2, 1))
        figure.suptitle("above")
        for ax, title in zip(figure.subplots(1, 2), ("left", f"level {level}")):
            ax.set_title(title, loc="left")
        return figure

    panel = live.Panel(draw, level=widgets.IntSlider(3))
    assert panel.children[-1].picture == "figure. above. left. level 3"
    panel.controls["level"].value = 7
    assert panel.children[-1].picture == "figure. above. left. level 7"


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


@pytest.fixture
def stopwatch(monkeypatch):
    """A sweep that asks no clock: a call takes one millisecond an image; `asked` lists what it was asked for."""
    asked = []

    def sweep(models, shape, *, batches, devices, threads, variants, **rest):
        asked.append((*models, *batches, *devices, *threads, *variants))
        if variants == ["compile"]:
            return [latency.Row(*models, batches[0], *devices, *threads, "compile", None, "it found no <compiler>")]
        return [
            latency.Row(*models, n, *devices, *threads, *variants, latency.Timing((0.0005 * n, 0.001 * n, 0.003 * n)))
            for n in batches
        ]

    monkeypatch.setattr(latency, "sweep", sweep)
    return asked


def test_the_latency_panel_measures_once_and_then_at_each_press(stopwatch, figures):
    panel = live.latency_panel({"big": None, "small": None}, (1, 4, 4), batches=(1, 8))
    panel.controls["model"].value = "small"
    panel.controls["batch"].value = (1, 8)
    assert stopwatch == [("big", 1, "cpu", 1, "eager")]  # moves wait for the button
    panel.button.click()
    assert stopwatch[1:] == [("small", 1, 8, "cpu", 1, "eager")] and len(panel.rows) == 3
    bars, curves = figures[-1].axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([1, 1, 8])
    assert list(bars.lines[2].get_xdata()) == pytest.approx([8 * 0.55, 8 * 2.8])  # p5 and p95 of the last
    assert [line.get_xydata().tolist() for line in curves.lines] == [[[1, 1]], [[1, 1], [8, 1]]]
    assert "small, cpu, 1 thread, eager, batch 8: 8 ms (p5 4.4, p95 22.4)" in panel.children[-1].value


def test_a_setting_that_cannot_run_says_why_and_the_latency_panel_stays_usable(stopwatch):
    panel = live.latency_panel({"net": None}, (1, 4, 4))
    before = panel.picture.value
    panel.controls["setting"].value = "compile"
    panel.button.click()
    assert "it found no &lt;compiler&gt;" in panel.message.value and panel.picture.value == before
    assert len(panel.rows) == 1 and not panel.button.disabled
    panel.controls["setting"].value = "eager"
    panel.button.click()
    assert panel.message.value == "" and len(panel.rows) == 2


def test_the_button_is_off_while_it_measures(stopwatch, monkeypatch):
    panel = live.latency_panel({"net": None}, (1, 4, 4))
    seen, sweep = [], latency.sweep
    monkeypatch.setattr(latency, "sweep", lambda *a, **k: seen.append(panel.button.disabled) or sweep(*a, **k))
    panel.button.click()
    assert seen == [True] and not panel.button.disabled


def test_the_latency_panel_times_a_real_network():
    panel = live.latency_panel({"net": torch.nn.Flatten()}, (1, 4, 4), batches=(2,), min_seconds=0.001)
    assert [(row.model, row.batch, row.threads) for row in panel.rows] == [("net", 2, 1)] and panel.rows[0].milliseconds > 0
    assert panel._repr_mimebundle_()["text/plain"] == "a panel with model, batch, device, threads, setting"
    assert {"kd-latency-measure"} <= set(panel.button._dom_classes)


def test_the_latency_panel_offers_every_runtime_at_hand_and_no_other(stopwatch, monkeypatch):
    reasons = {"eager": "", "bf16": "imitated", "onnxruntime": "", "litert": "make litert"}
    monkeypatch.setattr(live.runtimes, "at_hand", lambda device: reasons)
    monkeypatch.setattr(live.runtimes, "RUNTIMES", dict.fromkeys(reasons))
    assert live.latency_panel({"net": None}, (1, 4, 4)).controls["setting"].options == ("eager", "onnxruntime")
