"""docs/recipes.md to the letter: its blocks are applied to a copy of the repository, in their order, and run there."""

import json
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
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*")
NEW, BELOW = re.compile(r"A new file, `([^`]+)`:$"), re.compile(r"[Ii]n `([^`]+)`, below `([^`]+)`:$")


# One process for a list of commands, so that torch is imported once: {"said": …, "failed": …} for each.
HOST = """
import contextlib, io, json, runpy, sys, traceback
for words in json.load(sys.stdin):
    said, failed = io.StringIO(), ""
    with contextlib.redirect_stdout(said):
        try:
            if words[0] == "-c":
                exec(words[1], {"__name__": "__main__"})
            else:
                sys.argv = words[1:]
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        except BaseException as end:
            ended_well = isinstance(end, SystemExit) and not end.code
            failed = "" if ended_well else traceback.format_exc()
    print(json.dumps({"said": said.getvalue(), "failed": failed}))
"""


def written(recipe, folder):
    """Does to the folder's files what a recipe says; returns the commands that it gives, each without its `python`."""
    commands = []
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
            commands += [["-c", code]] if kind == "python" else [line.split()[1:] for line in code.splitlines()]
    return commands


def run(commands, folder):
    env = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # none is needed, and each takes its time
    command = [sys.executable, "-c", HOST]
    done = subprocess.run(command, cwd=folder, env=env, input=json.dumps(commands), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Each recipe's runs, made in one copy; the notebook's in a process of its own, as it needs no torch."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("kdlab", "workbook", "tests", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    commands = {name: written(recipe, folder) for name, recipe in RECIPES.items()}
    with_torch = [name for name in commands if name != "A notebook"]
    together = iter(run([words for name in with_torch for words in commands[name]], folder))
    made = {name: [next(together) for _ in commands[name]] for name in with_torch}
    return made | {"A notebook": run(commands["A notebook"], folder)}


def test_the_page_has_the_four_recipes():
    assert list(RECIPES) == ["A loss", "A model", "A runtime", "A notebook"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_followed_to_the_letter_works(name, runs):
    assert runs[name] and not [each["failed"] + each["said"] for each in runs[name] if each["failed"]]
    passed = [int(count) for each in runs[name] for count in re.findall(r"(\d+) passed", each["said"])]
    assert len(passed) == RECIPES[name].count("python -m pytest -q") and all(count > 5 for count in passed)


def test_what_the_recipes_add_passes_the_linter(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "workbook", tmp_path / "workbook", ignore=LEFT_OUT)
    files = {NEW.search(said)[1]: code for said, _, code in BLOCK.findall(PAGE) if NEW.search(said)}
    assert len(files) == 2
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_path_that_the_page_names_is_there_or_made_by_it():
    named = set(re.findall(r"`((?:tests|workbook|kdlab|docs|notebooks)/[\w./]+)`", PAGE))
    made = set(re.findall(NEW.pattern, PAGE, re.M))
    assert len(named) > 8 and [path for path in named - made if not (ROOT / path).exists()] == []


def test_a_recipe_that_does_not_work_is_caught(tmp_path):
    wrong = "A new file, `own.py`:\n\n```python\nVALUE = 1\n```\n\n"
    wrong += "It has:\n\n```python\nimport own; assert own.VALUE == 2\n```"
    assert run(written(wrong, tmp_path), tmp_path)[0]["failed"].endswith("AssertionError\n")
    with pytest.raises(AssertionError, match="own.py must hold this line once: GONE"):
        written("In `own.py`, below `GONE`:\n\n```python\n1\n```", tmp_path)
