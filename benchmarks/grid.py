"""A grid of notebooks beside plain papermill: what a run costs on top, and what a second worker brings.

    python benchmarks/grid.py [--short]

Two notebooks: one whose cell does nothing, so that what is left is a kernel's start and its end, and one that computes
for about half a second on one thread. In turns, within one run: papermill alone, one after another in one process; the
grid on a local cluster of one worker; the grid on two. The clusters are there before the clock starts, as they are
during a long grid; what their start takes stands beside it.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import os
import tempfile
import time
from importlib import metadata
from pathlib import Path

import nbformat
import papermill
from nbformat.v4 import new_code_cell, new_notebook
from provenance import write
from turns import figure, in_turns, ratio, show

from workbook.kernels import ThisPython
from workbook.scale import grid, runs

CELLS = {"empty": "pass", "half a second": "sum(i * i for i in range(8_000_000))"}
NEW = itertools.count()  # a value that no run has had, so that none is done already


def asked(folder: Path, name: str, count: int) -> dict[str, runs.Run]:
    file = folder / f"{name}.yaml"
    values = {"n": list(itertools.islice(NEW, count))}
    file.write_text(json.dumps({"notebooks": [f"{name}.ipynb"], "parameters": values}))
    return runs.read(file)


def by_grid(folder: Path, name: str, count: int, client) -> int:
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stderr(io.StringIO()):
        rows = {}
        grid.collect(asked(folder, name, count), client, Path(out), rows)
        assert [row["status"] for row in rows.values()] == ["passed"] * count
    return count


def by_papermill(folder: Path, name: str, count: int) -> int:
    for _ in range(count):
        options = dict(kernel_name="python3", language="python", progress_bar=False)
        options |= dict(kernel_manager_class=ThisPython)  # the same kernel as the grid's
        papermill.execute_notebook(folder / f"{name}.ipynb", folder / "copy.ipynb", {"n": next(NEW)}, **options)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one round of 2 runs in place of five of 6")
    rounds, count = (1, 2) if parser.parse_args().short else (5, 6)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the kernels
    figures, rates, starts = {}, {}, {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = {}
        for workers in (1, 2):
            start = time.perf_counter()
            clients[workers] = stack.enter_context(grid.connect(None, workers))
            starts[f"{workers} workers"] = time.perf_counter() - start
        for name, source in CELLS.items():
            cells = [new_code_cell("n = 0", metadata={"tags": ["parameters"]}), new_code_cell(source)]
            nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
            turns = {"papermill": functools.partial(by_papermill, folder, name, count)} | {
                f"grid, {workers}": functools.partial(by_grid, folder, name, count, client)
                for workers, client in clients.items()
            }
            found = in_turns(turns, rounds)
            alone, one, two = found.values()
            figures[f"{name}: grid with 1 worker / papermill"] = ratio(one, alone)
            figures[f"{name}: grid with 2 workers / with 1"] = ratio(two, one)
            more = [1000 / a - 1000 / b for a, b in zip(one, alone, strict=True)]
            figures[f"{name}: a run on 1 worker, on top of papermill"] = figure(more, "ms")
            rates |= {f"{name}: {who}": values for who, values in found.items()}
    show(figures)
    versions = {name: metadata.version(name) for name in ("distributed", "papermill", "ipykernel")}
    found = {"runs": count, "figures": figures, "runs_per_second": rates, "start_seconds": starts, "engines": versions}
    print(write("grid", found))


if __name__ == "__main__":
    main()
