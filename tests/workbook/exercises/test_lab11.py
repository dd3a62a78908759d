"""The labs' checks: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import labs as check_labs


def without_t2(alpha, temperature):
    soft = alpha * temperature**2
    return soft / (soft + 1 - alpha)


def chosen(here, there):
    cell = here.mean(0).argmax()
    return int(cell), there[:, cell].mean().item()


CASES = [
    (check_labs.alpha_without_t2, without_t2, "✓"),
    (check_labs.alpha_without_t2, lambda a, t: None, "not attempted"),
    (check_labs.alpha_without_t2, lambda a, t: a * t**2, "let both weights sum to 1"),
    (check_labs.alpha_without_t2, lambda a, t: a, "points elsewhere"),
    (check_labs.alpha_without_t2, lambda a, t: a / (a + (1 - a) * t**2), "points elsewhere"),  # the other direction
    (check_labs.alpha_without_t2, lambda a, t: a * t**2 / (a * t**2 + 1), "alpha stays"),
    (check_labs.chosen_and_reported, chosen, "✓"),
    (check_labs.chosen_and_reported, lambda a, b: None, "not attempted"),
    (check_labs.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), a.mean(0).max()), "the luck is still in it"),
    (check_labs.chosen_and_reported, lambda a, b: (int(b.mean(0).argmax()), b.mean(0).max()), "of the first half"),
    (check_labs.chosen_and_reported, lambda a, b: (int(a.mean(0).argmax()), b.mean(0).max()), "of the second half"),
    (check_labs.chosen_and_reported, lambda a, b: 3, "raised TypeError"),
]


@pytest.mark.parametrize("check, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, check, answer, said):
    check(answer)
    assert said in capsys.readouterr().out
