"""A student's and a lecturer's copy of the notebooks, from the one source that is committed.

A copy is a folder like the repository: notebooks/, and beside it what their links and cells ask for. A student's has no
solutions and no lecturer's notes. A lecturer's has all, and what the notebooks themselves say to a lecturer, gathered.
"""

import argparse
import contextlib
import copy
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbconvert.preprocessors import Preprocessor, TagRemovePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from workbook.stage import linked

FOLD = re.compile(r"<details>.*?</details>\s*", re.S)
KINDS = ("student", "instructor")


class Hints(Preprocessor):
    """Takes hints out of cells tagged `solution`, which a student keeps. The last fold is the solution."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """The notebook with the hints of such a cell in a cell of their own before it."""
        cells = []
        for cell in nb.cells:
            hints = "".join(FOLD.findall(cell.source)[:-1]) if "solution" in _tags(cell) else ""
            if hints:
                cells.append(new_markdown_cell(hints.strip(), id=f"{cell.id[:50]}-hints"))
                cell.source = cell.source.replace(hints, "")
            cells.append(cell)
        nb.cells = cells
        return nb, resources


class Gathered(Preprocessor):
    """Puts below a notebook's title what its lecturer asks first."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """The notebook with one more cell, tagged `instructor`: its minutes, its notes and its pitfalls."""
        times = minutes(nb)
        told = [f"**For the lecturer.** {times['read']} minutes to read, {times['exercises']} for the exercises, "
                f"{times['run']} seconds to run.", *(f"- {name}: {time} minutes" for name, time in exercises(nb))]
        cell = new_markdown_cell("\n".join([told[0], "", *told[1:], warnings(nb)]), id="gathered")
        cell.metadata["tags"] = ["instructor"]
        nb.cells.insert(1, cell)
        return nb, resources


def title(nb: NotebookNode) -> str:
    """The first line of the notebook, without its #."""
    return nb.cells[0].source.split("\n")[0].lstrip("# ") if nb.cells else ""


def lead(nb: NotebookNode) -> str:
    """The paragraph below the title, on one line and without links."""
    paragraphs = nb.cells[0].source.split("\n\n") if nb.cells else []
    return linked(" ".join(paragraphs[1].split()), lambda href: None) if len(paragraphs) > 1 else ""


def exercises(nb: NotebookNode) -> list[tuple[str, int]]:
    """The headings of the notebook's exercises, each with its minutes."""
    heads = re.findall(r"^#{2,3} (.+?) \((\d+) minutes", "\n".join(_markdown(nb)), re.M)
    return [(name, int(time)) for name, time in heads]


def minutes(nb: NotebookNode) -> dict[str, int | str]:
    """Minutes to read and seconds to run, as the title says them ("?" where it does not), and the exercises' sum."""
    told = nb.cells[0].source if nb.cells else ""
    found = {name: re.search(rf"(\d+) {unit} to {name}", told) for name, unit in (("read", "minutes"), ("run", "s"))}
    said = {name: int(match[1]) if match else "?" for name, match in found.items()}
    return said | {"exercises": sum(time for _, time in exercises(nb))}


def warnings(nb: NotebookNode) -> str:
    """What the notebook tells its lecturer of a room's misconceptions, each with its section, and its pitfalls."""
    section, found = "", []  # links go: the words are gathered elsewhere
    for cell in nb.cells:
        if cell.cell_type == "markdown" and "instructor" in _tags(cell):
            note = re.sub(r"^\*[^*]*\.\*\s*", "", " ".join(cell.source.split()))
            found.append(f"- {f'*{section}.* ' if section else ''}{note}")
        elif "parameters.check(" in cell.source:
            section = ""  # a note below the set-up is on the whole notebook
        elif cell.cell_type == "markdown":
            section = (re.findall(r"^#{2,3} (.+)$", cell.source, re.M) or [section])[-1]
    pitfalls = re.findall(r"^\*\*Pitfalls\.\*\* (.+?)(?:\n\n|\Z)", "\n\n".join(_markdown(nb)), re.M | re.S)
    found += [f"- *Pitfalls.* {' '.join(text.split())}" for text in pitfalls]
    return linked("\n".join(found), lambda href: None)


def overview(kind: str, nodes: dict[Path, NotebookNode]) -> str:
    """The page of a copy, in Markdown: its notebooks and their times; for a lecturer what each warns of, too."""
    lines = ["# Knowledge distillation, from the idea to the hardware", "", "## The notebooks", ""]
    lines += ["| Notebook | What it is about | To read, minutes | Exercises, minutes | To run, seconds |"]
    lines += ["|---|---|---:|---:|---:|"]
    for notebook, nb in nodes.items():
        times = minutes(nb)
        lines.append(f"| [{title(nb)}](notebooks/{notebook.name}) | {lead(nb)} | "
                     f"{times['read']} | {times['exercises']} | {times['run']} |")
    if kind == "instructor":
        lines += ["", "## What rooms get wrong, and other notes for the lecturer"]
        for nb in nodes.values():
            tasks = [f"- {name}: {time} minutes" for name, time in exercises(nb)]
            lines += ["", f"### {title(nb)}", "", warnings(nb), *tasks]
    return "\n".join(lines) + "\n"


def copied(kind: str, nb: NotebookNode) -> NotebookNode:
    """The student's or the instructor's copy of one notebook."""
    steps = [Gathered()]
    if kind == "student":
        steps = [Hints(), TagRemovePreprocessor(remove_cell_tags={"solution", "instructor"})]
    made = copy.deepcopy(nb)
    for step in steps:
        made, _ = step.preprocess(made, {})
    return made


def build(kind: str, notebooks: list[Path], folder: Path) -> None:
    """Writes the copy into the folder, which is as before if something fails.

    Args:
        kind: "student" or "instructor".
        notebooks: files, each with its drawings beside it and the records in `../results`, where it has any.
        folder: what is there under the same names is replaced.

    Raises:
        ValueError: a file is no notebook, two have one name, or one lies in the folder.
    """
    nodes = {notebook: notebook_in(notebook) for notebook in notebooks}
    if len({notebook.name for notebook in notebooks}) < len(notebooks):
        raise ValueError("two notebooks of one name would be one file")
    with whole(folder, notebooks) as draft:
        (draft / "notebooks").mkdir()
        (draft / "README.md").write_text(overview(kind, nodes), encoding="utf-8")
        for notebook, nb in nodes.items():
            made = copied(kind, nb)
            for cell in made.cells:
                if cell.cell_type == "markdown":
                    cell.source = linked(cell.source, lambda href: href if _is_there(href, nodes) else None)
            nbformat.write(made, draft / "notebooks" / notebook.name)
            for name in ("drawings", "../results"):
                if (notebook.parent / name).is_dir():
                    shutil.copytree(notebook.parent / name, draft / "notebooks" / name, dirs_exist_ok=True)


def notebook_in(path: Path) -> NotebookNode:
    """Reads a notebook.

    Raises:
        ValueError: there is none; the message is one sentence.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there")
    try:
        return nbformat.read(path, 4)
    except Exception as error:  # nbformat raises several kinds, for JSON, for a schema, for an encoding
        raise ValueError(f"{path} is no notebook: {' '.join(str(error).split())[:100]}") from None


@contextlib.contextmanager
def whole(folder: Path, sources: list[Path]) -> Iterator[Path]:
    """An empty folder beside; when the block ends, its files go to `folder`, over those of the same names.

    Raises:
        ValueError: one of the sources lies in `folder`, where it might be written over.
    """
    if inside := [str(source) for source in sources if source.resolve().is_relative_to(folder.resolve())]:
        raise ValueError(f"{inside[0]} lies in {folder}, and might be written over: name another folder with --out")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        yield Path(place)
        for made in filter(Path.is_file, Path(place).rglob("*")):
            there = folder / made.relative_to(place)
            there.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, there)


def _is_there(href: str, nodes: dict[Path, NotebookNode]) -> bool:
    name = href.split("#")[0]
    if not name.endswith(".ipynb"):
        return True  # an address, the overview, a drawing
    return any(notebook.name == name for notebook in nodes)


def _markdown(nb: NotebookNode) -> list[str]:
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def main(argv: list[str] | None = None) -> int:
    """The command line: `python -m workbook.copies --help`."""
    parser = argparse.ArgumentParser(prog="python -m workbook.copies", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("notebooks", nargs="*", type=Path, help="all in notebooks/ where none is named")
    parser.add_argument("--out", type=Path, help="folder for the copy (build/student or build/instructor)")
    given = parser.parse_intermixed_args(argv)  # notebooks may stand behind --out, too
    notebooks = list(dict.fromkeys(given.notebooks)) or sorted(Path("notebooks").glob("*.ipynb"))
    if not notebooks:
        parser.error("no notebook named, and none in notebooks/: run this in the repository, or name a notebook")
    folder = given.out or Path("build") / given.kind
    try:
        build(given.kind, notebooks, folder)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    count = f"{len(notebooks)} notebook{'s' if len(notebooks) > 1 else ''}"
    print(f"{count} and an overview: {folder / 'README.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
