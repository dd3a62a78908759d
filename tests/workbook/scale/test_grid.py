"""Grids of notebooks on a real Dask cluster: workers that die, Ctrl-C, notebooks that fail, files that are wrong.

A kernel's start is what a run costs: the large grid has 40 runs here and 200 with GRID_RUNS=200, as once a week.
"""

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
RUNS = int(os.environ.get("GRID_RUNS", "40"))
# the run that waits to be killed; the rows after which Ctrl-C comes; the last one that does not wait for Ctrl-C
STOPS, ENOUGH, LAST = RUNS // 8, RUNS * 11 // 20, RUNS * 3 // 8

# Run `stops` of seed 0 stops half-way and waits to be killed, once; the parent of a kernel is the worker. Who comes
# after it waits for the worker that replaces the killed one. When that has done one, the last ones wait for Ctrl-C: it
# meets runs under way.
TINY = """import collections, os, time; from pathlib import Path
with Path(marks, f"{n}-{seed}").open("a") as mark:
    mark.write(f"{os.getppid()} ")
if n == stops and seed == 0 and not Path(marks, "killed").exists():
    Path(marks, f"waits-{os.getppid()}-{os.getpid()}").touch()
    time.sleep(600)
def waits():
    begun = collections.Counter(sum((mark.read_text().split() for mark in Path(marks).glob("*-[01]")), []))
    return len(begun) < 3 or n > last and min(begun.values()) > 1
while n > stops and not Path(marks, "told").exists() and waits():
    time.sleep(0.1)
print("a tenth of", n, "and", seed, "is", (n + seed) / 10)"""


def notebook(place, *cells, named="n = 1  # >= 0\nseed = 0  # 0 .. 9\nmarks = ''\nstops = 0\nlast = 0"):
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


# --- many runs: a worker is killed, Ctrl-C is pressed, and the same command goes on --------------------------------


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
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.poll() is None, process.communicate()
        time.sleep(0.5)
    return answer


def enough(rows):
    return len(rows) >= ENOUGH and rows["worker"].nunique() == 3


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """All runs in two starts; what was seen between them."""
    folder = tmp_path_factory.mktemp("large")
    out, marks, seen = folder / "out", folder / "marks", {}
    marks.mkdir()
    notebook(folder / "tiny.ipynb", TINY)
    lists = {"n": [*range(1, RUNS // 2 + 1)], "marks": [str(marks)], "stops": [STOPS], "last": [LAST]}
    file = asked(folder, parameters=lists, seeds=[0, 1], record={"tenth": "(n + seed) / 10"})
    command = [file, "--workers", 2, "--out", out]
    process = started(command, folder)
    place = until(lambda: next(marks.glob("waits-*"), None), process)
    worker, seen["kernel"] = map(int, place.name.split("-")[1:])
    (marks / "killed").touch()
    os.kill(worker, signal.SIGKILL)
    # the lost worker is replaced
    until(lambda: (out / "results.csv").exists() and enough(table(out)), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all processes
    seen["said"], seen["code"] = process.communicate(timeout=300), process.returncode  # what is under way has no end
    (marks / "told").touch()
    seen["rows"], seen["copies"] = table(out), {place.stem for place in (out / "runs").iterdir()}
    seen["marks"] = {place.name: place.read_text() for place in marks.glob("*-[01]")}
    again = started(command, folder)
    seen["said again"], seen["code again"] = again.communicate(timeout=600), again.returncode
    return out, marks, seen


@pytest.mark.slow
@OWN_PLACE
def test_all_are_done_and_none_is_in_the_table_twice(large):
    out, marks, seen = large
    rows = table(out)
    assert seen["code again"] == 0, seen["said again"]
    assert len(rows) == RUNS == rows["run"].nunique() and set(rows["status"]) == {"passed"}
    grid_order = [(n, seed) for n in range(1, RUNS // 2 + 1) for seed in (0, 1)]
    assert [*zip(rows["n"], rows["seed"])] == grid_order
    assert (rows["tenth"] == (rows["n"] + rows["seed"]) / 10).all()
    assert rows["said"][7] == "a tenth of 4 and 1 is 0.5"


@pytest.mark.slow
@OWN_PLACE
def test_the_run_of_the_killed_worker_was_begun_again_by_another_process(large):
    out, marks, seen = large
    rows, before = (each.set_index(["n", "seed"]) for each in (table(out), seen["rows"]))
    first, *others = (marks / f"{STOPS}-0").read_text().split()
    assert others and first not in others and rows.loc[(STOPS, 0), "status"] == "passed"
    # counted in the first start, unless Ctrl-C came before it was begun again: Dask may leave it to the end
    assert rows.loc[(STOPS, 0), "retries"] >= (1 if (STOPS, 0) in before.index else 0)
    assert not psutil.pid_exists(seen["kernel"])


@pytest.mark.slow
@OWN_PLACE
def test_ctrl_c_leaves_the_finished_rows_whole_and_says_what_goes_on(large):
    out, marks, seen = large
    rows = seen["rows"]
    assert seen["code"] == 130 and ENOUGH <= len(rows) < RUNS
    [said] = [line for line in seen["said"][1].splitlines() if "stopped" in line]
    assert said.endswith(f"stopped; {len(rows)} of {RUNS} runs are in {out}, the same command goes on")
    # a kernel that is shut down while it starts may say something of its own sockets
    ours = [word for word in ("KeyboardInterrupt", "grid.py", "distributed/") if word in seen["said"][1]]
    assert not ours, seen["said"][1]
    assert set(rows["status"]) == {"passed"} and set(rows["run"]) <= seen["copies"]
    assert (rows["tenth"] == (rows["n"] + rows["seed"]) / 10).all()
    assert all(nbformat.read(out / "runs" / f"{name}.ipynb", 4) for name in rows["run"])


@pytest.mark.slow
@OWN_PLACE
def test_the_second_start_ran_only_what_was_missing(large):
    out, marks, seen = large
    done = {f"{n}-{seed}" for n, seed in zip(seen["rows"]["n"], seen["rows"]["seed"])}
    begun = {place.name: place.read_text() for place in marks.glob("*-[01]")}
    assert len(begun) == RUNS and all(begun[name] == seen["marks"][name] for name in done)
    bar = seen["said again"][1]
    assert f"{len(done)}/{RUNS}" in bar and f"{RUNS}/{RUNS}" in bar and "run/s" in bar or "s/run" in bar
    once = seen["rows"].set_index("run")
    assert (table(out).set_index("run").loc[once.index, once.columns] == once).all(axis=None)


@pytest.mark.slow
@OWN_PLACE
def test_the_summary_counts_the_runs_and_draws_what_was_recorded(large):
    cells = nbformat.read(large[0] / "summary.ipynb", 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs[0].text.startswith(f"{RUNS} runs: {RUNS} passed\n") and outputs[1].text == "Nothing.\n"
    assert [output for output in outputs if "image/png" in output.get("data", {})]


# --- two nodes: processes of `dask worker` with folders of their own ----------------------------------------------

ENDS = """import os
if seed == 1: raise ValueError("this seed is one of the bad ones")
if seed == 2: os._exit(1)
print(open("../data/word.txt").read(), os.getcwd())"""


@contextlib.contextmanager
def dask(*command, cwd):
    cwd.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, command)], cwd=cwd, env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    """A grid of two notebooks, on a scheduler and two workers that were started by hand."""
    folder = tmp_path_factory.mktemp("nodes")
    (folder / "data").mkdir()
    (folder / "data" / "word.txt").write_text("travelled")
    notebook(folder / "books" / "tiny.ipynb", ENDS)
    shown = "from IPython.display import JSON, display; import numpy; display(JSON({'status': 1, 'beside': [n]}))"
    notebook(folder / "books" / "other.ipynb", "print('other')", shown)
    names = ["books/tiny.ipynb", "books/other.ipynb"]
    record = {"none": "float('nan')", "half": "__import__('numpy').float32(n / 2)  # a half"}
    lists = dict(parameters={"n": [3]}, seeds=[0, 1, 2])
    file = asked(folder, notebooks=names, files=["data/*.txt"], record=record, **lists)
    scheduled = folder / "scheduler.json"
    one = ("worker", "--scheduler-file", scheduled, "--nthreads", "1", "--no-dashboard")
    with contextlib.ExitStack() as stack:
        first = ("scheduler", "--scheduler-file", scheduled, "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        stack.enter_context(dask(*first, cwd=folder / "scheduler"))
        workers = [stack.enter_context(dask(*one, cwd=folder / name)) for name in ("one", "two")]
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(grid, "PATIENCE", 120)
        address = distributed.utils.json_load_robust(scheduled, timeout=120)["address"]
        with distributed.Client(address, timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
        code = grid.main([str(file), "--scheduler", address, "--out", str(folder / "out")])
        assert all(worker.poll() is None for worker in workers)
    return folder, code


@pytest.mark.slow
@OWN_PLACE
def test_two_nodes_share_a_grid_whose_files_travel_with_it(two_nodes):
    folder, code = two_nodes
    rows = table(folder / "out")
    assert rows["worker"].nunique() == 2 and len(rows) == 6
    said = rows[(rows["notebook"] == "books/tiny.ipynb") & (rows["status"] == "passed")]["said"].item()
    assert said.startswith("travelled ") and str(folder) not in said
    assert not list(folder.glob("one/*.ipynb")) and not list(folder.glob("two/*.ipynb"))


@pytest.mark.slow
@OWN_PLACE
def test_a_notebook_that_fails_is_a_row_with_its_traceback_and_its_copy(two_nodes):
    folder, code = two_nodes
    rows = table(folder / "out")
    failed = rows[rows["status"] == "failed"].set_index("seed")
    assert code == 1 and list(failed.index) == [1, 2] and list(rows["status"]).count("passed") == 4
    raised = failed["traceback"][1]
    assert raised.startswith("ValueError: this seed is one of the bad ones\n") and "\x1b" not in raised
    assert "----> 2 if seed == 1: raise ValueError" in raised
    cells = nbformat.read(folder / "out" / "runs" / f"{failed['run'][1]}.ipynb", 4).cells
    assert any(output.output_type == "error" for cell in cells for output in cell.get("outputs", ()))
    assert failed["traceback"][2].startswith("DeadKernelError: Kernel died")
    page = nbformat.read(folder / "out" / "summary.ipynb", 4)
    assert "ValueError: this seed is one of the bad ones" in str(page)


@pytest.mark.slow
@OWN_PLACE
def test_what_a_notebook_shows_as_json_and_what_the_grid_asks_for_are_columns(two_nodes):
    rows = table(two_nodes[0] / "out")
    other = rows[rows["notebook"] == "books/other.ipynb"]
    assert set(other["half"].astype(float)) == {1.5} and set(other["none"]) == {"nan"}
    assert set(other["beside"]) == {"[3]"} and set(other["status"]) == {"passed"} and set(other["said"]) == {"other"}


# --- the bookkeeping, on a cluster of threads, with notebooks that are not run ------------------------------------


@pytest.fixture
def threads(tmp_path, monkeypatch):
    """main() for a grid of six runs of which the functions given stand in for the notebooks' seeds."""
    notebook(tmp_path / "tiny.ipynb", "print(n)")
    local = dict(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None)
    monkeypatch.setattr(grid, "connect", lambda address, workers: distributed.Client(**local))
    monkeypatch.setattr(summary, "write", lambda out: None)
    calls = collections.Counter()

    def main(*options, change=None, **parts):
        def execute(name, values, files, starting):
            starting()
            calls[values["n"], values["seed"]] += 1
            told = dict(took_seconds=0.1, said=f"n is {values['n']}", traceback="", copy="{}")
            told |= {"recorded": {"n": 7, "twice": 2 * values["n"]}}
            return told | (change or {}).get(values["seed"], lambda starting: {})(starting)

        monkeypatch.setattr(executed, "execute", execute)
        file = asked(tmp_path, **{"parameters": {"n": [1, 2, 3]}, "seeds": [0, 1], **parts})
        return grid.main([str(file), "--out", str(tmp_path / "out"), *options])

    return main, calls, tmp_path / "out"


def test_the_columns_stand_in_their_order_and_a_parameter_keeps_its_own(threads):
    main, calls, out = threads
    assert main() == 0 and set(calls.values()) == {1} and len(calls) == 6
    rows = table(out)
    wanted = "run notebook n seed status retries worker took_seconds said traceback twice"
    assert list(rows) == wanted.split() and list(rows["n"]) == [1, 1, 2, 2, 3, 3] and list(rows["twice"])[-1] == 6
    assert {path.name for path in out.iterdir()} == {".lock", "results.csv", "runs"}


def fails(starting):
    return {"traceback": "ValueError: no\n…"}


def goes(starting):
    raise ConnectionError("in place of Dask's own")


def begins_twice(starting):
    starting()
    return {}


def test_what_has_failed_runs_again_only_when_asked_and_what_was_lost_always_does(threads):
    main, calls, out = threads
    assert main(change={0: fails, 1: goes}) == 1
    assert collections.Counter(table(out)["status"]) == {"failed": 3, "lost": 3}
    assert table(out)["traceback"][1].startswith("in place")
    assert main(change={0: fails}) == 1  # by what has failed before
    assert (calls[1, 0], calls[1, 1]) == (1, 2)
    assert collections.Counter(table(out)["status"]) == {"failed": 3, "passed": 3}
    assert main("--again") == 0 and calls[1, 0] == calls[1, 1] == 2
    assert main("--again") == 0 and calls[1, 0] == calls[1, 1] == 2


def test_a_second_start_of_a_kernel_is_a_retry(threads):
    main, calls, out = threads
    assert main(change={1: begins_twice}) == 0
    assert list(table(out)["retries"]) == [0, 1] * 3


def test_more_values_run_what_is_new_and_another_notebook_is_another_grid(threads, tmp_path):
    main, calls, out = threads
    assert main() == 0 and main(seeds=[0, 1, 2]) == 0
    assert len(calls) == 9 and set(calls.values()) == {1} and list(table(out)["seed"])[:3] == [0, 1, 2]
    before = (out / "results.csv").read_bytes()
    notebook(tmp_path / "tiny.ipynb", "print(n + 1)")
    with pytest.raises(SystemExit, match="9 of the 9 runs in .*out are not of this grid as it is now: name another"):
        main()
    assert (out / "results.csv").read_bytes() == before


def test_a_folder_that_another_start_writes_to_is_left_alone(threads):
    import locket

    main, calls, out = threads
    out.mkdir()
    with locket.lock_file(str(out / ".lock")), pytest.raises(SystemExit, match="another start writes to .*out$"):
        main()
    assert not calls


def test_what_a_run_is_does_not_depend_on_outputs_prose_or_order(tmp_path):
    file = asked(tmp_path, parameters={"n": [1, 2]}, seeds=[0], files=["word.txt"])
    (tmp_path / "word.txt").write_text("a")
    place = notebook(tmp_path / "tiny.ipynb", "print(n)")
    ids = list(runs.read(file))
    node = nbformat.read(place, 4)
    node.cells[0].source, node.cells[2].outputs = "# Others", [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(node, place)
    assert list(runs.read(file)) == ids
    assert list(runs.read(asked(tmp_path, parameters={"n": [2, 1, 1]}, seeds=[0], files=["word.txt"]))) == ids[::-1]
    (tmp_path / "word.txt").write_text("b")
    assert not set(runs.read(file)) & set(ids)


@pytest.mark.parametrize("dies, tried", [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_a_kernel_that_dies_at_its_start_is_started_again_twice_at_most(monkeypatch, tmp_path, dies, tried):
    starts = []

    def execute_notebook(place, copy, values, **options):
        if len(starts) <= dies:
            raise RuntimeError("Kernel died before replying to kernel_info")
        copy.write_text(place.read_text())

    monkeypatch.setattr(executed.papermill, "execute_notebook", execute_notebook)
    content = notebook(tmp_path / "tiny.ipynb", "print(n)").read_bytes()
    done = executed.execute("tiny.ipynb", {"n": 1}, {"tiny.ipynb": content}, lambda: starts.append(1))
    assert len(starts) == tried and bool(done["traceback"]) == (dies == 9)
    assert done["traceback"] in ("", "RuntimeError: Kernel died before replying to kernel_info")
    assert "print(n)" in done["copy"]


@pytest.mark.parametrize("rows", ["one", "none passed", "words"])
def test_the_summary_of_an_odd_table(rows, tmp_path, monkeypatch, capsys):
    ended = dict(took_seconds=1.5, worker="w", retries=0, said="", traceback="" if rows != "none passed" else "Oh: no")
    status = {"status": "failed" if rows == "none passed" else "passed"}
    varied = [{"n": 1}] if rows == "one" else [{"way": "a", "n": 1}, {"way": "b", "n": 1}]
    told = [{"run": str(i), "notebook": "t.ipynb", **values, **status, **ended} for i, values in enumerate(varied)]
    pandas.DataFrame(told).to_csv(tmp_path / "results.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    space = {}
    for _, code in summary.CELLS:
        exec(code, space)
    assert capsys.readouterr().out.startswith(f"{len(told)} runs: {len(told)} {status['status']}\n")
    assert space["recorded"] == ["took_seconds"] and space["along"] == {"one": "notebook"}.get(rows, "way")


# --- what is refused, each in a sentence, before anything runs ----------------------------------------------------


@pytest.fixture
def refused(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "connect", lambda *_: pytest.fail("a cluster was started"))
    notebook(tmp_path / "tiny.ipynb", "print(n)")

    def said(file, *options):
        with pytest.raises(SystemExit) as stopped:
            grid.main([str(file), "--out", str(tmp_path / "out"), *options])
        assert not (tmp_path / "out").exists() and "\n" not in str(stopped.value)
        return str(stopped.value)

    return said


@pytest.mark.parametrize(
    "parts, sentence",
    [
        ({"parameters": {"m": [1]}}, "'m' is not a parameter of tiny.ipynb, which has n, seed, marks, stops, last"),
        ({"parameters": {"n": [1, -1]}}, "n = -1 is out of range; it must be >= 0"),
        ({"parameters": {"n": []}}, "n must be a list of at least one value, got []"),
        ({"parameters": {"n": 5}}, "n must be a list of at least one value, got 5"),
        ({"seeds": 3}, "seed must be a list of at least one value, got 3"),
        ({"parameters": [1]}, "parameters and record must be names with something behind each"),
        ({"parameters": {"seed": [1]}, "seeds": [1]}, "two columns that are called seed"),
        ({"record": {"status": "n"}}, "two columns that are called status"),
        ({"record": {"m": "n +"}}, "record m must be a Python expression, got 'n +'"),
        ({"notebooks": ["gone.ipynb"]}, "gone.ipynb is not there"),
        ({"notebooks": []}, "notebooks must be a list of at least one name"),
        ({"notebooks": "tiny.ipynb"}, "notebooks and files must be lists of names, got 'tiny.ipynb'"),
        ({"notebooks": ["grid.yaml"]}, "grid.yaml cannot be read: "),
        ({"files": ["*.txt"]}, "*.txt is not there"),
        ({"paramters": {"n": [1]}}, "must say notebooks, and may say parameters, seeds, record, files; it says"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(refused, tmp_path, parts, sentence):
    assert sentence in refused(asked(tmp_path, **parts))


def test_a_file_that_is_not_there_or_not_yaml_is_refused(refused, tmp_path):
    assert refused(tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'} is not there"
    (tmp_path / "bad.yaml").write_text("notebooks: [tiny.ipynb\nseeds: 1]: {")
    assert refused(tmp_path / "bad.yaml").startswith(f"{tmp_path / 'bad.yaml'} is not YAML: ")
    (tmp_path / "words.yaml").write_text("a grid of notebooks")
    assert "must say notebooks" in refused(tmp_path / "words.yaml")
    assert refused(asked(tmp_path), "--workers", "0") == "--workers must be >= 1, got 0"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere"])
def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch, address):
    monkeypatch.setattr(grid, "PATIENCE", 0.5)
    notebook(tmp_path / "tiny.ipynb", "print(n)")
    with pytest.raises(SystemExit, match=f"^no Dask scheduler answers at {address}: [^\n]*$"):
        grid.main([str(asked(tmp_path)), "--scheduler", address, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_example_of_the_docs_asks_for_twelve_runs_of_parameters_that_are_there():
    found = runs.read(ROOT / "docs" / "grid.yaml")
    assert len(found) == 12 and {run.notebook for run in found.values()} == {"notebooks/03_distil_a_student.ipynb"}
    [carried] = {tuple(run.files) for run in found.values()}
    assert sum(name.startswith("results/") for name in carried) >= 3
