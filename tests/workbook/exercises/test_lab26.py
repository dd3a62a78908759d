"""The checks of lab 26: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import copy

import pytest
import torch
from torch import nn

from workbook.exercises import lab26 as check


def back(layers, k):
    return layers[::-1][::k][::-1]


def in_place(layers, k):
    layers.reverse()
    return layers[::k][::-1]


@torch.no_grad()
def cut(first, second, keep, *, shift=0, order=False, bias="kept"):
    """A right slice of two linear layers, or one with a single mistake."""
    one, two = nn.Linear(first.in_features, len(keep)), nn.Linear(len(keep), second.out_features)
    heard = keep.sort().values if order else (keep + shift) % first.out_features
    one.weight.copy_(first.weight[keep])
    two.weight.copy_(second.weight[:, heard])
    if bias != "first lacks":
        one.bias.copy_(first.bias[keep])
    if bias != "second lacks":
        two.bias.copy_(second.bias)
    return one, two


def shared(first, second, keep):
    one, two = cut(first, second, keep)
    two.bias = second.bias
    return one, two


def spoiled(first, second, keep):
    small = cut(first, second, keep)
    first.weight.data.zero_()
    return small


@torch.no_grad()
def pair(layer, rank, *, largest=True, values=1, bias="up"):
    """A right factorisation, or one with a single mistake."""
    u, s, v = torch.linalg.svd(layer.weight, full_matrices=False)
    u, s, v = (u, s, v) if largest else (u.flip(1), s.flip(0), v.flip(0))
    down = nn.Linear(layer.in_features, rank, bias=bias == "both")
    up = nn.Linear(rank, layer.out_features)
    down.weight.copy_(s[:rank, None] ** (values / 2) * v[:rank])
    up.weight.copy_(u[:, :rank] * s[:rank] ** (values / 2))
    if bias != "lost":
        up.bias.copy_(layer.bias)
    if bias == "both":
        down.bias.fill_(1.0)
    return down, up


def with_zeros(layer, rank):
    """A bias of zeros in the first of the two is right, too, and so is a Sequential."""
    down, up = pair(layer, rank, bias="both")
    nn.init.zeros_(down.bias)
    return nn.Sequential(down, up)


def borrowed(layer, rank):
    down, up = pair(layer, rank)
    up.bias = layer.bias
    return down, up


def emptied(layer, rank):
    small = pair(layer, rank)
    nn.init.zeros_(layer.weight)
    return small


def whole(layer, rank):
    """All of the layer: no rank was asked."""
    return pair(layer, 6)


CASES = [
    (check.taken, back, "✓"),
    (check.taken, lambda layers, k: tuple(layers[(len(layers) - 1) % k :: k]), "✓"),
    (check.taken, lambda layers, k: None, "not attempted"),
    (check.taken, lambda layers, k: len(layers) // k, "return a list"),
    (check.taken, lambda layers, k: list(range(k - 1, len(layers), k)), "the layers themselves"),
    (check.taken, lambda layers, k: back(layers, k) * 2, "none twice"),
    (check.taken, lambda layers, k: layers[::k], "the last one must be taken"),
    (check.taken, lambda layers, k: layers[k - 1 :: k], "of 7 layers with k = 3 the last"),
    (check.taken, lambda layers, k: layers[::-1][::k], "in the network's order"),
    (check.taken, lambda layers, k: layers[-(len(layers) // k) :], "k layers, not [1]"),
    (check.taken, lambda layers, k: back(layers, k)[-1:], "room for one more"),
    (check.taken, in_place, "must stay as it was"),
    (check.taken, lambda layers, k: 1 / 0, "raised ZeroDivisionError"),
    (check.sliced, cut, "✓"),
    (check.sliced, lambda *a: nn.Sequential(*cut(*a)), "✓"),
    (check.sliced, lambda first, second, keep: None, "not attempted"),
    (check.sliced, lambda first, second, keep: first, "return two nn.Linear"),
    (check.sliced, lambda first, second, keep: (first, second), "of the first, keep rows"),
    (check.sliced, lambda first, second, keep: (cut(first, second, keep)[0], second), "of the second, keep columns"),
    (check.sliced, lambda *a: cut(*a, shift=1), "same units"),
    (check.sliced, lambda *a: cut(*a, order=True), "same units"),
    (check.sliced, lambda *a: cut(*a, bias="first lacks"), "the biases of the kept units"),
    (check.sliced, lambda *a: cut(*a, bias="second lacks"), "keeps all its biases"),
    (check.sliced, shared, "copy the numbers"),
    (check.sliced, spoiled, "must stay as they were"),
    (check.factorised, pair, "✓"),
    (check.factorised, with_zeros, "✓"),
    (check.factorised, lambda layer, rank: None, "not attempted"),
    (check.factorised, lambda layer, rank: copy.deepcopy(layer), "return two nn.Linear"),
    (check.factorised, lambda layer, rank: pair(layer, rank)[::-1], "the weights must be (2, 9) and (6, 2)"),
    (check.factorised, whole, "the weights must be (2, 9)"),
    (check.factorised, lambda *a: pair(*a, largest=False), "the largest singular values"),
    (check.factorised, lambda *a: pair(*a, values=0), "used once"),
    (check.factorised, lambda *a: pair(*a, values=2), "used once"),
    (check.factorised, lambda *a: pair(*a, bias="lost"), "the given one, once"),
    (check.factorised, lambda *a: pair(*a, bias="both"), "the given one, once"),
    (check.factorised, borrowed, "copy the numbers"),
    (check.factorised, emptied, "must stay as they were"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1, printed
