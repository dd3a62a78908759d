"""The step of `make test` that compares outputs fails where it must: a notebook runner can swallow a failure.

The step itself is run, by make, on copies of a small notebook.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from well_formed import notebook

from workbook import run as workbook

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="make is not installed"),
]


@pytest.fixture
def shelf():
    """A folder in build/: pytest gives all notebooks that lie outside the repository the same name, and runs one."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="canary-") as folder:
        yield Path(folder)


def compare(*paths):
    """What the step says of these notebooks, with the Python that runs this test; what is installed stays as it is."""
    notebooks, python = " ".join(map(str, paths)), Path(sys.executable)
    command = ["make", "-o", ".venv/installed", "test-outputs", f"NOTEBOOKS={notebooks}", f"VENV={python.parent}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)


def wrong_output(node):
    [cell] = [cell for cell in node.cells if "alpha * temperature:g" in cell.source]
    assert cell.outputs[0].data["text/plain"] == "'4'"
    cell.outputs[0].data["text/plain"] = "'5'"


def raising_cell(node):
    [cell] = [cell for cell in node.cells if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    cell.source += "\n1 / 0"  # also where outputs are not compared


@pytest.mark.parametrize(
    "damage, said",
    [(wrong_output, "mismatch 'text/plain'"), (raising_cell, "ZeroDivisionError")],
    ids=["wrong output", "raising cell"],
)
def test_a_wrong_output_and_a_raising_cell_fail_the_step(shelf, damage, said):
    sound, damaged = shelf / "00_sound.ipynb", shelf / "01_damaged.ipynb"
    nbformat.write(notebook(), sound)
    workbook.refresh(sound)  # with its outputs, as it would be committed
    executed = nbformat.read(sound, 4)
    damage(executed)
    nbformat.write(executed, damaged)
    codes = sum(cell.cell_type == "code" for cell in executed.cells)
    done = compare(sound, damaged)
    assert done.returncode != 0 and said in done.stdout, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert failed and all(damaged.name in line for line in failed), done.stdout
    ran = sum(int(count) for count in re.findall(r"(\d+) (?:passed|failed|skipped)", done.stdout.splitlines()[-1]))
    assert ran == 2 * codes, f"{ran} of {2 * codes} cells ran:\n{done.stdout}"
