"""The checks of the open tasks in notebooks 02 and 05: many answers pass. What a check is made of stands in base.py."""

import math
import random
from collections.abc import Callable, Mapping

import torch

from workbook.exercises.base import checks, expect

GLYPHS, NEAR = "O0QCGDIl1S", "0QD"  # the classes of notebook 02, and those that resemble an O


@checks("sure at T = 1, and at T = 4 it tells which characters resemble an O")
def logits_of_an_o(answer: Callable) -> None:  # 02, open task
    """The answer takes nothing and returns ten logits for a picture of an O, in the order of GLYPHS."""
    given = torch.as_tensor(answer(), dtype=torch.float64).flatten()
    expect(given.shape == (10,), f"return ten numbers, one for each of {' '.join(GLYPHS)}, got {given.numel()}")
    expect(bool(given.isfinite().all()), "logits are finite numbers")
    share, soft = (dict(zip(GLYPHS, (given / t).softmax(0).tolist())) for t in (1.0, 4.0))
    hint = "these are probabilities already, and the softmax still follows: give their logarithms"
    near = sum(soft[name] for name in NEAR)
    expect(share["O"] >= 0.9 or given.min() < 0 or abs(given.sum().item() - 1) > 1e-3, hint)
    expect(share["O"] >= 0.9, f"at T = 1 O must get 90 %, it gets {share['O']:.0%}: raise its logit above the others")
    far = max(soft[name] for name in GLYPHS if name not in "O" + NEAR)
    hint = "0, Q and D must each get more than any of the other six: give them larger logits"
    expect(min(soft[name] for name in NEAR) > far, hint)
    hint = "lower the logit of O, or raise theirs"
    expect(near >= 0.3, f"at T = 4 0, Q and D must get 30 % together, they get {near:.0%}: {hint}")
    rest = 1 - near - soft["O"]
    hint = "logits may be negative"
    expect(rest <= 0.15, f"at T = 4 the other six may get 15 % together, they get {rest:.0%}: {hint}")


@checks("within the budget, never one that is shown to be worse, nothing dearer without a reason, in any order")
def ship(answer: Callable) -> None:  # 05, open task
    """The answer maps name → (low, high, kB, ms), a budget in kB and one in ms, to a name or to "nothing"."""
    three = {"small": (70, 74, 12, 0.1), "medium": (80, 83, 25, 0.2), "large": (88, 90, 400, 3.0)}
    got = answer(dict(three), 50, 1.0)
    expect(got in (*three, "nothing"), f'return the name of a candidate, or "nothing", got {got!r}')
    expect(got != "large", "large has the best accuracy and does not fit: sort out what is over the budget first")
    expect(got != "small", "small and medium both fit, and all of small's interval lies below medium's: it is worse")
    expect(got == "medium", "medium fits, and is shown to be better than small: ship it")
    expect(answer(dict(three), 25, 0.2) == "medium", "25 kB and 0.2 ms meet a budget of 25 kB and 0.2 ms")
    expect(answer(dict(three), 500, 1.0) == "medium", "large meets the budget in kB, and not in ms: it must meet both")
    expect(answer(dict(three), 10, 1.0) == "nothing", 'where no candidate fits, return "nothing"')
    expect(answer({}, 10, 1.0) == "nothing", 'without candidates, return "nothing"')
    near = {"big": (81, 87, 40, 0.8), "tiny": (79, 85, 8, 0.1)}
    hint = "their intervals overlap, so big is not shown to be better, and tiny is smaller and faster: ship tiny"
    expect(answer(near, 50, 1.0) == "tiny", hint)
    draw = random.Random(0)
    for _ in range(200):
        some, kB, ms = _candidates(draw), draw.choice([20, 40, 60]), draw.choice([0.3, 0.6, 0.9])
        got, again = answer(dict(some), kB, ms), answer(dict(reversed(some.items())), kB, ms)
        expect(got == again, f"the order of the candidates must not matter: {got} and {again} for {some}")
        expect(got in _right(some, kB, ms), f"{got} is not the one for {some} within {kB} kB and {ms} ms")


def _candidates(draw: random.Random) -> dict[str, tuple]:
    middles = [draw.randint(70, 90) for _ in range(draw.randint(1, 5))]
    return {
        name: (middle - draw.randint(1, 5), middle + draw.randint(1, 5), draw.randint(1, 9) * 8, draw.randint(1, 9) / 8)
        for name, middle in zip("abcde", middles)
    }


def _right(candidates: Mapping[str, tuple], kB: float, ms: float) -> set[str]:
    """The names that may be shipped: those that fit, are not shown to be worse, and are not dearer in both ways."""
    fit = {name: it for name, it in candidates.items() if it[2] <= kB and it[3] <= ms}
    shown = max((it[0] for it in fit.values()), default=-math.inf)
    level = {name: it for name, it in fit.items() if it[1] >= shown}
    dearer = {name for name, it in level.items() if any(o[2] < it[2] and o[3] < it[3] for o in level.values())}
    return set(level) - dearer or {"nothing"}
