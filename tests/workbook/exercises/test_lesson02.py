"""The open tasks of notebooks 02 and 05: different right answers pass, each typical mistake gets its own hint."""

import time

import pytest
from claims import hinted, told

from workbook.exercises import lesson02 as check

#       O  0  Q   C   G  D   I   l   1   S
SOFT = [9, 5, 5, -4, -4, 5, -7, -7, -7, -7]
OTHER = [20, 15, 16, 2, 3, 14, 0, 0, 0, 0]


def level(candidates, kB, ms):
    """Those that fit and are not shown to be worse than another that fits."""
    fit = {name: it for name, it in candidates.items() if it[2] <= kB and it[3] <= ms}
    shown = max((it[0] for it in fit.values()), default=0)
    return {name: it for name, it in fit.items() if it[1] >= shown}


def smallest(candidates, kB, ms):
    fit = level(candidates, kB, ms)
    return min(fit, key=lambda name: (fit[name][2], fit[name][3], name), default="nothing")


def fastest(candidates, kB, ms):
    fit = level(candidates, kB, ms)
    return min(fit, key=lambda name: (fit[name][3], fit[name][2], name), default="nothing")


def share_of_the_budget(candidates, kB, ms):
    fit = level(candidates, kB, ms)
    return min(fit, key=lambda name: (fit[name][2] / kB + fit[name][3] / ms, name), default="nothing")


def most_accurate(candidates, kB, ms):
    return max(candidates, key=lambda name: sum(candidates[name][:2]), default="nothing")


def most_accurate_that_fits(candidates, kB, ms):
    fit = {name: it for name, it in candidates.items() if it[2] <= kB and it[3] <= ms}
    return max(fit, key=lambda name: (sum(fit[name][:2]), name), default="nothing")


def smallest_that_fits(candidates, kB, ms):
    fit = {name: it for name, it in candidates.items() if it[2] <= kB and it[3] <= ms}
    return min(fit, key=lambda name: (fit[name][2], name), default="nothing")


def strictly_below(candidates, kB, ms):
    return smallest({name: it for name, it in candidates.items() if it[2] < kB and it[3] < ms}, kB, ms)


def size_alone(candidates, kB, ms):
    return smallest({name: it[:3] + (0,) for name, it in candidates.items()}, kB, ms)


def the_first(candidates, kB, ms):
    fit = level(candidates, kB, ms)
    least = min((it[2] * it[3] for it in fit.values()), default=0)
    return next((name for name, it in fit.items() if it[2] * it[3] <= 1.5 * least), "nothing")


def no_candidate(candidates, kB, ms):
    return min(level(candidates, kB, ms) or candidates, key=lambda name: candidates[name][2], default="nothing")


RIGHT = [
    (check.logits_of_an_o, lambda: SOFT),
    (check.logits_of_an_o, lambda: OTHER),
    (check.ship, smallest),
    (check.ship, fastest),
    (check.ship, share_of_the_budget),
]
WRONG = [
    (check.logits_of_an_o, lambda: [0.91, *[0.01] * 9], "give their logarithms"),
    (check.logits_of_an_o, lambda: SOFT[:4], "return ten numbers"),
    (check.logits_of_an_o, lambda: [float("inf"), *SOFT[1:]], "finite"),
    (check.logits_of_an_o, lambda: [0.4, *SOFT[1:]], "at T = 1 O must get 90 %"),
    (check.logits_of_an_o, lambda: [20, *[0] * 9], "0, Q and D must each get more"),
    (check.logits_of_an_o, lambda: [40, *SOFT[1:]], "lower the logit of O"),
    (check.logits_of_an_o, lambda: [9, 5, 5, 3, 3, 5, 3, 3, 3, 3], "logits may be negative"),
    (check.ship, most_accurate, "sort out what is over the budget"),
    (check.ship, smallest_that_fits, "it is worse"),
    (check.ship, lambda candidates, kB, ms: "nothing", "ship it"),
    (check.ship, lambda candidates, kB, ms: list(candidates), "return the name"),
    (check.ship, strictly_below, "meet a budget of 25 kB"),
    (check.ship, size_alone, "it must meet both"),
    (check.ship, no_candidate, "where no candidate fits"),
    (check.ship, most_accurate_that_fits, "ship tiny"),
    (check.ship, the_first, "order of the candidates"),
]


@pytest.mark.parametrize(("run", "answer"), RIGHT)
def test_right_answers_pass(run, answer, capsys):
    start = time.process_time()  # whatever else the machine does
    run(answer)
    assert capsys.readouterr().out.startswith("✓ ") and time.process_time() - start < 10


@pytest.mark.parametrize(("run", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(run, answer, hint, capsys):
    hinted(run, answer, hint, capsys)


@pytest.mark.parametrize("run", [check.logits_of_an_o, check.ship])
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    told(run, capsys)


def test_a_rule_that_ships_the_dearer_of_two_equals_is_caught_among_random_candidates(capsys):
    def dearest(candidates, kB, ms):
        fit = level(candidates, kB, ms)
        named = [name for name in ("medium", "tiny") if name in fit]
        return named[0] if named else max(fit, key=lambda name: (fit[name][2], name), default="nothing")

    check.ship(dearest)
    assert "is not the one for" in capsys.readouterr().out
