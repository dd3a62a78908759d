"""The figures of lab 11 show what they were given, named."""

import torch

from workbook.plots import maps


def test_the_map_names_its_cells_and_brackets_what_is_not_shown():
    values = torch.tensor([[[0.0, 0.0, 0.0], [5.0, 3.0, 7.0]]])
    (ax,) = maps.gains(values, [0.25], [1, 16], title="t").axes
    assert [text.get_text() for text in ax.texts] == ["–", "+5.0\n±2.0"]
    assert [label.get_text() for label in (*ax.get_yticklabels(), *ax.get_xticklabels())] == ["0.25", "1", "16"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("alpha", "temperature T")


def test_the_lead_has_a_line_for_each_seed_and_one_at_zero():
    (ax,) = maps.lead([0.5, 0.2], [0.0, 0.3], seeds=5).axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.5, 0.0], [0.2, 0.3], [0, 0]]
    assert "5 fresh seeds" in ax.get_xticklabels()[1].get_text()


def test_who_follows_is_drawn_between_nothing_and_all():
    (ax,) = maps.follows([1, 4], {"alpha = 0": [0.5, 0.5], "alpha = 1": [0.6, 0.9]}).axes
    assert ax.get_ylim() == (0, 1.05) and [list(line.get_ydata()) for line in ax.lines] == [[0.5, 0.5], [0.6, 0.9]]
