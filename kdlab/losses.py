"""Distillation losses as pure functions on logits, and the method that puts them into a training step.

Whoever calls them owns the models, the data and the optimizer; nothing here keeps state.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(logits: Tensor, temperature: float) -> Tensor:
    """The softmax of logits divided by a temperature: what a teacher says about every class.

    Args:
        logits: float (..., classes).
        temperature: > 0. At 1 the plain softmax; the larger, the flatter.

    Returns probabilities (..., classes); each row sums to 1. ValueError for a temperature <= 0.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, eq. 1.
    """
    _check_temperature(temperature)
    return F.softmax(logits / temperature, dim=-1)


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher_T ‖ student_T), summed over classes, averaged over the batch.

    T² keeps the size of the gradient when T changes: without it the gradient shrinks as 1/T².

    Args:
        student_logits, teacher_logits: float (batch, classes), same shape. No gradient flows to the teacher.
        temperature: > 0.

    Returns a scalar >= 0, in nats; 0 where both distributions agree. ValueError: shapes that differ or are not (batch,
    classes), or temperature <= 0.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.
    """
    _check_logits(student_logits, teacher_logits)
    _check_temperature(temperature)
    return soft_term(student_logits, teacher_logits, temperature)


def soft_term(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """`soft_loss` without its checks, for which an accelerator would have to wait in every step.

    The one place of the formula. A stack of students lies along a third dimension, with a temperature for each:
    (batch, classes, students) and (students,) → (students,).
    """
    log_q = F.log_softmax(student_logits / temperature, dim=1)  # (batch, classes)
    log_p = F.log_softmax(teacher_logits.detach() / temperature, dim=1)  # (batch, classes)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum((0, 1)) / len(log_q)


def hard_loss(student_logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels in nats, averaged over the batch.

    Args:
        student_logits: float (batch, classes).
        labels: int64 (batch,), each in 0 .. classes - 1.
        label_smoothing: in [0, 1): the share of the target that is spread evenly over all classes.

    ValueError: shapes that do not fit, or a label out of range.
    """
    _check_logits(student_logits)
    batch, classes = student_logits.shape
    if labels.shape != (batch,) or labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64 of shape ({batch},), got {labels.dtype} of {tuple(labels.shape)}")
    if len(wrong := labels[(labels < 0) | (labels >= classes)]):
        raise ValueError(f"labels must be in 0 .. {classes - 1}, got {int(wrong[0])}")
    return F.cross_entropy(student_logits, labels, label_smoothing=label_smoothing)


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, alpha: float, temperature: float
) -> Tensor:
    """alpha · T² · KL(teacher_T ‖ student_T) + (1 − alpha) · cross-entropy(labels).

    alpha = 0 is the student alone, alpha = 1 the teacher alone. Pass the arguments by name: two tensors of
    the same shape are easily swapped, and a swapped loss trains without an error.

    Args:
        student_logits, teacher_logits, labels, temperature: as in `soft_loss` and `hard_loss`.
        alpha: in [0, 1].

    Returns a scalar >= 0, in nats. ValueError: an argument out of its range or of the wrong shape, which it names.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2, with batchmean reduction.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    return mixed(soft_loss(student_logits, teacher_logits, temperature), hard_loss(student_logits, labels), alpha)


def as_logits(output) -> Tensor:
    """The logits in what a model returns: a tensor, the first of a tuple or list, or `logits` of a dict or object."""
    if isinstance(output, Tensor):
        return output
    by_name = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    found = output[0] if by_name is None and isinstance(output, (tuple, list)) and output else by_name
    if isinstance(found, Tensor):
        return found
    said = "a model must return logits: a tensor, the first of a tuple, or `logits` of a dict or object"
    raise ValueError(f"{said}; got {type(output).__name__}")


def mixed(soft: Tensor, hard: Tensor, alpha: float | Tensor) -> Tensor:
    """alpha · soft + (1 − alpha) · hard."""
    return alpha * soft + (1 - alpha) * hard


def logits(student, batch, targets: Tensor | None, knobs, *, label_smoothing: float = 0.0) -> dict[str, Tensor]:
    """Logit distillation, the method that `kdlab.training.distil` uses where no other is given.

    Args:
        student: maps float (batch, channels, height, width) to logits (batch, classes).
        batch, knobs: `kdlab.training.Batch` and `Knobs`.
        targets: the teacher's logits (batch, classes), or None for labels alone.
        label_smoothing: as in `hard_loss`.

    Returns:
        Scalars by name: "soft", which contains T², "hard", and "loss", which is `mixed`, or hard without a teacher.
    """
    answer = as_logits(student(batch.images))
    answer = answer.to(torch.promote_types(answer.dtype, torch.float32))  # bfloat16 is too coarse for a loss
    hard = F.cross_entropy(answer, batch.labels, label_smoothing=label_smoothing)
    if targets is None:
        return {"loss": hard, "soft": torch.zeros_like(hard), "hard": hard}
    soft = soft_term(answer, as_logits(targets).to(answer.dtype), knobs.temperature)
    return {"loss": mixed(soft, hard, knobs.alpha), "soft": soft, "hard": hard}


def _check_temperature(temperature: float) -> None:
    if not temperature > 0 or temperature == float("inf"):
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")


def _check_logits(student_logits: Tensor, teacher_logits: Tensor | None = None) -> None:
    shape = tuple(student_logits.shape)
    if student_logits.dim() != 2 or 0 in shape:
        raise ValueError(f"student_logits must be (batch, classes), got shape {shape}")
    if teacher_logits is not None and teacher_logits.shape != shape:
        raise ValueError(f"teacher_logits must have the student's shape {shape}, got {tuple(teacher_logits.shape)}")
