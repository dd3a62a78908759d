"""The checks of lab 23: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
from torch.nn import functional as F

from workbook.exercises import lab23 as check


def hint(student, teacher, regress, *, part=0.5, detach="teacher", reduction="mean"):
    teacher = teacher.detach() if "teacher" in detach else teacher
    mine = regress(student.detach() if "student" in detach else student)
    return part * F.mse_loss(mine, teacher, reduction=reduction)


def similarity(student, teacher, *, rows=True, by="mean", features=False):
    def relations(x):
        x = x.flatten(1)
        x = F.normalize(x, dim=1) if features else x
        products = x @ x.T
        return F.normalize(products, dim=1) if rows else products

    squares = (relations(student) - relations(teacher)).square()
    return getattr(squares, by)()


def whole(student, teacher):
    mine, his = (x.flatten(1) @ x.flatten(1).T for x in (student, teacher))
    return (mine / mine.norm() - his / his.norm()).square().mean()


CASES = [
    (check.hint, hint, "✓"),
    (check.hint, lambda *a: None, "not attempted"),
    (check.hint, lambda *a: hint(*a, part=1.0), "half of it"),
    (check.hint, lambda *a: hint(*a, reduction="sum"), "take the mean, not the sum"),
    (check.hint, lambda *a: hint(*a, reduction="sum") / len(a[0]), "not by that of the images alone"),
    (check.hint, lambda *a: hint(*a, detach=""), "the teacher gets a gradient"),
    (check.hint, lambda *a: hint(*a, detach="teacher student"), "detach neither"),
    (check.hint, lambda *a: hint(*a).detach(), "no gradient comes back"),
    (check.hint, lambda *a: hint(*a) + 1, "it is not half the mean"),
    (check.hint, lambda *a: hint(*a, reduction="none"), "return a scalar"),
    (check.hint, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.similarity, similarity, "✓"),
    (check.similarity, lambda s, t: None, "not attempted"),
    (check.similarity, lambda s, t: similarity(s, t, rows=False), "scale each row"),
    (check.similarity, whole, "not the whole matrix"),
    (check.similarity, lambda s, t: similarity(s, t, rows=False, features=True), "not the features before it"),
    (check.similarity, lambda s, t: similarity(s, t, by="sum"), "divide by batch²"),
    (check.similarity, lambda s, t: similarity(s, t, by="sum") / len(s), "not by the batch"),
    (check.similarity, lambda s, t: 2 * similarity(s, t), "it is not the mean"),
    (check.similarity, lambda s, t: similarity(s, t) * torch.ones(2), "return a scalar"),
    (check.similarity, lambda s, t: similarity(s, t) if s.dim() == 2 else torch.ones(2), "flatten(1) them"),
    (check.similarity, lambda s, t: 1 / 0, "raised ZeroDivisionError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
