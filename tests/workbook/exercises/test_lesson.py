"""The exercises' checks: right answers pass, each typical mistake gets its own hint, and nothing ever raises."""

import time

import pytest
import torch
from claims import hinted, told
from torch.nn import functional as F

from kdlab import losses
from workbook.exercises import lesson as check


def one_hot(labels, classes):
    return torch.eye(classes)[labels]


def flat_features(size, channels, poolings):
    return channels * (size // 2**poolings) ** 2


def with_the_first(call, runs, clock):
    durations = []
    for _ in range(runs + 1):
        start = clock()
        call()
        durations.append(clock() - start)
    return 1000 * sorted(durations)[runs // 2]


def median_ms(call, runs, clock=time.perf_counter):
    call()
    durations = []
    for _ in range(runs):
        start = clock()
        call()
        durations.append(clock() - start)
    return 1000 * sorted(durations)[runs // 2]


def mean_ms(call, runs, clock=time.perf_counter):
    call()
    start = clock()
    for _ in range(runs):
        call()
    return 1000 * (clock() - start) / runs


def first_win(batches, a_ms, b_ms):
    wins = [b < a for a, b in zip(a_ms, b_ms)]
    return next((n for i, n in enumerate(batches) if all(wins[i:])), None)


def any_win(batches, a_ms, b_ms):
    return next((n for n, a, b in zip(batches, a_ms, b_ms) if b < a), None)


def by_ratio(student, teacher, t):
    p, q = (teacher / t).softmax(1), (student / t).softmax(1)
    return t**2 * (p * (p / q).log()).sum(1).mean()


def kl(student, teacher, t, **options):
    return F.kl_div((student / t).log_softmax(1), (teacher / t).softmax(1), **{"reduction": "batchmean", **options})


RIGHT = [
    (check.one_hot, one_hot),
    (check.flat_features, flat_features),
    (check.soft_targets, losses.soft_targets),
    (check.soft_loss, losses.soft_loss),
    (check.median_ms, median_ms),
    (check.crossover, first_win),
    (check.verdict, lambda low, high: "gain" if low > 0 else "loss" if high < 0 else "not shown"),
]
WRONG = [
    (check.one_hot, lambda labels, classes: torch.eye(classes)[labels] * 0.9 + 0.1 / classes, "only 0 and 1"),
    (check.one_hot, lambda labels, classes: torch.eye(classes)[(labels + 1) % classes], "the column of the label"),
    (check.flat_features, lambda size, channels, poolings: channels * 4 * 4, "2048 numbers"),
    (check.soft_targets, lambda z, t: (z / t).softmax(0), "dim=1"),
    (check.soft_targets, lambda z, t: z.softmax(1), "divide the logits"),
    (check.soft_targets, lambda z, t: (z * t).softmax(1), "divide the logits"),
    (check.soft_targets, lambda z, t: (z / t**2).softmax(1), "at temperature 4"),
    (check.soft_targets, lambda z, t: (z / t).exp() / (z / t).exp().sum(1, keepdim=True), "exp overflows"),
    (check.soft_loss, lambda s, t, T: kl(s, t, T), "T² is missing"),
    (check.soft_loss, by_ratio, "give nan"),
    (check.soft_loss, lambda s, t, T: T**2 * kl(t, s, T), "swapped"),
    (check.soft_loss, lambda s, t, T: T**2 * kl(s, t, T, reduction="none").mean(), "number of classes"),
    (check.soft_loss, lambda s, t, T: T**2 * kl(s, t, T, reduction="sum"), "divide by the batch"),
    (check.soft_loss, lambda s, t, T: T**2 * kl(s, t, T, reduction="none").sum(1), "return one number"),
    (check.soft_loss, lambda s, t, T: 2 * T * kl(s, t, T), "at T = 3 T² · KL should be"),
    (check.soft_loss, lambda s, t, T: 2**T * kl(s, t, T), "at T = 3 T² · KL should be"),
    (check.soft_loss, lambda s, t, T: (T + 2) * kl(s, t, T), "at T = 3 T² · KL should be"),
    (check.soft_loss, lambda s, t, T: 4 * kl(s, t, T), "at T = 3 T² · KL should be"),
    (check.soft_loss, lambda s, t, T: 4 * kl(s, t, 2), "at T = 3 T² · KL should be"),
    (check.median_ms, mean_ms, "take the median"),
    (check.median_ms, lambda call, runs, clock: median_ms(call, runs, clock) / 1000, "multiply by 1000"),
    (check.median_ms, with_the_first, "leave the warm-up out"),
    (check.crossover, any_win, "lost at 16"),
    (check.verdict, lambda low, high: "gain" if low + high > 0 else "loss", "the honest word is"),
]


@pytest.mark.parametrize(("run", "answer"), RIGHT, ids=lambda f: getattr(f, "__name__", ""))
def test_a_right_answer_passes(run, answer, capsys):
    run(answer)
    assert capsys.readouterr().out.startswith("✓ ")


@pytest.mark.parametrize(("run", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(run, answer, hint, capsys):
    hinted(run, answer, hint, capsys)


@pytest.mark.parametrize("run", dict.fromkeys(run for run, _ in RIGHT), ids=lambda f: f.__name__)
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    told(run, capsys)
