"""The checks of lab 23, beyond logits: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch import nn

from workbook.exercises.base import checks, close, expect


@checks("half the mean squared difference behind the regressor; the student and the regressor learn, the teacher not")
def hint(answer: Callable) -> None:  # 23, exercise 1
    """The answer maps the student's maps, the teacher's maps and a regressor to FitNets' hint loss."""
    regress = nn.Conv2d(3, 5, 1)
    mine, his = torch.randn(4, 3, 2, 2, requires_grad=True), torch.randn(4, 5, 2, 2, requires_grad=True)
    got = answer(mine, his, regress)
    expect(torch.is_tensor(got) and got.dim() == 0, "return a scalar tensor")
    with torch.no_grad():
        squares = (regress(mine) - his).square()
    expect(not close(got.detach(), squares.sum() / 2), "divide by the number of features: take the mean, not the sum")
    hint = "divide by the number of features, too, not by that of the images alone"
    expect(not close(got.detach(), squares.sum() / 2 / len(mine)), hint)
    expect(not close(got.detach(), squares.mean()), "half of it: the paper has ½ in front of the squares")
    expect(close(got.detach(), squares.mean() / 2), "it is not half the mean of (regress(student) − teacher)²")
    expect(got.requires_grad, "no gradient comes back: detach the teacher's maps only")
    got.backward()
    expect(his.grad is None, "the teacher gets a gradient: detach its maps")
    learns = mine.grad is not None and regress.weight.grad is not None
    expect(learns, "the gradient must reach the student's maps and the regressor: detach neither")


@checks("the same for features of any width, turned or scaled; rows of length 1 before the difference")
def similarity(answer: Callable) -> None:  # 23, exercise 2
    """The answer maps features (batch, numbers) of student and teacher to the similarity-preserving loss."""
    mine, his = torch.randn(6, 4), torch.randn(6, 9)
    got = answer(mine, his)
    expect(torch.is_tensor(got) and got.dim() == 0, "return a scalar tensor")
    plain = [x @ x.T for x in (mine, his)]
    student, teacher = (g / g.norm(dim=1, keepdim=True) for g in plain)
    expect(not close(got, (plain[0] - plain[1]).square().mean()), "scale each row of both matrices to length 1 first")
    length = [g / g.norm() for g in plain]
    expect(not close(got, (length[0] - length[1]).square().mean()), "each row gets length 1, not the whole matrix")
    unit = [nn.functional.normalize(x, dim=1) for x in (mine, his)]
    cosines = [x @ x.T for x in unit]
    hint = "the rows of the matrix of products get length 1, not the features before it"
    expect(not close(got, (cosines[0] - cosines[1]).square().mean()), hint)
    wanted = (student - teacher).square()
    expect(not close(got, wanted.sum()), "divide by batch², the number of pairs")
    expect(not close(got, wanted.sum() / len(mine)), "divide by batch², the number of pairs, not by the batch")
    expect(close(got, wanted.mean()), "it is not the mean of the squared differences of the two matrices")
    expect(close(answer(3 * mine, his), got), "a student's features times 3 must change nothing")
    maps = answer(torch.randn(5, 2, 3, 3), torch.randn(5, 4, 2, 2))
    expect(torch.is_tensor(maps) and maps.dim() == 0, "maps (batch, channels, height, width), too: flatten(1) them")
