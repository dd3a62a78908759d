"""The latency panel in a browser: a press measures what was chosen; bars and words are those of the kernel's rows."""

import base64

import harness
import pytest

SETUP = """
import torch
from kdlab import models
from workbook import panels
torch.set_num_threads(1)
nets = {name: models.build(name, (1, 8, 8), 10) for name in ("mlp-64", "mlp-16")}
"""
PANEL = """
eager = {"eager": lambda model, example, calibration: model}
panel = panels.latency(nets, (1, 8, 8), runtimes=eager, batches=(1, 4, 16), min_seconds=0.01)
panel
"""
PICTURE = """async panel => {
    const bytes = new Uint8Array(await (await fetch(panel.querySelector('img').src)).arrayBuffer());
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
}"""


@pytest.fixture(scope="module")
def opened(lab):
    return lab([SETUP, PANEL])


@pytest.fixture
def notebook(opened):
    opened.again(1)
    opened.page.locator(".kd-panel img").wait_for()
    return opened


def shown(root):
    return base64.b64decode(root.evaluate(PICTURE))


def test_a_press_measures_what_the_keyboard_chose_and_adds_it_to_bars_and_words(notebook):
    page, root = notebook.page, notebook.page.locator(".kd-panel")
    said, first = root.locator(".kd-latency-said"), shown(root)
    assert notebook.ask("[(row.model, row.batch) for row in panel.rows]") == [("mlp-64", 1)]
    root.locator(".kd-latency-model select").focus()
    page.keyboard.press("ArrowDown")
    root.locator(".kd-latency-batch select").focus()
    page.keyboard.press("End")  # all of them
    notebook.until("(panel.controls['model'].value, panel.controls['batch'].value) == ('mlp-16', (1, 4, 16))")
    assert notebook.ask("len(panel.rows)") == 1 and shown(root) == first  # moves wait for the button
    root.locator("button.kd-latency-measure").focus()
    page.keyboard.press("Enter")
    rows = notebook.until("[(row.model, row.batch, f'{row.milliseconds:.3g} ms') for row in panel.rows][1:]")
    assert [row[:2] for row in rows] == [("mlp-16", 1), ("mlp-16", 4), ("mlp-16", 16)]
    page.wait_for_function("([node, words]) => node.textContent.includes(words)",
                           arg=[said.element_handle(), f"batch 16: {rows[-1][2]}"])
    told = said.inner_text().splitlines()
    assert len(told) == 3 and all(line.startswith(f"{model}, cpu, 1 thread") and f"batch {batch}: {time}" in line
                                  for line, (model, batch, time) in zip(told, rows))
    assert said.locator("[role=status]").count() == 1
    # Enter measures again
    page.wait_for_function("document.activeElement?.matches('.kd-latency-measure:not(:disabled)')")
    drawn = notebook.ask("bytes(panel.picture.value)")
    harness.eventually(lambda: shown(root) == drawn != first)
    assert "Milliseconds per call" in root.locator("img").get_attribute("alt")
    notebook.photograph("latency", ".kd-panel")


def test_what_cannot_be_measured_is_said_and_the_panel_stays_usable(notebook):
    root = notebook.page.locator(".kd-panel")
    alert, before = root.locator(".kd-latency-message [role=alert]"), shown(root)
    notebook.add("kept, nets['mlp-64'] = nets['mlp-64'], torch.nn.Linear(3, 3)")  # takes no such image
    root.locator("button.kd-latency-measure").click()
    alert.wait_for()
    assert "Error: " in alert.inner_text() and len(alert.inner_text()) > 30
    assert shown(root) == before and notebook.ask("len(panel.rows)") == 1
    notebook.photograph("latency-error", ".kd-panel")
    notebook.add("nets['mlp-64'] = kept")
    root.locator("button.kd-latency-measure").click()
    alert.wait_for(state="detached")
    notebook.until("len(panel.rows) == 2")
    harness.eventually(lambda: shown(root) != before)
