"""The checks of lab 10, the logit bank: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("the shift is found, also where the teacher is wrong now and then, and 0 where nothing is shifted")
def row_shift(answer: Callable) -> None:  # 10, exercise 1
    """The answer maps a bank's logits (n, classes) and the labels (n,) to how far the rows are off, 0 .. n - 1."""
    labels = torch.randint(10, (80,))
    mistaken = torch.where(torch.rand(80) < 0.25, torch.randint(10, (80,)), labels)
    right = torch.randn(80, 10).scatter_add(1, mistaken[:, None], torch.full((80, 1), 6.0))
    for shift in (7, 0, 61):
        got = answer(right.roll(-shift, 0), labels)
        expect(not isinstance(got, tuple | list) and float(got) == int(got), "return one whole number")
        hint = "the other way round: row i belongs to image i + shift"
        expect(int(got) == shift or int(got) != (80 - shift) % 80, hint)
        hint = f"the check's rows are shifted by {shift}, got {got}; try every shift, count the agreements"
        expect(int(got) == shift, hint)


@checks("what was kept is exact, the rest has its probability, spread evenly")
def from_top_k(answer: Callable) -> None:  # 10, exercise 2
    """The answer maps values (n, k), places (n, k), rest (n,) and a number of classes to logits (n, classes)."""
    logits = 3 * torch.randn(6, 8)
    for k in (3, 1, 7):
        values, places = logits.topk(k)
        others = torch.ones(6, 8).scatter(1, places, 0.0).bool()
        rest = logits.masked_fill(~others, -torch.inf).logsumexp(1)
        full = answer(values, places, rest, 8)
        expect(torch.is_tensor(full) and full.shape == (6, 8), "return a tensor of shape (n, classes)")
        expect(close(full.gather(1, places), values), "the kept logits must stand at their places, unchanged")
        left = full[others].view(6, 8 - k)
        expect(close(left, left[:, :1].expand_as(left)), "all left-out classes of a row get the same logit")
        hint = "rest is shared by classes - k: subtract its logarithm"
        expect(not close(left, rest[:, None].expand_as(left)) or k == 7, hint)
        kept = full.softmax(1).gather(1, places), logits.softmax(1).gather(1, places)
        hint = "the kept classes must have their old probabilities: what exp(rest) says is shared by the others"
        expect(close(*kept), hint)
