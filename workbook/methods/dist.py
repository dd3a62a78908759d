"""DIST, knowledge distillation from a stronger teacher: probabilities need not be equal, but linearly related."""

import functools

from torch import Tensor

from workbook.methods.base import direction, heated, on_logits


def pearson_distance(u: Tensor, v: Tensor) -> Tensor:
    """1 − Pearson's correlation of the rows of u and v (rows, numbers), averaged over the rows, in [0, 2].

    Scaling a row by a positive number or adding a number to it changes nothing. A row of equal numbers counts 1.
    """
    u, v = (direction(x - x.mean(1, keepdim=True), eps=1e-8) for x in (u, v))
    return 1 - (u * v).sum(1).mean()


def relations(
    *, student_logits: Tensor, teacher_logits: Tensor, temperature: float, inter: float = 1.0, intra: float = 1.0
) -> Tensor:
    """T² · (inter · distance of each image's probabilities + intra · distance of each class's over the batch).

    Args:
        student_logits, teacher_logits: float (batch, classes). No gradient flows to the teacher.
        temperature: > 0.
        inter, intra: >= 0, the paper's beta and gamma: between the classes of an image, and within a class.

    Returns a scalar >= 0, 0 where student equals teacher. ValueError: shapes that differ, or temperature <= 0.

    Source: Huang, You, Wang, Qian, Xu 2022, arXiv:2205.10536, section 3, with T² as in the authors' code.
    """
    student, teacher = (x.softmax(1) for x in heated(student_logits, teacher_logits, temperature))
    between, within = pearson_distance(student, teacher), pearson_distance(student.T, teacher.T)
    return temperature**2 * (inter * between + intra * within)


def method(student, batch, targets, knobs, *, inter: float = 1.0, intra: float = 1.0) -> dict[str, Tensor]:
    """DIST as the soft part of `kdlab.distil(…, method=…)`."""
    known = dict(temperature=knobs.temperature, inter=inter, intra=intra)
    return on_logits(functools.partial(relations, **known), student, batch, targets, knobs)
