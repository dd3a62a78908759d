"""The training panel in a browser: it is steered by keyboard and mouse while it trains, and stays usable."""

import pytest
from cells import TAUGHT

PANEL = "run = panels.training(digits, {'teacher': known, 'few': few}, steps=300_000)\nrun"
STEP = "run.history[-1].step if run.history else 0"
PIXELS = "canvas => canvas.toDataURL()"


class Panel:
    """The panel's parts in the page, by the names of the design."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.root = self.page.locator(".kd-panel").last
        self.canvas, self.status = self.root.locator("canvas.kd-curves"), self.root.locator(".kd-status")
        self.canvas.wait_for()

    def press(self, name):
        self.root.locator(f"button.kd-{name}").click()

    def enter(self, name):
        self.root.locator(f"button.kd-{name}").focus()
        self.page.keyboard.press("Enter")

    def handle(self, name):
        return self.root.locator(f".kd-{name} .noUi-handle")

    def says(self, words):
        """Waits until the status begins with these words."""
        self.page.wait_for_function(
            "([node, words]) => node.textContent.startsWith(words)", arg=[self.status.element_handle(), words])

    def readout(self, name):
        """The number beside a slider."""
        return float(self.root.locator(f".kd-{name} .widget-readout").inner_text())

    def drag(self, name, share):
        """Drags a slider's handle to a share of its track, with the mouse."""
        start, track = self.handle(name).bounding_box(), self.root.locator(f".kd-{name} .noUi-base").bounding_box()
        self.page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + share * track["width"], track["y"] + track["height"] / 2, steps=5)
        self.page.mouse.up()

    def pixels(self):
        return self.canvas.evaluate(PIXELS)

    def moves_on(self, drawn):
        """Waits for another picture than this one."""
        changed = "([node, drawn]) => node.toDataURL() !== drawn"
        self.page.wait_for_function(changed, arg=[self.canvas.element_handle(), drawn])

    def at_rest(self):
        """Waits until the picture is that of the kernel's last message, and returns it."""
        step = str(self.notebook.ask(STEP))
        self.page.wait_for_function(
            "([node, step]) => node.closest('.kd-live').dataset.step === step && new Promise(done => "
            "requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
            arg=[self.canvas.element_handle(), step])
        return self.pixels()


@pytest.fixture(scope="module")
def notebook(lab):
    return lab([TAUGHT, PANEL])


@pytest.fixture
def panel(notebook):
    notebook.ask("run.reset()")
    panel = Panel(notebook)
    panel.says("ready")
    return panel


def used(notebook, name, value):
    """Waits until a step of the loop has used this value of a knob: what the loop read, not what the slider shows."""
    notebook.until(f"run.history and abs(run.history[-1].{name} - {value}) < 1e-9")
    assert notebook.ask(f"run.log[-1][{name!r}]") == pytest.approx(value)


def test_the_loop_uses_what_keyboard_and_mouse_turn_while_a_second_cell_runs(panel):
    notebook = panel.notebook
    before = panel.pixels()
    panel.press("start")
    panel.says("training")
    first = notebook.until(STEP)

    panel.handle("alpha").press("ArrowLeft")  # 1 → 0.95
    panel.handle("alpha").press("ArrowLeft")
    used(notebook, "alpha", 0.9)
    panel.handle("temperature").press("ArrowRight")  # 4 → 2 ** 2.25
    used(notebook, "temperature", 2**2.25)
    for name, share, low, high in (("alpha", 0.25, 0.15, 0.35), ("temperature", 0.1, 0.25, 1.0)):
        panel.drag(name, share)
        shown = panel.readout(name)
        assert low <= shown <= high
        notebook.until(f"abs(run.history[-1].{name} - {shown}) < 0.006")  # two decimals are shown

    place = notebook.add("print(6 * 7, run.state, run.history[-1].step)")  # while the run goes on
    answer, state, second = notebook.text(place).split()
    assert (answer, state) == ("42", "training")
    assert first < int(second) < notebook.until(f"({STEP}) > {second} and {STEP}")
    steps = [entry["step"] for entry in notebook.ask("run.log")]
    assert len(steps) >= 5 and steps == sorted(set(steps)) and steps[0] == 1
    panel.moves_on(before)
    notebook.page.wait_for_timeout(1500)
    notebook.photograph("training-panel", ".kd-panel")


def test_buttons_work_by_mouse_and_by_enter_and_the_picture_follows(panel):
    notebook = panel.notebook
    panel.enter("start")
    notebook.until(f"({STEP}) > 20")
    panel.press("pause")
    panel.says("paused")
    held, drawn = notebook.ask(STEP), panel.at_rest()
    notebook.page.wait_for_timeout(300)
    assert notebook.ask(STEP) == held and panel.pixels() == drawn
    panel.enter("step")
    notebook.until(f"({STEP}) == {held + 1}")
    panel.moves_on(drawn)
    panel.press("pause")  # now named Resume
    notebook.until(f"({STEP}) > {held + 20}")
    panel.enter("stop")
    panel.says("stopped")
    notebook.until("(ours(), len(run.finished)) == ([], 1)")


def test_an_error_in_the_run_is_shown_and_the_panel_stays_usable(panel):
    notebook, page = panel.notebook, panel.page
    panel.root.locator(".kd-teacher select").select_option("few")  # its bank lacks most images
    panel.press("start")
    panel.says("failed")
    said = panel.status.inner_text()
    assert "IndexError" in said and len(said) > 30
    notebook.photograph("training-panel-error", ".kd-panel")
    panel.root.locator(".kd-teacher select").select_option("teacher")
    panel.press("start")
    panel.says("training")
    notebook.add("kept, digits.train.labels[:] = digits.train.labels.clone(), 99")  # labels that no class has
    panel.says("failed after step ")
    assert "Error: " in panel.status.inner_text()  # of the step, or of the picture that comes before it
    notebook.add("digits.train.labels[:] = kept")
    panel.press("start")
    panel.says("training")
    panel.handle("alpha").press("ArrowLeft")
    used(notebook, "alpha", 0.95)
    assert page.locator(".kd-panel").count() == 1


def test_running_the_cell_again_ends_the_old_run(panel):
    notebook = panel.notebook
    panel.press("start")
    panel.says("training")
    notebook.ask("globals().update(old=run)")
    notebook.again(1)
    notebook.until("(old is run, old.state, ours(), run.state) == (False, 'stopped', [], 'ready')")
    fresh = Panel(notebook)
    fresh.press("start")
    fresh.says("training")
    assert notebook.ask("len(ours())") == 1


def test_after_a_kernel_restart_the_cells_give_a_panel_that_works(panel):
    notebook = panel.notebook
    panel.press("start")
    panel.says("training")
    notebook.restart()
    for place in (0, 1):
        notebook.again(place)
    assert notebook.ask("(ours(), run.state)") == ([], "ready")
    fresh = Panel(notebook)
    fresh.press("start")
    fresh.says("training")
    fresh.handle("alpha").press("ArrowLeft")
    used(notebook, "alpha", 0.95)
