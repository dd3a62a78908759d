"""Grids of notebooks on a real Dask cluster: workers that die, Ctrl-C, notebooks that fail, files that are wrong."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[scale]'")
import pandas  # noqa: E402

from workbook.scale import executed, grid, runs, summary  # noqa: E402

ROOT = Path(__file__).parents[3]
OWN_PLACE = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

# Run 50 of seed 0 stops half-way and waits to be killed, once; the parent of a kernel is the worker.
TINY = """import os, time; from pathlib import Path
with Path(marks, f"{n}-{seed}").open("a") as mark:
    mark.write("x")
if n == stops and seed == 0 and not Path(marks, "killed").exists():
    Path(marks, f"waits-{os.getppid()}-{os.getpid()}").touch()
    time.sleep(60)
print("a tenth of", n, "and", seed, "is", (n + seed) / 10)"""


def notebook(place, *cells, named="n = 1  # >= 0\nseed = 0  # 0 .. 9\nmarks = ''\nstops = 0"):
    place.parent.mkdir(parents=True, exist_ok=True)
    sources = [new_code_cell(named, metadata={"tags": ["parameters"]}), *map(new_code_cell, cells)]
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A small one"), *sources]), place)
    return place


def asked(folder, **parts):
    """A grid's file; JSON is YAML."""
    place = folder / "grid.yaml"
    place.write_text(json.dumps({"notebooks": ["tiny.ipynb"], **parts}))
    return place


def table(out):
    return pandas.read_csv(out / "results.csv", dtype={"run": str}, keep_default_na=False)


# --- 200 runs: a worker is killed, Ctrl-C is pressed, and the same command goes on --------------------------------


def started(command, folder):
    # no debugger in the kernels: a fifth of what their start takes
    without = folder / "without" / "debugpy"
    without.mkdir(parents=True, exist_ok=True)
    (without / "__init__.py").write_text('raise ImportError("not here")')
    path = os.pathsep.join([str(without.parent), str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": ""}
    options = dict(cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    command = [sys.executable, "-m", "workbook.scale.grid", *map(str, command)]
    return subprocess.Popen(command, start_new_session=True, **options)


def until(found, process, seconds=600):
    """The first true answer, as long as the process runs."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """200 runs in two starts; what was seen between them."""
    folder = tmp_path_factory.mktemp("large")
    out, marks, seen = folder / "out", folder / "marks", {}
    marks.mkdir()
    notebook(folder / "tiny.ipynb", TINY)
    lists = {"n": [*range(1, 101)], "marks": [str(marks)], "stops": [50]}
    file = asked(folder, parameters=lists, seeds=[0, 1], record={"tenth": "(n + seed) / 10"})
    command = [file, "--workers", 2, "--out", out]
    process = started(command, folder)
    place = until(lambda: next(marks.glob("waits-*"), None), process)
    worker, seen["kernel"] = map(int, place.name.split("-")[1:])
    (marks / "killed").touch()
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(table(out)) >= 130, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all processes
    seen["said"], seen["code"] = process.communicate(timeout=120), process.returncode
    seen["rows"], seen["copies"] = table(out), {place.stem for place in (out / "runs").iterdir()}
    seen["marks"] = {place.name: place.read_text() for place in marks.glob("*-[01]")}
    again = started(command, folder)
    seen["said again"], seen["code again"] = again.communicate(timeout=600), again.returncode
    return out, marks, seen


@pytest.mark.slow
@OWN_PLACE
def test_all_200_are_done_and_none_is_in_the_table_twice(large):
    out, marks, seen = large
    rows = table(out)
    assert seen["code again"] == 0, seen["said again"]
    assert len(rows) == 200 == rows["run"].nunique() and set(rows["status"]) == {"passed"}
    assert [*zip(rows["n"], rows["seed"])] == [(n, seed) for n in range(1, 101) for seed in (0, 1)]  # the grid's order
    assert (rows["tenth"] == (rows["n"] + rows["seed"]) / 10).all()
    assert rows["said"][7] == "a tenth of 4 and 1 is 0.5"


@pytest.mark.slow
@OWN_PLACE
def test_the_run_of_the_killed_worker_was_begun_again_by_another_process(large):
    out, marks, seen = large
    rows = table(out).set_index(["n", "seed"])
    assert (marks / "50-0").read_text() == "xx" and rows.loc[(50, 0), "retries"] >= 1
    assert rows.loc[(50, 0), "status"] == "passed" and seen["rows"]["worker"].nunique() >= 3
    assert not psutil.pid_exists(seen["kernel"])


@pytest.mark.slow
@OWN_PLACE
def test_ctrl_c_leaves_the_finished_rows_whole_and_says_what_goes_on(large):
    out, marks, seen = large
    rows = seen["rows"]
    assert seen["code"] == 130 and 130 <= len(rows) < 200
    [said] = [line for line in seen["said"][1].splitlines() if "stopped" in line]
    assert said.endswith(f"stopped; {len(rows)} of 200 runs are in {out}, the same command goes on")
    assert "Traceback" not in seen["said"][1], seen["said"][1]
    assert set(rows["status"]) == {"passed"} and set(rows["run"]) <= seen["copies"]
    assert (rows["tenth"] == (rows["n"] + rows["seed"]) / 10).all()
    assert all(nbformat.read(out / "runs" / f"{name}.ipynb", 4) for name in rows["run"])


@pytest.mark.slow
@OWN_PLACE
def test_the_second_start_ran_only_what_was_missing(large):
    out, marks, seen = large
    done = {f"{n}-{seed}" for n, seed in zip(seen["rows"]["n"], seen["rows"]["seed"])}
    begun = {place.name: place.read_text() for place in marks.glob("*-[01]")}
    assert len(begun) == 200 and all(begun[name] == seen["marks"][name] for name in done)
    bar = seen["said again"][1]
    assert f"{len(done)}/200" in bar and "200/200" in bar and "run/s" in bar or "s/run" in bar
    once = seen["rows"].set_index("run")
    assert (table(out).set_index("run").loc[once.index, once.columns] == once).all(axis=None)


@pytest.mark.slow
@OWN_PLACE
def test_the_summary_counts_the_runs_and_draws_what_was_recorded(large):
    cells = nbformat.read(large[0] / "summary.ipynb", 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs[0].text.startswith("200 runs: 200 passed\n") and outputs[1].text == "Nothing.\n"
    assert [output for output in outputs if "image/png" in output.get("data", {})]
