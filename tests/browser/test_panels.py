"""Keys pressed in a panel stay there: JupyterLab inserts, deletes and leaves no cell, and each control has a name."""

import harness
import pytest
from cells import TAUGHT
from playwright.sync_api import expect

CELLS = [
    TAUGHT + "run = panels.training(digits, known)\nrun",
    "eager = {'eager': lambda model, example, calibration: model}\n"
    "panels.latency({'net': torch.nn.Flatten()}, (1, 8, 8), runtimes=eager, min_seconds=0.01)",
    "panels.missing_class(lambda left_out, T: iter([(1, {'alone': [0.5] * 10})]), digits.classes)",
    "panels.explorer(known.logits[:5], digits.train.images[:5], digits.classes)",
    "panels.grid(torch.rand(5, 6, 3), range(5), range(1, 7), teacher=known.logits[:5], classes=digits.classes,\n"
    "            students=known.logits[:5].expand(5, 6, 5, 10), images=digits.train.images[:5])",
]
OWN = (".kd-curves", ".kd-latency-measure", ".kd-missing-go")  # a part that only this panel has
ROOTS = (*(f".kd-panel:has({part})" for part in OWN), ".kd-explorer")
CONTROLS = "select, input, button, .noUi-handle, .widget-readout"
KEYS = ("1", "b", "a", "d", "d", "x", "z", "m", "0", "0", "i", "i", "ArrowDown", "ArrowUp", "ArrowLeft", "PageDown")
STATE = """() => {
    const content = window.jupyterapp.shell.currentWidget.content;
    const cells = content.widgets.map(({model}) => model.type + model.sharedModel.getSource());
    return [content.activeCellIndex, content.mode, cells];
}"""
NAMES = """nodes => nodes.map(node => node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim()
    || (node.tagName === 'BUTTON' ? node.textContent.trim() : ''))"""


PROJECTORS = [(1024, 768), (1280, 720)]  # pixels
BEYOND = """part => {
    const output = part.closest('.jp-OutputArea-output');
    return [output.scrollWidth - output.clientWidth, output.getBoundingClientRect().right - window.innerWidth];
}"""


@pytest.fixture(scope="module")
def notebook(lab):
    notebook = lab(CELLS)
    notebook.page.locator("button.kd-export").wait_for()
    return notebook


def test_jupyterlab_takes_no_key_that_is_pressed_in_a_panel(notebook):
    page, tried = notebook.page, 0
    for place, root in enumerate(ROOTS):
        for control in page.locator(root).first.locator(CONTROLS).all():
            page.evaluate(f"window.jupyterapp.shell.currentWidget.content.activeCellIndex = {place}")
            control.focus()
            before = page.evaluate(STATE)
            for key in KEYS:
                page.keyboard.press(key)
                assert page.evaluate(STATE) == before, f"{key} pressed in {control} went to JupyterLab"
            tried += 1
    assert tried >= 6 + 5 + 7 + 1 + 4 + 1 + 5 + 3
    field = page.locator(".kd-name input")
    field.fill("")
    field.press_sequentially("bad idea")
    notebook.until("run.name.value == 'bad idea'")
    assert notebook.ask("(run.state, ours())") == ("ready", [])  # none of those keys pressed a button


def test_every_control_has_a_name_that_a_screen_reader_can_speak(notebook):
    page = notebook.page
    for root in ROOTS:
        controls = page.locator(root).first.locator(CONTROLS)
        names = controls.evaluate_all(NAMES)
        assert all(names) and len(set(names)) == len(names), names
        pictures = page.locator(root).first.locator("img, canvas")
        assert all(pictures.evaluate_all("nodes => nodes.map(node => node.alt || node.getAttribute('aria-label'))"))
    notebook.ask("run.reset()")
    heat = page.locator(".kd-temperature")
    expect(heat.locator(".widget-readout")).to_have_text("4.00")
    for _ in "ab":  # a logarithmic slider speaks its value, not its exponent
        heat.locator(".noUi-handle").press("ArrowRight")
        read = heat.locator(".widget-readout").inner_text()
        expect(heat.locator(".noUi-handle")).to_have_attribute("aria-valuetext", read)
    assert float(heat.locator(".widget-readout").inner_text()) == round(2**2.5, 2)


@pytest.mark.parametrize("width, height", PROJECTORS)
def test_every_panel_is_whole_at_a_projectors_size(notebook, width, height):
    page, before = notebook.page, notebook.page.viewport_size
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(500)
    for place, root in enumerate((*ROOTS, ".kd-map", ".kd-map-student")):
        shown = page.locator(root).first
        shown.scroll_into_view_if_needed()
        assert shown.is_visible()
        harness.eventually(lambda: max(shown.evaluate(BEYOND)) <= 1, f"{root} is cut at {width}x{height}")
        notebook.photograph(f"panel-{place}-{width}")
    page.set_viewport_size(before)
