"""Every solution in the notebooks passes its check, so that solutions cannot rot.

Of each notebook the parameters and the set-up run, then the solutions in place of their stubs, each with its check.
"""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from well_formed import notebook

from workbook.run import ThisPython

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def tagged(nb, tag):
    return [cell for cell in nb.cells if tag in cell.metadata.get("tags", [])]


def answers(nb, folder):
    """What each check prints when the solutions stand in place of the stubs."""
    stubs, checks, solutions = (tagged(nb, tag) for tag in ("exercise", "check", "solution"))
    for stub, solution in zip(stubs, solutions, strict=True):
        stub.source = "\n".join(re.findall(r"```python\n(.*?)```", solution.source, flags=re.S))
    if checks:
        code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
        nb.cells = code[:2] + [cell for cell in code[2:] if cell in stubs or cell in checks]
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(nb, kernel_manager_class=ThisPython, resources=resources, timeout=None).execute()
    return ["".join(output.get("text", "") for output in check.outputs) for check in checks]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_solutions_pass_their_checks(path):
    printed = answers(nbformat.read(path, 4), path.parent)
    assert printed, f"{path.name} has no check"
    for text in printed:
        assert re.search("^✓", text, re.M), text
        assert not re.search("^✗|not attempted", text, re.M), text


def test_the_right_solution_passes_and_a_wrong_one_does_not(tmp_path):
    right, wrong = notebook(), notebook()
    tagged(wrong, "solution")[0].source = tagged(wrong, "solution")[0].source.replace("2 * x", "3 * x")
    assert answers(right, tmp_path) == ["✓ double(21) is 42\n"]
    assert answers(wrong, tmp_path) == ["✗ double(21) must be 42\n"]
