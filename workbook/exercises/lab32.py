"""The checks of lab 32: who is left out of a mean, what a round weighs, and how well an attack ranks."""

from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("the whole answers are averaged, the others are named, and one answer alone is no consensus")
def consensus(answer: Callable) -> None:  # 32, exercise 1
    """The answer maps a dict of names to logits (n, classes) or None, and n, to the mean and a list of names."""
    whole = {"a": torch.full((4, 3), 1.0), "b": torch.full((4, 3), 3.0)}
    found = answer(whole, 4)
    expect(isinstance(found, tuple) and len(found) == 2, "return two things: the mean, and the names that are left out")
    expect(close(found[0], torch.full((4, 3), 2.0)), "all answers are whole here: return their mean, (n, classes)")
    expect(not list(found[1]), "nobody is left out where all answers are whole")
    broken = torch.full((4, 3), 5.0)
    broken[2, 1] = torch.nan
    faults = {"nan": broken, "infinite": torch.full((4, 3), torch.inf), "short": torch.zeros(3, 3), "silent": None}
    sent = dict(nan="one NaN among its numbers", infinite="infinite numbers", short="three rows of four", silent="None")
    for name, reply in faults.items():
        mean, left_out = answer(whole | {name: reply}, 4)
        expect(list(left_out) == [name], f"a client sent {sent[name]}, and is to be left out by its name")
        expect(close(mean, torch.full((4, 3), 2.0)), f"the mean is that of the others where one sent {sent[name]}")
    mean, left_out = answer({"a": whole["a"], "b": None}, 4)
    expect(mean is None, "the mean of one answer is that answer, and would be handed to the others: return None for it")


@checks("both ways, all clients, four bytes a number")
def wire(answer: Callable) -> None:  # 32, exercise 2
    """The answer maps clients, public images, classes and parameters to the bytes of a round: (logits, weights)."""
    found = answer(5, 300, 10, 4810)
    expect(isinstance(found, tuple) and len(found) == 2, "return two numbers: for logits, and for weights")
    wanted = (2 * 5 * 300 * 10 * 4, 2 * 5 * 4810 * 4)
    for factor, hint in ((2, "a round has two ways: to the server, and back"), (5, "every client sends and receives"),
                         (4, "a float32 has four bytes"), (10, "logits: a number for each class of each image")):
        for mine, right in zip(found, wanted):
            expect(not close(mine * factor, right), hint)
    expect(close(found[0], wanted[0]), f"logits: 2 ways · 5 clients · 300 · 10 numbers · 4 bytes is {wanted[0]:,}")
    expect(close(found[1], wanted[1]), f"weights: 2 ways · 5 clients · 4,810 numbers · 4 bytes is {wanted[1]:,}")
    expect(close(answer(2, 1, 3, 7)[0], 48), "compute it from the arguments, all of them")


@checks("a half for guessing, one for a sure attack, and ties count half")
def auc(answer: Callable) -> None:  # 32, exercise 3
    """The answer maps the evidence for members (n,) and for others (m,) to the area under the ROC curve."""
    found = float(answer(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0, 1.5])))
    expect(not close(found, 0.0), "the other way round: a member is expected to have more evidence, not less")
    expect(close(found, 1.0), f"every member has more evidence than every other: that is 1, not {found:.3g}")
    found = float(answer(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])))
    expect(close(found, 0.75), f"three of the four pairs are in order: 0.75, not {found:.3g}; compare all pairs")
    found = float(answer(torch.zeros(5), torch.zeros(3)))
    expect(close(found, 0.5), f"ties count half: evidence that is always the same gives 0.5, not {found:.3g}")
    found = float(answer(torch.tensor([1.0, 3.0, 3.0]), torch.tensor([2.0])))
    expect(close(found, 2 / 3), f"two of three pairs are in order: 0.667, not {found:.3g}; groups may differ in size")
