"""The benchmark from `make lab` to the first student presses the cells that it means."""

import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import first_student  # noqa: E402


def test_its_cells_are_in_the_notebook_in_this_order_and_each_is_found_first():
    cells = [cell.source for cell in nbformat.read(ROOT / first_student.LESSON, 4).cells if cell.cell_type == "code"]
    found = [next(i for i, source in enumerate(cells) if words in source) for words in first_student.CELLS.values()]
    assert found == sorted(set(found))
    alone, distilled = (cells[i] for i in found[-2:])
    assert 'finish(train(alone, few' in alone and "finish(train(teacher, digits" in alone
    assert "finish(distil(distilled, few" in distilled


def test_the_first_student_stands_before_the_distilled_one():
    parts = {name: 2.0**i for i, name in enumerate(first_student.PARTS)}
    found = first_student.totals(parts)
    assert found == pytest.approx({first_student.FIRST: 2.0**6 - 1, first_student.DISTILLED: 2.0**7 - 1})
