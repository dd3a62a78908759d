"""Checks for the exercises of the labs, in the manner of check.py: ✓, a hint, or "not attempted"."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from kdlab.check import _checks, _close, _expect


@_checks("the same pull on the student without T², at every alpha and temperature")
def alpha_without_t2(answer: Callable) -> None:
    """The answer maps alpha and T of the loss with T² to the alpha of a loss without it that pulls the same way."""
    student, teacher, labels = 3 * torch.randn(6, 5), 3 * torch.randn(6, 5), torch.arange(6) % 5

    def pull(soft_weight: float, hard_weight: float, t: float):
        z = student.clone().requires_grad_()
        kl = F.kl_div((z / t).log_softmax(1), (teacher / t).log_softmax(1), reduction="batchmean", log_target=True)
        (soft_weight * kl + hard_weight * F.cross_entropy(z, labels)).backward()
        return F.normalize(z.grad.flatten(), dim=0)

    _expect(_close(answer(0.3, 1.0), 0.3), "at T = 1 there is no T² to leave out: alpha stays")
    for alpha, t in [(0.0, 4.0), (1.0, 4.0), (0.5, 4.0), (0.1, 8.0), (0.2, 0.5)]:
        found = float(answer(alpha, t))
        _expect(0 <= found <= 1, f"an alpha lies in [0, 1], and for alpha {alpha:g}, T {t:g} it is {found:g}: let both weights sum to 1")
        hint = f"for alpha {alpha:g}, T {t:g} the gradient points elsewhere: soft by hard weight must be alpha · T² / (1 − alpha)"
        _expect(_close(pull(alpha * t**2, 1 - alpha, t), pull(found, 1 - found, t), 1e-4), hint)


@_checks("chosen on the one half, reported on the other")
def chosen_and_reported(answer: Callable) -> None:
    """The answer maps two tensors of gains, (seeds, cells) each, to the chosen cell and the gain to report for it."""
    here, there = torch.randn(5, 12), torch.randn(5, 12)
    cell, gain = answer(here.clone(), there.clone())
    _expect(int(cell) == int(here.mean(0).argmax()), "choose the cell with the largest mean over the seeds of the first half")
    if _close(gain, here.mean(0).max()):
        _expect(False, "that is the gain on the half where it was chosen: the luck is still in it")
    _expect(_close(gain, there[:, int(cell)].mean()), "report the mean gain of the chosen cell over the seeds of the second half")
    luck = [float(answer(torch.randn(5, 30), torch.randn(5, 30))[1]) for _ in range(200)]
    _expect(abs(sum(luck) / 200) < 0.2, "thirty cells that differ by chance alone must give a report of about zero")
@_checks("one scale for each row, the largest weight at ±127, nothing off by more than half a step")
def int8_per_row(answer: Callable) -> None:
    """The answer maps weights (out, in) to int8 weights of the same shape and scales (out,)."""
    weights = torch.randn(5, 40) * torch.tensor([10.0, 1.0, 0.1, 1e-3, 1e-6])[:, None]
    kept = weights.clone()
    result = answer(weights)
    _expect(isinstance(result, tuple) and len(result) == 2, "return two tensors: the int8 weights and the scales")
    whole, scales = result
    _expect(torch.equal(weights, kept), "the weights that were handed in must stay as they were: work on a copy")
    _expect(whole.dtype == torch.int8 and whole.shape == weights.shape, "the weights must be torch.int8, of the same shape")
    _expect(scales.shape == (5,) and bool((scales > 0).all()), "one scale > 0 for each row: shape (out,)")
    error = (whole * scales[:, None] - weights).abs().amax(1) / scales
    _expect(bool((error <= 0.5001).all()), f"int8 times scale is off by up to {error.max():.2f} steps: round, do not cut off")
    largest = whole.int().abs().amax(1)
    _expect(bool((largest == 127).all()), f"each row's largest weight must become 127 or −127, here {largest.tolist()}")
    whole, scales = answer(torch.zeros(2, 3))
    _expect(bool((scales > 0).all()) and not whole.any(), "a row of zeros must stay zero, with a scale > 0: 0 / 0 is no number")


@_checks("cut off downwards, wrapped around at the ends, the same again when applied twice")
def fixed_point(answer: Callable) -> None:
    """The answer maps numbers (n,), width and integer bits to what ap_fixed<width, integer> stores of them, as floats."""
    for width, integer in [(8, 4), (6, 2), (16, 6), (5, 5)]:
        name, step, half = f"<{width},{integer}>", 2.0 ** (integer - width), 2.0 ** (integer - 1)
        exact = torch.arange(-half, half, step).double()
        _expect(_close(answer(exact, width, integer), exact), f"{name} holds multiples of {step:g} from {-half:g} to below {half:g}: keep them")
        inside = (torch.rand(200).double() * 2 - 1) * (half - step)
        got = torch.as_tensor(answer(inside, width, integer)).double()
        _expect(_close(got / step, (got / step).round()), f"{name} stores multiples of 2 ** ({integer} - {width}) = {step:g} only")
        _expect(not bool((got > inside + 1e-9).any()), f"{name} cuts off downwards, also below zero: floor, not round")
        _expect(_close(got, (inside / step).floor() * step), f"{name} must keep the next multiple of {step:g} below")
        for x, wrapped in [(half, -half), (half + step, step - half), (-half - step, half - step), (3 * half, -half)]:
            [got] = torch.as_tensor(answer(torch.tensor([x]).double(), width, integer)).tolist()
            _expect(got == wrapped, f"{name} ends below {half:g} and wraps around: {x:g} becomes {wrapped:g}, not {got:g}")
