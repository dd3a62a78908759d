"""The checks of lab 10: right answers pass, each typical mistake gets its own hint, and nothing ever raises."""

import math

import pytest
import torch
from claims import hinted, told

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


def whole_scale(logits):
    low, step = logits.min(), (logits.max() - logits.min()) / 255
    return [((logits - low) / step).round().byte(), torch.stack([low, step])]


def whole_back(kept):
    codes, (low, step) = kept
    return codes * step + low


def row_scale(logits):
    below = logits.max(1, keepdim=True).values - logits
    step = (below.max(1, keepdim=True).values / 250).half()
    return [(below / step.float()).round().byte(), step]


def row_back(kept):
    return -kept[0].float() * kept[1].float()


def float8(logits):
    return [(logits - logits.max(1, keepdim=True).values).to(torch.float8_e4m3fn)]


def cast(kept):
    return kept[0].float()


def top_three(logits):
    values, places = logits.topk(3)
    rest = logits.scatter(1, places, -torch.inf).logsumexp(1)
    return [values.half(), places.byte(), rest.half()]


def spread_back(kept):
    return from_top_k(kept[0].float(), kept[1].long(), kept[2].float(), 10)


SMALL = [
    (whole_scale, whole_back, "✓"),
    (row_scale, row_back, "✓"),
    (float8, cast, "✓"),
    (lambda z: None, cast, "not attempted"),
    (whole_scale, lambda kept: None, "not attempted"),
    (lambda z: [z.half()], cast, "20.0 bytes an image"),
    (lambda z: [*row_scale(z), z[:, 0]], row_back, "count the scales"),
    (top_three, spread_back, "all ten logits matter"),
    (lambda z: [z.round().char()], cast, "measure the spread"),
    (lambda z: [z.to(torch.float8_e4m3fn)], cast, "subtract each row's largest"),
    (lambda z: whole_scale(z)[0], whole_back, "a list of tensors"),
    (whole_scale, lambda kept: kept[0], "float logits"),
    (row_scale, lambda kept: -kept[0] * kept[1].float(), "measure the spread"),  # a uint8 has no negative
    (whole_scale, lambda kept: kept[5], "raised IndexError"),
]


@pytest.mark.parametrize("pack, unpack, said", SMALL)
def test_the_small_bank_is_judged_by_its_bytes_and_its_error(pack, unpack, said, capsys):
    check.small_bank(pack, unpack)
    assert said in (text := capsys.readouterr().out) and text.count("\n") == 1


def test_the_small_bank_tells_of_an_error_in_either_half(capsys):
    check.small_bank(lambda z: 1 / 0, cast)
    check.small_bank(float8, lambda kept: 1 / 0)
    assert capsys.readouterr().out == 2 * "✗ your function raised ZeroDivisionError: division by zero\n"


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
    hinted(run, answer, hint, capsys)


@pytest.mark.parametrize("run", [run for run, _ in RIGHT], ids=lambda f: f.__name__)
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    told(run, capsys)
