"""The checks of lab 11: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest

from workbook.exercises import lab11 as check


def without_t2(alpha, temperature):
    soft = alpha * temperature**2
    return soft / (soft + 1 - alpha)


ALONE = (0, 1)


def gain(train, cell, seeds):
    return sum(train(cell, seed) - train(ALONE, seed) for seed in seeds) / len(seeds)


def best(train, cells, seeds):
    return max(cells, key=lambda cell: sum(train(cell, seed) for seed in seeds))


def row_then_column(train, cells):
    row = best(train, [cell for cell in cells if cell[0] == 0.5], range(3))
    cell = best(train, [cell for cell in cells if cell[0] and cell[1] == row[1]], range(3))
    return cell, gain(train, cell, range(20, 35))


def all_once(train, cells):
    cell = best(train, [cell for cell in cells if cell[0]], [0])
    return cell, gain(train, cell, range(20, 38))


def halving(train, cells):
    found = {cell: train(cell, 0) for cell in cells if cell[0]}
    few = sorted(found, key=found.get)[-6:]
    cell = max(few, key=lambda cell: found[cell] + train(cell, 1))
    return cell, gain(train, cell, range(20, 35))


def where_chosen(train, cells):
    found = {cell: gain(train, cell, [0]) for cell in cells if cell[0]}
    cell = max(found, key=found.get)
    return cell, found[cell]


def seeds_of_their_own(train, cells):
    found = {cell: train(cell, seed) for seed, cell in enumerate(cells) if cell[0]}
    cell = max(found, key=found.get)
    return cell, gain(train, cell, range(40, 55))


def one_row(train, cells):
    cell = best(train, [cell for cell in cells if cell[0] == 1], range(5))
    return cell, gain(train, cell, range(20, 35))


def accuracy(train, cells):
    cell = best(train, [cell for cell in cells if cell[0]], range(2))
    return cell, train(cell, 20)


def too_many(train, cells):
    cell = best(train, cells, range(5))
    return cell, gain(train, cell, range(20, 25))


def half_of_it(train, cells):
    cell, found = halving(train, cells)
    return cell, found / 2


CASES = [
    (check.alpha_without_t2, without_t2, "✓"),
    (check.alpha_without_t2, lambda a, t: None, "not attempted"),
    (check.alpha_without_t2, lambda a, t: a * t**2, "let both weights sum to 1"),
    (check.alpha_without_t2, lambda a, t: a, "points elsewhere"),
    (check.alpha_without_t2, lambda a, t: a / (a + (1 - a) * t**2), "points elsewhere"),  # the other direction
    (check.alpha_without_t2, lambda a, t: a * t**2 / (a * t**2 + 1), "alpha stays"),
    (check.search, row_then_column, "✓"),
    (check.search, all_once, "✓"),
    (check.search, halving, "✓"),
    (check.search, lambda train, cells: None, "not attempted"),
    (check.search, too_many, "the budget is 60 trainings"),
    (check.search, where_chosen, "no part in the choice"),
    (check.search, seeds_of_their_own, "compare cells on the same seeds"),
    (check.search, one_row, "try more cells, in both directions"),
    (check.search, accuracy, "minus that of the student alone"),
    (check.search, half_of_it, "points in the mean"),
    (check.search, lambda train, cells: (train((0.3, 4), 0), 1), "not one of the cells"),
    (check.search, lambda train, cells: ((0.3, 4), train(cells[7], 0)), "one of the cells and its gain"),
    (check.search, lambda train, cells: 3, "raised TypeError"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    assert said in capsys.readouterr().out


def test_the_maps_differ_and_their_noise_is_shared_where_a_seed_is():
    maps = [check._Map(number) for number in range(20)]
    tops = {max(check.CELLS, key=one.gain) for one in maps}
    assert len(tops) > 5 and all(alpha > 0 for alpha, _ in tops)
    one, again = check._Map(3), check._Map(3)
    assert one.train((0, 1), 7) == again.train((0, 32), 7) != again.train((0, 1), 8)
