"""The checks of lab 11, the map of alpha and temperature; what a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from workbook.exercises.base import checks, close, expect


@checks("the same pull on the student without T², at every alpha and temperature")
def alpha_without_t2(answer: Callable) -> None:  # 11, exercise 1
    """The answer maps alpha and T of the loss with T² to the alpha of a loss without it that pulls the same way."""
    student, teacher, labels = 3 * torch.randn(6, 5), 3 * torch.randn(6, 5), torch.arange(6) % 5

    def pull(soft_weight: float, hard_weight: float, t: float):
        z = student.clone().requires_grad_()
        kl = F.kl_div((z / t).log_softmax(1), (teacher / t).log_softmax(1), reduction="batchmean", log_target=True)
        (soft_weight * kl + hard_weight * F.cross_entropy(z, labels)).backward()
        return F.normalize(z.grad.flatten(), dim=0)

    expect(close(answer(0.3, 1.0), 0.3), "at T = 1 there is no T² to leave out: alpha stays")
    for alpha, t in [(0.0, 4.0), (1.0, 4.0), (0.5, 4.0), (0.1, 8.0), (0.2, 0.5)]:
        found = float(answer(alpha, t))
        hint = f"an alpha lies in [0, 1], and for alpha {alpha:g}, T {t:g} it is {found:g}: let both weights sum to 1"
        expect(0 <= found <= 1, hint)
        hint = f"for alpha {alpha:g}, T {t:g} the gradient points elsewhere: "
        hint += "soft by hard weight must be alpha · T² / (1 − alpha)"
        expect(close(pull(alpha * t**2, 1 - alpha, t), pull(found, 1 - found, t), 1e-4), hint)


@checks("chosen on the one half, reported on the other")
def chosen_and_reported(answer: Callable) -> None:  # 11, exercise 2
    """The answer maps two tensors of gains, (seeds, cells) each, to the chosen cell and the gain to report for it."""
    here, there = torch.randn(5, 12), torch.randn(5, 12)
    cell, gain = answer(here.clone(), there.clone())
    hint = "choose the cell with the largest mean over the seeds of the first half"
    expect(int(cell) == int(here.mean(0).argmax()), hint)
    if close(gain, here.mean(0).max()):
        expect(False, "that is the gain on the half where it was chosen: the luck is still in it")
    hint = "report the mean gain of the chosen cell over the seeds of the second half"
    expect(close(gain, there[:, int(cell)].mean()), hint)
    luck = [float(answer(torch.randn(5, 30), torch.randn(5, 30))[1]) for _ in range(200)]
    expect(abs(sum(luck) / 200) < 0.2, "thirty cells that differ by chance alone must give a report of about zero")
