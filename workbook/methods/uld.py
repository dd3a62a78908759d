"""ULD, universal logit distillation: for a student whose vocabulary is another; only the sorted probabilities meet."""

import torch
from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import wide


def universal(*, student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """The sum of absolute differences of both sides' probabilities, each sorted from the largest, averaged over tokens.

    The simple form for texts that both sides cut at the same places; the smaller vocabulary is filled up with zeros.
    Which token a probability belongs to is lost: the labels have to tell it, so alpha must be below 1.

    Args:
        student_logits, teacher_logits: float (…, vocabulary), each its own. No gradient flows to the teacher.
        temperature: > 0.

    Returns a scalar in [0, 2]. ValueError: other numbers of tokens, or temperature <= 0.

    Source: Boizard, El Haddad, Hudelot, Colombo 2024, arXiv:2402.12030, the closed form of the Wasserstein distance.
    """
    if student_logits.shape[:-1] != teacher_logits.shape[:-1]:
        given = f"{tuple(student_logits.shape[:-1])} and {tuple(teacher_logits.shape[:-1])}"
        raise ValueError(f"both must answer for the same places of the text, got {given}")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
    sides = [wide(x) / temperature for x in (student_logits, teacher_logits.detach())]
    student, teacher = (x.softmax(-1).sort(-1, descending=True).values for x in sides)
    size = max(student.shape[-1], teacher.shape[-1])
    student, teacher = (F.pad(x, (0, size - x.shape[-1])) for x in (student, teacher))
    return torch.linalg.vector_norm(student - teacher, ord=1, dim=-1).mean()
