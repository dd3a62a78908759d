"""The explorer of soft targets in a browser: its softmax is ours, and it does not wait for the kernel."""

import numpy as np
import pytest

CELL = """
import torch
from workbook import panels
logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(3)) * 4
images = torch.randint(0, 255, (6, 3, 16, 16), dtype=torch.uint8)
panel = panels.explorer(logits, images, list("ABCDEFGHIJ"), temperature=4.0)
panel
"""
BUSY = """
import pathlib, time
while not pathlib.Path("go on").exists():
    time.sleep(0.05)
"""
CLASSES = "ABCDEFGHIJ"
BARS = """(root) => Object.fromEntries([...root.querySelectorAll('.kd-explorer-bar')]
    .map(({dataset}) => [`${dataset.class} ${Number(dataset.temperature).toFixed(6)}`, Number(dataset.probability)]))"""


@pytest.fixture(scope="module")
def opened(lab):
    return lab([CELL])


@pytest.fixture
def notebook(opened):
    opened.again(0)
    return opened


def softmax(logits, temperature):
    shares = np.exp((np.asarray(logits) - np.max(logits)) / temperature)
    return dict(zip(CLASSES, shares / shares.sum()))


def shown(page, temperature):
    """Class → probability, as the bars at this temperature have it."""
    bars = page.locator(".kd-explorer").evaluate(BARS)
    return {c: bars.get(f"{c} {temperature:.6f}") for c in CLASSES}


def test_the_bars_are_the_softmax_of_the_logits_by_keyboard_and_by_mouse(notebook):
    page, logits = notebook.page, notebook.ask("logits.tolist()")
    slider, image = page.locator(".kd-explorer-temperature"), page.locator(".kd-explorer-image")
    seen = set()

    def agrees(row):
        temperature = 2 ** float(slider.input_value())
        seen.add(round(temperature, 3))
        assert shown(page, temperature) == pytest.approx(softmax(logits[row], temperature), abs=1e-6)
        assert shown(page, 1.0) == pytest.approx(softmax(logits[row], 1.0), abs=1e-6)
        bits = -sum(p * np.log2(p) for p in softmax(logits[row], temperature).values() if p > 0)
        told = page.locator(".kd-explorer-entropy").inner_text()
        assert f"{bits:.2f} bits at T = {float(f'{temperature:.2f}'):g}" in told

    agrees(0)
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "Home", "End"):
        slider.press(key)
        agrees(0)
    box = slider.bounding_box()
    for share in (0.2, 0.5, 0.8):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        agrees(0)
    assert len(seen) == 8 and {0.25, 32.0} <= seen
    image.press("ArrowRight")
    image.press("ArrowRight")
    agrees(2)
    notebook.until("panel.image == 2")  # and the kernel knows
    assert notebook.ask("panel.temperature") == pytest.approx(2 ** float(slider.input_value()))
    notebook.photograph("explorer", ".kd-explorer")


def test_the_explorer_follows_while_the_kernel_is_busy(notebook, server):
    page, logits = notebook.page, notebook.ask("logits.tolist()")
    place = notebook.start(BUSY)
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'")
    slider = page.locator(".kd-explorer-temperature")
    for _ in range(8):
        slider.press("ArrowRight")
        temperature = 2 ** float(slider.input_value())
        assert shown(page, temperature) == pytest.approx(softmax(logits[0], temperature), abs=1e-6)
    assert temperature == 8.0
    assert not notebook.finished(place)  # all of it happened while the kernel was busy
    (server.place / "notebooks" / "go on").touch()
    notebook.wait(place)
    notebook.until("panel.temperature == 8.0")


def test_bad_logits_give_a_sentence_and_the_last_good_picture_stays(notebook):
    page = notebook.page
    field, message = page.locator(".kd-explorer-logits"), page.locator(".kd-explorer-message")
    typed = [9, 7, 0, 0, 0, 0, 0, 0, 0, -3]
    field.fill(" ".join(map(str, typed)))
    good = shown(page, 4.0)
    assert good == pytest.approx(softmax(typed, 4.0), abs=1e-6) and message.inner_text() == ""
    for bad in ("1 2 three 4 5 6 7 8 9 10", "1 2 3", "1 2 3 4 5 6 7 8 9 1e999"):
        field.fill(bad)
        assert message.inner_text().endswith(".") and "10 numbers" in message.inner_text()
        assert field.get_attribute("aria-invalid") == "true"
        assert shown(page, 4.0) == good
    notebook.photograph("explorer-bad-logits", ".kd-explorer")
    field.fill("0 0 0 0 0 0 0 0 0 0")
    assert message.inner_text() == "" and shown(page, 4.0) == pytest.approx(dict.fromkeys(CLASSES, 0.1))
