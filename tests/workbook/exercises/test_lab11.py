"""The checks of lab 11: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import lab11 as check


def without_t2(alpha, temperature):
    soft = alpha * temperature**2
    return soft / (soft + 1 - alpha)


def chosen(here, there):
    cell = here.mean(0).argmax()
    return int(cell), there[:, cell].mean().item()


CASES = [
    (check.alpha_without_t2, without_t2, "✓"),
    (check.alpha_without_t2, lambda a, t: None, "not attempted"),
    (check.alpha_without_t2, lambda a, t: a * t**2, "let both weights sum to 1"),
    (check.alpha_without_t2, lambda a, t: a, "points elsewhere"),
    (check.alpha_without_t2, lambda a, t: a / (a + (1 - a) * t**2), "points elsewhere"),  # the other direction
    (check.alpha_without_t2, lambda a, t: a * t**2 / (a * t**2 + 1), "alpha stays"),
    (check.chosen_and_reported, chosen, "✓"),
    (check.chosen_and_reported, lambda a, b: None, "not attempted"),
    (check.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), a.mean(0).max()), "the luck is still in it"),
    (check.chosen_and_reported, lambda a, b: (int(b.mean(0).argmax()), b.mean(0).max()), "of the first half"),
    (check.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), b.mean(0).max()), "of the second half"),
    (check.chosen_and_reported, lambda a, b: 3, "raised TypeError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    assert said in capsys.readouterr().out
