"""Logit MSE, or matching logits: the student's logits become the teacher's, without a softmax or a temperature."""

from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import heated, on_logits


def logit_mse(*, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """The mean squared difference of the logits, over classes and batch.

    Its gradient is twice the limit of the soft loss's for T → ∞ where each row of logits has the mean 0.

    Args:
        student_logits, teacher_logits: float (batch, classes). No gradient flows to the teacher.

    Returns a scalar >= 0. ValueError: shapes that differ.

    Source: Ba, Caruana 2014, arXiv:1312.6184, eq. 1, divided by half the number of classes; with the soft loss
    compared in Kim et al. 2021, arXiv:2105.08919.
    """
    return F.mse_loss(*heated(student_logits, teacher_logits))


def method(student, batch, targets, knobs, *, weight: float = 1.0) -> dict[str, Tensor]:
    """Logit MSE, times `weight`, as the soft part of `kdlab.distil(…, method=…)`; the temperature is not used."""
    return on_logits(lambda **logits: weight * logit_mse(**logits), student, batch, targets, knobs)
