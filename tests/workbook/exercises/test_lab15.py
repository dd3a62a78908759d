"""The checks of lab 15: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import lab15 as check


def guided(left, devices, least=16, share=2):
    """Polychronopoulos and Kuck's rule, with a least size."""
    return min(left, max(least, left // (share * devices)))


CASES = [
    (check.next_chunk, guided, "✓"),
    (check.next_chunk, lambda left, devices: guided(left, devices, least=8, share=1), "✓"),
    (check.next_chunk, lambda left, devices: min(left, 24 + left // (3 * devices)), "✓"),
    (check.next_chunk, lambda left, devices: None, "not attempted"),
    (check.next_chunk, lambda left, devices: 32, "a whole number from 1 to"),
    (check.next_chunk, lambda left, devices: left / devices, "a whole number from 1 to"),
    (check.next_chunk, lambda left, devices: left // (6 * devices), "a whole number from 1 to"),
    (check.next_chunk, lambda left, devices: 1, "let it follow what is left. Most of it is the price of the calls"),
    (check.next_chunk, lambda left, devices: min(left, 128), "let it follow what is left. Most of it is waiting"),
    (check.next_chunk, lambda left, devices: max(1, left // (6 * devices)), "s. Most of it is the price of the calls"),
    (check.next_chunk, lambda left, devices: max(1, left // 2), "chunks. Most of it is waiting: smaller chunks when"),
    (check.next_chunk, lambda left, devices: left // 0, "raised ZeroDivisionError"),
    (check.hidden, lambda n: [1.0] * (n - n // 10) + [0.2] * (n // 10), "✓"),
    (check.hidden, lambda n: [0.2] * (n // 10) + [0.98, 1.0] * (n // 10) + [0.99] * (n - 3 * (n // 10)), "✓"),
    (check.hidden, lambda n: None, "not attempted"),
    (check.hidden, lambda n: [1.0] * 9 + [0.2], "one recall for each of the 20"),
    (check.hidden, lambda n: [100.0] * (n - n // 10) + [20.0] * (n // 10), "lies between 0 and 1"),
    (check.hidden, lambda n: [0.95] * n, "must have a recall of at most 0.2, 0 have"),
    (check.hidden, lambda n: [0.2] * n, "how good may the others be"),
    (check.hidden, lambda n: [1.0] * (n - n // 10) + [0.0] * (n // 10), "must one class be missed altogether"),
    (check.hidden, lambda n: 0.9, "raised TypeError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed, printed


def over_the_bound(next_chunk):
    return max(check.shared_queue(next_chunk, *fleet)[0] / check.bound(*fleet) for _, *fleet in check.FLEETS)


def test_no_fixed_size_stays_within_what_the_first_exercise_asks():
    sizes = [over_the_bound(lambda left, devices: min(left, size)) for size in range(1, 1001)]
    assert check.WITHIN < min(sizes)


def test_a_call_costs_what_the_hint_says():
    makespan, chunks, idle = check.shared_queue(lambda left, devices: 50, 100, (100, 100), float("inf"))
    assert (makespan, chunks, idle) == pytest.approx((0.52, 2, 0))
    assert check.bound(100, (100, 100), float("inf")) == 0.5
    assert check.bound(100, (100, 100), 0.25) == pytest.approx(0.25 + 50 / 125)
