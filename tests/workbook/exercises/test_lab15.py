"""The checks of lab 15: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import lab15 as check


def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))


def remainder(n, speeds):
    quotas = [n * s / sum(speeds) for s in speeds]
    shares = [int(q) for q in quotas]
    for i in sorted(range(len(speeds)), key=lambda i: shares[i] - quotas[i])[: n - sum(shares)]:
        shares[i] += 1
    return shares


def all_to_the_first(n, speeds):
    shares = [int(n * s / sum(speeds)) for s in speeds]
    return [shares[0] + n - sum(shares), *shares[1:]]


def to_the_smallest_remainder(n, speeds):
    quotas = [n * s / sum(speeds) for s in speeds]
    shares = [int(q) for q in quotas]
    for i in sorted(range(len(speeds)), key=lambda i: quotas[i] - shares[i])[: n - sum(shares)]:
        shares[i] += 1
    return shares


CASES = [
    (check.jain_index, jain, "✓"),
    (check.jain_index, lambda x: None, "not attempted"),
    (check.jain_index, lambda x: sum(x) ** 2 / sum(a * a for a in x), "number of shares in the denominator"),
    (check.jain_index, lambda x: sum(a * a for a in x) / (len(x) * sum(x) ** 2), "equal shares must give 1"),
    (check.jain_index, lambda x: min(x) / max(x), "square the sum"),
    (check.jain_index, lambda x: 1.0 if x[-1] else 1 / 4, "of 10 with equal shares"),
    (check.largest_remainder, remainder, "✓"),
    (check.largest_remainder, lambda n, s: None, "not attempted"),
    (check.largest_remainder, lambda n, s: [round(n * x / sum(s)) for x in s], "your shares sum to"),
    (check.largest_remainder, lambda n, s: [n * x / sum(s) for x in s], "a chunk is not cut"),
    (check.largest_remainder, lambda n, s: [n], "one number for each device"),
    (check.largest_remainder, all_to_the_first, "rounded down or up"),
    (check.largest_remainder, to_the_smallest_remainder, "largest remainders"),
    (check.largest_remainder, lambda n, s: s / n, "raised TypeError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    assert said in capsys.readouterr().out
