"""Keys pressed in a panel stay there: JupyterLab inserts, deletes and leaves no cell, and each control has a name."""

from cells import TAUGHT

CELLS = [
    TAUGHT + "run = steer.panel(digits, known)\nrun",
    "from kdlab import live\nlatency = live.latency_panel({'net': torch.nn.Flatten()}, (1, 8, 8), min_seconds=0.01)\nlatency",
    "from kdlab import missing\n"
    "digit = missing.panel(lambda left_out, T: iter([(1, {'alone': [0.5] * 10})]), digits.classes)\ndigit",
    "explorer = live.explorer(known.logits[:5], digits.train.images[:5], digits.classes)\nexplorer",
]
CONTROLS = "select, input, button, .noUi-handle, .widget-readout"
KEYS = ("1", "b", "a", "d", "d", "x", "z", "m", "0", "0", "i", "i", "ArrowDown", "ArrowUp", "ArrowLeft", "PageDown")
STATE = """() => {
    const content = window.jupyterapp.shell.currentWidget.content;
    return [content.activeCellIndex, content.mode, content.widgets.map(cell => cell.model.type + cell.model.sharedModel.getSource())];
}"""
NAMES = """nodes => nodes.map(node => node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim()
    || (node.tagName === 'BUTTON' ? node.textContent.trim() : ''))"""


def test_jupyterlab_takes_no_key_that_is_pressed_in_a_panel(lab):
    notebook = lab(CELLS)
    page, tried = notebook.page, 0
    page.locator("button.kd-export").wait_for()
    for place, root in enumerate((".kd-panel:has(.kd-curves)", ".kd-panel:has(.kd-latency-measure)",
                                  ".kd-panel:has(.kd-missing-go)", ".kd-explorer")):
        for control in page.locator(root).locator(CONTROLS).all():
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


def test_every_control_has_a_name_that_a_screen_reader_can_speak(lab):
    page = lab(CELLS).page
    page.locator("button.kd-export").wait_for()
    for root in (".kd-panel:has(.kd-curves)", ".kd-panel:has(.kd-latency-measure)", ".kd-panel:has(.kd-missing-go)", ".kd-explorer"):
        controls = page.locator(root).locator(CONTROLS)
        names = controls.evaluate_all(NAMES)
        assert all(names) and len(set(names)) == len(names), names
        pictures = page.locator(root).locator("img, canvas")
        assert all(pictures.evaluate_all("nodes => nodes.map(node => node.alt || node.getAttribute('aria-label'))"))
    heat = page.locator(".kd-temperature")
    for _ in "ab":  # a logarithmic slider speaks its value, not its exponent
        heat.locator(".noUi-handle").press("ArrowRight")
        assert heat.locator(".noUi-handle").get_attribute("aria-valuetext") == heat.locator(".widget-readout").inner_text()
    assert float(heat.locator(".widget-readout").inner_text()) == round(2**2.5, 2)
