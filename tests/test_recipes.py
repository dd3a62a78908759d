"""docs/recipes.md to the letter: its blocks are applied to a copy of the repository, in their order, and run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
RECIPES = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
BLOCK = re.compile(r"([^\n]*)\n\n```(python|console)\n(.*?)```", re.S)  # the line above says what becomes of it
NEW, BELOW = re.compile(r"A new file, `([^`]+)`:$"), re.compile(r"[Ii]n `([^`]+)`, below `([^`]+)`:$")


def follow(recipe, folder, python=sys.executable):
    """Does what a recipe says; returns its runs, the last of which may have failed."""
    env = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    runs = []
    for said, kind, code in BLOCK.findall(recipe):
        if new := NEW.search(said):
            path = folder / new[1]
            assert not path.exists(), f"{new[1]} is there already"
            path.write_text(code)
        elif below := BELOW.search(said):
            path, text = folder / below[1], (folder / below[1]).read_text()
            assert text.count(f"{below[2]}\n") == 1, f"{below[1]} must hold this line once: {below[2]}"
            path.write_text(text.replace(f"{below[2]}\n", f"{below[2]}\n{code}"))
        else:
            commands = [["-c", code]] if kind == "python" else [line.split()[1:] for line in code.splitlines()]
            for command in commands:
                run = subprocess.run([python, *command], cwd=folder, env=env, capture_output=True, text=True)
                runs.append(run)
                if run.returncode:
                    return runs
    return runs


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*")
    for name in ("kdlab", "workbook", "tests", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_the_page_has_the_four_recipes():
    assert list(RECIPES) == ["A loss", "A model", "A runtime", "A notebook"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_followed_to_the_letter_works(name, copy):
    runs = follow(RECIPES[name], copy)
    assert runs and runs[-1].returncode == 0, runs[-1].stdout + runs[-1].stderr
    passed = [int(n) for run in runs for n in re.findall(r"(\d+) passed", run.stdout)]
    assert len(passed) == RECIPES[name].count("-m pytest -q") and all(n > 5 for n in passed)


def test_what_the_recipes_add_passes_the_linter(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = {said: code for said, _, code in BLOCK.findall(PAGE) if NEW.search(said)}
    assert len(files) == 2
    for said, code in files.items():
        path = tmp_path / NEW.search(said)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_path_that_the_page_names_is_there_or_made_by_it():
    named = set(re.findall(r"`((?:tests|workbook|kdlab|docs|notebooks)/[\w./]+)`", PAGE))
    made = set(re.findall(NEW.pattern, PAGE, re.M))
    assert len(named) > 8 and [path for path in named - made if not (ROOT / path).exists()] == []


def test_a_recipe_that_does_not_work_is_caught(tmp_path):
    wrong = "A new file, `own.py`:\n\n```python\nVALUE = 1\n```\n\n"
    wrong += "It has:\n\n```python\nimport own; assert own.VALUE == 2\n```"
    assert follow(wrong, tmp_path)[-1].returncode == 1
    with pytest.raises(AssertionError, match="own.py must hold this line once: GONE"):
        follow("In `own.py`, below `GONE`:\n\n```python\n1\n```", tmp_path)
