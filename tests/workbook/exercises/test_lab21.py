"""The checks of lab 21: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
import torch.nn.functional as F

from workbook.exercises import lab21 as check


def ours(alpha, temperature, classes):
    soft = (1 - alpha) / classes
    return soft / (soft + alpha), temperature


def grad(loss, z):
    return torch.autograd.grad(loss, z)[0].flatten()


def weights(loss, temperature, classes, start="teacher"):
    t = torch.randn(8, classes, dtype=torch.float64)
    labels = torch.arange(8) % classes
    z = (t.clone() if start == "teacher" else torch.randn_like(t)).requires_grad_()
    hard_gradient = grad(F.cross_entropy(z, labels), z)
    hard = grad(loss(z, t, labels, temperature), z) @ hard_gradient / hard_gradient.square().sum()
    z = torch.randn_like(t).requires_grad_()
    log_q, p = F.log_softmax(z / temperature, 1), F.softmax(t / temperature, 1)
    kl = grad(F.kl_div(log_q, p, reduction="batchmean"), z)
    rest = grad(loss(z, t, labels, temperature), z) - hard * grad(F.cross_entropy(z, labels), z)
    return hard.item(), (rest @ kl / kl.square().sum()).item()


def probe(loss, *, swap=False, squared=None, per_number=None, divided=True, start="teacher"):
    hard, plain = weights(loss, 1.0, 2, start)
    hot, wide = weights(loss, 2.0, 2)[1], weights(loss, 1.0, 4)[1]
    by_heat, by_classes = hot / plain > 2, plain / wide > 1.5
    soft = plain * (2 if by_classes and divided else 1)
    found = soft if swap else hard, hard if swap else soft
    return *found, by_heat if squared is None else squared, by_classes if per_number is None else per_number


CASES = [
    (check.to_ours, ours, "✓"),
    (check.to_ours, lambda a, t, c: None, "not attempted"),
    (check.to_ours, lambda a, t, c: a, "return two numbers"),
    (check.to_ours, lambda a, t, c: (a, t), "there alpha weighs the labels"),
    (check.to_ours, lambda a, t, c: (1 - a, t), "averaged over the classes, too"),
    (check.to_ours, lambda a, t, c: ((1 - a) * c / ((1 - a) * c + a), t), "do not multiply it"),
    (check.to_ours, lambda a, t, c: ((1 - a) / c, t), "divide by their sum"),
    (check.to_ours, lambda a, t, c: (1 - ours(a, t, c)[0], t), "the labels' loss is not averaged"),
    (check.to_ours, lambda a, t, c: (ours(a, t, c)[0], t / 2), "the temperature stays"),
    (check.to_ours, lambda a, t, c: ((1 - a) * c, t), "it must be in [0, 1]"),
    (check.to_ours, lambda a, t, c: (0.33, t), "compare soft / hard"),
    (check.to_ours, lambda a, t, c: 1 / 0, "raised ZeroDivisionError"),
    (check.probe, probe, "✓"),
    (check.probe, lambda loss: ..., "not attempted"),
    (check.probe, lambda loss: (0.1, 0.9), "return four things"),
    (check.probe, lambda loss: probe(loss, swap=True), "the other way"),
    (check.probe, lambda loss: probe(loss, squared=True), "at two temperatures"),
    (check.probe, lambda loss: probe(loss, squared=False), "at two temperatures"),
    (check.probe, lambda loss: probe(loss, per_number=False), "two numbers of classes"),
    (check.probe, lambda loss: probe(loss, divided=False), "multiply by the classes"),
    (check.probe, lambda loss: probe(loss, start="other"), "only the labels give a gradient"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
