"""The checks of lab 16, TPU, FPGA and bare C: any right answer passes. What a check is made of stands in base.py."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from kdlab import data
from workbook.exercises.base import checks, close, expect


@checks("one scale for each row, the largest weight at ±127, nothing off by more than half a step")
def int8_per_row(answer: Callable) -> None:  # 16, exercise 1
    """The answer maps weights (out, in) to int8 weights of the same shape and scales (out,)."""
    weights = torch.randn(5, 40) * torch.tensor([10.0, 1.0, 0.1, 1e-3, 1e-6])[:, None]
    kept = weights.clone()
    result = answer(weights)
    expect(isinstance(result, tuple) and len(result) == 2, "return two tensors: the int8 weights and the scales")
    whole, scales = result
    expect(torch.equal(weights, kept), "the weights that were handed in must stay as they were: work on a copy")
    hint = "the weights must be torch.int8, of the same shape"
    expect(whole.dtype == torch.int8 and whole.shape == weights.shape, hint)
    expect(scales.shape == (5,) and bool((scales > 0).all()), "one scale > 0 for each row: shape (out,)")
    error = (whole * scales[:, None] - weights).abs().amax(1) / scales
    hint = f"int8 times scale is off by up to {error.max():.2f} steps: round, do not cut off"
    expect(bool((error <= 0.5001).all()), hint)
    largest = whole.int().abs().amax(1)
    expect(bool((largest == 127).all()), f"each row's largest weight must become 127 or −127, here {largest.tolist()}")
    whole, scales = answer(torch.zeros(2, 3))
    hint = "a row of zeros must stay zero, with a scale > 0: 0 / 0 is no number"
    expect(bool((scales > 0).all()) and not whole.any(), hint)


@checks("cut off downwards, wrapped around at the ends, the same again when applied twice")
def fixed_point(answer: Callable) -> None:  # 16, exercise 3
    """The answer maps numbers (n,), width and integer bits to what ap_fixed<width, integer> stores, as floats."""
    for width, integer in [(8, 4), (6, 2), (16, 6), (5, 5)]:
        name, step, half = f"<{width},{integer}>", 2.0 ** (integer - width), 2.0 ** (integer - 1)
        exact = torch.arange(-half, half, step).double()
        hint = f"{name} holds multiples of {step:g} from {-half:g} to below {half:g}: keep them"
        expect(close(answer(exact, width, integer), exact), hint)
        inside = (torch.rand(200).double() * 2 - 1) * (half - step)
        got = torch.as_tensor(answer(inside, width, integer)).double()
        hint = f"{name} stores multiples of 2 ** ({integer} - {width}) = {step:g} only"
        expect(close(got / step, (got / step).round()), hint)
        expect(not bool((got > inside + 1e-9).any()), f"{name} cuts off downwards, also below zero: floor, not round")
        expect(close(got, (inside / step).floor() * step), f"{name} must keep the next multiple of {step:g} below")
        for x, wrapped in [(half, -half), (half + step, step - half), (-half - step, half - step), (3 * half, -half)]:
            [got] = torch.as_tensor(answer(torch.tensor([x]).double(), width, integer)).tolist()
            hint = f"{name} ends below {half:g} and wraps around: {x:g} becomes {wrapped:g}, not {got:g}"
            expect(got == wrapped, hint)


@checks("it fits into 1,000 bytes of flash and reads nine digits of ten, with its weights in int8")
def kilobyte(answer: Callable) -> None:  # 16, exercise 2, open
    """The answer maps the digits to a trained network: float (n, 1, 8, 8), normalized, to logits (n, 10)."""
    digits = data.load("digits", seed=0)
    student = answer(digits)
    expect(isinstance(student, nn.Module), f"return the network itself, a torch module, not {type(student).__name__}")
    student = copy.deepcopy(student).eval()
    tables = [p for p in student.parameters() if p.dim() > 1]
    taken = sum(p.numel() + 12 * len(p) for p in tables)
    hint = f"its constants take {taken:,} bytes: one for each weight and 12 for each row; 1,000 are allowed"
    expect(0 < taken <= 1000, hint)
    with torch.no_grad():
        for weights in tables:
            flat = weights.flatten(1)
            steps = flat.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
            weights.copy_(((flat / steps).round() * steps).view_as(weights))
        right = (student(digits.normalize(digits.test.images)).argmax(1) == digits.test.labels).double().mean().item()
    hint = f"in int8 it reads {100 * right:.1f} % of the test digits, 90 are wanted: "
    expect(right >= 0.3, hint + "has it been trained, on all the images?")
    expect(right >= 0.9, hint + "spend the bytes otherwise, or train it longer")
