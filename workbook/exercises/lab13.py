"""The checks of lab 13, low precision: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch import nn

from workbook.exercises.base import checks, close, expect


@checks("2**bits levels with zero among them, torch's own values, and torch's own gradient")
def fake_quantize(answer: Callable) -> None:  # 13, exercise 1
    """The answer maps x, a range low <= 0 <= high and a number of bits to x on the levels, straight through."""
    for low, high, bits in [(-1.3, 2.0, 4), (0.0, 3.0, 2), (-2.0, 0.7, 8)]:
        where = f"for a range of [{low:g}, {high:g}] and {bits} bits"
        x = torch.cat([torch.tensor([0.0, low - 1, high + 1]), torch.empty(4000).uniform_(low - 0.5, high + 0.5)])
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        got = answer(ours, low, high, bits)
        scale = (high - low) / (2**bits - 1)
        wanted = torch.fake_quantize_per_tensor_affine(theirs, scale, round(-low / scale), 0, 2**bits - 1)
        expect(torch.is_tensor(got) and got.shape == x.shape, "return a tensor of the shape of x")
        count = len(got.detach().unique())
        expect(count <= 2 * 2**bits, f"{where} there are {count} different values: round x / scale")
        hint = f"{where}: clamp the levels to 0 .. 2**bits − 1"
        expect(got.detach()[1:3].abs().max() < max(-low, high) + scale, hint)
        expect(count <= 2**bits, f"{where} there are {count} different values: the range has 2**bits − 1 steps")
        expect(float(got.detach()[0]) == 0, f"{where} zero must stay zero: round the zero point to a whole level")
        inside = (x > low + scale) & (x < high - scale)
        far = (got.detach() - x)[inside].abs().max() > 0.51 * scale
        expect(not far, f"{where} a value moves by more than half a step: is scale (high − low) / (2**bits − 1)?")
        hint = f"{where} the values differ from torch's: the range has 2**bits − 1 steps, not 2**bits"
        expect(close(got.detach(), wanted.detach()), hint)
        expect(got.requires_grad, "no gradient comes back: detach only the difference that rounding makes")
        got.sum().backward()
        wanted.sum().backward()
        through = ours.grad is not None and bool(ours.grad[inside].any())
        expect(through, "round has the gradient 0: let it pass, level + (level.round() − level).detach()")
        outside = (x < low - scale) | (x > high + scale)
        hint = "beyond the range the gradient must be 0: go straight through round, not through clamp"
        expect(not ours.grad[outside].any(), hint)
        expect(close(ours.grad[inside], theirs.grad[inside]), "within the range the gradient must be 1")


@checks("truly smaller, and the same answers as the large pair with those channels at zero")
def without_channels(answer: Callable) -> None:  # 13, exercise 3
    """The answer maps two Conv2d (a ReLU between them) and the channels to keep to two smaller Conv2d."""
    first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, stride=2)
    before = [p.clone() for p in (*first.parameters(), *second.parameters())]
    keep, x = torch.tensor([0, 3, 4]), torch.randn(2, 3, 9, 9)
    small = answer(first, second, keep)
    pair = isinstance(small, (tuple, list)) and len(small) == 2 and all(isinstance(m, nn.Conv2d) for m in small)
    expect(pair, "return two nn.Conv2d, the smaller first and the smaller second")
    one, two = small
    hint = "the given layers must stay as they were"
    expect(all(map(torch.equal, before, (*first.parameters(), *second.parameters()))), hint)
    hint = f"of the first, keep rows of the weight: (3, 3, 3, 3), not {tuple(one.weight.shape)}"
    expect(one.weight.shape == (3, 3, 3, 3), hint)
    hint = f"of the second, keep columns of the weight: (4, 3, 3, 3), not {tuple(two.weight.shape)}"
    expect(two.weight.shape == (4, 3, 3, 3), hint)
    hint = "the biases of the kept channels come along, those of the others go"
    expect(one.bias is not None and one.bias.shape == (3,), hint)
    hint = "the second layer keeps all its biases"
    expect(two.bias is not None and close(two.bias.detach(), second.bias.detach()), hint)
    hint = "stride and padding are those of the given layers"
    expect(one.padding == first.padding and two.stride == second.stride, hint)
    with torch.no_grad():
        mask = torch.zeros(6).index_fill(0, keep, 1.0).view(1, 6, 1, 1)
        wanted, got = second(first(x).relu() * mask), two(one(x).relu())
    hint = "the answers differ from those of the masked pair: same channels, in the same order, in both layers?"
    expect(close(wanted, got, 1e-4), hint)


@checks("far less error than the widest scale leaves at 2 bits, less at 3 bits, and nothing lost at 8")
def scale_of(answer: Callable) -> None:  # 13, exercise 2
    """The answer maps weights (out, in) and the top level to a positive scale for each row; any good rule passes."""
    rows = {
        "normal weights": torch.randn(48, 64),
        "weights with a long tail": torch.randn(48, 64) * (1 + torch.rand(48, 64).pow(8) * 3),
        "rows of different sizes": torch.randn(48, 64) * torch.logspace(-3, 1, 48)[:, None],
    }
    zero = answer(torch.zeros(3, 8), 1)
    hint = "return a float tensor with one scale for each row: rows (out, in) → (out,)"
    expect(torch.is_tensor(zero) and zero.shape == (3,) and zero.is_floating_point(), hint)
    fine = bool(zero.isfinite().all()) and bool((zero > 0).all())
    expect(fine, "a row of zeros must get a scale > 0, too: clamp_min(1e-8)")
    limits = {1: 0.6, 3: 0.95, 127: 1.02}  # top level → error, as a part of that of the widest scale
    for name, weights in rows.items():
        kept = weights.clone()
        for top, most in limits.items():
            where = f"{name}, {1 + (top + 1).bit_length() - 1} bits"
            scale = answer(weights, top)
            expect(torch.equal(weights, kept), "the weights that were handed in must stay as they were")
            expect(scale.shape == (48,) and bool((scale > 0).all()), f"{where}: every scale must be > 0")
            widest = weights.abs().amax(1) / top
            part = error_of_rounding(weights, scale, top) / error_of_rounding(weights, widest, top)
            part = part.mean().item()  # rows count alike, whatever their size
            left = "it rounds as the widest scale does" if part > 0.999 else f"{part:.2f} of its error is left"
            hint = f"{where}: {left}; at most {most:g} may be: try smaller scales, and compare errors"
            if part > 1.001:
                hint = f"{where}: {part:.3g} times the error of the widest scale: cut off less where levels are many"
            expect(part <= most, hint)


def error_of_rounding(weights: torch.Tensor, scale: torch.Tensor, top: int) -> torch.Tensor:
    """The squared error of each row when its weights are rounded to the levels -top .. top."""
    levels = (weights / scale[:, None]).round().clamp(-top, top)
    return (levels * scale[:, None] - weights).square().sum(1)
