"""Checks for the exercises of the labs, in the manner of check.py: ✓, a hint, or "not attempted"."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from workbook.exercises.lesson import _checks, _close, _expect, _NotAttempted


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


@_checks("zero stays zero, the ends stay in, and no value inside is off by more than half a step")
def quantize(answer: Callable) -> None:
    """The answer maps a float tensor to (numbers 0 .. 255, scale, zero point), with x ≈ scale · (numbers − zero point)."""
    cases = {
        "both signs": torch.linspace(-1.7, 3.1, 101),
        "positive values only": 5 + torch.rand(50),
        "negative values only": -5 - torch.rand(50),
    }
    for name, x in cases.items():
        kept = x.clone()
        numbers, scale, zero = answer(x)
        scale, zero = float(scale), float(zero)
        _expect(torch.equal(x, kept), "the tensor that was handed in must stay as it was")
        _expect(torch.is_tensor(numbers) and numbers.shape == x.shape, "return a tensor of the same shape first")
        numbers = numbers.double()
        _expect(bool((numbers == numbers.round()).all()), "the numbers must be whole: round them")
        _expect(numbers.min() >= 0 and numbers.max() <= 255, "the numbers must lie in 0 .. 255: clamp them")
        _expect(zero == round(zero) and 0 <= zero <= 255, f"{name}: the zero point is one of the numbers 0 .. 255, got {zero:g}")
        low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
        step = (high - low) / 255
        error = (scale * (numbers - zero) - x.double()).abs().max().item()
        _expect(scale > 0.99 * step, f"{name}: 255 steps must reach from {low:.2f} to {high:.2f}, with 0 inside")
        _expect(scale < 1.02 * step, f"{name}: the step is larger than it need be: (high − low) / 255 with 0 inside")
        _expect(error <= 1.02 * step, f"{name}: the largest error is {error / step:.1f} steps: numbers = x / scale + zero point, rounded")


@_checks("the fastest of those that keep the budget, and None where there is none")
def choose(answer: Callable) -> None:
    """The answer maps rows (dicts with name, ms, kb, accuracy), max_ms, max_kb and min_accuracy to a name or None."""
    rows = [
        {"name": "a", "ms": 2.0, "kb": 30, "accuracy": 0.90},
        {"name": "b", "ms": 0.5, "kb": 900, "accuracy": 0.90},
        {"name": "c", "ms": 1.0, "kb": 20, "accuracy": 0.85},
        {"name": "d", "ms": 1.5, "kb": 25, "accuracy": 0.89},
    ]

    def ask(*budget):
        try:
            return answer(rows, *budget)
        except _NotAttempted:
            return None

    if ask(10.0, 1000, 0.0) is None:
        raise _NotAttempted
    _expect(ask(10.0, 1000, 0.0) == "b", "where all keep the budget the fastest wins")
    _expect(ask(10.0, 100, 0.0) == "c", "a row with more kb than the budget is out")
    _expect(ask(10.0, 100, 0.88) == "d", "a row below the accuracy that was asked for is out")
    _expect(ask(1.2, 100, 0.88) is None, "where no row keeps all three, return None")
    _expect(ask(1.0, 20, 0.85) == "c", "a row that meets its budget exactly keeps it")
@_checks("2**bits levels with zero among them, torch's own values, and torch's own gradient")
def fake_quantize(answer: Callable) -> None:
    """The answer maps x, a range low <= 0 <= high and a number of bits to x on the levels, straight through."""
    for low, high, bits in [(-1.3, 2.0, 4), (0.0, 3.0, 2), (-2.0, 0.7, 8)]:
        where = f"for a range of [{low:g}, {high:g}] and {bits} bits"
        x = torch.cat([torch.tensor([0.0, low - 1, high + 1]), torch.empty(4000).uniform_(low - 0.5, high + 0.5)])
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        got = answer(ours, low, high, bits)
        scale = (high - low) / (2**bits - 1)
        wanted = torch.fake_quantize_per_tensor_affine(theirs, scale, round(-low / scale), 0, 2**bits - 1)
        _expect(torch.is_tensor(got) and got.shape == x.shape, "return a tensor of the shape of x")
        count = len(got.detach().unique())
        _expect(count <= 2 * 2**bits, f"{where} there are {count} different values: round x / scale")
        _expect(got.detach()[1:3].abs().max() < max(-low, high) + scale, f"{where}: clamp the levels to 0 .. 2**bits − 1")
        _expect(count <= 2**bits, f"{where} there are {count} different values: the range has 2**bits − 1 steps")
        _expect(float(got.detach()[0]) == 0, f"{where} zero must stay zero: round the zero point to a whole level")
        inside = (x > low + scale) & (x < high - scale)
        far = (got.detach() - x)[inside].abs().max() > 0.51 * scale
        _expect(not far, f"{where} a value moves by more than half a step: is scale (high − low) / (2**bits − 1)?")
        _expect(_close(got.detach(), wanted.detach()), f"{where} the values differ from torch's: the range has 2**bits − 1 steps, not 2**bits")
        _expect(got.requires_grad, "no gradient comes back: detach only the difference that rounding makes")
        got.sum().backward()
        wanted.sum().backward()
        through = ours.grad is not None and bool(ours.grad[inside].any())
        _expect(through, "round has the gradient 0: let it pass, level + (level.round() − level).detach()")
        outside = (x < low - scale) | (x > high + scale)
        _expect(not ours.grad[outside].any(), "beyond the range the gradient must be 0: go straight through round, not through clamp")
        _expect(_close(ours.grad[inside], theirs.grad[inside]), "within the range the gradient must be 1")


@_checks("truly smaller, and the same answers as the large pair with those channels at zero")
def without_channels(answer: Callable) -> None:
    """The answer maps two Conv2d (a ReLU between them) and the channels to keep to two smaller Conv2d."""
    first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, stride=2)
    before = [p.clone() for p in (*first.parameters(), *second.parameters())]
    keep, x = torch.tensor([0, 3, 4]), torch.randn(2, 3, 9, 9)
    small = answer(first, second, keep)
    pair = isinstance(small, (tuple, list)) and len(small) == 2 and all(isinstance(m, nn.Conv2d) for m in small)
    _expect(pair, "return two nn.Conv2d, the smaller first and the smaller second")
    one, two = small
    _expect(all(map(torch.equal, before, (*first.parameters(), *second.parameters()))), "the given layers must stay as they were")
    _expect(one.weight.shape == (3, 3, 3, 3), f"of the first, keep rows of the weight: (3, 3, 3, 3), not {tuple(one.weight.shape)}")
    _expect(two.weight.shape == (4, 3, 3, 3), f"of the second, keep columns of the weight: (4, 3, 3, 3), not {tuple(two.weight.shape)}")
    _expect(one.bias is not None and one.bias.shape == (3,), "the biases of the kept channels come along, those of the others go")
    _expect(two.bias is not None and _close(two.bias.detach(), second.bias.detach()), "the second layer keeps all its biases")
    _expect(one.padding == first.padding and two.stride == second.stride, "stride and padding are those of the given layers")
    with torch.no_grad():
        mask = torch.zeros(6).index_fill(0, keep, 1.0).view(1, 6, 1, 1)
        wanted, got = second(first(x).relu() * mask), two(one(x).relu())
    hint = "the answers differ from those of the masked pair: same channels, in the same order, in both layers?"
    _expect(_close(wanted, got, 1e-4), hint)
@_checks("1 for equal shares, k/n where k of n get all, and the unit of the shares does not matter")
def jain_index(answer: Callable) -> None:
    """The answer maps shares (n,), >= 0 and not all 0, to Jain's index, a float in [1/n, 1]."""
    equal = float(answer([3.0, 3.0, 3.0, 3.0]))
    _expect(equal <= 1 + 1e-9, f"four equal shares must give 1, got {equal:g}: is the number of shares in the denominator?")
    _expect(_close(equal, 1.0), f"four equal shares must give 1, got {equal:g}")
    alone = float(answer([5.0, 0.0, 0.0, 0.0]))
    _expect(_close(alone, 0.25), f"one of four that gets everything must give 1/4, got {alone:g}: square the sum, sum the squares")
    for k in (1, 2, 7):
        got = float(answer([2.0] * k + [0.0] * (10 - k)))
        _expect(_close(got, k / 10), f"{k} of 10 with equal shares and none for the others must give {k / 10:g}, got {got:g}")
    shares = torch.rand(6).double()
    a, b = float(answer(shares.tolist())), float(answer((1000 * shares).tolist()))
    _expect(_close(a, b), f"milliseconds for seconds must not change it: {a:.3f} became {b:.3f}")
    right = (shares.sum() ** 2 / (6 * (shares**2).sum())).item()
    _expect(_close(a, right), f"for {[round(x, 2) for x in shares.tolist()]} it is {right:.4f}, got {a:.4f}")


@_checks("whole chunks that sum to n, each device within one of its quota, the largest remainders first")
def largest_remainder(answer: Callable) -> None:
    """The answer maps a number of chunks and speeds (devices,), >= 0 and not all 0, to whole numbers (devices,)."""
    cases = [(10, [1.0, 1.0, 1.0]), (7, [4.0, 2.0, 1.0]), (100, [6.7, 2.9, 0.4]), (3, [5.0, 5.0, 5.0, 1.0]), (0, [1.0, 2.0])]
    cases += [(int(n), torch.rand(5).tolist()) for n in torch.randint(1, 200, (30,))]
    for n, speeds in cases:
        got = list(answer(n, list(speeds)))
        said = f"for {n} chunks and speeds {[round(s, 2) for s in speeds]}"
        _expect(len(got) == len(speeds), f"{said}: return one number for each device, got {len(got)}")
        _expect(all(int(k) == k for k in got), f"{said}: a chunk is not cut, got {got}")
        quotas = [n * s / sum(speeds) for s in speeds]
        _expect(sum(got) == n, f"{said} your shares sum to {sum(got)}: hand out what rounding down leaves over")
        near = all(math.floor(q + 1e-9) <= k <= math.ceil(q - 1e-9) for k, q in zip(got, quotas))
        _expect(near, f"{said} each share is its quota rounded down or up; quotas {[round(q, 2) for q in quotas]}, got {got}")
        up = [q - math.floor(q) for k, q in zip(got, quotas) if k > q + 1e-9]
        down = [q - math.floor(q) for k, q in zip(got, quotas) if k < q - 1e-9]
        fair = not up or not down or min(up) >= max(down) - 1e-9
        _expect(fair, f"{said} the chunks left over go to the largest remainders; quotas {[round(q, 2) for q in quotas]}, got {got}")
@_checks("the shift is found, also where the teacher is wrong now and then, and 0 where nothing is shifted")
def row_shift(answer: Callable) -> None:
    """The answer maps a bank's logits (n, classes) and the labels (n,) to how far the rows are off, 0 .. n - 1."""
    labels = torch.randint(10, (80,))
    mistaken = torch.where(torch.rand(80) < 0.25, torch.randint(10, (80,)), labels)
    right = torch.randn(80, 10).scatter_add(1, mistaken[:, None], torch.full((80, 1), 6.0))
    for shift in (7, 0, 61):
        got = answer(right.roll(-shift, 0), labels)
        _expect(not isinstance(got, tuple | list) and float(got) == int(got), "return one whole number")
        _expect(int(got) == shift or int(got) != (80 - shift) % 80, "the other way round: row i belongs to image i + shift")
        _expect(int(got) == shift, f"the check's rows are shifted by {shift}, got {got}; try every shift, count the agreements")


@_checks("what was kept is exact, the rest has its probability, spread evenly")
def from_top_k(answer: Callable) -> None:
    """The answer maps values (n, k), places (n, k), rest (n,) and a number of classes to logits (n, classes)."""
    logits = 3 * torch.randn(6, 8)
    for k in (3, 1, 7):
        values, places = logits.topk(k)
        others = torch.ones(6, 8).scatter(1, places, 0.0).bool()
        rest = logits.masked_fill(~others, -torch.inf).logsumexp(1)
        full = answer(values, places, rest, 8)
        _expect(torch.is_tensor(full) and full.shape == (6, 8), "return a tensor of shape (n, classes)")
        _expect(_close(full.gather(1, places), values), "the kept logits must stand at their places, unchanged")
        left = full[others].view(6, 8 - k)
        _expect(_close(left, left[:, :1].expand_as(left)), "all left-out classes of a row get the same logit")
        _expect(not _close(left, rest[:, None].expand_as(left)) or k == 7, "rest is shared by classes - k: subtract its logarithm")
        kept = full.softmax(1).gather(1, places), logits.softmax(1).gather(1, places)
        _expect(_close(*kept), "the kept classes must have their old probabilities: what exp(rest) says is shared by the others")
