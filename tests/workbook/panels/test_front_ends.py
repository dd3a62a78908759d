"""Every panel where it is opened: widget and picture in one output, and in Colab the manager that has such widgets."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from anywidget import _util as anywidgets

from workbook import panels
from workbook.labs import conventions
from workbook.panels import base

VIEW = "application/vnd.jupyter.widget-view+json"
MANAGER = "https://example.org/manager.js"


@pytest.fixture
def opened(digits, known):
    """One of each."""
    some, images = known.logits[:5], digits.train.images[:5]
    eager = {"eager": lambda model, example, calibration: model}
    mapped = dict(teacher=some, students=some.expand(2, 2, 5, 10), images=images, classes=digits.classes)
    made = {
        "conventions": lambda: panels.conventions(conventions, settings={"alpha": 0.9}, classes=10),
        "explorer": lambda: panels.explorer(some, images, digits.classes),
        "grid": lambda: panels.grid(torch.rand(2, 2, 3), (0, 1), (1, 2), **mapped),
        "latency": lambda: panels.latency({"net": torch.nn.Flatten()}, (1, 8, 8), runtimes=eager, min_seconds=0.01),
        "missing_class": lambda: panels.missing_class(lambda *_: iter([(1, {"alone": [0.5] * 10})]), digits.classes),
        "prediction": lambda: panels.prediction("abc"),
        "training": lambda: panels.training(digits, known),
    }
    assert list(made) == panels.__all__
    return lambda: {name: make() for name, make in made.items()}


@pytest.fixture
def colab(monkeypatch):
    """Stands in for Colab's module; returns how often its manager was switched on."""
    enabled, output = [], ModuleType("google.colab.output")
    output._widgets = SimpleNamespace(_installed_url=None)

    def enable_custom_widget_manager():
        enabled.append(1)
        output._widgets._installed_url = MANAGER

    output.enable_custom_widget_manager = enable_custom_widget_manager
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    monkeypatch.setattr(base, "png", lambda *_: b"")  # their pictures are no matter here
    anywidgets.enable_custom_widget_manager_once.cache_clear()
    yield enabled, output
    anywidgets.enable_custom_widget_manager_once.cache_clear()


def test_what_shows_no_widgets_shows_the_picture_or_the_question(opened):
    for name, panel in opened().items():
        bundle, metadata = panel._repr_mimebundle_()
        assert bundle[VIEW]["model_id"] == panel.model_id and not metadata, name
        assert bundle["text/plain"] and "object at" not in bundle["text/plain"], name
        assert ("image/png" in bundle) == (name != "prediction"), name


def test_colabs_manager_is_switched_on_once_and_named_in_every_panels_output(opened, colab):
    enabled, _ = colab
    for name, panel in opened().items():
        _, metadata = panel._repr_mimebundle_()
        assert metadata == {VIEW: {"colab": {"custom_widget_manager": {"url": MANAGER}}}}, name
    assert len(enabled) == 1


def test_a_manager_that_colab_cannot_switch_on_is_heard_of(colab):
    def enable_custom_widget_manager():
        raise ValueError("Unknown widgets version")

    colab[1].enable_custom_widget_manager = enable_custom_widget_manager
    with pytest.raises(ValueError, match="Unknown widgets version"):
        panels.prediction("abc")
