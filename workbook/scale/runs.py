"""What a grid's file asks for: notebooks, values for their parameters, what to record, and the files that travel.

All of it is checked before anything runs. Where and when the runs run is left to workbook/scale/grid.py.
"""

import glob
import hashlib
import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

from workbook import parameters

KEYS = ("notebooks", "parameters", "seeds", "record", "files")
OWN = ("run", "notebook", "status", "retries", "worker", "took_seconds", "said", "traceback")  # the table's own columns
SHOW = """import json
from IPython.display import display
display({"application/json": json.loads(json.dumps({%s}, default=float))}, raw=True)"""


@dataclass(frozen=True)
class Run:
    """A notebook with values for its parameters; what the files hold, by their places, the notebook's among them.

    The id is made of the code, the values, and what the other files hold: what changes one of them is another run.
    """

    id: str
    notebook: str
    values: dict
    files: dict[str, bytes]


def read(path: Path) -> dict[str, Run]:
    """The runs by their ids, each combination of a notebook and values once. ValueError: one sentence."""
    asked = _asked(path)
    lists = asked.get("parameters", {}) | ({"seed": asked["seeds"]} if "seeds" in asked else {})
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{path}: {name} must be a list of at least one value, got {values!r}")
    notebooks, others = _places(path, asked["notebooks"]), _places(path, asked.get("files", []))
    if not notebooks:
        raise ValueError(f"{path}: notebooks must be a list of at least one name")
    root, here = os.path.commonpath([place.parent for place in notebooks + others]), path.parent.resolve()
    files = {place.relative_to(root).as_posix(): place.read_bytes() for place in others}
    held = {os.path.relpath(place, here): hashlib.sha256(place.read_bytes()).hexdigest() for place in others}
    runs, record = {}, asked.get("record")
    for place in notebooks:
        node, name = _notebook(place, lists), place.relative_to(root).as_posix()
        code = [cell.source for cell in node.cells if cell.cell_type == "code"]
        if record:
            node.cells.append(nbformat.v4.new_code_cell(_recording(path, record)))
        carried = files | {name: nbformat.writes(node).encode()}
        for values in itertools.product(*lists.values()):
            values = dict(zip(lists, values))
            told = json.dumps([os.path.relpath(place, here), code, record, values, held], sort_keys=True, default=str)
            id = f"r{hashlib.sha256(told.encode()).hexdigest()[:15]}"  # with a letter no program takes it for a number
            runs[id] = Run(id, name, values, carried)
    return runs


def _asked(path: Path) -> dict:
    try:
        asked = yaml.safe_load(path.read_bytes())
    except OSError:
        raise ValueError(f"{path} is not there") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(asked, dict) or "notebooks" not in asked or not set(asked) <= set(KEYS):
        raise ValueError(f"{path} must say notebooks, and may say {', '.join(KEYS[1:])}; it says {asked!r}"[:300])
    named, recorded = (asked.get(name, {}) for name in ("parameters", "record"))
    if not isinstance(named, dict) or not isinstance(recorded, dict):
        raise ValueError(f"{path}: parameters and record must be names with something behind each")
    columns = [*named, *(["seed"] if "seeds" in asked else []), *recorded, *OWN]
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ValueError(f"{path}: the table would have two columns that are called {twice[0]}")
    return asked


def _places(path: Path, names: object) -> list[Path]:
    """The files of some names or patterns, seen from the grid's folder."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: notebooks and files must be lists of names, got {names!r}")
    found = {name: sorted(filter(os.path.isfile, glob.glob(str(path.parent / name)))) for name in names}
    if missing := [name for name in names if not found[name]]:
        raise ValueError(f"{path}: {missing[0]} is not there")
    return [Path(place).resolve() for name in names for place in found[name]]


def _notebook(place: Path, lists: dict[str, list]) -> nbformat.NotebookNode:
    try:
        node = nbformat.v4.upgrade(nbformat.read(place, 4))
        cells = [cell.source for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
        known = {parameter.name: parameter for parameter in parameters.read("".join(cells[:1]))}
    except Exception as error:  # not JSON, not a notebook, a cell of parameters that is not Python
        raise ValueError(f"{place} cannot be read: {' '.join(str(error).split())[:200]}") from None
    for name, values in lists.items():
        if name not in known:
            raise ValueError(f"{name!r} is not a parameter of {place.name}, which has {', '.join(known) or 'none'}")
        for value in values:
            known[name].demand(value, place.parent)
    return node


def _recording(path: Path, record: dict[str, str]) -> str:
    """A last cell that shows the values of some expressions, as JSON."""
    for name, expression in record.items():
        try:
            compile(str(expression), name, "eval")
        except SyntaxError:
            raise ValueError(f"{path}: record {name} must be a Python expression, got {expression!r}") from None
    return SHOW % ", ".join(f"{name!r}: ({expression}\n)" for name, expression in record.items())
