"""The latency panel without a browser: it measures at each press, and shows what could not be measured."""

import importlib

import pytest
import torch

from kdlab import latency
from workbook import panels

room = importlib.import_module("workbook.panels.latency")  # the package's `latency` is the panel
EAGER = {"eager": lambda model, example, calibration: model}
BOTH = EAGER | {"compile": None}


@pytest.fixture
def stopwatch(monkeypatch):
    """A sweep that asks no clock: a call takes one millisecond an image; `asked` lists what it was asked for."""
    asked = []

    def sweep(models, shape, *, batches, devices, threads, variants, **rest):
        asked.append((*models, *batches, *devices, *threads, *variants))
        if "compile" in variants:
            return [latency.Row(*models, batches[0], *devices, *threads, "compile", None, "it found no <compiler>")]
        return [
            latency.Row(*models, n, *devices, *threads, *variants, latency.Timing((0.0005 * n, 0.001 * n, 0.003 * n)))
            for n in batches
        ]

    monkeypatch.setattr(room, "sweep", sweep)
    return asked


def opened(runtimes=EAGER, models=("net",), **options):
    return panels.latency(dict.fromkeys(models), (1, 4, 4), runtimes=runtimes, **options)


def test_it_measures_once_and_then_at_each_press(stopwatch, figures):
    panel = opened(models=("big", "small"), batches=(1, 8))
    panel.controls["model"].value = "small"
    panel.controls["batch"].value = (1, 8)
    assert stopwatch == [("big", 1, "cpu", 1, "eager")]  # moves wait for the button
    panel.buttons["measure"].click()
    assert stopwatch[1:] == [("small", 1, 8, "cpu", 1, "eager")] and len(panel.rows) == 3
    bars, curves = figures[-1].axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([1, 1, 8])
    assert list(bars.lines[2].get_xdata()) == pytest.approx([8 * 0.55, 8 * 2.8])  # p5 and p95 of the last
    assert [line.get_xydata().tolist() for line in curves.lines] == [[[1, 1]], [[1, 1], [8, 1]]]
    assert "small, cpu, 1 thread, eager, batch 8: 8 ms (p5 4.4, p95 22.4)" in panel.said.value


def test_records_of_other_machines_are_drawn_for_the_models_that_were_measured(stopwatch, figures):
    recorded = {"A: recorded": {"small": {1: 4.0, 64: 64.0}, "big": {1: 9.0}}, "B: recorded": {"other": {1: 1.0}}}
    panel = opened(models=("big", "small"), recorded=recorded)
    assert [line.get_label() for line in figures[-1].axes[1].lines] == ["big, cpu, 1 thread, eager", "big, A: recorded"]
    panel.controls["model"].value = "small"
    panel.buttons["measure"].click()
    curves = {line.get_label(): line.get_xydata().tolist() for line in figures[-1].axes[1].lines}
    assert curves["small, A: recorded"] == [[1, 4], [64, 1]] and len(curves) == 4
    ticks = [tick.get_text() for tick in figures[-1].axes[1].get_xticklabels()]
    assert {"1", "64"} <= set(ticks)


def test_what_cannot_run_says_why_and_the_panel_stays_usable(stopwatch):
    panel = opened(BOTH)
    before = panel.picture.value
    panel.controls["runtime"].value = "compile"
    panel.buttons["measure"].click()
    assert "it found no &lt;compiler&gt;" in panel.message.value and panel.picture.value == before
    assert len(panel.rows) == 1 and not panel.buttons["measure"].disabled
    panel.controls["runtime"].value = "eager"
    panel.buttons["measure"].click()
    assert panel.message.value == "" and len(panel.rows) == 2


def test_the_button_is_off_while_it_measures(stopwatch, monkeypatch):
    panel, seen, sweep = opened(), [], room.sweep
    monkeypatch.setattr(room, "sweep", lambda *a, **k: seen.append(panel.buttons["measure"].disabled) or sweep(*a, **k))
    panel.buttons["measure"].click()
    assert seen == [True] and not panel.buttons["measure"].disabled


def test_it_times_a_real_network():
    nets = {"net": torch.nn.Flatten()}
    panel = panels.latency(nets, (1, 4, 4), runtimes=EAGER, batches=(2,), min_seconds=0.001)
    assert [(row.model, row.batch, row.threads) for row in panel.rows] == [("net", 2, 1)]
    assert panel.rows[0].milliseconds > 0
    assert panel._repr_mimebundle_()[0]["text/plain"] == "a panel with model, batch, device, threads, runtime"
    assert {"kd-latency-measure"} <= set(panel.buttons["measure"]._dom_classes)


def test_it_offers_what_it_was_handed_and_the_cores_that_this_process_may_use(stopwatch, monkeypatch):
    monkeypatch.setattr(room.devices, "cores", lambda: 6)
    panel = opened(BOTH)
    assert panel.controls["runtime"].options == ("eager", "compile")
    assert panel.controls["threads"].options == (1, 2, 4, 6)
