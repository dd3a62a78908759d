"""The checks of lab 25, other students: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from workbook.exercises.base import checks, close, expect


@checks("every image counts once in all, and the weighted loss is the soft cross-entropy")
def weighted(answer: Callable) -> None:  # 25, exercise 1
    """The answer maps rows (n, inputs) and soft targets (n, classes) to rows, hard labels and weights."""
    rows, targets = torch.randn(6, 3).double(), (2 * torch.randn(6, 4)).double().softmax(1)
    targets[0] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    kept = rows.clone(), targets.clone()
    got = answer(rows.numpy(), targets.numpy())
    expect(isinstance(got, (tuple, list)) and len(got) == 3, "return three arrays: rows, labels, weights")
    some, labels, weights = (torch.as_tensor(part) for part in got)
    expect(torch.equal(rows, kept[0]) and torch.equal(targets, kept[1]), "the given arrays must stay as they were")
    fits = some.dim() == 2 and some.shape[1] == 3 and labels.shape == weights.shape == some.shape[:1]
    shapes = [tuple(part.shape) for part in (some, labels, weights)]
    hint = f"rows (m, 3), labels (m,), weights (m,), the same m: got {shapes}"
    expect(fits, hint)
    whole = bool((labels == labels.round()).all()) and bool(((labels >= 0) & (labels < 4)).all())
    expect(whole, "a label is the number of a class, 0 .. classes − 1")
    expect(bool((weights >= 0).all()), "a weight is a probability, so it is not negative")
    same = (some[:, None].double() - rows).abs().amax(2) < 1e-6  # (m, n)
    expect(bool(same.any(1).all()), "every row must be one of the given rows, unchanged")
    table = torch.zeros(6, 4).double()
    table.index_put_((same.long().argmax(1), labels.long()), weights.double(), accumulate=True)
    expect(len(some) > 6, "each row comes once for every class that has a share of it, not only for its best class")
    total = table.sum(1)
    hint = f"the weights of one image must sum to 1, those of the first sum to {total[0]:.3g}"
    expect(close(total, torch.ones(6)), hint)
    hint = "a label has another class's weight: each row with classes 0, 1, 2, …, in the order of its targets"
    expect(close(table, targets, 1e-6), hint)
    logits = rows @ torch.randn(3, 4).double()
    soft = -(targets * logits.log_softmax(1)).sum()
    own = F.cross_entropy(logits[same.long().argmax(1)], labels.long(), reduction="none")
    expect(close((weights.double() * own).sum(), soft, 1e-6), "the weighted loss is not the soft cross-entropy")


@checks("five counts that sum to the images; accuracy and fidelity are sums of them")
def cases(answer: Callable) -> None:  # 25, exercise 3
    """The answer maps the answers of teacher and student and the labels, int64 (n,), to five counts."""
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4])
    teacher = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 1, 4, 6, 2, 7, 9, 0])
    student = torch.tensor([0, 1, 2, 3, 4, 9, 0, 1, 8, 9, 6, 2, 7, 5, 9])
    wanted = {"both right": 5, "only the teacher is right": 3, "only the student is right": 2}
    wanted |= {"the same mistake": 3, "two different mistakes": 2}
    got = answer(teacher, student, labels)
    expect(isinstance(got, (tuple, list)) and len(got) == 5, "return five counts, in the order of the docstring")
    got = [float(count) for count in got]
    expect(all(count == int(count) for count in got), "counts are whole numbers: sum the cases, do not average them")
    hint = "a mistake of both is the same only where both give the same answer"
    expect(got[3:] != [5, 0], hint)
    expect(got[1:3] != [2, 3], "only the teacher and only the student are swapped: teacher comes first")
    hint = "where teacher and student agree they may be wrong: compare both with the labels"
    expect(got[0] != 8, hint)
    for (name, count), found in zip(wanted.items(), got):
        expect(found == count, f"{name}: there are {count}, your function says {found:g}")
    expect([float(count) for count in answer(labels, labels, labels)] == [15, 0, 0, 0, 0], "two that are always right")


@checks("a picture's shares sum to 1, hard gates give one leaf, and the gradient reaches every gate")
def paths(answer: Callable) -> None:  # 25, exercise 2
    """The answer maps gates (batch, 2**depth − 1), each the chance to go right, to leaves (batch, 2**depth)."""
    for depth in (1, 2, 4):
        gates = torch.rand(5, 2**depth - 1)
        got = answer(gates.clone())
        expect(torch.is_tensor(got) and got.dim() == 2 and len(got) == 5, "return a tensor: (batch, leaves)")
        leaves = 2**depth
        hint = f"{leaves - 1} gates make {leaves} leaves, you return {got.shape[1]}"
        expect(got.shape[1] == leaves, hint)
        total = got.sum(1)
        hint = f"the shares of one picture must sum to 1, here {total[0]:.3g}: left takes 1 − gate, right takes gate"
        expect(close(total, torch.ones(5)), hint)
        expect(bool((got >= 0).all()), "a share is a product of probabilities, so it is not negative")
        wanted = torch.ones(5, leaves)
        for leaf in range(leaves):
            node = 0
            for level in reversed(range(depth)):
                right = leaf >> level & 1
                wanted[:, leaf] *= gates[:, node] if right else 1 - gates[:, node]
                node = 2 * node + 1 + right
        hint = "left and right are swapped: a gate is the chance to go right, leaves are numbered from the left"
        expect(not close(got, wanted.flip(1)) or close(got, wanted), hint)
        hint = f"depth {depth}: the leaves' order is not that of the tree: below gate k lie gates 2k + 1 and 2k + 2"
        expect(close(got, wanted), hint)
    gates = torch.rand(3, 7, requires_grad=True)
    shares = answer(gates)
    expect(shares.requires_grad, "no gradient comes back: leave detach and no_grad out")
    (shares * torch.randn(8)).sum().backward()
    expect(gates.grad is not None and bool((gates.grad.abs() > 0).all()), "the gradient does not reach every gate")
