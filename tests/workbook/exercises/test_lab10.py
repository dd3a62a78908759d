"""The checks of lab 10: right answers pass, each typical mistake gets its own hint, and nothing ever raises."""

import math

import pytest
import torch

from workbook.exercises import lab10 as check


def row_shift(logits, labels):
    answers = logits.argmax(1)
    return max(range(len(labels)), key=lambda shift: int((answers == labels.roll(-shift)).sum()))


def from_top_k(values, places, rest, classes):
    shared = rest - math.log(classes - values.shape[1])
    return shared[:, None].repeat(1, classes).scatter(1, places, values)


def no_rest(values, places, rest, classes):
    return torch.full((len(values), classes), -1e4).scatter(1, places, values)


def rest_unshared(values, places, rest, classes):
    return rest[:, None].repeat(1, classes).scatter(1, places, values)


def renormalized(values, places, rest, classes):
    return from_top_k(values.log_softmax(1), places, rest, classes)


RIGHT = [(check.row_shift, row_shift), (check.from_top_k, from_top_k)]
WRONG = [
    (check.row_shift, lambda z, y: (len(y) - row_shift(z, y)) % len(y), "the other way round"),
    (check.row_shift, lambda z, y: int((z.argmax(1) != y).sum()), "try every shift"),
    (check.row_shift, lambda z, y: [7], "one whole number"),
    (check.from_top_k, no_rest, "old probabilities"),
    (check.from_top_k, rest_unshared, "subtract its logarithm"),
    (check.from_top_k, renormalized, "unchanged"),
    (check.from_top_k, lambda values, places, rest, classes: values, "(n, classes)"),
]


@pytest.mark.parametrize(("run", "answer"), RIGHT, ids=lambda f: getattr(f, "__name__", ""))
def test_a_right_answer_passes(run, answer, capsys):
    run(answer)
    assert capsys.readouterr().out.startswith("✓ ")


@pytest.mark.parametrize(("run", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(run, answer, hint, capsys):
    run(answer)
    said = capsys.readouterr().out
    assert said.startswith("✗ not yet: ") and hint in said and said.count("\n") == 1


@pytest.mark.parametrize("run", [run for run, _ in RIGHT], ids=lambda f: f.__name__)
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    run(lambda *args: None)
    run(lambda *args: 1 / 0)
    said = capsys.readouterr().out
    assert said == "not attempted\n✗ your function raised ZeroDivisionError: division by zero\n"
