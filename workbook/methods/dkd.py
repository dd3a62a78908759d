"""DKD, decoupled knowledge distillation: the label's class against all others, and the others among themselves."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import heated, on_logits


def decoupled(
    *, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, tckd: float = 1.0,
    nckd: float = 8.0,
) -> Tensor:
    """T² · (tckd · KL of (label, not label) + nckd · KL among the classes that are not the label).

    With tckd = 1 and nckd = 1 − the teacher's probability of the label it would be the soft loss of Hinton et al.

    Args:
        student_logits, teacher_logits: float (batch, classes), classes >= 2. No gradient flows to the teacher.
        labels: int64 (batch,).
        temperature: > 0.
        tckd, nckd: >= 0, the paper's alpha and beta; neither is the share of the labels, `Knobs.alpha`.

    Returns a scalar >= 0, in nats, averaged over the batch. ValueError: shapes that do not fit, or temperature <= 0.

    Source: Zhao, Cui, Song, Qiu, Liang 2022, arXiv:2203.08679, eq. 7, with T² as in the authors' code.
    """
    student, teacher = heated(student_logits, teacher_logits, temperature)
    if labels.shape != (len(student),) or labels.dtype != torch.int64 or student.shape[1] < 2:
        said = f"labels must be int64 of shape ({len(student)},), of two classes or more"
        raise ValueError(f"{said}; got {labels.dtype} of {tuple(labels.shape)}, {student.shape[1]} classes")
    others = torch.arange(student.shape[1] - 1, device=labels.device)
    others = others + (others >= labels[:, None])  # (batch, classes − 1): every class but the label

    def split(logits: Tensor) -> tuple[Tensor, Tensor]:  # in log space, where no probability underflows
        log_p = F.log_softmax(logits, dim=1)
        rest = log_p.gather(1, others)  # (batch, classes − 1)
        return torch.cat([log_p.gather(1, labels[:, None]), rest.logsumexp(1, keepdim=True)], 1), rest.log_softmax(1)

    (two_q, rest_q), (two_p, rest_p) = split(student), split(teacher)
    target, nontarget = ((p.exp() * (p - q)).sum(1).mean() for p, q in ((two_p, two_q), (rest_p, rest_q)))
    return temperature**2 * (tckd * target + nckd * nontarget)


def method(student, batch, targets, knobs, *, tckd: float = 1.0, nckd: float = 8.0) -> dict[str, Tensor]:
    """DKD as the soft part of `kdlab.distil(…, method=…)`."""
    known = dict(labels=batch.labels, temperature=knobs.temperature, tckd=tckd, nckd=nckd)
    return on_logits(functools.partial(decoupled, **known), student, batch, targets, knobs)
