"""The checks of lab 17, Real files: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("every name finds its own column, in any order and among a thousand, and a missing one is told")
def columns(answer: Callable) -> None:  # 17, exercise 1
    """The answer maps the teacher's class names and the task's to a list of columns, −1 where the teacher has none."""
    cases = [
        (["cat", "dog", "owl"], ["owl", "cat"], [2, 0]),
        (["0", "1", "10", "2"], ["0", "1", "2", "10"], [0, 1, 3, 2]),
        (["wildcat", "cat"], ["cat", "wildcat"], [1, 0]),
        ([f"class {i}" for i in range(1000)], ["class 999", "class 0", "class 7"], [999, 0, 7]),
        (["猫", "狗"], ["狗", "猫"], [1, 0]),
    ]
    for theirs, ours, wanted in cases:
        got = list(answer(list(theirs), list(ours)))
        expect(len(got) == len(ours), f"one column for each class of the task: {len(ours)}, got {len(got)}")
        shown = ", ".join(ours)
        expect(got == wanted, f"for {shown} of {', '.join(theirs[:4])}… the columns are {wanted}, got {got}")
    got = list(answer(["cat", "dog"], ["dog", "fox"]))
    expect(got == [1, -1], f"a class that the teacher does not have must give −1, here [1, -1], got {got}")


@checks("the softmax at T = 1 gives the probabilities back, at other T it is p to the 1/T, and a zero stays finite")
def logarithms(answer: Callable) -> None:  # 17, exercise 2
    """The answer maps probabilities (n, classes), some of them 0, to finite logits of the same shape."""
    p = torch.randn(6, 5).double().mul(4).softmax(1)
    logits = torch.as_tensor(answer(p.clone()))
    expect(logits.shape == p.shape, f"the logits must have the shape of the probabilities, got {tuple(logits.shape)}")
    back = logits.softmax(1)
    hint = "their softmax must give the probabilities back; which function undoes an exponential?"
    expect(close(back, p, 1e-6), hint)
    for temperature in (2.0, 8.0):
        power = p ** (1 / temperature)
        hint = f"at T = {temperature:g} their softmax must be p to the 1/T, scaled so that each row sums to 1"
        expect(close((logits / temperature).softmax(1), power / power.sum(1, keepdim=True), 1e-6), hint)
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    given = sure.clone()
    logits = torch.as_tensor(answer(given))
    expect(torch.equal(given, sure), "the probabilities that were handed in must stay as they were")
    hint = "the logarithm of 0 is no number to train on: raise the smallest probabilities to a floor first"
    expect(bool(logits.isfinite().all()), hint)
    expect(close(logits.softmax(1), sure, 1e-3), "the floor is too high: it must not change a probability that is seen")
