"""The checks are tried in one file for the lesson and one for each lab; here, that none of them is forgotten."""

import importlib
import re
from pathlib import Path

import pytest

import workbook.exercises

HERE, ROOMS = Path(__file__).parent, Path(workbook.exercises.__file__).parent
FILES = sorted(path.stem for path in ROOMS.glob("*.py") if path.stem not in ("__init__", "base"))


@pytest.mark.parametrize("name", FILES)
def test_every_check_is_tried_with_a_right_answer_and_others(name):
    room, tried = importlib.import_module(f"workbook.exercises.{name}"), (HERE / f"test_{name}.py").read_text()
    codes = {key: getattr(value, "__code__", None) for key, value in vars(room).items()}
    own = [key for key, code in codes.items() if code and code.co_name == "check"]  # what `checks` makes
    assert own and all(len(re.findall(rf"check\.{key}\b", tried)) >= 2 for key in own)


def test_the_lesson_and_each_lab_have_a_file():
    labs = [f"lab{number}" for number in (*range(10, 18), *range(20, 28), *range(30, 33))]
    assert [name for name in FILES if not name.startswith("lesson")] == labs and "lesson" in FILES
