"""The checks of lab 24: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
from torch.nn import functional as F

from workbook.exercises import lab24 as check


def soft(student, teacher, weights, heat, *, square=True, over="weights", least=1e-12, cut=True, swap=False):
    """A right weighted loss, or one with a single mistake."""
    teacher = teacher.detach() if cut else teacher
    log_q, log_p = (F.log_softmax(x / heat, 1) for x in ((teacher, student) if swap else (student, teacher)))
    each = (heat**2 if square else 1) * (log_p.exp() * (log_p - log_q)).sum(1)
    if over == "images":
        return (weights * each).mean()
    if over == "root":
        return (weights.sqrt() * each).sum() / weights.sqrt().sum().clamp_min(least)
    return (weights * each).sum() / (weights.sum() + 0.0).clamp_min(least)


def alike(one, two):
    return (one.softmax(1) * two.softmax(1)).sum(1)


def overlap(one, two):
    return torch.minimum(one.softmax(1), two.softmax(1)).sum(1)


def unseen(one, two):
    p, q = one.softmax(1), two.softmax(1)
    return (-(p * (p.log() - q.log())).sum(1).abs()).exp() + (q * 0).sum(1)


def corrected(losses, chances, n):
    return (losses / (n * chances)).mean()


CASES = [
    (check.weighted_soft, soft, "✓"),
    (check.weighted_soft, lambda *a: None, "not attempted"),
    (check.weighted_soft, lambda s, t, w, heat: w * s.sum(1), "return a scalar"),
    (check.weighted_soft, lambda *a: soft(*a, square=False), "T² is missing"),
    (check.weighted_soft, lambda *a: soft(*a, swap=True), "kdlab's soft loss"),
    (check.weighted_soft, lambda s, t, w, heat: soft(s, t, w, heat) / s.shape[1], "kdlab's soft loss"),
    (check.weighted_soft, lambda *a: soft(*a, over="images"), "divide by the sum of the weights"),
    (check.weighted_soft, lambda *a: soft(*a, over="root"), "weigh each image's own loss"),
    (check.weighted_soft, lambda *a: soft(*a, cut=False), "detach() its logits"),
    (check.weighted_soft, lambda *a: soft(*a, least=0.0), "0/0"),
    (check.weighted_soft, lambda s, t, w, heat: soft(s, t, w, heat) if w.any() else (s * 0).sum() + 1, "must give 0"),
    (check.weighted_soft, lambda s, t, w, heat: soft(s, t, w, heat) if w.any() else (s - s).abs().sqrt().sum(),
     "a gradient of 0, not NaN"),
    (check.weighted_soft, lambda s, t, w, heat: soft(s, t, w, heat) if w.any() else torch.tensor(0.0), "✓"),
    (check.weighted_soft, lambda s, t, w, heat: soft(s, t, w, heat) + (s - s.detach()).sum(), "no gradient"),
    (check.weighted_soft, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.agreement, alike, "✓"),
    (check.agreement, overlap, "✓"),
    (check.agreement, lambda one, two: (one.argmax(1) == two.argmax(1)).float(), "✓"),
    (check.agreement, lambda *a: None, "not attempted"),
    (check.agreement, lambda one, two: one.softmax(1) * two.softmax(1), "one weight for each image"),
    (check.agreement, lambda one, two: one.argmax(1) == two.argmax(1), "one weight for each image"),
    (check.agreement, lambda one, two: (one * two).sum(1), "must lie in [0, 1]"),
    (check.agreement, lambda one, two: 1 - alike(one, two), "must get more than teachers sure of two"),
    (check.agreement, lambda one, two: 0.4 + 0.2 * alike(one, two), "differ more"),
    (check.agreement, lambda one, two: F.cosine_similarity(one, two, dim=1).clamp(0, 1), "changes no softmax"),
    (check.agreement, lambda one, two: alike(one, two) * one.softmax(1).amax(1), "which teacher comes first"),
    (check.agreement, lambda one, two: alike(one, two) / alike(one, two).max(), "the other images"),
    (check.agreement, lambda one, two: (unseen(one, two) * unseen(two, one)).sqrt(), "±10,000"),
    (check.agreement, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.estimate, corrected, "✓"),
    (check.estimate, lambda *a: None, "not attempted"),
    (check.estimate, lambda losses, chances, n: losses / (n * chances), "return a scalar"),
    (check.estimate, lambda losses, chances, n: losses.mean(), "losses alone do not say"),
    (check.estimate, lambda losses, chances, n: (losses / chances).mean(), "divide by n · probability"),
    (check.estimate, lambda losses, chances, n: (losses / (n * chances)).sum(), "divide by n · probability"),
    (check.estimate, lambda losses, chances, n: (losses / chances).sum() / (1 / chances).sum(), "makes it biased"),
    (check.estimate, lambda losses, chances, n: (losses * n * chances).mean(), "counts less"),
    (check.estimate, lambda losses, *a: corrected(losses, *a) * (1 + (len(losses) == 2)), "two draws"),
    (check.estimate, lambda losses, chances, n: corrected(losses.detach(), chances, n), "gradient is lost"),
    (check.estimate, lambda *a: 1 / 0, "raised ZeroDivisionError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
