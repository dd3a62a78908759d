"""Logit standardization: the soft loss of logits with mean 0 and deviation 1, so that only their pattern is taught."""

import functools

from torch import Tensor
from torch.nn import functional as F

from kdlab import losses
from workbook.methods.base import heated, on_logits


def standardized(logits: Tensor) -> Tensor:
    """Each row of float (batch, classes) minus its mean, divided by its standard deviation: a layer norm.

    The variance is divided by the number of classes K, plus 1e-5 so that a row of equal logits becomes zeros; dividing
    by K − 1, as the authors' code does, is the same as a temperature larger by √(K / (K − 1)).
    """
    return F.layer_norm(logits, logits.shape[-1:])


def standardized_loss(*, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher_T ‖ student_T) of standardized logits.

    Multiplying a row by a positive number or adding a number to it changes nothing.

    Args:
        student_logits, teacher_logits: float (batch, classes). No gradient flows to the teacher.
        temperature: > 0, of logits whose deviation is 1.

    Returns a scalar >= 0, in nats. ValueError: shapes that differ, or temperature <= 0.

    Source: Sun, Ren, Li, Wang, Cao 2024, arXiv:2403.01427, algorithm 1.
    """
    student, teacher = heated(student_logits, teacher_logits)
    return losses.soft_loss(standardized(student), standardized(teacher), temperature)


def method(student, batch, targets, knobs, *, weight: float = 1.0) -> dict[str, Tensor]:
    """The standardized loss, times `weight` (9 in the paper), as the soft part of `kdlab.distil(…, method=…)`."""
    loss = functools.partial(standardized_loss, temperature=knobs.temperature)
    return on_logits(lambda **logits: weight * loss(**logits), student, batch, targets, knobs)
