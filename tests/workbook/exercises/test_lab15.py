"""The labs' checks: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import labs as check_labs


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
    (check_labs.jain_index, jain, "✓"),
    (check_labs.jain_index, lambda x: None, "not attempted"),
    (check_labs.jain_index, lambda x: sum(x) ** 2 / sum(a * a for a in x), "number of shares in the denominator"),
    (check_labs.jain_index, lambda x: sum(a * a for a in x) / (len(x) * sum(x) ** 2), "equal shares must give 1"),
    (check_labs.jain_index, lambda x: min(x) / max(x), "square the sum"),
    (check_labs.jain_index, lambda x: 1.0 if x[-1] else 1 / 4, "of 10 with equal shares"),
    (check_labs.largest_remainder, remainder, "✓"),
    (check_labs.largest_remainder, lambda n, s: None, "not attempted"),
    (check_labs.largest_remainder, lambda n, s: [round(n * x / sum(s)) for x in s], "your shares sum to"),
    (check_labs.largest_remainder, lambda n, s: [n * x / sum(s) for x in s], "a chunk is not cut"),
    (check_labs.largest_remainder, lambda n, s: [n], "one number for each device"),
    (check_labs.largest_remainder, all_to_the_first, "rounded down or up"),
    (check_labs.largest_remainder, to_the_smallest_remainder, "largest remainders"),
    (check_labs.largest_remainder, lambda n, s: s / n, "raised TypeError"),
]


@pytest.mark.parametrize("check, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, check, answer, said):
    check(answer)
    assert said in capsys.readouterr().out
