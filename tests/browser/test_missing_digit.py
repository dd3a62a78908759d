"""The missing-digit panel in a browser shows what the same functions give without one."""

import base64

SETUP = """
import torch
from kdlab import bank, data, live, models
from kdlab.evaluation import evaluate
from kdlab.training import Knobs, distil, finish, train
torch.set_num_threads(1)
digits = data.load("digits", seed=20)
torch.manual_seed(20)
teacher = models.build("mlp-512-512", digits.shape, classes=10)
finish(train(teacher, digits, steps=200, batch_size=64, lr=3e-3, weight_decay=1e-2, seed=20))
stored = bank.fill(teacher, digits)

def student(missing, temperature, **options):
    torch.manual_seed(20)
    student = models.build("mlp-32", digits.shape, classes=10)
    seen = (digits.train.labels != missing).nonzero()[:, 0]
    finish(distil(student, digits, Knobs(temperature=temperature), steps=600, indices=seen, **options))
    return student

asked = []
def without(missing, temperature):
    asked.append((missing, temperature))
    students = {"alone": student(missing, 1.0, teacher=None), "distilled": student(missing, temperature, teacher=stored)}
    return {name: evaluate(model, digits).recall for name, model in students.items()}
"""
PANEL = "live.missing_class(without, digits.classes, missing=3, temperature=1.0)"
HEADLESS = "live.missing_class(without, digits.classes, missing=8, temperature=4.0)"
PICTURE = """async panel => {
    const bytes = new Uint8Array(await (await fetch(panel.querySelector('img').src)).arrayBuffer());
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
}"""


def test_the_missing_digit_panel_shows_what_the_headless_run_gives(lab):
    notebook = lab([SETUP, PANEL])
    panel = notebook.page.locator(".jp-OutputArea-output .widget-vbox")
    panel.locator("select").select_option("8")
    notebook.until("len(asked) == 2")
    temperature = panel.locator(".noUi-handle")
    for count in range(3, 7):  # T = 1.41, 2, 2.83, 4
        temperature.press("ArrowRight")
        notebook.until(f"len(asked) == {count}")
    assert notebook.ask("asked[-1]") == (8, 4.0)
    headless = notebook.ask(f"bytes({HEADLESS}.picture.value)")  # asked after the panel's own training
    assert base64.b64decode(panel.evaluate(PICTURE)) == headless  # the same bars, the same title, to the pixel
    notebook.photograph("missing-digit", ".jp-OutputArea-output .widget-vbox")
    recall = notebook.ask("without(8, 4.0)")
    assert recall["alone"][8] == 0 and recall["distilled"][8] > 0.3
