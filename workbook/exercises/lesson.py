"""The lesson's shorter checks: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from workbook.exercises.base import NotAttempted, checks, close, expect


@checks("one row per label, all its mass on that class")
def one_hot(answer: Callable) -> None:  # 00, exercise 1
    """The answer maps labels (n,) and a number of classes to distributions (n, classes)."""
    labels = torch.tensor([2, 0, 3, 3])
    rows = answer(labels, 5)
    hint = "return a tensor with one row per label, one column per class"
    expect(torch.is_tensor(rows) and rows.shape == (4, 5), hint)
    expect(close(rows.sum(1), torch.ones(4)), "each row must sum to 1")
    expect(bool((rows.argmax(1) == labels).all()), "the 1 stands in the column of the label")
    expect(bool(((rows == 0) | (rows == 1)).all()), "a label leaves nothing for the other classes: only 0 and 1")


@checks("the same number that the layers themselves produce")
def flat_features(answer: Callable) -> None:  # 01, exercise 1
    """The answer maps image size, channels of the last convolution and number of 2x2 poolings to a feature count."""
    for size, channels, poolings in [(32, 32, 2), (8, 64, 1), (28, 16, 2), (30, 8, 3)]:
        x = torch.zeros(1, channels, size, size)
        for _ in range(poolings):
            x = F.max_pool2d(x, 2)
        left, shape = x.numel(), tuple(x.shape[1:])
        hint = f"{channels} channels of {size}x{size} after {poolings} poolings are {shape}: {left} numbers"
        expect(answer(size, channels, poolings) == left, hint)


@checks("a distribution per row, its order kept, flatter as the temperature grows, finite for huge logits")
def soft_targets(answer: Callable) -> None:  # 02, exercise 1
    """The answer maps logits (n, classes) and a temperature to probabilities (n, classes)."""
    logits = 3 * torch.randn(6, 5)
    for temperature in (0.5, 1.0, 4.0):
        p = answer(logits, temperature)
        expect(torch.is_tensor(p) and p.shape == logits.shape, "return a tensor of the same shape as the logits")
        expect(close(p.sum(1), torch.ones(6)), "each row must sum to 1: softmax along the classes, dim=1")
        expect(bool((p.argsort(1) == logits.argsort(1)).all()), "the order of the classes must not change")
    expect(close(answer(logits, 1.0), logits.softmax(1)), "at temperature 1 it is the plain softmax")
    expect(close(answer(logits, 1e6), torch.full((6, 5), 0.2), 1e-4), "divide the logits by the temperature")
    expect(close(answer(logits, 4.0), (logits / 4).softmax(1)), "at temperature 4 divide the logits by 4")
    expect(bool(answer(torch.tensor([[1e4, -1e4]]), 1.0).isfinite().all()), "exp overflows: use torch.softmax")


@checks("zero at equality, from teacher to student, independent of the batch, with its T²")
def soft_loss(answer: Callable) -> None:  # 02, exercise 2
    """The answer maps student logits, teacher logits (n, classes) and a temperature to T² · KL, a scalar."""
    student, teacher = 3 * torch.randn(6, 5), 3 * torch.randn(6, 5)
    value = torch.as_tensor(answer(student, teacher, 2.0))
    expect(value.dim() == 0, "return one number: sum over classes, mean over the batch")
    expect(abs(float(answer(teacher, teacher, 2.0))) < 1e-5, "student = teacher must give 0: use log_softmax for both")
    twice = answer(student.repeat(2, 1), teacher.repeat(2, 1), 2.0)
    expect(close(twice, value), "the batch repeated must give the same loss: divide by the batch, not by nothing")
    for t in (2.0, 3.0):  # at one temperature alone 2 · T or a constant would do
        value, p, q = float(answer(student, teacher, t)), (teacher / t).softmax(1), (student / t).softmax(1)
        right, reverse = (float((a * (a / b).log()).sum(1).mean()) for a, b in ((p, q), (q, p)))
        expect(abs(value - right) > 1e-4, "the T² is missing")
        hint = "divided by the number of classes as well: use reduction='batchmean'"
        expect(abs(value - t**2 * right / 5) > 1e-4, hint)
        expect(abs(value - t**2 * reverse) > 1e-4, "student and teacher are swapped: F.kl_div(student, teacher)")
        expect(abs(value - t**2 * right) < 1e-3, f"at T = {t:g} T² · KL should be {t**2 * right:.3f}, got {value:.3f}")
    far = torch.tensor([[0.0, 400.0]]), torch.tensor([[400.0, 0.0]])
    hint = "logits that lie far apart give nan: take log_softmax, not the logarithm of a softmax"
    expect(abs(float(answer(*far, 1.0)) - 400) < 1e-3, hint)


@checks("warm-up left out, the median of the rest, in milliseconds")
def median_ms(answer: Callable) -> None:  # 04, exercise 1
    """The answer maps (call, runs, clock) to a median in milliseconds; the check brings its own clock."""
    durations = iter([5.0, 0.010, 0.012, 0.011, 3.0, 0.013])  # a slow first call and one hiccup, in seconds
    now, read = 0.0, []

    def call():
        nonlocal now
        now += next(durations)

    got = answer(call, 5, lambda: read.append(now) or now)
    expect(next(durations, None) is None, "call it once to warm up, then exactly `runs` times")
    expect(got > 1, "the clock counts seconds: multiply by 1000")
    expect(got < 600 and read[0] > 0, "one slow run must not matter: take the median, and leave the warm-up out")
    expect(abs(got - 12) < 1e-6, f"the median of the check's five runs is 12 ms, got {got:g}")


@checks("the first batch size from which the second device is faster, None where it never is")
def crossover(answer: Callable) -> None:  # 04, exercise 2
    """The answer maps batches, ms of A and ms of B to a batch size or None."""

    def ask(*args):
        try:
            return answer(*args)
        except NotAttempted:
            return None

    batches = [1, 4, 16, 64]
    if ask(batches, [9, 9, 9, 9], [1, 1, 1, 1]) is None:
        raise NotAttempted
    expect(ask(batches, [9, 9, 9, 9], [1, 1, 1, 1]) == 1, "B is faster from the first batch on: the answer is 1")
    expect(ask(batches, [1, 4, 16, 64], [8, 8, 8, 8]) == 16, "B wins at 16 and at 64: the answer is 16")
    expect(ask(batches, [1, 1, 1, 1], [2, 2, 2, 2]) is None, "where B never wins, return None")
    expect(ask(batches, [1, 9, 1, 9], [2, 2, 2, 2]) == 64, "a win at 4 that is lost at 16 is no crossover")


@checks("a gain only where the whole interval lies above zero, a loss only where it lies below")
def verdict(answer: Callable) -> None:  # 05, exercise 1
    """The answer maps (low, high) of an interval in points to "gain", "loss" or "not shown"."""
    for low, high, expected in [(0.5, 3, "gain"), (-3, -0.5, "loss"), (-0.2, 4, "not shown"), (-4, 0.2, "not shown")]:
        got = answer(low, high)
        expect(got == expected, f"for [{low}, {high}] the honest word is {expected!r}, got {got!r}")
    expect(answer(0.0, 1.0) == "not shown", "an interval that touches zero shows nothing")
