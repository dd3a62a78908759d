"""The checks of lab 25: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import numpy as np
import pytest
import torch

from workbook.exercises import lab25 as check


def repeated(rows, targets):
    n, classes = targets.shape
    return rows.repeat(classes, 0), np.tile(np.arange(classes), n), targets.ravel()


def by_class(rows, targets):
    """The same, class by class, without what weighs nothing, and as float32."""
    n, classes = targets.shape
    rows, labels, weights = np.tile(rows, (classes, 1)), np.arange(classes).repeat(n), targets.T.ravel()
    kept = weights > 0
    return rows[kept].astype(np.float32), labels[kept], weights[kept]


def best(rows, targets):
    return rows, targets.argmax(1), targets.max(1)


def mixed_up(rows, targets):
    return repeated(rows, targets)[0], np.arange(targets.shape[1]).repeat(len(rows)), targets.ravel()


def in_place(rows, targets):
    found = repeated(rows, targets)
    rows *= 2
    return found


def counts(teacher, student, labels, *, same=True, swap=False, mean=False, agreed=False):
    right, own = teacher == labels, student == labels
    wrong = ~right & ~own
    alike = wrong & (teacher == student) if same else wrong
    found = [right & own, right & ~own, ~right & own, alike, wrong & ~alike]
    found[0] = teacher == student if agreed else found[0]
    found = [float(one.float().mean()) if mean else int(one.sum()) for one in found]
    return [found[0], found[2], found[1], *found[3:]] if swap else found


def products(gates, *, way="right", order="tree"):
    depth = (gates.shape[1] + 1).bit_length() - 1
    share = torch.ones(len(gates), 1)
    for level in range(depth):
        gate = gates[:, 2**level - 1 : 2 ** (level + 1) - 1]
        pair = [1 - gate, gate] if way == "right" else [gate, 1 - gate] if way == "left" else [gate, gate]
        pair = [share * one for one in pair]
        share = torch.stack(pair, 2).flatten(1) if order == "tree" else torch.cat(pair, 1)
    return share


CASES = [
    (check.weighted, repeated, "✓"),
    (check.weighted, by_class, "✓"),
    (check.weighted, lambda *a: None, "not attempted"),
    (check.weighted, lambda rows, targets: rows, "three arrays"),
    (check.weighted, best, "not only for its best class"),
    (check.weighted, lambda *a: (repeated(*a)[0], *repeated(*a)[1:][::-1]), "number of a class"),
    (check.weighted, lambda *a: (*repeated(*a)[:2], repeated(*a)[2][:5]), "the same m"),
    (check.weighted, lambda *a: (*repeated(*a)[:2], -repeated(*a)[2]), "not negative"),
    (check.weighted, lambda *a: (repeated(*a)[0] + 1, *repeated(*a)[1:]), "one of the given rows"),
    (check.weighted, lambda *a: (*repeated(*a)[:2], repeated(*a)[2] / 6), "must sum to 1"),
    (check.weighted, lambda *a: (*repeated(*a)[:2], np.ones(24) / 4), "another class's weight"),
    (check.weighted, mixed_up, "another class's weight"),
    (check.weighted, in_place, "must stay as they were"),
    (check.weighted, lambda *a: 1 / 0, "raised ZeroDivisionError"),
    (check.cases, counts, "✓"),
    (check.cases, lambda *a: tuple(torch.tensor(count) for count in counts(*a)), "✓"),
    (check.cases, lambda *a: None, "not attempted"),
    (check.cases, lambda *a: counts(*a)[:4], "five counts"),
    (check.cases, lambda *a: counts(*a, mean=True), "whole numbers"),
    (check.cases, lambda *a: counts(*a, same=False), "the same only where both"),
    (check.cases, lambda *a: counts(*a, swap=True), "teacher comes first"),
    (check.cases, lambda *a: counts(*a, agreed=True), "they may be wrong"),
    (check.cases, lambda *a: [9, *counts(*a)[1:]], "both right: there are 5"),
    (check.cases, lambda t, s, y: [5, 3, 2, 3, 2], "always right"),
    (check.paths, products, "✓"),
    (check.paths, lambda gates: None, "not attempted"),
    (check.paths, lambda gates: 3, "return a tensor"),
    (check.paths, lambda gates: gates, "gates make 2 leaves"),
    (check.paths, lambda gates: products(gates, way="both"), "must sum to 1"),
    (check.paths, lambda gates: 3 * products(gates) - 2 / (gates.shape[1] + 1), "not negative"),
    (check.paths, lambda gates: products(gates, way="left"), "left and right are swapped"),
    (check.paths, lambda gates: products(gates, order="cat"), "order is not that of the tree"),
    (check.paths, lambda gates: products(gates.detach()), "no gradient comes back"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
