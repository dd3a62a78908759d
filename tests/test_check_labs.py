"""The labs' checks: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import copy

import pytest
import torch
from torch import nn
"""The labs' checks: right answers pass, each typical mistake gets its own hint, and nothing ever raises."""

import math

import pytest
import torch

from kdlab import check_labs


def without_t2(alpha, temperature):
    soft = alpha * temperature**2
    return soft / (soft + 1 - alpha)


def chosen(here, there):
    cell = here.mean(0).argmax()
    return int(cell), there[:, cell].mean().item()


CASES = [
    (check_labs.alpha_without_t2, without_t2, "✓"),
    (check_labs.alpha_without_t2, lambda a, t: None, "not attempted"),
    (check_labs.alpha_without_t2, lambda a, t: a * t**2, "let both weights sum to 1"),
    (check_labs.alpha_without_t2, lambda a, t: a, "points elsewhere"),
    (check_labs.alpha_without_t2, lambda a, t: a / (a + (1 - a) * t**2), "points elsewhere"),  # the other direction
    (check_labs.alpha_without_t2, lambda a, t: a * t**2 / (a * t**2 + 1), "alpha stays"),
    (check_labs.chosen_and_reported, chosen, "✓"),
    (check_labs.chosen_and_reported, lambda a, b: None, "not attempted"),
    (check_labs.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), a.mean(0).max()), "the luck is still in it"),
    (check_labs.chosen_and_reported, lambda a, b: (int(b.mean(0).argmax()), b.mean(0).max()), "of the first half"),
    (check_labs.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), b.mean(0).max()), "of the second half"),
    (check_labs.chosen_and_reported, lambda a, b: 3, "raised TypeError"),
def fake(x, low, high, bits, *, steps=None, whole=True, round_=True, clamp=True, order="round"):
    """A right fake quantisation, or one with a single mistake."""
    scale = (high - low) / (steps or 2**bits - 1)
    zero = round(-low / scale) if whole else -low / scale + 0.3
    level = x / scale + zero
    if order == "clamp":
        rounded = level.round().clamp(0, 2**bits - 1)
        level = level + (rounded - level).detach()
    else:
        rounded = level.round() if round_ else level
        level = level + (rounded - level).detach() if order == "round" else rounded
        level = level.clamp(0, 2**bits - 1) if clamp else level
    return (level - zero) * scale


def remove(first, second, keep, *, shift=0, biases=True, options=True):
    with torch.no_grad():
        kept = dict(stride=first.stride, padding=first.padding) if options else {}
        one = nn.Conv2d(first.in_channels, len(keep), first.kernel_size, **kept)
        two = nn.Conv2d(len(keep), second.out_channels, second.kernel_size, stride=second.stride, padding=second.padding)
        one.weight.copy_(first.weight[keep]), one.bias.copy_(first.bias[keep])
        two.weight.copy_(second.weight[:, keep + shift])
        if biases:
            two.bias.copy_(second.bias)
    return one, two


def masked(first, second, keep):
    first = copy.deepcopy(first)
    first.weight.data[[c for c in range(len(first.weight)) if c not in keep.tolist()]] = 0
    return first, second


def in_place(first, second, keep):
    small = remove(first, second, keep)
    first.weight.data.zero_()
    return small


CASES = [
    (check_labs.fake_quantize, fake, "✓"),
    (check_labs.fake_quantize, lambda x, low, high, bits: None, "not attempted"),
    (check_labs.fake_quantize, lambda x, low, high, bits: x, "round x / scale"),
    (check_labs.fake_quantize, lambda *a: fake(*a, clamp=False), "clamp the levels"),
    (check_labs.fake_quantize, lambda *a: fake(*a, whole=False), "whole level"),
    (check_labs.fake_quantize, lambda *a: fake(*a, steps=2 ** a[3]), "not 2**bits"),
    (check_labs.fake_quantize, lambda *a: fake(*a, steps=2 ** a[3] + 8), "more than half a step"),
    (check_labs.fake_quantize, lambda *a: fake(*a).detach(), "no gradient comes back"),
    (check_labs.fake_quantize, lambda *a: fake(*a, order="nothing"), "round has the gradient 0"),
    (check_labs.fake_quantize, lambda *a: fake(*a, order="clamp"), "not through clamp"),
    (check_labs.fake_quantize, lambda x, low, high, bits: fake(x, low, high, bits) + (x - x.detach()) * 0.5, "gradient must be"),
    (check_labs.fake_quantize, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check_labs.without_channels, remove, "✓"),
    (check_labs.without_channels, lambda a, b, keep: None, "not attempted"),
    (check_labs.without_channels, lambda a, b, keep: a, "return two nn.Conv2d"),
    (check_labs.without_channels, masked, "of the first, keep rows"),
    (check_labs.without_channels, lambda a, b, keep: (remove(a, b, keep)[0], b), "of the second, keep columns"),
    (check_labs.without_channels, lambda *a: remove(*a, shift=1), "same channels"),
    (check_labs.without_channels, lambda *a: remove(*a, biases=False), "keeps all its biases"),
    (check_labs.without_channels, lambda *a: remove(*a, options=False), "stride and padding"),
    (check_labs.without_channels, in_place, "must stay as they were"),
def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))


def remainder(n, speeds):
    quotas = [n * s / sum(speeds) for s in speeds]
    shares = [int(q) for q in quotas]
    for i in sorted(range(len(speeds)), key=lambda i: shares[i] - quotas[i])[: n - sum(shares)]:
        shares[i] += 1
    return shares


def all_to_the_first(n, speeds):
    shares = [int(n * s / sum(speeds)) for s in speeds]
    return [shares[0] + n - sum(shares), *shares[1:]]


def to_the_smallest_remainder(n, speeds):
    quotas = [n * s / sum(speeds) for s in speeds]
    shares = [int(q) for q in quotas]
    for i in sorted(range(len(speeds)), key=lambda i: quotas[i] - shares[i])[: n - sum(shares)]:
        shares[i] += 1
    return shares


CASES = [
    (check_labs.jain_index, jain, "✓"),
    (check_labs.jain_index, lambda x: None, "not attempted"),
    (check_labs.jain_index, lambda x: sum(x) ** 2 / sum(a * a for a in x), "number of shares in the denominator"),
    (check_labs.jain_index, lambda x: sum(a * a for a in x) / (len(x) * sum(x) ** 2), "equal shares must give 1"),
    (check_labs.jain_index, lambda x: min(x) / max(x), "square the sum"),
    (check_labs.jain_index, lambda x: 1.0 if x[-1] else 1 / 4, "of 10 with equal shares"),
    (check_labs.largest_remainder, remainder, "✓"),
    (check_labs.largest_remainder, lambda n, s: None, "not attempted"),
    (check_labs.largest_remainder, lambda n, s: [round(n * x / sum(s)) for x in s], "your shares sum to"),
    (check_labs.largest_remainder, lambda n, s: [n * x / sum(s) for x in s], "a chunk is not cut"),
    (check_labs.largest_remainder, lambda n, s: [n], "one number for each device"),
    (check_labs.largest_remainder, all_to_the_first, "rounded down or up"),
    (check_labs.largest_remainder, to_the_smallest_remainder, "largest remainders"),
    (check_labs.largest_remainder, lambda n, s: s / n, "raised TypeError"),
]


@pytest.mark.parametrize("check, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, check, answer, said):
    check(answer)
    assert said in capsys.readouterr().out
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
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


RIGHT = [(check_labs.row_shift, row_shift), (check_labs.from_top_k, from_top_k)]
WRONG = [
    (check_labs.row_shift, lambda z, y: (len(y) - row_shift(z, y)) % len(y), "the other way round"),
    (check_labs.row_shift, lambda z, y: int((z.argmax(1) != y).sum()), "try every shift"),
    (check_labs.row_shift, lambda z, y: [7], "one whole number"),
    (check_labs.from_top_k, no_rest, "old probabilities"),
    (check_labs.from_top_k, rest_unshared, "subtract its logarithm"),
    (check_labs.from_top_k, renormalized, "unchanged"),
    (check_labs.from_top_k, lambda values, places, rest, classes: values, "(n, classes)"),
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


def test_every_check_is_tried_here():
    own = (f for f in vars(check_labs).values() if callable(f) and getattr(f, "__module__", "") == check_labs.__name__)
    assert set(own) == {run for run, _ in RIGHT}
