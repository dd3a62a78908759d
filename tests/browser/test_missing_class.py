"""The missing-class panel in a browser: the recall rises while it trains, to what the headless run gives."""

import base64
import re

import harness
import pytest

SETUP = """
import copy, threading, time, torch
from kdlab import bank, data, models
from kdlab.evaluation import evaluate
from kdlab.training import Knobs, distil, finish, train
from workbook import panels
torch.set_num_threads(1)
digits = data.load("digits", seed=20)
teacher = models.build("mlp-512-512", digits.shape, 10, seed=20)
finish(train(teacher, digits, steps=200, batch_size=64, lr=3e-3, weight_decay=1e-2, seed=20))
stored, newborn = bank.fill(teacher, digits), models.build("mlp-32", digits.shape, 10, seed=20)

asked, broken, limit, steps = [], [], 10**9, 600
def without(digit, temperature):
    asked.append((digit, temperature))
    seen = digits.only((digits.train.labels != digit).nonzero()[:, 0])
    teachers = {"alone": None, "distilled": stored}
    students = {name: copy.deepcopy(newborn) for name in teachers}
    ways = [distil(students[name], seen, Knobs(1.0, temperature), teacher=teacher, steps=steps)
            for name, teacher in teachers.items()]
    for step, _ in zip(*ways):
        if broken and step.step == 100:
            raise broken.pop()
        while step.step > limit:
            time.sleep(0.01)
        if step.step % 20:
            continue
        yield step.step, {name: evaluate(student, digits).recall for name, student in students.items()}

def ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("kdlab")]
"""
PANEL = "panel = panels.missing_class(without, digits.classes, missing=3, temperature=1.0)\npanel"
ENDLESS = "globals().update(steps=10**6)"
HEADLESS = "panels.missing_class(without, digits.classes, missing=8, temperature=4.0)"
PICTURE = """async panel => {
    const bytes = new Uint8Array(await (await fetch(panel.querySelector('img').src)).arrayBuffer());
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
}"""
WATCH = """panel => {  // what a screen reader would say of each picture that was shown
    const image = panel.querySelector('img');
    window.shown = [];
    image.addEventListener('load', () => window.shown.push(image.alt));
}"""


class Panel:
    """The panel's parts in the page."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.root = self.page.locator(".kd-panel").last
        self.message = self.root.locator(".kd-missing-message")
        self.root.locator("img").wait_for()

    def enter(self, name):
        self.root.locator(f"button.kd-missing-{name}").focus()
        self.page.keyboard.press("Enter")

    def says(self, words):
        self.page.wait_for_function("([node, words]) => node.textContent.trim().startsWith(words)",
                                    arg=[self.message.element_handle(), words])


@pytest.fixture(scope="module")
def notebook(lab):
    return lab([SETUP, PANEL])


@pytest.fixture
def panel(notebook):
    notebook.ask("globals().update(limit=10**9, steps=600)")
    notebook.ask("(panel.stop(), asked.clear(), *(setattr(panel.controls[name], 'value', value) "
                 "for name, value in (('missing', 3), ('temperature', 1.0))))[:0]")
    return Panel(notebook)


def test_the_recall_rises_before_the_classs_eyes_to_what_the_headless_run_gives(panel):
    notebook, root = panel.notebook, panel.root
    digit, temperature = root.locator("select"), root.locator(".noUi-handle")
    digit.focus()
    for _ in range(5):  # 3 → 8
        panel.page.keyboard.press("ArrowDown")
    for _ in range(4):  # T = 1.41, 2, 2.83, 4
        temperature.press("ArrowRight")
    notebook.until("(panel.controls['missing'].value, panel.controls['temperature'].value) == (8, 4.0)")
    assert notebook.ask("asked") == []  # nothing trains before Go
    root.evaluate(WATCH)
    notebook.ask("globals().update(limit=200)")  # there the students wait until they have been seen
    panel.enter("go")
    panel.says("training without any 8")
    place = notebook.add("print(6 * 7, len(ours()))")  # a second cell, while the students train
    assert notebook.text(place) == "42 1\n"
    panel.page.wait_for_function("window.shown.some(words => words.includes('No 8 in training'))")
    notebook.photograph("missing-digit-training", ".kd-panel")
    notebook.ask("globals().update(limit=600)")
    panel.says("finished after step 600")
    notebook.until("(asked, ours()) == ([(8, 4.0)], [])")
    headless = notebook.ask(f"bytes({HEADLESS}.picture.value)")
    # the same curves, bars and title, to the pixel
    harness.eventually(lambda: base64.b64decode(root.evaluate(PICTURE)) == headless)
    notebook.photograph("missing-digit", ".kd-panel")

    last = notebook.ask("list(without(8, 4.0))[-1][1]")
    assert last["alone"][8] == 0 and last["distilled"][8] > 0.3
    said = re.compile(r"after step (\d+): alone (\d+) %, distilled (\d+) %")
    told = [said.search(alt) for alt in panel.page.evaluate("window.shown")]
    told = [tuple(map(int, found.groups())) for found in told if found]
    told = told[told.index(min(told)):]  # pictures that another choice began may come late, after Go
    steps, alone, distilled = zip(*told)
    assert len(set(steps)) >= 2 and list(steps) == sorted(steps) and set(alone) == {0}
    assert distilled[0] < distilled[-1]


def test_another_choice_stop_and_an_error_end_the_run_and_leave_the_panel_usable(panel):
    notebook = panel.notebook
    notebook.ask(ENDLESS)
    panel.enter("go")
    panel.says("training without any 3")
    panel.root.locator("select").select_option("5")
    panel.says("stopped after step")
    notebook.until("ours() == []")
    panel.enter("go")
    panel.says("training without any 5")
    panel.enter("stop")
    panel.says("stopped after step")
    notebook.ask("broken.append(ValueError('an <error> on the way'))")
    panel.enter("go")
    panel.says("⚠ ValueError: an <error> on the way")
    assert panel.message.locator("[role=alert]").count() == 1
    notebook.until("ours() == []")
    notebook.photograph("missing-digit-error", ".kd-panel")
    notebook.ask("globals().update(steps=600)")
    panel.enter("go")
    panel.says("finished after step 600")
    assert notebook.ask("len(asked)") == 4


def test_running_the_cell_again_ends_the_run(panel):
    panel.notebook.ask(ENDLESS)
    panel.enter("go")
    panel.says("training without any 3")
    panel.notebook.ask("globals().update(old=panel, steps=600)")  # a new panel draws a whole run
    panel.notebook.again(1)
    panel.notebook.until("old is not panel and ours() == []")
    fresh = Panel(panel.notebook)
    fresh.enter("go")
    fresh.says("training without any 3")
