"""The checks of lab 20: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import copy
import math

import pytest
import torch
from torch import nn

from workbook.exercises import lab20 as check


def student(*, widths=(16, 32), features=32 * 8 * 8, classes=10, padding=1, bias=True, last=()):
    """The article's student, mended, or with a single mistake."""
    one, two = widths
    return nn.Sequential(
        nn.Conv2d(3, one, 3, padding=padding, bias=bias), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(one, two, 3, padding=padding, bias=bias), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(features, classes), *last,
    )


class Detached(nn.Sequential):
    def forward(self, x):
        return super().forward(x).detach()


class Severed(nn.Sequential):
    """The last layer alone gets a gradient."""

    def forward(self, x):
        *layers, last = self
        for layer in layers:
            x = layer(x)
        return last(x.detach())


KEPT = student()


def gradient(z, v, t, *, batch=True, power=1, slope=0, heated=True):
    """T · (q − p) / n, or that with mistakes."""
    q, p = ((x / t if heated else x).softmax(1) for x in (z, v))
    found = t**power * (q - p)
    for _ in range(slope):
        found = q * (found - (q * found).sum(1, keepdim=True))
    return found / len(z) if batch else found


def uses(program, student, teacher, images, labels, *, seeded=True, poison=False, by="gradient", rough=False, own=None):
    """Whether another teacher changes the student's gradient, or a detector with a mistake."""
    found, other = [], (own or check.other_teacher)(teacher)
    if poison:
        for p in other.parameters():
            p.data.fill_(math.nan)
    for asked in (teacher, other):
        if seeded:
            torch.manual_seed(0)
        loss = program(student, asked, images, labels)
        grads = torch.autograd.grad(loss, list(student.parameters()))
        found.append([loss.detach()] if by == "loss" else list(grads))
    same = (lambda a, b: torch.allclose(a, b, atol=0.1)) if rough else torch.equal
    return not all(map(same, *found))


def nearly(teacher):
    other = copy.deepcopy(teacher)
    for p in other.parameters():
        p.data += 1e-6
    return other


def itself(teacher):
    for p in teacher.parameters():
        p.data += 1
    return teacher


def asked(program, student, teacher, images, labels):
    """Whether the teacher is called at all."""
    calls = []
    handle = teacher.register_forward_hook(lambda *_: calls.append(1))
    program(student, teacher, images, labels)
    handle.remove()
    return bool(calls)


CASES = [
    (check.student, student, "✓"),
    (check.student, lambda: student(last=[nn.LogSoftmax(1)]), "✓"),  # logits up to one number a row
    (check.student, lambda: None, "not attempted"),
    (check.student, lambda: "student", "return an nn.Module"),
    (check.student, lambda: student(features=32 * 4 * 4), "32 halved twice is 8"),
    (check.student, lambda: student(last=[nn.Softmax(1)]), "leave the softmax to the loss"),
    (check.student, lambda: student(classes=9), "must give a tensor (5, 10)"),
    (check.student, lambda: student(widths=(32, 64), features=64 * 8 * 8), "convolutions of 16 and 32"),
    (check.student, lambda: student(padding=0, features=32 * 6 * 6), "parameters, not 25,578"),
    (check.student, lambda: student(bias=False), "parameters, not 25,578"),
    (check.student, lambda: Detached(*student()), "no gradient comes back"),
    (check.student, lambda: student().requires_grad_(False), "no gradient comes back"),
    (check.student, lambda: Severed(*student()), "does not reach every layer"),
    (check.student, lambda: KEPT, "a new network each time"),
    (check.gradient, gradient, "✓"),
    (check.gradient, lambda *a: None, "not attempted"),
    (check.gradient, lambda z, v, t: gradient(z, v, t).sum(), "of the shape of student_logits"),
    (check.gradient, lambda z, v, t: gradient(v, z, t), "the sign"),
    (check.gradient, lambda *a: gradient(*a, power=0), "T is missing"),
    (check.gradient, lambda *a: gradient(*a, power=-1), "T² is missing"),
    (check.gradient, lambda *a: gradient(*a, power=2), "T is left, not T²"),
    (check.gradient, lambda *a: gradient(*a, heated=False), "divided by T before"),
    (check.gradient, lambda *a: gradient(*a, heated=False, power=0), "divided by T before"),
    (check.gradient, lambda *a: gradient(*a, slope=1), "which q − p holds already"),
    (check.gradient, lambda *a: gradient(*a, slope=1, power=0), "which q − p holds already"),
    (check.gradient, lambda *a: gradient(*a, slope=1, batch=False), "which q − p holds already"),
    (check.gradient, lambda *a: gradient(*a, batch=False), "divide by the number of images"),
    (check.gradient, lambda *a: gradient(*a) + 1, "each row must sum to 0"),
    (check.gradient, lambda *a: 3 * gradient(*a), "start from T · (q − p) / n"),
    (check.uses_its_teacher, uses, "✓"),
    (check.uses_its_teacher, lambda *a: None, "not attempted"),
    (check.uses_its_teacher, lambda *a: 1, "return True or False"),
    (check.uses_its_teacher, lambda *a: False, "a program that distils"),
    (check.uses_its_teacher, lambda *a: True, "without any teacher"),
    (check.uses_its_teacher, asked, "throws its answer away"),
    (check.uses_its_teacher, lambda *a: uses(*a, seeded=False), "set the same seed"),
    (check.uses_its_teacher, lambda *a: uses(*a, by="loss"), "compare the student's gradients"),
    (check.uses_its_teacher, lambda *a: uses(*a, poison=True), "0 · NaN is NaN"),
    (check.uses_its_teacher, lambda *a: uses(*a, rough=True), "compare the gradients exactly"),
    (check.uses_its_teacher, lambda *a: uses(*a, own=nearly), "a very different teacher"),
    (check.uses_its_teacher, lambda *a: uses(*a, own=itself), "must stay as they were"),
    (check.uses_its_teacher, lambda *a: 1 / 0, "raised ZeroDivisionError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1, printed
