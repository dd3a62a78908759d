"""The lesson in Chinese, notebooks/zh/: code cells and outputs are copied from the English one, prose stays by cell id.

A translated cell says in its metadata, as `translates`, of which English text it is the translation: a short hash. How
well it says it is left to its readers, and how it may differ to tests/notebooks/test_translated.py.
"""

import argparse
import copy
import hashlib
import sys
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks" / "zh"


def mark(text: str) -> str:
    """A text's hash, which changes with every word of it: twelve hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def behind(original: nbformat.NotebookNode, translation: nbformat.NotebookNode) -> list[str]:
    """Ids of the Markdown cells that are not yet translated, or whose English text has changed since they were."""
    said = {cell.id: cell.metadata.get("translates") for cell in translation.cells}
    prose = [cell for cell in original.cells if cell.cell_type == "markdown"]
    return [cell.id for cell in prose if said.get(cell.id) != mark(cell.source)]


def update(
    original: nbformat.NotebookNode, translation: nbformat.NotebookNode, done: set[str] = frozenset()
) -> nbformat.NotebookNode:
    """The original, cell by cell, with the translation's prose; English stays where there is none.

    Args:
        original: the English notebook.
        translation: the same in Chinese, as it was; a notebook without cells begins a new one.
        done: ids of cells whose prose translates the English text of now.

    Returns:
        A new notebook; code cells, outputs, tags and the order of the cells are the original's.
    """
    updated = copy.deepcopy(original)
    known = {cell.id: cell for cell in translation.cells if cell.cell_type == "markdown"}
    for cell in updated.cells:
        if cell.cell_type == "markdown" and cell.id in known:
            of = mark(cell.source) if cell.id in done else known[cell.id].metadata.get("translates")
            cell.source = known[cell.id].source
            cell.metadata |= {"translates": of} if of else {}
    return updated


def main(argv: list[str] | None = None, folder: Path = FOLDER) -> int:
    """The command line: `python -m workbook.translated --help`.

    Returns:
        0 where every translated notebook is up to date, 1 where a cell waits for its translator.
    """
    parser = argparse.ArgumentParser(prog="python -m workbook.translated", description=__doc__.splitlines()[0])
    parser.add_argument("--done", nargs="+", default=[], metavar="ID", help="cells that translate today's English text")
    done, waiting = set(parser.parse_args(argv).done), 0
    notebooks = {path: nbformat.read(path, 4) for path in sorted(folder.glob("*.ipynb"))}
    if unknown := done - {cell.id for notebook in notebooks.values() for cell in notebook.cells}:
        parser.error(f"no cell in {folder.name}/ has the id {', '.join(sorted(unknown))}")
    for path, translation in notebooks.items():
        original = nbformat.read(folder.parent / path.name, 4)
        updated = update(original, translation, done)
        if updated != translation:
            nbformat.write(updated, path)
            print(f"{folder.name}/{path.name}: written")
        for name in behind(original, updated):
            print(f"{folder.name}/{path.name}: cell {name} waits: translate it, then --done {name}")
            waiting += 1
    return min(waiting, 1)


if __name__ == "__main__":
    sys.exit(main())
