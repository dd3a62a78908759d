"""Slides of the lesson, in a folder that opens from disk: a deck for each notebook, and a page that lists them.

What stands on which slide is `stage`'s; here nbconvert makes the page, and reveal.js and MathJax come to lie beside it,
out of the packages sphinx-revealjs and jupyter-server-mathjax.
"""

import argparse
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader
from nbconvert import SlidesExporter
from traitlets.config import Config

from workbook.copies import lead, notebook_in, title, whole
from workbook.pictures import Pictures, embedded
from workbook.stage import Stage

LESSON = "0*.ipynb"
PARTS = Path(__file__).with_name("slides")
# package → where its files lie in it, the folder that they come to lie in, and those that a deck may ask for
ENGINES = {
    "sphinx_revealjs": ("_static/revealjs", "reveal", (
        "LICENSE", "dist/reveal.css", "dist/reveal.js", "dist/theme/white.css", "dist/theme/fonts/source-sans-pro",
        "plugin/notes/notes.js")),
    "jupyter_server_mathjax": ("static", "mathjax", (
        "LICENSE", "MathJax.js", "config/TeX-AMS-MML_HTMLorMML-full.js", "extensions/TeX", "jax/element/mml",
        "jax/output/HTML-CSS", "fonts/HTML-CSS/STIX-Web")),
}
PICTURES = "image/svg+xml image/png image/jpeg text/html text/markdown text/latex text/plain".split()


def build(notebooks: list[Path], folder: Path) -> list[str]:
    """Writes the decks, their index and what they need into the folder; it is as before if something fails.

    Returns:
        A sentence for each notebook whose deck shows no results, because it has no outputs.

    Raises:
        ValueError: a file is no notebook or an empty one, two have one name, or one of the packages is not installed;
            the message says which, and what to do.
    """
    nodes = {notebook: notebook_in(notebook) for notebook in notebooks}
    names = [notebook.stem for notebook in notebooks]
    if len(set(names)) < len(names):
        raise ValueError(f"two notebooks of one name would be one deck: {', '.join(sorted(names))}")
    if empty := [str(notebook) for notebook, node in nodes.items() if not node.cells]:
        raise ValueError(f"{empty[0]} has no cells, so no slides")
    with whole(folder, notebooks) as draft:
        for package, (place, target, files) in ENGINES.items():
            _copy(package, place, draft / target, files)
        for name in ("deck.css", "deck.js"):
            shutil.copy(PARTS / name, draft)
        exporter, listed = _exporter(), []
        for notebook, node in nodes.items():
            words = {name: re.sub(r"[*`]", "", of(node)) for name, of in (("title", title), ("lead", lead))}
            staged = nbformat.from_dict(node)
            for cell in staged.cells:
                cell.source = embedded(cell.source, notebook.parent) if cell.cell_type == "markdown" else cell.source
            language = "zh" if notebook.resolve().parent.name == "zh" else "en"
            for step in (Pictures(), Stage(frozenset(names), language)):
                staged, _ = step.preprocess(staged, {})
            exporter.language_code = language
            resources = {"metadata": {"name": words["title"], "path": str(notebook.parent.resolve())}}
            page, _ = exporter.from_notebook_node(staged, resources)
            (draft / f"{notebook.stem}.html").write_text(page, encoding="utf-8")
            listed.append({"file": f"{notebook.stem}.html", "language": language} | words)
        template = Environment(loader=FileSystemLoader(PARTS)).get_template("decks.html.j2")
        (draft / "index.html").write_text(template.render(decks=listed), encoding="utf-8")
    return [
        f"{notebook.name} has no outputs, so its deck shows no results: "
        f"python -m workbook.run --in-place {notebook} makes them"
        for notebook, node in nodes.items() if not any(cell.get("outputs") for cell in node.cells)
    ]


def _exporter() -> SlidesExporter:
    """nbconvert's, with everything beside the deck and nothing from another host."""
    options = {
        "NbConvertBase": {"display_data_priority": PICTURES},
        "CSSHTMLHeaderPreprocessor": {"style": "xcode"},
        "SlidesExporter": {
            "reveal_url_prefix": "reveal", "reveal_theme": "white", "embed_images": True,
            "exclude_input_prompt": True, "exclude_output_prompt": True, "exclude_anchor_links": True,
        },
    }
    return SlidesExporter(Config(options), template_file="deck.html.j2", extra_loaders=[FileSystemLoader(PARTS)])


def _copy(package: str, place: str, target: Path, files: tuple[str, ...]) -> None:
    found = importlib.util.find_spec(package)
    if found is None:
        raise ValueError(f"slides need the package {package.replace('_', '-')}: pip install -e '.[slides]'")
    source = Path(found.submodule_search_locations[0]) / place
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, target / name)


def main(argv: list[str] | None = None) -> int:
    """The command line: `python -m workbook.decks --help`."""
    parser = argparse.ArgumentParser(prog="python -m workbook.decks", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="the lesson, 00 to 05, where none is named")
    parser.add_argument("--out", type=Path, default=Path("build/slides"), help="folder for the decks (build/slides)")
    given = parser.parse_args(argv)
    notebooks = list(dict.fromkeys(given.notebooks)) or sorted(Path("notebooks").glob(LESSON))
    if not notebooks:
        parser.error("no notebook named, and none in notebooks/: run this in the repository, or name a notebook")
    try:
        sentences = build(notebooks, given.out)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    for sentence in sentences:
        print(sentence)
    print(f"{len(notebooks)} {'deck' if len(notebooks) == 1 else 'decks'}: open {given.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
