import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from well_formed import notebook

from workbook import run as workbook

LESSON = Path(__file__).parents[2] / "notebooks" / "03_distil_a_student.ipynb"
PANEL = """from IPython.display import display
pixel = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
bundle = {"image/png": pixel.decode(), "text/plain": "a panel", "text/html": "PAGE-OF-THE-WIDGET"}
bundle["application/vnd.jupyter.widget-view+json"] = {"model_id": "1", "version_major": 2, "version_minor": 0}
display(bundle, raw=True)"""


def write(path, *sources):
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


@pytest.fixture
def lesson(tmp_path):
    path = tmp_path / "notebooks" / "00_lesson.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook(), path)
    return path


def outputs(path):
    return "".join(
        output.get("text", "") or output.data.get("text/plain", "")
        for cell in nbformat.read(path, 4).cells
        for output in cell.get("outputs", [])
    )


def test_a_passed_parameter_changes_the_result_and_nothing_is_left_behind(lesson, tmp_path, capsys, monkeypatch):
    build, scratch = tmp_path / "build", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that this process looks at TMPDIR again
    assert workbook.main([str(lesson), "-p", "alpha", "0.25", "-p", "temperature", "8.0", "--output", str(build)]) == 0
    assert "'2'" in outputs(build / lesson.name)  # 4 without them
    assert "[1/1] 00_lesson.ipynb: passed" in capsys.readouterr().out
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "text, value",
    [("4", 4), ("True", True), ("recorded.json", "recorded.json"), ("[(8, 4), (16, 6)]", [[8, 4], [16, 6]])],
)
def test_a_value_is_a_literal_where_it_is_one_and_else_text(text, value):
    assert workbook._value(text) == value


def test_the_names_of_the_parameters_are_those_of_their_cell(lesson):
    assert workbook.parameters_of(lesson) == ["seed", "alpha", "temperature", "dataset"]


NAP = """import json, os, pathlib, time
start = time.time(); time.sleep(0.5)
pathlib.Path("{name}.json").write_text(json.dumps([start, time.time(), os.environ.get("OMP_NUM_THREADS")]))"""


def test_notebooks_that_measure_run_alone_and_after_the_others_who_share_the_cores(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    paths = [write(tmp_path / f"{name}.ipynb", NAP.format(name=name)) for name in ("a", "b", "c", "d")]
    for path in paths[:2]:
        node = nbformat.read(path, 4)
        node.cells.insert(0, new_code_cell("seed = 0", metadata={"tags": ["parameters", "measures"]}))
        nbformat.write(node, path)
    assert [workbook.measures(path) for path in paths] == [True, True, False, False]
    assert workbook.main([*map(str, paths), "--output", str(tmp_path / "build")]) == 0
    times = {path.stem: json.loads(path.with_suffix(".json").read_text()) for path in paths}
    assert max(times["c"][1], times["d"][1]) < times["a"][0] and times["a"][1] < times["b"][0]
    shared = str(max(1, os.cpu_count() // 2))
    assert [times[name][2] for name in "abcd"] == [None, None, shared, shared]
    out = capsys.readouterr().out
    assert out.index("[3/4] a.ipynb") < out.index("notebook  seconds") < out.index("\na.ipynb") < out.index("\nd.ipynb")


@pytest.mark.parametrize("error, dies, tried", [
    (RuntimeError("Kernel died before replying to kernel_info"), 0, 1),
    (RuntimeError("Kernel died before replying to kernel_info"), 2, 3),
    (RuntimeError("Kernel died before replying to kernel_info"), 9, 3),
    (DeadKernelError("Kernel died"), 9, 1),  # by what a cell has done
])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_kernel_that_dies_at_its_start_is_started_again_twice_at_most(
    lesson, tmp_path, monkeypatch, in_place, error, dies, tried,
):
    starts = []

    def execute(*given, **options):
        starts.append(1)
        if len(starts) <= dies:
            raise error
        if in_place:
            given[0].nb.metadata["language_info"] = nbformat.from_dict({"name": "python"})
        else:
            given[1].write_text(given[0].read_text())

    owner = (workbook.NotebookClient, "execute") if in_place else (workbook.papermill, "execute_notebook")
    monkeypatch.setattr(*owner, execute)
    with pytest.raises(type(error)) if dies >= tried else contextlib.nullcontext():
        workbook.refresh(lesson) if in_place else workbook.execute(lesson, tmp_path, {})
    assert len(starts) == tried


@pytest.mark.parametrize("extra", [["--jobs", "1"], ["--in-place"]])  # one at a time in this process; two at a time
def test_one_failing_notebook_gives_1_and_the_others_still_run(tmp_path, capsys, extra):
    bad = write(tmp_path / "a_bad.ipynb", "1 / 0", "print('not reached')")
    good = write(tmp_path / "b_good.ipynb", "print('reached')")
    before = bad.read_text()
    build = tmp_path / "build"
    assert workbook.main([str(bad), str(good), "--output", str(build), *extra]) == 1
    out = capsys.readouterr().out
    assert "[1/2] a_bad.ipynb: failed: ZeroDivisionError: division by zero" in out
    assert "[2/2] b_good.ipynb: passed" in out
    if "--in-place" in extra:
        assert bad.read_text() == before
        assert outputs(good) == "reached\n"
    else:
        assert "ZeroDivisionError" in (build / "a_bad.html").read_text()
        assert "reached" in (build / "b_good.html").read_text()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["-p", "alhpa", "1"], "'alhpa' is not a parameter of"),
        (["-p", "alhpa", "1"], "which has seed, alpha, temperature, dataset"),
        (["-p", "alpha", "1", "--in-place"], "takes no -p"),
        (["missing.ipynb"], "missing.ipynb is not there"),
        (["--jobs", "0"], "--jobs must be >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(lesson, tmp_path, capsys, arguments, sentence):
    before = lesson.read_text()
    with pytest.raises(SystemExit) as stopped:
        workbook.main([str(lesson), *arguments, "--output", str(tmp_path / "build")])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "build").exists() and lesson.read_text() == before


def test_a_parameter_must_be_known_to_every_notebook_that_runs(lesson, tmp_path, capsys):
    other = write(tmp_path / "notebooks" / "01_other.ipynb", "print('no parameters')")
    with pytest.raises(SystemExit):
        workbook.main([str(lesson), str(other), "-p", "seed", "1", "--output", str(tmp_path / "build")])
    assert "01_other.ipynb, which has none" in capsys.readouterr().err


@pytest.fixture
def no_kernel(monkeypatch):
    monkeypatch.setattr(workbook, "execute", lambda *_: pytest.fail("a kernel was started"))


@pytest.mark.parametrize(
    "name, value, sentence",
    [
        ("seeds", "five", "seeds = 'five' is not a whole number; it must be 2 .. 20"),
        ("labelled", "5000", "labelled = 5000 is out of range; it must be 10 .. 1000"),
        ("seed", "-1", "seed = -1 is out of range; it must be >= 0"),
        ("log", "gone.json", "log = 'gone.json' is not there; it must be \"\" or a file"),
    ],
)
def test_a_value_out_of_range_is_refused_before_a_kernel_starts(no_kernel, tmp_path, capsys, name, value, sentence):
    with pytest.raises(SystemExit) as stopped:
        workbook.main([str(LESSON), "-p", name, value, "--output", str(tmp_path / "build")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f"{LESSON}: {sentence}\n")
    assert not (tmp_path / "build").exists()


def test_every_value_that_any_of_the_notebooks_does_not_take_is_named(no_kernel, lesson, tmp_path, capsys):
    other = write(tmp_path / "notebooks" / "01_other.ipynb", "seed = 0  # 0 .. 9: another range")
    node = nbformat.read(other, 4)
    node.cells[0].metadata.tags = ["parameters"]
    nbformat.write(node, other)
    with pytest.raises(SystemExit):
        workbook.main([str(lesson), str(other), "-p", "seed", "10", "-p", "alhpa", "1", "-p", "alpha", "2"])
    err = capsys.readouterr().err
    assert "00_lesson.ipynb: alpha = 2 is out of range; it must be 0.0 .. 1.0" in err
    assert "01_other.ipynb: seed = 10 is out of range; it must be 0 .. 9" in err
    assert "'alhpa' is not a parameter of" in err and "temperature, dataset; did you mean alpha?" in err
    assert "'alpha' is not a parameter of" in err and "00_lesson.ipynb: seed" not in err


def test_no_notebook_at_all_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        workbook.main([])
    assert "none in notebooks/" in capsys.readouterr().err


def test_the_page_shows_the_picture_of_a_panel_and_waits_for_no_network(tmp_path):
    path = write(tmp_path / "panel.ipynb", PANEL, "import sys; print(sys.executable)")
    linked = nbformat.read(path, 4)
    linked.cells.append(new_markdown_cell("[next](01_next.ipynb#part) $x^2$ ![a drawing](drawn.svg)"))
    (tmp_path / "drawn.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    linked.metadata["kernelspec"] = {"name": "somebody-elses", "display_name": "gone", "language": "python"}
    nbformat.write(linked, path)
    assert workbook.main([str(path), "--output", str(tmp_path / "build")]) == 0
    kernel = outputs(tmp_path / "build" / "panel.ipynb").splitlines()[-1]
    assert kernel.endswith(sys.executable)  # the running Python, whatever kernel the notebook names
    page = (tmp_path / "build" / "panel.html").read_text()
    soup = BeautifulSoup(page, "html.parser")
    shown = soup.select_one(".jp-OutputArea-output")
    assert shown.img["src"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert not shown.find("script") and "PAGE-OF-THE-WIDGET" not in str(shown)
    fetched = [tag for tag in soup.select("script[src], link[href], img[src]") if "://" in str(tag)]
    assert [tag.has_attr("async") and "mathjax" in tag["src"] for tag in fetched] == [True]
    assert 'href="01_next.html#part"' in page
    assert soup.find("img", alt="a drawing")["src"].startswith("data:image/svg+xml;base64,")  # it lies elsewhere


def test_in_place_gives_the_same_file_twice_and_keeps_only_tags_slides_and_folds(lesson):
    node = nbformat.read(lesson, 4)
    node.cells.append(new_code_cell(PANEL, id="panel"))
    node.cells.append(new_code_cell("import ipywidgets\nipywidgets.IntSlider(3)", id="slider"))
    node.cells[3].metadata.update({"papermill": {"duration": 1.5}, "ExecuteTime": {}, "tags": ["kept"]})
    node.metadata["papermill"] = {"start_time": "today"}
    nbformat.write(node, lesson)
    assert workbook.main([str(lesson), "--in-place"]) == 0
    first = lesson.read_text()
    assert workbook.main([str(lesson), "--in-place"]) == 0
    assert lesson.read_text() == first
    done = nbformat.read(lesson, 4)
    assert set(done.metadata) == {"kernelspec", "language_info"} and "version" not in done.metadata.language_info
    assert done.cells[3].metadata == {"tags": ["kept"]} and "slideshow" in done.cells[0].metadata
    codes = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    assert all("widget-view" not in mime for cell in codes for out in cell.outputs for mime in out.get("data", {}))
    assert not list(lesson.parent.glob("*.tmp"))
