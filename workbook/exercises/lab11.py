"""The checks of lab 11, the map of alpha and temperature; what a check is made of stands in base.py."""

import math
import random
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


ALPHAS, TEMPERATURES = (0, 0.25, 0.5, 0.75, 1), (1, 2, 4, 8, 16, 32)
CELLS = [(alpha, t) for alpha in ALPHAS for t in TEMPERATURES]
BUDGET = 60  # trainings
MAPS = 60
FRESH = 5  # seeds


class _Map:
    """A map made of numbers, whose best cell is drawn: what `train` says of a cell, and what is true of it."""

    def __init__(self, number: int):
        self.number, draw = number, random.Random(number)
        self.alpha, self.temperature = draw.choice(ALPHAS[1:]), draw.choice(TEMPERATURES[1:])
        self.asked: dict[int, set[tuple]] = {}  # seed → its cells, alpha = 0 as (0,)
        self.calls = 0

    def gain(self, cell: tuple) -> float:
        """In points over the student alone, without any luck."""
        away = abs(math.log2(cell[1] / self.temperature))
        return 12 - 3 * away - 8 * abs(cell[0] - self.alpha) if cell[0] else 0.0

    def train(self, cell: tuple, seed: int) -> float:
        cell, seed = tuple(cell), int(seed)
        expect(cell in CELLS, f"train was given {cell!r}, which is not one of the cells")
        self.calls += 1
        expect(self.calls <= BUDGET, f"the budget is {BUDGET} trainings; those with alpha = 0 count, too")
        key = cell if cell[0] else (0,)  # a student alone knows no temperature
        self.asked.setdefault(seed, set()).add(key)
        split, own = (random.Random(f"{self.number} {seed} {part}") for part in ("split", key))
        return 78 + split.gauss(0, 4) + self.gain(cell) + own.gauss(0, 1.5)


@checks("a good cell within the budget, and its gain without the luck of the choice")
def search(answer: Callable) -> None:  # 11, the open task
    """The answer maps train(cell, seed), the accuracy in %, and the cells to the cell chosen and its gain."""
    maps, behind, off, fresh, paired = [_Map(number) for number in range(MAPS)], [], [], [], []
    for one in maps:
        cell, gain = answer(one.train, list(CELLS))
        expect(tuple(cell) in CELLS, f"return one of the cells and its gain, got {cell!r}")
        cell, alone = tuple(cell), [seed for seed, cells in one.asked.items() if (0,) in cells]
        behind.append(max(map(one.gain, CELLS)) - one.gain(cell))
        off.append(float(gain) - one.gain(cell))
        fresh.append(sum(one.asked[seed] == {(0,), cell} for seed in alone))
        paired.append(max(len(cells - {(0,)}) for cells in one.asked.values()))
    hint = "a gain is the accuracy minus that of the student alone, alpha = 0, on the same seeds"
    expect(abs(sum(off)) / MAPS < 30, hint)
    behind, off = sum(behind) / MAPS, sum(off) / MAPS
    hint = "each cell has had a seed of its own, and a split can be lucky: compare cells on the same seeds"
    expect(behind < 1 or max(paired) > 1, hint)
    hint = f"the chosen cells lie {behind:.1f} points behind the best, and less than 1 is asked: "
    hint += "try more cells, in both directions"
    expect(behind < 1, hint)
    hint = f"report on {FRESH} seeds or more that had no part in the choice: else its luck is still in the gain"
    expect(sorted(fresh)[MAPS // 2] >= FRESH, hint)
    expect(abs(off) < 0.6, f"over {MAPS} maps the reported gains are off by {off:+.1f} points in the mean")
