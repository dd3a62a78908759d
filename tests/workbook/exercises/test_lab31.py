"""The checks of lab 31: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import statistics

import pytest

from workbook.exercises import lab31 as check


def hopeless(value, others, least):
    return len(others) >= least and value < statistics.median(others)


def front(students, beats=lambda one, other: one != other and one[0] >= other[0] and one[1] <= other[1]):
    return [i for i, student in enumerate(students) if not any(beats(other, student) for other in students)]


def sorted_front(students):
    """The same by going from the fastest on, and keeping whoever is better than all before."""
    order, kept, best = sorted(range(len(students)), key=lambda i: (students[i][1], -students[i][0])), [], None
    for i in order:
        if best is None or students[i][0] > best[0] or students[i] == best:
            kept.append(i)
            best = students[i]
    return kept


def in_place(value, others, least):
    others.sort()
    return hopeless(value, others, least)


CASES = [
    (check.hopeless, hopeless, "✓"),
    (check.hopeless, lambda value, others, least: None, "not attempted"),
    (check.hopeless, lambda value, others, least: "yes", "return True or False"),
    (check.hopeless, lambda value, others, least: False, "50 is below"),
    (check.hopeless, lambda value, others, least: True, "90 is above"),
    (check.hopeless, lambda v, o, n: len(o) >= n and v < statistics.fmean(o), "their mean 48"),
    (check.hopeless, lambda v, o, n: len(o) >= n and v <= statistics.median(o), "equals the median goes on"),
    (check.hopeless, lambda v, o, n: v < statistics.median(o), "raised StatisticsError"),
    (check.hopeless, lambda v, o, n: bool(o) and v < statistics.median(o), "fewer than `least`"),
    (check.hopeless, lambda v, o, n: len(o) > n and v < statistics.median(o), "50 is below"),
    (check.hopeless, in_place, "must stay as it was"),
    (check.front, front, "✓"),
    (check.front, sorted_front, "✓"),
    (check.front, lambda students: None, "not attempted"),
    (check.front, lambda students: [students[i] for i in front(students)], "a list of places"),
    (check.front, lambda students: list(range(len(students))), "is beaten by"),
    (check.front, lambda students: [max(range(len(students)), key=lambda i: students[i])], "places 0 and 1"),
    (check.front, lambda s: front(s, lambda a, b: a[0] > b[0] and a[1] < b[1]), "better in one of the two is enough"),
    (check.front, lambda s: front(s, lambda a, b: a[0] >= b[0] and a[1] < b[1]), "as fast and less accurate"),
    (check.front, lambda s: [i for i in front(s) if s[i] not in s[:i]], "two equal students"),
    (check.front, lambda s: front(s, lambda a, b: a != b and a[0] >= b[0] and a[1] >= b[1]), "low latency is good"),
    (check.optimism, lambda luck: luck.max(1).values.mean(), "✓"),
    (check.optimism, lambda luck: sum(max(row) for row in luck.tolist()) / len(luck), "✓"),
    (check.optimism, lambda luck: None, "not attempted"),
    (check.optimism, lambda luck: luck.max(1).values, "return one number"),
    (check.optimism, lambda luck: luck.max(), "1 is the luckiest of all"),
    (check.optimism, lambda luck: luck.mean(), "reports its best setting"),
    (check.optimism, lambda luck: luck.max(0).values.mean(), "not of each column"),
    (check.optimism, lambda luck: luck.max(1).values.sum() + 0.5, "the mean of 1 and −1"),
    (check.optimism, lambda luck: luck.max(1).values.median() * 0 + luck.max(1).values.sum(), "for 1 settings"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1, printed
