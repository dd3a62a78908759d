"""The checks of lab 16: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch
from torch import nn

from kdlab import models
from workbook import recipe
from workbook.exercises import lab16 as check


def int8(weights, largest=127, round=torch.round, rows=True, dtype=torch.int8):
    scales = (weights.abs().amax(1) if rows else weights.abs().max().expand(len(weights))) / largest
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    return round(weights / scales[:, None]).to(dtype), scales


def fixed(x, width, integer, cut=torch.floor, wrap=True):
    step, half = 2.0 ** (integer - width), 2.0 ** (width - 1)
    whole = cut(x / step)
    return ((whole + half) % (2 * half) - half if wrap else whole.clamp(-half, half - 1)) * step


def zero_by_zero(weights):
    scales = weights.abs().amax(1) / 127
    return (weights / scales[:, None]).round().to(torch.int8), scales


def narrow(digits):
    return recipe.student(digits, name="mlp-10")


def coarse(digits):
    """Another way: the picture made 4x4 first, and more hidden units."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 18), nn.ReLU(), nn.Linear(18, 10))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(300):
        logits = network(digits.normalize(digits.train.images))
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, digits.train.labels).backward()
        optimizer.step()
    return network


CASES = [
    (check.kilobyte, narrow, "✓"),
    (check.kilobyte, coarse, "✓"),
    (check.kilobyte, lambda digits: None, "not attempted"),
    (check.kilobyte, lambda digits: recipe.student(digits, steps=2), "its constants take 2,872 bytes"),
    (check.kilobyte, lambda digits: models.build("mlp-10", digits.shape, 10), "has it been trained"),
    (check.kilobyte, lambda digits: recipe.student(digits, name="mlp-4"), "spend the bytes otherwise"),
    (check.kilobyte, lambda digits: digits.test.images, "return the network itself"),
    (check.kilobyte, lambda digits: nn.Flatten(), "1,000 are allowed"),
    (check.int8_per_row, int8, "✓"),
    (check.int8_per_row, lambda w: None, "not attempted"),
    (check.int8_per_row, lambda w: int8(w)[0], "return two tensors"),
    (check.int8_per_row, lambda w: int8(w, dtype=torch.int32), "torch.int8"),
    (check.int8_per_row, lambda w: int8(w, rows=False), "each row's largest weight"),
    (check.int8_per_row, lambda w: int8(w, largest=63), "each row's largest weight"),
    (check.int8_per_row, lambda w: int8(w, round=torch.trunc), "round, do not cut off"),
    (check.int8_per_row, lambda w: (int8(w)[0], int8(w)[1][:1]), "one scale > 0 for each row"),
    (check.int8_per_row, lambda w: int8(w.mul_(2)), "work on a copy"),
    (check.int8_per_row, zero_by_zero, "0 / 0"),
    (check.fixed_point, fixed, "✓"),
    (check.fixed_point, lambda x, w, i: None, "not attempted"),
    (check.fixed_point, lambda x, w, i: x, "stores multiples of"),
    (check.fixed_point, lambda x, w, i: fixed(x, w, i, cut=torch.round), "floor, not round"),
    (check.fixed_point, lambda x, w, i: fixed(x, w, i, cut=torch.trunc), "also below zero"),
    (check.fixed_point, lambda x, w, i: fixed(x, w, i, wrap=False), "wraps around"),
    (check.fixed_point, lambda x, w, i: fixed(x, w, i + 1), "holds multiples of"),
    (check.fixed_point, lambda x, w, i: x / 0.0 + "a", "raised"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    assert said in capsys.readouterr().out
