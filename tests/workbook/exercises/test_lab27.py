"""The checks of lab 27: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import math

import pytest
import torch

from workbook.exercises import lab27 as check
from workbook.methods.token_level import tokens_loss


def right(student, teacher, beta):
    rows = zip(student, teacher)
    return torch.stack([tokens_loss(student_logits=s[None], teacher_logits=t[None], beta=beta) for s, t in rows])


def by_probabilities(student, teacher, beta, *, ends=True, swapped=False):
    q, p = student.softmax(-1), teacher.softmax(-1)
    if ends and beta in (0, 1):
        return check.kl(p, q) if (beta == 0) != swapped else check.kl(q, p)
    m = (1 - beta) * q + beta * p
    return beta * check.kl(p, m) + (1 - beta) * check.kl(q, m)


def other_weights(student, teacher, beta):
    return right(student, teacher, beta if beta in (0, 1) else 1 - beta)


def mean(each, mask):
    if not mask.any():
        raise ValueError("no token counts")
    return each[mask].mean()


def zeroed(each, mask):
    return (each * mask).sum() / mask.sum()


def with_rest(student, log_p, places, *, rest=True, scaled=False):
    known = student.log_softmax(-1).gather(-1, places)
    log_p = log_p.log_softmax(-1) if scaled else log_p
    found = (log_p.exp() * (log_p - known)).sum(-1)
    if not rest:
        return found
    left, other = (1 - x.exp().sum(-1) for x in (log_p, known))
    return found + left * (left / other).log()


CASES = [
    (check.divergence, right, "✓"),
    (check.divergence, lambda *a: None, "not attempted"),
    (check.divergence, lambda *a: right(*a).mean(), "a number for each token"),
    (check.divergence, lambda s, t, beta: right(s, t, 0.0), "half of KL(teacher"),
    (check.divergence, other_weights, "has the weight 0.2"),
    (check.divergence, lambda *a: by_probabilities(*a, ends=False), "the formula ends there"),
    (check.divergence, lambda *a: by_probabilities(*a, swapped=True), "must be KL(teacher"),
    (check.divergence, by_probabilities, "nan or inf"),
    (check.divergence, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.masked_mean, mean, "✓"),
    (check.masked_mean, lambda each, mask: ..., "not attempted"),
    (check.masked_mean, lambda each, mask: each, "one number"),
    (check.masked_mean, lambda each, mask: each.mean(), "outside of the mask"),
    (check.masked_mean, lambda each, mask: ((each * mask).sum(1) / mask.sum(1)).mean(), "short text"),
    (check.masked_mean, lambda each, mask: (each * mask).mean(), "not by all"),
    (check.masked_mean, lambda each, mask: each[mask].sum(), "is 2.75"),
    (check.masked_mean, zeroed, "nan times 0"),
    (check.masked_mean, lambda each, mask: each[mask].mean(), "no token counts"),
    (check.top_k_with_rest, with_rest, "✓"),
    (check.top_k_with_rest, lambda *a: None, "not attempted"),
    (check.top_k_with_rest, lambda *a: with_rest(*a).sum(), "a number for each token"),
    (check.top_k_with_rest, lambda *a: with_rest(*a, rest=False, scaled=True), "scaled to sum to 1"),
    (check.top_k_with_rest, lambda *a: with_rest(*a, rest=False), "the rest is missing"),
    (check.top_k_with_rest, lambda *a: 2 * with_rest(*a), "one class for all others"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1


def test_the_reference_is_a_divergence():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    assert math.isclose(check.kl(p, q).item(), 0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel_tol=1e-6)
