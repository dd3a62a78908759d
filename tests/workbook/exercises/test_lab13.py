"""The checks of lab 13: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import copy

import pytest
import torch
from torch import nn

from workbook.exercises import lab13 as check


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
        kept = dict(stride=second.stride, padding=second.padding)
        two = nn.Conv2d(len(keep), second.out_channels, second.kernel_size, **kept)
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


def tried(rows, top):
    """The best of many scales, by squared error."""
    scales = torch.linspace(0.1, 1, 46)[:, None] * widest(rows, top)
    errors = torch.stack([check.error_of_rounding(rows, scale, top) for scale in scales])
    return scales.gather(0, errors.argmin(0)[None])[0]


def widest(rows, top):
    return rows.abs().amax(1).clamp_min(1e-8) / top


def spread(rows, top):
    """A multiple of the root mean square that knows of three precisions; never above the widest scale."""
    factor = {1: 1.2, 3: 0.65}.get(top, 9)
    return torch.minimum(widest(rows, top), (rows.square().mean(1).sqrt() * factor).clamp_min(1e-8))


CASES = [
    (check.scale_of, tried, "✓"),
    (check.scale_of, spread, "✓"),
    (check.scale_of, lambda rows, top: None, "not attempted"),
    (check.scale_of, widest, "it rounds as the widest scale does"),
    (check.scale_of, lambda rows, top: 0.9 * widest(rows, top), "of its error is left"),
    (check.scale_of, lambda rows, top: 0.7 * widest(rows, top), "cut off less where levels are many"),
    (check.scale_of, lambda rows, top: tried(rows, top)[:, None], "one scale for each row"),
    (check.scale_of, lambda rows, top: rows.abs().max() / top, "one scale for each row"),
    (check.scale_of, lambda rows, top: rows.abs().amax(1) / top, "a row of zeros"),
    (check.scale_of, lambda rows, top: tried(rows, top) if rows.shape[1] < 9 else -tried(rows, top), "must be > 0"),
    (check.scale_of, lambda rows, top: tried(rows.mul_(2), top), "must stay as they were"),
    (check.fake_quantize, fake, "✓"),
    (check.fake_quantize, lambda x, low, high, bits: None, "not attempted"),
    (check.fake_quantize, lambda x, low, high, bits: x, "round x / scale"),
    (check.fake_quantize, lambda *a: fake(*a, clamp=False), "clamp the levels"),
    (check.fake_quantize, lambda *a: fake(*a, whole=False), "whole level"),
    (check.fake_quantize, lambda *a: fake(*a, steps=2 ** a[3]), "not 2**bits"),
    (check.fake_quantize, lambda *a: fake(*a, steps=2 ** a[3] + 8), "more than half a step"),
    (check.fake_quantize, lambda *a: fake(*a).detach(), "no gradient comes back"),
    (check.fake_quantize, lambda *a: fake(*a, order="nothing"), "round has the gradient 0"),
    (check.fake_quantize, lambda *a: fake(*a, order="clamp"), "not through clamp"),
    (check.fake_quantize, lambda x, *rest: fake(x, *rest) + (x - x.detach()) * 0.5, "gradient must be"),
    (check.fake_quantize, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.without_channels, remove, "✓"),
    (check.without_channels, lambda a, b, keep: None, "not attempted"),
    (check.without_channels, lambda a, b, keep: a, "return two nn.Conv2d"),
    (check.without_channels, masked, "of the first, keep rows"),
    (check.without_channels, lambda a, b, keep: (remove(a, b, keep)[0], b), "of the second, keep columns"),
    (check.without_channels, lambda *a: remove(*a, shift=1), "same channels"),
    (check.without_channels, lambda *a: remove(*a, biases=False), "keeps all its biases"),
    (check.without_channels, lambda *a: remove(*a, options=False), "stride and padding"),
    (check.without_channels, in_place, "must stay as they were"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
