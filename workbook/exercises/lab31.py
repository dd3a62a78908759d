"""The checks of lab 31, a search: any right answer passes. What a check is made of stands in base.py."""

import statistics
from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("a trial below the median of the others is left, and none before there are enough of them")
def hopeless(answer: Callable) -> None:  # 31, exercise 1
    """The answer maps a trial's accuracy so far, those of others at the same step, and `least` to True or False."""
    one = answer(50.0, [60.0, 70.0, 80.0], 3)
    expect(isinstance(one, (bool, int)) or type(one).__name__ == "bool", "return True or False")
    expect(bool(one), "50 is below 60, 70 and 80: this trial is hopeless")
    expect(not answer(90.0, [60.0, 70.0, 80.0], 3), "90 is above 60, 70 and 80: this trial goes on")
    given = [70.0, 10.0, 70.0, 20.0, 71.0]
    hint = "for 60 among 10, 20, 70, 70, 71: their median is 70, their mean 48; one bad trial must not move the mark"
    expect(answer(60.0, list(given), 5), hint)
    expect(not answer(70.0, list(given), 5), "a trial that equals the median goes on")
    expect(not answer(5.0, [], 1), "without any other trial there is nothing to compare with: it goes on")
    expect(not answer(5.0, [60.0, 70.0], 3), "with fewer than `least` others nothing is left: they may be bad luck")
    expect(answer(5.0, [60.0, 70.0, 80.0], 3), "with `least` others the rule holds: fewer than, not as many as")
    kept = list(given)
    answer(1.0, kept, 1)
    expect(kept == given, "the list that was handed in must stay as it was")
    for _ in range(50):
        others = (100 * torch.rand(int(torch.randint(1, 9, ())))).tolist()
        value, middle = 100 * float(torch.rand(())), statistics.median(others)
        said = f"for {value:.1f} and the median {middle:.1f} of {len(others)} others"
        expect(bool(answer(value, list(others), 1)) == (value < middle), said)


@checks("just those that no other one beats, equal ones among them")
def front(answer: Callable) -> None:  # 31, exercise 2
    """The answer maps a list of (accuracy, latency) to the places of those on the Pareto front."""
    students = [(90.0, 50.0), (95.0, 80.0), (93.0, 90.0), (88.0, 60.0)]
    got = answer(list(students))
    whole = isinstance(got, (list, tuple, set)) and all(isinstance(place, int) for place in got)
    expect(whole, "return a list of places in the list that was given, such as [0, 1]")
    expect(sorted(got) != [1, 2], "a low latency is good: (90 %, 50 µs) is not beaten, as nobody is faster")
    expect(2 not in got, "(93 %, 90 µs) is beaten by (95 %, 80 µs): it is less accurate, and slower")
    expect(sorted(got) == [0, 1], f"of {students} places 0 and 1 are on the front")
    expect(list(answer([(70.0, 9.0)])) == [0], "a single student is on the front: nobody beats it")
    same = [(90.0, 50.0), (90.0, 50.0)]
    expect(sorted(answer(list(same))) == [0, 1], "two equal students do not beat each other: both stay")
    enough = "is beaten: better in one of the two is enough"
    expect(sorted(answer([(90.0, 50.0), (90.0, 60.0)])) == [0], f"as accurate and slower {enough}")
    expect(sorted(answer([(90.0, 50.0), (91.0, 50.0)])) == [1], f"as fast and less accurate {enough}")
    for _ in range(30):
        points = [tuple(point) for point in torch.randint(0, 6, (12, 2)).double().tolist()]
        wanted = [i for i, (a, t) in enumerate(points)
                  if not any(b >= a and u <= t and (b, u) != (a, t) for b, u in points)]
        expect(sorted(answer(list(points))) == wanted, f"for {points} it is {wanted}")


@checks("the mean over searches of what the luckiest of their settings shows")
def optimism(answer: Callable) -> None:  # 31, exercise 3
    """The answer maps luck (searches, settings), of settings that are all equally good, to a search's mean optimism."""
    luck = torch.tensor([[1.0, -2.0, 0.0], [-1.0, -3.0, -2.0]])
    got = answer(luck.clone())
    number = torch.as_tensor(got).numel() == 1
    expect(number, "return one number: the mean over all searches")
    got = float(got)
    expect(got != 1.0, "1 is the luckiest of all: take the highest of each search, a row, and then the mean")
    expect(got != float(luck.mean()), "the mean of all luck is near 0; but a search reports its best setting")
    expect(got != float(luck.max(0).values.mean()), "the highest of each row, which is a search, not of each column")
    expect(close(got, 0.0), "for the rows (1, −2, 0) and (−1, −3, −2) it is 0: the mean of 1 and −1")
    for settings in (1, 2, 10, 50):
        luck = torch.randn(500, settings)
        wanted = luck.max(1).values.mean()
        expect(close(float(answer(luck)), wanted, 1e-4), f"for {settings} settings it is {float(wanted):.2f}")
