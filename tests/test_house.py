"""kdlab is thin: its size, and what it needs to be imported.

The directions of imports are held by import-linter, with its contracts in pyproject.toml.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from bare import ALONE

ROOT = Path(__file__).parents[1]

IMPORT = """
from importlib import import_module

allowed.discard("workbook")  # which kdlab knows nothing of
for room in sys.argv[1:]:
    import_module(room)
"""


def lines(path):
    return sum(bool(line.strip()) for line in path.read_text().splitlines())


def imported(*rooms):
    command = [sys.executable, "-c", ALONE + IMPORT, *rooms]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_kdlab_has_at_most_1500_lines_in_twelve_files_of_at_most_200():
    sizes = {path.name: lines(path) for path in (ROOT / "kdlab").rglob("*.py")}
    assert sum(sizes.values()) <= 1500, sizes
    assert max(sizes.values()) <= 200, sizes
    assert len(sizes) <= 12, sizes  # eleven rooms and the face


def test_every_room_of_kdlab_imports_with_torch_torchvision_and_numpy_alone():
    done = imported(*(f"kdlab.{path.stem}" for path in sorted((ROOT / "kdlab").glob("*.py"))))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["scipy", "workbook"])
def test_others_are_absent_in_that_test(module):
    assert f"No module named '{module}'" in imported(module).stderr


def test_importing_kdlab_itself_imports_nothing_else():
    code = "import sys, kdlab; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'workbook')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
