"""The grid of students in a browser: a selected cell loads its student into the explorer, by mouse and keyboard."""

import harness
import numpy as np
import pytest

CELL = """
import torch
from workbook import panels
draw = torch.Generator().manual_seed(3)
alphas, temperatures = [0.0, 0.5, 1.0], [1.0, 2.0, 4.0, 8.0]
means = torch.tensor([[0.0, 0, 0, 0], [1, 3, 6, 4], [2, 4, 9, -1]])
gains = torch.stack([means, means - 2, means + 2], 2)
teacher, students = 4 * torch.randn(5, 10, generator=draw), 4 * torch.randn(3, 4, 5, 10, generator=draw)
images = torch.randint(0, 255, (5, 1, 8, 8), dtype=torch.uint8, generator=draw)
classes = list("0123456789")
panel = panels.grid(gains, alphas, temperatures, teacher=teacher, students=students, images=images, classes=classes)
panel
"""
BARS = """root => Object.fromEntries([...root.querySelectorAll('.kd-explorer-bar.kd-at-t')]
    .map(bar => [bar.dataset.class, Number(bar.dataset.probability)]))"""


@pytest.fixture(scope="module")
def notebook(lab):
    return lab([CELL])


def softmax(logits, temperature):
    shares = np.exp((np.asarray(logits) - np.max(logits)) / temperature)
    return dict(zip("0123456789", shares / shares.sum()))


def test_a_selected_cell_shows_its_students_logits_beside_the_teachers(notebook):
    page = notebook.page
    students, teacher = notebook.ask("students.tolist()"), notebook.ask("teacher.tolist()")
    grid = page.locator(".kd-map")

    def agrees(row, column, image, temperature):
        notebook.until(f"panel.grid.cell == [{row}, {column}] and panel.student.image == {image}")
        page.wait_for_function(
            "logits => document.querySelector('.kd-map-student .kd-explorer-logits').value === logits",
            arg=" ".join(str(float(f"{z:.2f}")).removesuffix(".0") for z in students[row][column][image]))
        for side, logits in (("student", students[row][column][image]), ("teacher", teacher[image])):
            bars = page.locator(f".kd-map-{side} .kd-explorer")
            wanted = pytest.approx(softmax(logits, temperature), abs=1e-6)
            harness.eventually(lambda: bars.evaluate(BARS) == wanted)
        pressed = grid.locator("button[aria-pressed='true']")
        assert pressed.count() == 1 and pressed.get_attribute("data-cell") == f"{row} {column}"
        assert pressed.get_attribute("tabindex") == "0" and grid.locator("button[tabindex='0']").count() == 1

    agrees(2, 2, 0, 4)
    grid.locator("button[data-cell='1 3']").click()
    agrees(1, 3, 0, 8)
    for key, cell, temperature in [("ArrowLeft", (1, 2), 4), ("ArrowUp", (0, 2), 4), ("ArrowUp", (0, 2), 4),
                                   ("ArrowRight", (0, 3), 8), ("ArrowDown", (1, 3), 8)]:
        page.keyboard.press(key)  # the cell that was clicked has the focus, and hands it on
        agrees(*cell, 0, temperature)
    page.locator(".kd-map-teacher .kd-explorer-image").press("ArrowRight")
    agrees(1, 3, 1, 8)  # the student's explorer follows the teacher's
    page.locator(".kd-map-student .kd-explorer-temperature").press("Home")
    notebook.until("panel.teacher.temperature == 0.25")
    active = page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex")
    assert active == 0  # Lab took no key
    notebook.photograph("map")


def test_every_cell_has_a_name_that_can_be_read_out(notebook):
    labels = "all => all.map(button => button.getAttribute('aria-label'))"
    names = notebook.page.locator(".kd-map button").evaluate_all(labels)
    assert len(set(names)) == 12
    assert {"alpha 1, T 4: +9.0 ±2.0 points", "alpha 0, T 1: (+0.0 ±2.0) points"} <= set(names)
