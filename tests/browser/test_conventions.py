"""The translator in a browser: what JavaScript computes is what the kernel's translator says."""

import json

import pytest
from playwright.sync_api import expect

CELL = """
import json
from workbook import panels
from workbook.labs import conventions as c
def said(source, settings, classes):
    "Name → the line, the scale and how far off a copy is, as the kernel has them; json, because a nan is among them."
    found = {}
    for name, other in c.CONVENTIONS.items():
        if name != source:
            try:
                there = c.translate(settings, source, name, classes)
                found[name] = [there.line, there.scale]
            except ValueError:
                found[name] = [None, None]
            found[name].append(c.times(settings, source, name, classes) if other.translatable else None)
    return json.dumps(found)
panel = panels.conventions(c, settings={"alpha": 0.9})
panel
"""
ROWS = """root => Object.fromEntries([...root.querySelectorAll('tbody tr')].map(({dataset: d}) =>
    [d.name, [d.line ?? null, d.scale ? Number(d.scale) : null, d.times ?? null]]))"""


@pytest.fixture(scope="module")
def opened(lab):
    return lab([CELL])


def agrees(notebook):
    """Every row is the kernel's; returns what is chosen."""
    root = notebook.page.locator(".kd-conventions")
    chosen = notebook.ask("(panel.source, panel.settings, panel.classes)")
    wanted = json.loads(notebook.ask(f"said(*{chosen!r})"))
    for name, (line, scale, times) in root.evaluate(ROWS).items():
        their_line, their_scale, their_times = wanted.pop(name)
        assert line == their_line, name
        assert scale == pytest.approx(their_scale)
        times = None if times is None else float(times.replace("Infinity", "inf"))
        assert times == pytest.approx(their_times, nan_ok=True), name
    assert not wanted
    return chosen


def test_the_browser_translates_as_the_kernel_does_by_keyboard(opened):
    page = opened.page
    assert agrees(opened) == ("kdlab", {"alpha": 0.9, "temperature": 4.0}, 10)
    alpha = page.locator(".kd-conventions-alpha")
    alpha.press("ArrowLeft")  # which JupyterLab would take for itself
    opened.until("panel.settings['alpha'] == 0.89")
    page.locator(".kd-conventions-temperature").press("Home")
    page.locator(".kd-conventions-classes").fill("100")
    opened.until("panel.settings['temperature'] == 0.5 and panel.classes == 100")
    agrees(opened)
    alpha.press("End")
    opened.until("panel.settings['alpha'] == 1")
    agrees(opened)
    for name in ("torchdistill", "Distillation-Zoo", "torchtune", "DeiT"):
        page.locator(".kd-conventions-source").select_option(name)
        opened.until(f"panel.source == {name!r}")
        agrees(opened)
        assert page.locator(".kd-conventions input[type=range]").count() == opened.ask("len(panel.settings)")
    opened.photograph("conventions", ".kd-conventions")


def test_the_kernel_may_turn_it_and_bad_numbers_get_a_sentence(opened):
    page = opened.page
    opened.add("panel.source, panel.classes = 'TextBrewer', 10")
    page.wait_for_function("document.querySelector('.kd-conventions-source').value === 'TextBrewer'")
    expect(page.locator(".kd-conventions-classes")).to_have_value("10")
    agrees(opened)
    page.locator(".kd-conventions-kd_loss_weight").press("Home")
    message = page.locator(".kd-conventions-message")
    expect(message).to_contain_text("both weights are 0")
    page.locator(".kd-conventions-kd_loss_weight").press("End")
    page.locator(".kd-conventions-classes").fill("1")
    expect(message).to_contain_text("classes must be a whole number")
