"""The map of students without a browser: a selected cell loads its student, and the picture shows what was selected."""

import base64
import re

import pytest
import torch
import traitlets

from kdlab.losses import soft_targets
from workbook import panels

MEANS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 5.0, -2.0]])
GAINS = torch.stack([MEANS, MEANS - 1.5, MEANS + 1.5], 2)  # (alphas, temperatures, 3)
TEACHER = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
STUDENTS = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
IMAGES = torch.arange(4 * 16, dtype=torch.uint8).reshape(4, 1, 4, 4)
ALPHAS, TEMPERATURES = [0.0, 1.0], [1.0, 4.0, 64.0]


@pytest.fixture
def panel():
    return panels.grid(GAINS, ALPHAS, TEMPERATURES, teacher=TEACHER, students=STUDENTS, images=IMAGES, classes="abcde")


def shown(explorer):
    return torch.frombuffer(bytearray(explorer.table), dtype=torch.float32).reshape(4, 5)


def test_it_opens_on_the_largest_gain(panel):
    assert panel.grid.cell == [1, 1]
    assert shown(panel.student).equal(STUDENTS[1, 1]) and shown(panel.teacher).equal(TEACHER)


@pytest.mark.parametrize("cell", [(0, 0), (1, 2), (0, 1)])
def test_a_selected_cell_loads_its_student_and_its_temperature(panel, cell):
    panel.grid.cell = list(cell)
    assert shown(panel.student).equal(STUDENTS[cell]) and shown(panel.teacher).equal(TEACHER)
    assert panel.teacher.temperature == panel.student.temperature == min(TEMPERATURES[cell[1]], 32)
    assert f"alpha = {ALPHAS[cell[0]]:g}, T = {TEMPERATURES[cell[1]]:g}" in panel.said.value


def test_both_explorers_show_the_same_picture_at_the_same_temperature(panel):
    panel.teacher.image = 3
    panel.student.temperature = 7.0
    assert panel.student.image == 3 and panel.teacher.temperature == 7.0
    panel.grid.cell = [0, 2]
    assert panel.student.image == 3


def test_logits_typed_into_the_students_explorer_go_when_another_student_comes(panel):
    panel.student.logits = [1.0, 2.0, 3.0, 4.0, 5.0]
    panel.grid.cell = [0, 0]
    assert panel.student.logits == []


def test_brackets_stand_where_the_interval_holds_zero_and_shades_rise_with_the_mean(panel):
    assert panel.grid.texts == [["(+0.0\n±1.5)"] * 3, ["(+1.0\n±1.5)", "+5.0\n±1.5", "−2.0\n±1.5"]]
    shades = torch.tensor(panel.grid.shades)
    assert shades.min() == 0 and shades.max() == 1 and shades.flatten().argsort().equal(MEANS.flatten().argsort())


def test_its_picture_shows_the_soft_targets_of_both(panel):
    panel.grid.cell = [0, 1]
    panel.teacher.image = 2
    bars = [bar.get_height() for bar in panel.figure().axes[-1].patches]
    assert bars == pytest.approx([*soft_targets(TEACHER[2], 4).tolist(), *soft_targets(STUDENTS[0, 1, 2], 4).tolist()])
    bundle, _ = panel._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG") and bundle["text/plain"].startswith("a map of")


@pytest.mark.parametrize("cell", [[2, 0], [0, 3], [-1, 0], [1]])
def test_a_cell_that_is_not_there_is_refused(panel, cell):
    with pytest.raises(traitlets.TraitError):
        panel.grid.cell = cell
    assert panel.grid.cell == [1, 1]


def test_students_that_do_not_fit_the_map_are_refused():
    with pytest.raises(ValueError, match=re.escape("students (2, 3, 4, 5), got (2, 3, 3) and (2, 2, 4, 5)")):
        panels.grid(
            GAINS, ALPHAS, TEMPERATURES, teacher=TEACHER, students=STUDENTS[:, :2], images=IMAGES, classes="abcde")
