"""What the package brings to Jupyter: files beside those of others in the environment, none among the user's own."""

import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = ROOT / "workbook" / "jupyter"


def files():
    return {file.relative_to(OURS): file for file in OURS.rglob("*.json")}


def test_they_lie_where_jupyter_looks():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["setuptools"]["data-files"]
    placed = {Path(folder) / Path(file).name: ROOT / file for folder, names in listed.items() for file in names}
    assert placed == {Path("etc/jupyter") / place: file for place, file in files().items()}
    for place, file in files().items():
        installed = Path(sys.prefix) / "etc" / "jupyter" / place
        assert installed.is_file(), f"{installed} is not there: install the package again, as `make test` does"
        assert json.loads(installed.read_text()) == json.loads(file.read_text())
