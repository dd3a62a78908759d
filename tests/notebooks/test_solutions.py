"""Every solution in the notebooks passes its check, so that solutions cannot rot.

Of each notebook the parameters and the set-up run, then the solutions in place of their stubs, each with its check;
all of them in one kernel.
"""

import re
from pathlib import Path

import nbformat
import pytest
from kernels import again
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from well_formed import notebook

from workbook.kernels import ThisPython

pytestmark = pytest.mark.slow
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def tagged(nb, tag):
    return [cell for cell in nb.cells if tag in cell.metadata.get("tags", [])]


def lesson(nb):
    """The cells to run: parameters and set-up, the solutions in place of their stubs, the checks."""
    stubs, checks, solutions = (tagged(nb, tag) for tag in ("exercise", "check", "solution"))
    for stub, solution in zip(stubs, solutions, strict=True):
        stub.source = "\n".join(re.findall(r"```python\n(.*?)```", solution.source, flags=re.S))
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
    return code[:2] + [cell for cell in code[2:] if cell in stubs or cell in checks]


def answers(notebooks, folder):
    """What each check of each notebook prints. One kernel runs them all, with an empty namespace for each."""
    lessons = [lesson(nb) for nb in notebooks]
    cells = [cell for cells in lessons for cell in (new_code_cell("%reset -f"), *cells)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    whole, resources = new_notebook(cells=cells), {"metadata": {"path": str(folder)}}
    options = dict(kernel_manager_class=ThisPython, resources=resources, timeout=None, allow_errors=True)
    again(lambda: NotebookClient(whole, **options).execute())
    return [[said(cell) for cell in cells if "check" in cell.metadata.get("tags", [])] for cells in lessons]


def said(cell):
    """What a cell printed, or what it raised."""
    return "".join(out.get("text", "") or f"{out.get('ename')}: {out.get('evalue')}" for out in cell.outputs)


def wrong():
    node = notebook()
    [solution] = tagged(node, "solution")
    solution.source = solution.source.replace("2 * x", "3 * x")
    return node


def broken():
    node = notebook()
    [solution] = tagged(node, "solution")
    solution.source = solution.source.replace("return", "retrun")
    return node


@pytest.fixture(scope="module")
def printed():
    """Name -> what its checks print: each notebook, and three small ones."""
    notebooks = {path.name: nbformat.read(path, 4) for path in NOTEBOOKS}
    notebooks |= {"right": notebook(), "wrong": wrong(), "broken": broken()}
    return dict(zip(notebooks, answers(notebooks.values(), NOTEBOOKS[0].parent), strict=True))


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_solutions_pass_their_checks(printed, name):
    assert printed[name], f"{name} has no check"
    for text in printed[name]:
        assert re.search("^✓", text, re.M), text
        assert not re.search("^✗|not attempted", text, re.M), text


def test_the_right_solution_passes_and_a_wrong_or_broken_one_does_not(printed):
    assert printed["right"] == ["✓ double(21) is 42\n"]
    assert printed["wrong"] == ["✗ double(21) must be 42\n"]
    assert printed["broken"] == ["NameError: name 'double' is not defined"]
