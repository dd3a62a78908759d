"""Distillation losses as pure functions on logits.

Whoever calls them owns the models, the data and the optimizer; nothing here keeps state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(logits: Tensor, temperature: float) -> Tensor:
    """The softmax of logits divided by a temperature: what a teacher says about every class.

    Args:
        logits: float (..., classes).
        temperature: > 0. At 1 the plain softmax; the larger, the flatter.

    Returns:
        Probabilities (..., classes); each row sums to 1.

    Raises:
        ValueError: temperature <= 0.

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

    Returns:
        A scalar >= 0, in nats; 0 where both distributions agree.

    Raises:
        ValueError: shapes that differ or are not (batch, classes), or temperature <= 0.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.
    """
    _check_logits(student_logits, teacher_logits)
    _check_temperature(temperature)
    student = F.log_softmax(student_logits / temperature, dim=1)  # (batch, classes)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)  # (batch, classes)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def gradient_share(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, alpha: float, temperature: float
) -> float:
    """The soft loss's part in what moves the student: its gradient's norm against that of both terms.

    With respect to the student's logits the soft loss has the gradient T · (q_T − p_T), the hard loss q − labels.

    Args:
        student_logits, teacher_logits: float (batch, classes).
        labels: int64 (batch,).
        alpha: in [0, 1], the soft loss's weight.
        temperature: > 0.

    Returns:
        alpha · ‖soft‖ / (alpha · ‖soft‖ + (1 − alpha) · ‖hard‖), in [0, 1]; alpha where both gradients are 0.
    """
    soft = temperature * (soft_targets(student_logits, temperature) - soft_targets(teacher_logits, temperature))
    hard = soft_targets(student_logits, 1.0) - F.one_hot(labels, student_logits.shape[1])
    soft, hard = alpha * soft.norm().item(), (1 - alpha) * hard.norm().item()
    return soft / (soft + hard) if soft + hard > 0 else alpha


def hard_loss(student_logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels, averaged over the batch.

    Args:
        student_logits: float (batch, classes).
        labels: int64 (batch,), each in 0 .. classes - 1.
        label_smoothing: in [0, 1): the share of the target that is spread evenly over all classes.

    Returns:
        A scalar >= 0, in nats.

    Raises:
        ValueError: shapes that do not fit, or a label out of range.
    """
    _check_logits(student_logits)
    _check_labels(labels, student_logits.shape)
    return F.cross_entropy(student_logits, labels, label_smoothing=label_smoothing)


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, alpha: float, temperature: float
) -> Tensor:
    """alpha · T² · KL(teacher_T ‖ student_T) + (1 − alpha) · cross-entropy(labels).

    alpha = 0 is the student alone, alpha = 1 the teacher alone. Pass the arguments by name: two tensors of
    the same shape are easily swapped, and a swapped loss trains without an error.

    Args:
        student_logits, teacher_logits: float (batch, classes), same shape. No gradient flows to the teacher.
        labels: int64 (batch,), each in 0 .. classes - 1.
        alpha: in [0, 1].
        temperature: > 0.

    Returns:
        A scalar >= 0, in nats.

    Raises:
        ValueError: an argument out of its range or of the wrong shape; the message names it and its value.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2, with batchmean reduction.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    soft = soft_loss(student_logits, teacher_logits, temperature)
    return alpha * soft + (1 - alpha) * hard_loss(student_logits, labels)


def logit_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean squared error between logits: what the soft loss tends to as the temperature grows.

    For logits centred per row, the gradient of `soft_loss` tends to half the gradient of this.

    Args:
        student_logits, teacher_logits: float (batch, classes), same shape. No gradient flows to the teacher.

    Returns:
        A scalar >= 0: the mean over batch and classes.

    Raises:
        ValueError: shapes that differ or are not (batch, classes).

    Source: Ba and Caruana 2014, arXiv:1312.6184; the limit is in Hinton et al. 2015, section 2.1.
    """
    _check_logits(student_logits, teacher_logits)
    return F.mse_loss(student_logits, teacher_logits.detach())


def _check_temperature(temperature: float) -> None:
    if not temperature > 0 or temperature == float("inf"):
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")


def _check_logits(student_logits: Tensor, teacher_logits: Tensor | None = None) -> None:
    if student_logits.dim() != 2 or 0 in student_logits.shape:
        raise ValueError(f"student_logits must be (batch, classes), got shape {tuple(student_logits.shape)}")
    if teacher_logits is not None and teacher_logits.shape != student_logits.shape:
        raise ValueError(
            f"teacher_logits must have the student's shape {tuple(student_logits.shape)}, "
            f"got {tuple(teacher_logits.shape)}"
        )


def _check_labels(labels: Tensor, shape: torch.Size) -> None:
    batch, classes = shape
    if labels.shape != (batch,) or labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64 of shape ({batch},), got {labels.dtype} of {tuple(labels.shape)}")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"labels must be in 0 .. {classes - 1}, got {int(wrong)}")
