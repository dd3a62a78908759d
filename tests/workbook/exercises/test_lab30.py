"""The checks of lab 30: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import lab30 as check


def joined(parts):
    images = sum(count for _, count in parts)
    return sum(gradient * count for gradient, count in parts) / images


def in_place(parts):
    images = sum(count for _, count in parts)
    return sum(gradient.mul_(count) for gradient, count in parts) / images


def step_time(alone, size, processes, latency, bandwidth):
    return alone / processes + 2 * (processes - 1) * (latency + size / processes / bandwidth)


def test_right_answers_pass(capsys):
    check.joined(joined)
    check.step_time(step_time)
    assert [line[0] for line in capsys.readouterr().out.splitlines()] == ["✓", "✓"]


@pytest.mark.parametrize("answer, said", [
    (lambda parts: sum(g for g, _ in parts) / len(parts), "parts of (48, 16) images do not count alike"),
    (lambda parts: sum(g for g, _ in parts), "that is the sum of the means"),
    (lambda parts: sum(g * n for g, n in parts), "a mean times its number is a sum"),
    (lambda parts: [g for g, _ in parts], "return one gradient"),
    (in_place, "must stay as they were"),
    (lambda parts: None, "not attempted"),
    (lambda parts: 1 / 0, "your function raised ZeroDivisionError"),
])
def test_mistakes_of_joined(capsys, answer, said):
    check.joined(answer)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("answer, said", [
    (lambda a, s, n, w, b: a / n + 2 * n * (w + s / n / b), "one process sends nothing"),
    (lambda a, s, n, w, b: a + 2 * (n - 1) * (w + s / n / b), "without messages the step is alone / processes"),
    (lambda a, s, n, w, b: a / n + (n - 1) * (w + s / n / b), "2 · 3 messages"),
    (lambda a, s, n, w, b: a / n + 2 * (n - 1) * (w + s / b), "each message carries size / processes"),
    (lambda a, s, n, w, b: max(a / n, 2 * (n - 1) * (w + s / n / b)), "the three parts add up"),
    (lambda *_: ..., "not attempted"),
    (lambda: 0, "your function raised TypeError"),
])
def test_mistakes_of_step_time(capsys, answer, said):
    check.step_time(answer)
    assert said in capsys.readouterr().out
