"""A teacher's k largest logits in place of all: what a bank of a language model stores, and the bias that brings."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import wide


class Top(NamedTuple):
    """The k largest log-probabilities, float (…, k), and their places in the vocabulary, int64 (…, k)."""

    log_p: Tensor
    places: Tensor


def top_k(logits: Tensor, k: int) -> Top:
    """What to store of a teacher's logits (…, vocabulary), 1 <= k < vocabulary; ValueError for another k."""
    if not 1 <= k < logits.shape[-1]:
        raise ValueError(f"k must be in 1 .. {logits.shape[-1] - 1}, the vocabulary but one, got {k}")
    return Top(*wide(logits.detach()).log_softmax(-1).topk(k, dim=-1))


def top_k_loss(*, student_logits: Tensor, teacher: Top, rest: bool = True) -> Tensor:
    """KL(teacher ‖ student) from the teacher's k largest, in nats, averaged over the tokens.

    With `rest`, all other tokens are one class more: the student learns how much they have together, not who of them.
    Without it, the k are scaled to sum to 1, as is often done: the best student gives the others nothing. Both are
    biased as soon as k < vocabulary; the first leaves the known probabilities as they are.

    Args:
        student_logits: float (…, vocabulary). teacher: of the same tokens.

    Returns a scalar >= 0. ValueError: shapes that do not fit.

    Source: Anshumann et al. 2025, arXiv:2503.16870, sections 2 and 3: the naive top-k, and its bias.
    """
    if student_logits.shape[:-1] != teacher.places.shape[:-1] or student_logits.shape[-1] <= teacher.places.shape[-1]:
        given = f"{tuple(student_logits.shape)} and {tuple(teacher.places.shape)}"
        raise ValueError(f"student_logits must be (…, vocabulary) for a teacher of (…, k), got {given}")
    log_q, log_p = wide(student_logits).log_softmax(-1), wide(teacher.log_p)
    known = log_q.gather(-1, teacher.places)
    if not rest:
        log_p = log_p.log_softmax(-1)
        return (log_p.exp() * (log_p - known)).sum(-1).mean()
    kept = torch.zeros_like(log_q, dtype=torch.bool).scatter(-1, teacher.places, True)
    others = log_q.masked_fill(kept, -torch.inf).logsumexp(-1, keepdim=True)
    left = torch.log(-torch.expm1(log_p.logsumexp(-1, keepdim=True)).clamp(max=-torch.finfo(log_p.dtype).tiny))
    log_p, log_q = torch.cat([log_p, left], -1), torch.cat([known, others], -1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1).mean()
