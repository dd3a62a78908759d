"""Token-level losses of language models: KL one way, the other, or Jensen–Shannon between them, over a mask."""

import torch
from torch import Tensor

from workbook.methods.base import wide


def tokens_loss(
    *, student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0, beta: float = 0.0,
    mask: Tensor | None = None,
) -> Tensor:
    """The mean over tokens of the generalised Jensen–Shannon divergence; no factor T².

    beta = 0 is KL(teacher ‖ student), "forward", as kdlab's; beta = 1 is KL(student ‖ teacher), "reverse". In between,
    with m = (1 − beta) · student + beta · teacher, it is beta · KL(teacher ‖ m) + (1 − beta) · KL(student ‖ m), which
    goes to 0 at both ends: the ends are defined apart.

    Args:
        student_logits, teacher_logits: float (…, vocabulary). No gradient flows to the teacher.
        temperature: > 0. beta: in [0, 1].
        mask: bool (…), True where a token counts; None counts all.

    Returns a scalar >= 0, in nats a token. ValueError: shapes that differ, no token that counts, a value out of range.

    Source: Agarwal et al. 2024, arXiv:2306.13649, section 2.
    """
    shape, other = tuple(student_logits.shape), tuple(teacher_logits.shape)
    if shape[:-1] == other[:-1] and shape[-1] != other[-1]:
        said = f"the student's vocabulary has {shape[-1]} entries and the teacher's {other[-1]}"
        raise ValueError(f"{said}; cut what only pads, where the tokens are the same, or see workbook.methods.uld")
    if shape != other or not 0 < temperature < float("inf") or not 0 <= beta <= 1:
        given = f"{shape}, {other}, {temperature} and {beta}"
        raise ValueError(f"give logits of one shape, a temperature > 0 and a beta in [0, 1]; got {given}")
    count = mask.sum() if mask is not None else torch.tensor(student_logits[..., 0].numel())
    if not count:
        raise ValueError("no token counts: the mask is empty, so there is nothing to average")
    log_q, log_p = ((wide(x) / temperature).log_softmax(-1) for x in (student_logits, teacher_logits.detach()))
    if beta in (0, 1):
        each = _kl(log_p, log_q) if beta == 0 else _kl(log_q, log_p)
    else:
        share = torch.tensor([1 - beta, beta], dtype=log_q.dtype, device=log_q.device).log()
        log_m = torch.stack([log_q + share[0], log_p + share[1]]).logsumexp(0)
        each = beta * _kl(log_p, log_m) + (1 - beta) * _kl(log_q, log_m)
    return (each if mask is None else each.where(mask, 0)).sum() / count


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)
