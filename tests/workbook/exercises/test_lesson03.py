"""The checks of notebook 03: many right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
from claims import hinted, told
from torch.nn import functional as F

from workbook.exercises import lesson03 as check


def mixed(teacher, labels, alpha):
    return alpha * teacher.softmax(1) + (1 - alpha) * F.one_hot(labels, teacher.shape[1])


def mixed_logits(teacher, labels, alpha):
    hard = F.one_hot(labels, teacher.shape[1])
    return hard.float() if alpha == 0 else (alpha * teacher + (1 - alpha) * hard).softmax(1)


def largest(p, labels, count):
    """True at the label and at so many of the largest wrong classes (n, classes)."""
    wrong = p.scatter(1, labels[:, None], -1.0)
    return torch.zeros_like(p).scatter(1, wrong.topk(count, 1).indices, 1.0).scatter(1, labels[:, None], 1.0).bool()


def shared(p, kept):
    rest = (p * ~kept).sum(1, keepdim=True) / (~kept).sum(1, keepdim=True)
    return torch.where(kept, p, rest)


def top_three(p, labels):
    return shared(p, largest(p, labels, 3))


def top_three_sharpened(p, labels):
    """Another measure of the same: every row a little colder before its rest is shared."""
    q = p**1.1
    return top_three(q / q.sum(1, keepdim=True), labels)


def nothing_of_the_rest(p, labels):
    q = p * largest(p, labels, 3)
    return q / q.sum(1, keepdim=True)


def in_place(p, labels):
    return p.copy_(top_three(p, labels))


def evenly(p, labels):
    return shared(p, largest(p, labels, 0))


RIGHT = [(check.mixed_target, mixed), (check.thinned, top_three), (check.thinned, top_three_sharpened)]
WRONG = [
    (check.mixed_target, lambda t, y, a: mixed(t, y, 1 - a), "at alpha = 1 it is the teacher's softmax"),
    (check.mixed_target, mixed_logits, "probabilities, not logits"),
    (check.mixed_target, lambda t, y, a: F.one_hot(y, 5) + a * t.softmax(1), "must sum to 1"),
    (check.mixed_target, lambda t, y, a: t.softmax(0), "must sum to 1"),
    (check.mixed_target, lambda t, y, a: F.one_hot(y, 5), "must sum to 1"),
    (check.mixed_target, lambda t, y, a: y, "one row of probabilities"),
    (check.thinned, lambda p, y: p, "no six equal numbers"),
    (check.thinned, lambda p, y: shared(p, largest(p, y, 4)), "no six equal numbers"),
    (check.thinned, lambda p, y: p * largest(p, y, 3), "must sum to 1"),
    (check.thinned, nothing_of_the_rest, "a zero says 'never'"),
    (check.thinned, evenly, "which of the wrong classes tell most"),
    (check.thinned, in_place, "work on a copy"),
    (check.thinned, lambda p, y: p[:, :5], "the same shape"),
]


@pytest.mark.parametrize(("run", "answer"), RIGHT, ids=lambda f: getattr(f, "__name__", ""))
def test_a_right_answer_passes(run, answer, capsys):
    run(answer)
    assert "✓ " in capsys.readouterr().out


@pytest.mark.parametrize(("run", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(run, answer, hint, capsys):
    hinted(run, answer, hint, capsys)


@pytest.mark.parametrize("run", [check.mixed_target, check.thinned], ids=lambda f: f.__name__)
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    told(run, capsys)
