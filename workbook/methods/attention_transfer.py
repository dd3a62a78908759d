"""Attention transfer (AT): where in the picture the student's layers are active becomes where the teacher's are."""

import torch
from torch import Tensor

from workbook.methods.base import direction, each, on_features, rows, wide


def attention(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """The distance of two attention maps, the squares of a layer's maps summed over channels and scaled to length 1.

    Multiplying either side by a number other than 0 changes nothing, and numbers of channels may differ.

    Args:
        student_features, teacher_features: float (batch, channels, height, width), of the same height and width. No
            gradient flows to the teacher.

    Returns a scalar in [0, √2], averaged over the batch. ValueError: maps of other shapes.

    Source: Zagoruyko, Komodakis 2017, arXiv:1612.03928, eq. 2 with p = 2. The authors' code takes the mean of the
    squared differences instead, and a weight of 1000.
    """
    shape, other = tuple(student_features.shape), tuple(teacher_features.shape)
    if len(shape) != 4 or len(other) != 4 or shape[2:] != other[2:]:
        said = "attention compares maps (batch, channels, height, width) of equal height and width"
        raise ValueError(f"{said}, got {shape} of the student and {other} of the teacher")
    rows(student_features, teacher_features)  # checks that they are of the same images
    maps = (wide(x).pow(2).sum(1) for x in (student_features, teacher_features.detach()))  # (batch, height, width)
    student, teacher = (direction(x.flatten(1)) for x in maps)
    return torch.linalg.vector_norm(student - teacher, dim=1).mean()


def method(student, batch, targets, knobs, *, weight: float = 1.0) -> dict[str, Tensor]:
    """Attention transfer, summed over pairs of layers, times `weight`, as the soft part of `kdlab.distil`.

    Student and teacher are tapped: `distil(tap(student, "blocks.2"), …, teacher=tap(teacher, "blocks.8"), …)`.
    """
    return on_features(each(attention), student, batch, targets, knobs, weight)
