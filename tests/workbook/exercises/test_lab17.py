"""The checks of lab 17: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch

from workbook.exercises import lab17 as check


def by_name(theirs, ours):
    place = {name: i for i, name in enumerate(theirs)}
    return [place.get(name, -1) for name in ours]


def in_place(p):
    return p.clamp_(min=1e-6).log()


CASES = [
    (check.columns, by_name, "✓"),
    (check.columns, lambda theirs, ours: torch.tensor(by_name(theirs, ours)).tolist(), "✓"),
    (check.columns, lambda theirs, ours: None, "not attempted"),
    (check.columns, lambda theirs, ours: list(range(len(ours))), "the columns are [2, 0]"),
    (check.columns, lambda theirs, ours: [i for i, name in enumerate(theirs) if name in ours], "the columns are"),
    (check.columns, lambda theirs, ours: [theirs.index(name) for name in ours], "raised ValueError"),
    (check.columns, lambda theirs, ours: [0], "one column for each class"),
    (check.columns, lambda theirs, ours: [
        next((i for i, other in enumerate(theirs) if name in other), -1) for name in ours], "the columns are"),
    (check.columns, lambda theirs, ours: [sorted(theirs).index(name) for name in ours], "the columns are"),
    (check.logarithms, lambda p: p.clamp_min(1e-7).log(), "✓"),
    (check.logarithms, lambda p: (p + 1e-9).log() + 3, "✓"),
    (check.logarithms, lambda p: None, "not attempted"),
    (check.logarithms, lambda p: p, "must give the probabilities back"),
    (check.logarithms, lambda p: p.log(), "raise the smallest probabilities"),
    (check.logarithms, lambda p: (p / (1 - p)).log(), "must give the probabilities back"),
    (check.logarithms, lambda p: p.clamp_min(0.05).log(), "must give the probabilities back"),
    (check.logarithms, lambda p: p.log().clamp_min(-2), "must give the probabilities back"),
    (check.logarithms, lambda p: p.log()[:3], "must have the shape"),
    (check.logarithms, in_place, "must stay as they were"),
]


@pytest.mark.parametrize("exercise, answer, said", CASES)
def test_an_answer_gets_its_word(capsys, exercise, answer, said):
    exercise(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
