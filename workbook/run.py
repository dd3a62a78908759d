"""Runs the notebooks without a browser: executed copies with an HTML page of each, or fresh outputs in place.

Two run at a time. One that measures time says so itself, by the tag `measures` on its parameters cell, and runs alone.

What a notebook teaches and checks stays in the notebook; here are only running, saving and the verdict.
"""

import argparse
import ast
import base64
import contextlib
import difflib
import functools
import io
import logging
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
import papermill
from jinja2 import DictLoader
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image
from traitlets.config import Config

from workbook.kernels import ThisPython, retried
from workbook.parameters import OutOfRange, Parameter, read

# A panel's picture goes before its widget, which a page without a kernel cannot show.
SHOWN = "image/svg+xml image/png image/jpeg text/html text/markdown text/latex text/plain".split()
KEPT = ("editable", "jupyter", "slideshow", "tags")  # of a cell's metadata: what the notebook's author wrote
# The page must not wait for a network: no require.js, and MathJax when it comes. Without it formulas show as TeX.
PAGE = """{% extends 'lab/index.html.j2' %}{% block html_head_js %}{% endblock %}{% block html_head_js_mathjax %}
{{ super() | replace('<script src=', '<script async src=') }}{% endblock %}"""


def parameters_of(notebook: Path) -> list[str]:
    """Names assigned in the cell tagged `parameters`, in their order; none where there is no such cell."""
    return [parameter.name for parameter in _parameters(notebook)]


def measures(notebook: Path) -> bool:
    """Whether the notebook measures time, so that nothing may run beside it: a tag on its parameters cell says so."""
    cell = _parameters_cell(notebook)
    return cell is not None and "measures" in cell.metadata.tags


def _parameters(notebook: Path) -> list[Parameter]:
    cell = _parameters_cell(notebook)
    return read(cell.source) if cell else []


def _parameters_cell(notebook: Path) -> nbformat.NotebookNode | None:
    cells = nbformat.read(notebook, 4).cells
    return next((cell for cell in cells if "parameters" in cell.metadata.get("tags", [])), None)


def execute(notebook: Path, folder: Path, parameters: dict) -> None:
    """Writes an executed copy of the notebook and its HTML page into the folder, also where a cell fails.

    It runs in its own folder, as in JupyterLab, with plain values for some of `parameters_of`. Raises
    papermill.PapermillExecutionError where a cell raised; the copy and the page show where.
    """
    copy = folder.resolve() / notebook.name
    copy.unlink(missing_ok=True)  # an older run's copy must not pass for this one's
    client = dict(kernel_manager_class=ThisPython, store_widget_state=False, coalesce_streams=True)
    named = dict(kernel_name="python3", language="python", cwd=notebook.parent.resolve())
    try:
        retried(lambda: papermill.execute_notebook(
            notebook.resolve(), copy, parameters, progress_bar=False, **named, **client))
    finally:
        if copy.is_file():
            options = {"NbConvertBase": {"display_data_priority": SHOWN}, "HTMLExporter": {"embed_images": True}}
            resources = {"metadata": {"name": notebook.stem, "path": str(notebook.parent.resolve())}}
            loader = DictLoader({"page.html.j2": PAGE})
            exporter = HTMLExporter(Config(options), template_file="page.html.j2", extra_loaders=[loader])
            html, _ = exporter.from_notebook_node(nbformat.read(copy, 4), resources)
            html = re.sub(r'href="([\w.-]+)\.ipynb', r'href="\1.html', html)  # the neighbours are pages here, too
            copy.with_suffix(".html").write_text(html, encoding="utf-8")


def refresh(notebook: Path) -> None:
    """Executes a notebook from top to bottom and writes it back with its outputs, and nothing that varies besides.

    No timestamps, widget state or widget ids, Python version, or metadata of tools: a second run on the same
    machine gives the same file. Where a cell fails the file stays as it was.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook_node = nbformat.read(notebook, 4)
    resources = {"metadata": {"path": str(notebook.parent.resolve())}}
    client = dict(kernel_manager_class=ThisPython, store_widget_state=False, coalesce_streams=True, timeout=None)
    retried(lambda: NotebookClient(notebook_node, resources=resources, record_timing=False, **client).execute())
    language = {key: value for key, value in notebook_node.metadata.language_info.items() if key != "version"}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook_node.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": language})
    for cell in notebook_node.cells:
        cell.metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _small(output.data["image/png"])
    draft = notebook.with_suffix(".tmp")
    nbformat.write(notebook_node, draft)
    os.replace(draft, notebook)


def _small(png: str) -> str:
    """The same picture with 64 colours: a third of the bytes, and no difference that shows in a figure."""
    reduced = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(reduced, "png", optimize=True)
    return base64.b64encode(reduced.getvalue()).decode()


def main(argv: list[str] | None = None) -> int:
    """The command line: `python -m workbook.run --help`.

    Returns:
        0 where every notebook passed, 1 where one failed; wrong arguments exit with 2 before anything runs.
    """
    parser = argparse.ArgumentParser(prog="python -m workbook.run", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all in notebooks/ where none is named")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters",
                        help="a value for the parameters cell; every notebook that runs must have that name")
    parser.add_argument("--output", type=Path, default=Path("build"), help="folder for copies and pages (build)")
    parser.add_argument("--in-place", action="store_true", help="write the outputs into the notebooks themselves")
    parser.add_argument("--jobs", type=int, default=2,
                        help="notebooks at a time (2); one that measures time runs alone whatever it is")
    given = parser.parse_args(argv)
    notebooks = list(dict.fromkeys(given.notebooks)) or sorted(Path("notebooks").glob("*.ipynb"))
    if not notebooks:
        parser.error("no notebook named, and none in notebooks/: run this in the repository, or name a notebook")
    if given.jobs < 1:
        parser.error(f"--jobs must be >= 1, got {given.jobs}")
    if given.in_place and given.parameters:
        parser.error("--in-place writes the outputs of the default parameters, so it takes no -p")
    parameters = {name: _value(text) for name, text in given.parameters}
    for notebook in notebooks:
        if not notebook.is_file():
            parser.error(f"{notebook} is not there")
    if refused := [sentence for notebook in notebooks for sentence in _refusals(notebook, parameters)]:
        parser.error("\n  ".join(refused))
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of names whose comment holds a ":" or "="
    os.environ["TQDM_DISABLE"] = "1"  # a bar that nobody watches would stay in the outputs
    if not given.in_place:
        given.output.mkdir(parents=True, exist_ok=True)
    attempt = functools.partial(_attempt, folder=None if given.in_place else given.output, parameters=parameters)
    results, begun = {}, time.perf_counter()
    for notebook, seconds, verdict in _in_turns(attempt, notebooks, given.jobs):
        results[notebook] = seconds, verdict
        said = textwrap.shorten(verdict, 130)
        print(f"[{len(results)}/{len(notebooks)}] {notebook.name}: {said}, {seconds:.1f} s", flush=True)
    width = max(len(notebook.name) for notebook in notebooks)
    print(f"\n{'notebook':{width}}  seconds  verdict")
    for notebook in notebooks:
        seconds, verdict = results[notebook]
        print(f"{notebook.name:{width}}  {seconds:7.1f}  {verdict.partition(':')[0]}")
    print(f"{'in all':{width}}  {time.perf_counter() - begun:7.1f}")
    if not given.in_place:
        print(f"Executed copies and pages: {given.output}/")
    for notebook, (_, verdict) in results.items():
        if verdict != "passed":
            print(f"\n{notebook.name} {verdict}")
    return 0 if all(verdict == "passed" for _, verdict in results.values()) else 1


def _refusals(notebook: Path, parameters: dict) -> Iterator[str]:
    """A sentence for each value that the notebook does not take."""
    known = {parameter.name: parameter for parameter in _parameters(notebook)}
    for name, value in parameters.items():
        if name in known:
            try:
                known[name].demand(value, notebook.parent)
            except OutOfRange as outside:
                yield f"{notebook}: {outside}"
        else:
            near = "".join(f"; did you mean {other}?" for other in difflib.get_close_matches(name, known, 1))
            has = f"has {', '.join(known)}" if known else "has none"
            yield f"{name!r} is not a parameter of {notebook}, which {has}{near}"


def _in_turns(attempt: Callable, notebooks: list[Path], jobs: int) -> Iterator[tuple[Path, float, str]]:
    """First those that share the cores; the pool is gone before one that measures starts."""
    alone = [notebook for notebook in notebooks if jobs == 1 or measures(notebook)]
    shared = [notebook for notebook in notebooks if notebook not in alone]
    several = len(shared) > 1
    with ProcessPoolExecutor(jobs, None, _share, (jobs,)) if several else contextlib.nullcontext() as pool:
        for notebook, result in zip(shared, (pool.map if pool else map)(attempt, shared), strict=True):
            yield notebook, *result
    for notebook in alone:
        yield notebook, *attempt(notebook)


def _share(jobs: int) -> None:
    """Gives each of so many kernels its part of the cores: where each takes all, they wait for one another."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))


def _attempt(notebook: Path, folder: Path | None, parameters: dict) -> tuple[float, str]:
    start, verdict = time.perf_counter(), "passed"
    try:
        execute(notebook, folder, parameters) if folder else refresh(notebook)
    except Exception as error:  # one notebook's failure, of whatever kind, must not stop the others
        verdict = "failed: " + _reason(error)
    return time.perf_counter() - start, verdict


def _value(text: str) -> object:
    """A Python literal where it is one (4, 0.5, True, [1, 2]), else the text itself."""
    try:
        return _listed(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _listed(value: object) -> object:
    """The same with lists in place of tuples, which papermill would hand on as text."""
    return [_listed(part) for part in value] if isinstance(value, list | tuple) else value


def _reason(error: Exception) -> str:
    if hasattr(error, "ename"):  # papermill's and nbclient's errors of a cell
        return " ".join(f"{error.ename}: {error.evalue}".split())
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    sys.exit(main())
