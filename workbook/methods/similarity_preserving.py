"""Similarity-preserving distillation (SP): images that the teacher finds alike become alike for the student."""

from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import direction, each, on_features, rows


def similarity(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """The squared differences of both batches' matrices of similarities, each row scaled to length 1, over batch².

    Turning a side or multiplying it by a number other than 0 changes nothing, and shapes may differ.

    Args:
        student_features, teacher_features: float (batch, …), of any shapes. No gradient flows to the teacher.

    Returns a scalar >= 0. ValueError: batches that differ.

    Source: Tung, Mori 2019, arXiv:1907.09682, section 3.1. The weight of 3000 is that of RepDistiller's runs.
    """
    student, teacher = (direction(q @ q.T) for q in rows(student_features, teacher_features))  # (batch, batch)
    return F.mse_loss(student, teacher)


def method(student, batch, targets, knobs, *, weight: float = 3000.0) -> dict[str, Tensor]:
    """SP, summed over pairs of layers, times `weight`, as the soft part of `kdlab.distil`; both models are tapped."""
    return on_features(each(similarity), student, batch, targets, knobs, weight)
