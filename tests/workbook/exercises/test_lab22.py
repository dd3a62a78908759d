"""The checks of lab 22: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
from torch.nn import functional as F

from workbook.exercises import lab22 as check


def right_soft(s, t, heat):
    return heat**2 * F.kl_div((s / heat).log_softmax(1), (t / heat).softmax(1), reduction="batchmean")


def step(
    student, teacher, optimizer, images, labels, alpha, heat, *, soft=right_soft, hard=F.cross_entropy, quiet=True,
    cut=True, train=True, clear=True, move=True, mixed=lambda soft, hard, alpha: alpha * soft + (1 - alpha) * hard,
):
    """A right step, or one with a single mistake."""
    student.train(train)
    teacher.train(not quiet)
    with torch.set_grad_enabled(not cut):
        t = teacher(images)
    s = student(images)
    parts = soft(s, t, heat), hard(s, labels)
    if clear:
        optimizer.zero_grad()
    mixed(*parts, alpha).backward()
    if move:
        optimizer.step()
    return parts


def but(**mistake):
    return lambda *arguments: step(*arguments, **mistake)


def kl(q, p, **options):
    return F.kl_div(q, p, **{"reduction": "batchmean"} | options)


def alone(*arguments):
    return step(*arguments)[0]


def copied_logits(*arguments):
    """Right in another way: numbers, and the teacher's logits detached."""
    student, teacher, optimizer, images, labels, alpha, heat = arguments
    t = teacher.eval()(images).detach()
    s = student.train()(images)
    log_q, log_p = (x.div(heat).log_softmax(1) for x in (s, t))
    soft, hard = heat**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean(), -s.log_softmax(1)[range(30), labels].mean()
    optimizer.zero_grad()
    (alpha * soft + (1 - alpha) * hard).backward()
    optimizer.step()
    return soft.item(), hard.item()


def content_with(*numbers):
    return lambda number: [] if number in numbers or number == 0 else ["the loss is negative"]


CASES = [
    (check.step, step, "✓"),
    (check.step, copied_logits, "✓"),
    (check.step, lambda *a: None, "not attempted"),
    (check.step, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.step, alone, "return two numbers"),
    (check.step, but(quiet=False), "into eval mode"),
    (check.step, but(cut=False), "reaches the teacher"),
    (check.step, but(train=False), "student.train()"),
    (check.step, but(soft=lambda s, t, T: right_soft(s, t, T) / 5), "reduction='batchmean'"),
    (check.step, but(soft=lambda s, t, T: right_soft(s, t, T) / T**2), "T² is missing"),
    (check.step, but(soft=lambda s, t, T: right_soft(s, t, T) / T**2 / 5), "T² and batchmean"),
    (check.step, but(soft=lambda s, t, T: right_soft(t, s, T)), "changed places"),
    (check.step, but(soft=lambda s, t, T: right_soft(t, t, T)), "compared with itself"),
    (check.step, but(soft=lambda s, t, T: T**2 * kl((s / T).softmax(1), (t / T).softmax(1))), "not its softmax"),
    (check.step, but(soft=lambda s, t, T: T**2 * kl((s / T).log_softmax(1), (t / T).softmax(1), log_target=True)),
     "must be logarithms"),
    (check.step, but(soft=lambda s, t, T: right_soft(s.softmax(1), t, T)), "softmax twice"),
    (check.step, but(soft=lambda s, t, T: right_soft(s, t * T, T)), "the teacher's logits by T"),
    (check.step, but(soft=lambda s, t, T: right_soft(s * T, t, T)), "the student's logits by T"),
    (check.step, but(soft=lambda s, t, T: (s - t).square().mean()), "where T² · KL"),
    (check.step, but(hard=lambda s, y: F.cross_entropy(s.softmax(1), y)), "give it logits"),
    (check.step, but(hard=lambda s, y: F.cross_entropy(s / 6, y)), "at T = 1"),
    (check.step, but(move=False), "has not moved"),
    (check.step, but(clear=False), "zero_grad"),
    (check.step, but(mixed=lambda soft, hard, alpha: alpha * hard + (1 - alpha) * soft), "other way round"),
    (check.step, but(mixed=lambda soft, hard, alpha: soft + hard), "otherwise than"),
    (check.diagnoses, lambda: {1: True, 7: True}, "✓"),
    (check.diagnoses, lambda: None, "not attempted"),
    (check.diagnoses, lambda: {1: True, 7: False, 9: False}, "right: 1. Look again at patient 7, 9"),
    (check.diagnoses, lambda: {7: False}, "right: none"),
    (check.checkup, content_with(), "✓"),
    (check.checkup, content_with(1, 2, 3), "✓"),
    (check.checkup, lambda number: None, "not attempted"),
    (check.checkup, lambda number: True, "return a list"),
    (check.checkup, lambda number: ["no"], "complains of the healthy training: no"),
    (check.checkup, content_with(1, 2, 3, 4), "finds 9 of 13, and at least 10 are wanted; it is content with patient"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
