"""The checks of lab 26, the student's start: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch import nn

from workbook.exercises.base import checks, close, expect


@checks("every k-th layer, counted back from the last, in the network's order")
def taken(answer: Callable) -> None:  # 26, exercise 1
    """The answer maps a list of layers and k to the list of every k-th, counted back from the last."""
    for count, k in [(6, 2), (7, 3), (12, 2), (5, 1), (4, 4), (8, 5)]:
        layers, where = [f"layer {i}" for i in range(count)], f"of {count} layers with k = {k}"
        got = answer(layers, k)
        expect(isinstance(got, (list, tuple)), "return a list of the layers that are taken")
        got = list(got)
        hint = f"{where}: return the layers themselves, each one that was given and none twice"
        expect(all(layer in layers for layer in got) and len(set(got)) == len(got), hint)
        expect(layers == [f"layer {i}" for i in range(count)], "the list that was handed in must stay as it was")
        expect(layers[-1] in got, f"{where} the last one must be taken: the head has learned to read it")
        places = [layers.index(layer) for layer in got]
        expect(places == sorted(places), f"{where}: keep them in the network's order")
        apart = {b - a for a, b in zip(places, places[1:])}
        expect(apart <= {k}, f"{where}: from one to the next it must be k layers, not {sorted(apart)}")
        expect(places[0] < k, f"{where} there is room for one more before {got[0]!r}")


@checks("truly smaller, and the same answers as the large pair with the other units at zero")
def sliced(answer: Callable) -> None:  # 26, exercise 2
    """The answer maps two Linear (a ReLU between them) and the units to keep to two smaller Linear."""
    first, second = nn.Linear(5, 8), nn.Linear(8, 4)
    before = [p.detach().clone() for p in (*first.parameters(), *second.parameters())]
    keep, x = torch.tensor([1, 6, 2]), torch.randn(32, 5)
    small = answer(first, second, keep)
    one, two = _pair(small, "return two nn.Linear, the smaller first and the smaller second")
    _unchanged(before, first, second)
    shape = tuple(one.weight.shape)
    expect(shape == (3, 5), f"of the first, keep rows of the weight: (3, 5), not {shape}")
    shape = tuple(two.weight.shape)
    expect(shape == (4, 3), f"of the second, keep columns of the weight: (4, 3), not {shape}")
    hint = "the biases of the kept units come along, in their order"
    expect(one.bias is not None and close(one.bias.detach(), first.bias[keep].detach()), hint)
    hint = "the second layer keeps all its biases"
    expect(two.bias is not None and close(two.bias.detach(), second.bias.detach()), hint)
    with torch.no_grad():
        mask = torch.zeros(8).index_fill(0, keep, 1.0)
        wanted, got = second(first(x).relu() * mask), two(one(x).relu())
    hint = "the answers differ from those of the masked pair: same units, in the same order, in both layers?"
    expect(close(wanted, got, 1e-4), hint)
    _own(small, first, second)


@checks("the nearest pair of that rank, the bias once, and all of the layer at full rank")
def factorised(answer: Callable) -> None:  # 26, exercise 3
    """The answer maps a Linear and a rank to two Linear whose product is the nearest of that rank."""
    layer = nn.Linear(9, 6)
    with torch.no_grad():
        layer.weight.mul_(3), layer.bias.add_(1)
    before = [p.detach().clone() for p in layer.parameters()]
    values = torch.linalg.svdvals(layer.weight.detach().double())
    for rank in (2, 4, 6):
        where = f"with rank {rank}"
        small = answer(layer, rank)
        down, up = _pair(small, "return two nn.Linear: (in → rank) and (rank → out)")
        _unchanged(before, layer)
        shapes = tuple(down.weight.shape), tuple(up.weight.shape)
        wanted, told = ((rank, 9), (6, rank)), f"{where} the weights must be {(rank, 9)} and {(6, rank)}"
        expect(shapes == wanted, f"{told}, not {shapes[0]} and {shapes[1]}")
        with torch.no_grad():
            bias = up(down(torch.zeros(1, 9)))[0]
            error = (up.weight.double() @ down.weight.double() - layer.weight.double()).square().sum()
        expect(close(bias, layer.bias.detach(), 1e-4), f"{where}: zeros in must give the bias out, the given one, once")
        tail = values[rank:].square().sum()
        told = f"{where} the squared error is {error:.3g}, and {tail:.3g} can be had"
        expect(error < tail + 1e-4, f"{told}: the largest singular values, each of them used once?")
        _own(small, layer)


def _pair(small, hint: str) -> tuple[nn.Linear, nn.Linear]:
    parts = list(small) if isinstance(small, (tuple, list, nn.Sequential)) else []
    expect(len(parts) == 2 and all(isinstance(part, nn.Linear) for part in parts), hint)
    return parts[0], parts[1]


def _unchanged(before: list, *layers: nn.Module) -> None:
    now = [p for layer in layers for p in layer.parameters()]
    hint = "the given layers must stay as they were: they are the teacher's"
    expect(len(now) == len(before) and all(map(torch.equal, before, now)), hint)


def _own(small, *layers: nn.Module) -> None:
    theirs = {p.untyped_storage().data_ptr() for layer in layers for p in layer.parameters()}
    ours = {p.untyped_storage().data_ptr() for part in small for p in part.parameters()}
    expect(not ours & theirs, "copy the numbers: with memory in common, training the student would change its teacher")
