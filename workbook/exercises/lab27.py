"""The checks of lab 27: the divergence of two models, the mean over the tokens that count, top-k with a rest."""

from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p * (p.log() - q.log())).sum(-1)


@checks("forward at 0, reverse at 1, Jensen–Shannon between, and finite at logits of a thousand")
def divergence(answer: Callable) -> None:  # 27, exercise 1
    """The answer maps the student's and the teacher's logits (tokens, vocabulary) and beta to (tokens,), in nats."""
    student, teacher = torch.randn(5, 7), torch.randn(5, 7)
    q, p = student.softmax(-1), teacher.softmax(-1)
    found = answer(student, teacher, 0.5)
    expect(torch.is_tensor(found) and found.shape == (5,), "return a number for each token: (tokens,)")
    m = (p + q) / 2
    hint = "beta = 0.5: half of KL(teacher ‖ m) and half of KL(student ‖ m), where m is the mean of both probabilities"
    expect(close(found, kl(p, m) / 2 + kl(q, m) / 2), hint)
    m = 0.8 * q + 0.2 * p
    hint = "beta = 0.2: m is 0.8 · student + 0.2 · teacher, and KL(teacher ‖ m) has the weight 0.2"
    expect(close(answer(student, teacher, 0.2), 0.2 * kl(p, m) + 0.8 * kl(q, m)), hint)
    for beta, name, wanted in ((0.0, "KL(teacher ‖ student)", kl(p, q)), (1.0, "KL(student ‖ teacher)", kl(q, p))):
        found = answer(student, teacher, beta)
        zero = bool((found.abs() < 1e-4).all())
        hint = f"beta = {beta:g} gives 0: the formula ends there, so return {name} instead"
        expect(not zero, hint)
        expect(close(found, wanted), f"beta = {beta:g} must be {name}")
    far = 1000 * torch.eye(4)
    hint = "logits of a thousand give nan or inf: stay with log_softmax, and take the mean with logsumexp"
    for beta in (0.0, 0.5, 1.0):
        expect(bool(answer(far, far.flip(0), beta).isfinite().all()), hint)


@checks("the tokens that count, each once; and one sentence where none does")
def masked_mean(answer: Callable) -> None:  # 27, exercise 2
    """The answer maps losses (batch, tokens) and a mask (batch, tokens), bool, to their mean, a scalar."""
    each = torch.tensor([[1.0, 2.0, 3.0, 100.0], [5.0, 100.0, 100.0, 100.0]])
    mask = each < 100
    found = torch.as_tensor(answer(each, mask))
    expect(found.shape == (), "return one number")
    expect(not close(found, each.mean()), "the tokens outside of the mask count, too")
    expect(not close(found, torch.tensor(3.5)), "a mean of each text's mean: a token of a short text then counts more")
    expect(not close(found, torch.tensor(11 / 8)), "divide by the number of tokens that count, not by all")
    expect(close(found, torch.tensor(2.75)), f"the mean of 1, 2, 3 and 5 is 2.75, not {float(found):.4g}")
    spoilt = each.masked_fill(~mask, torch.nan)
    expect(close(answer(spoilt, mask), torch.tensor(2.75)), "nan times 0 is nan: choose the tokens, do not multiply")
    try:
        found = answer(each, torch.zeros_like(mask))
    except ValueError:
        return
    expect(False, f"no token counts, and the answer is {float(found):g}: raise a ValueError that says so")


@checks("the k and the rest: zero where the student agrees on them, and right elsewhere")
def top_k_with_rest(answer: Callable) -> None:  # 27, exercise 3
    """The answer maps logits (tokens, vocabulary) and the teacher's log_p and places (tokens, k) to (tokens,)."""
    student, teacher = torch.randn(6, 9), torch.randn(6, 9)
    log_p, places = teacher.log_softmax(-1).topk(3)
    found = answer(student, log_p, places)
    expect(torch.is_tensor(found) and found.shape == (6,), "return a number for each token: (tokens,)")
    p, known = log_p.exp(), student.softmax(-1).gather(-1, places)
    inside = (p * (p.log() - known.log())).sum(-1)
    scaled = p / p.sum(-1, keepdim=True)
    hint = "the k were scaled to sum to 1: leave them as they are, and add what is left as one class more"
    wrong = (scaled * (scaled.log() - known.log())).sum(-1)
    again = (scaled * (scaled.log() - (known / known.sum(-1, keepdim=True)).log())).sum(-1)
    expect(not close(found, wrong) and not close(found, again), hint)
    expect(not close(found, inside), "the rest is missing: (1 − sum of the k), the teacher's and the student's")
    left, other = 1 - p.sum(-1), 1 - known.sum(-1)
    expect(close(found, inside + left * (left.log() - other.log())), "the k as they are, and one class for all others")
    expect(close(answer(teacher, log_p, places), torch.zeros(6)), "a student like its teacher has the loss 0")
