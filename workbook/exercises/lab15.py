"""The checks of lab 15, sharing the work: any right answer passes. What a check is made of stands in base.py."""

import math
from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("1 for equal shares, k/n where k of n get all, and the unit of the shares does not matter")
def jain_index(answer: Callable) -> None:  # 15, exercise 1
    """The answer maps shares (n,), >= 0 and not all 0, to Jain's index, a float in [1/n, 1]."""
    equal = float(answer([3.0, 3.0, 3.0, 3.0]))
    hint = f"four equal shares must give 1, got {equal:g}: is the number of shares in the denominator?"
    expect(equal <= 1 + 1e-9, hint)
    expect(close(equal, 1.0), f"four equal shares must give 1, got {equal:g}")
    alone = float(answer([5.0, 0.0, 0.0, 0.0]))
    hint = f"one of four that gets everything must give 1/4, got {alone:g}: square the sum, sum the squares"
    expect(close(alone, 0.25), hint)
    for k in (1, 2, 7):
        got = float(answer([2.0] * k + [0.0] * (10 - k)))
        hint = f"{k} of 10 with equal shares and none for the others must give {k / 10:g}, got {got:g}"
        expect(close(got, k / 10), hint)
    shares = torch.rand(6).double()
    a, b = float(answer(shares.tolist())), float(answer((1000 * shares).tolist()))
    expect(close(a, b), f"milliseconds for seconds must not change it: {a:.3f} became {b:.3f}")
    right = (shares.sum() ** 2 / (6 * (shares**2).sum())).item()
    expect(close(a, right), f"for {[round(x, 2) for x in shares.tolist()]} it is {right:.4f}, got {a:.4f}")


@checks("whole chunks that sum to n, each device within one of its quota, the largest remainders first")
def largest_remainder(answer: Callable) -> None:  # 15, exercise 2
    """The answer maps a number of chunks and speeds (devices,), >= 0 and not all 0, to whole numbers (devices,)."""
    cases = [(10, [1.0] * 3), (7, [4.0, 2.0, 1.0]), (100, [6.7, 2.9, 0.4]), (3, [5.0, 5.0, 5.0, 1.0]), (0, [1.0, 2.0])]
    cases += [(int(n), torch.rand(5).tolist()) for n in torch.randint(1, 200, (30,))]
    for n, speeds in cases:
        got = list(answer(n, list(speeds)))
        said = f"for {n} chunks and speeds {[round(s, 2) for s in speeds]}"
        expect(len(got) == len(speeds), f"{said}: return one number for each device, got {len(got)}")
        expect(all(int(k) == k for k in got), f"{said}: a chunk is not cut, got {got}")
        quotas = [n * s / sum(speeds) for s in speeds]
        expect(sum(got) == n, f"{said} your shares sum to {sum(got)}: hand out what rounding down leaves over")
        near = all(math.floor(q + 1e-9) <= k <= math.ceil(q - 1e-9) for k, q in zip(got, quotas))
        hint = f"{said} each share is its quota rounded down or up; quotas {[round(q, 2) for q in quotas]}, got {got}"
        expect(near, hint)
        up = [q - math.floor(q) for k, q in zip(got, quotas) if k > q + 1e-9]
        down = [q - math.floor(q) for k, q in zip(got, quotas) if k < q - 1e-9]
        fair = not up or not down or min(up) >= max(down) - 1e-9
        quotas = [round(q, 2) for q in quotas]
        expect(fair, f"{said} the chunks left over go to the largest remainders; quotas {quotas}, got {got}")
