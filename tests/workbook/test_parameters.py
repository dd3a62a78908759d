import math

import nbformat
import papermill
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_notebook

from workbook import run
from workbook.parameters import OutOfRange, check, read

CELL = """seeds = 5               # 2 .. 20: how many paired seeds; time grows with it
labelled: int = 50      # 10 .. 1000
seed = 0                # >= 0: any
alpha = 1.0             # 0.0 .. 1.0: weight of the teacher
lr = 3e-3               # > 0.0: peak
device = "auto"         # "auto", "cpu" or "cuda": where
compiler = ""           # text: "" for gcc, or such as "gcc -m32"
log = ""                # "" or a file: a recorded log
batches = [1, 64]       # rising, each >= 1: images per call
skip = ["jax",          # 0 or more, each text
        "bare C"]       # but "eager": runtimes
alphas = [0, 0.5, 1]    # from 0 to 1, each 0.0 .. 1.0
temperatures = [1, 8, 9]  # rising, 2 or more >= 8, each > 0.0
fleet = [["a", 1], ["b", 2]]  # 2 or more, each [text, >= 1.0]
widths = [(8, 4)]       # each falling [2 .. 32, 1 .. 31]: bits"""
PARAMETERS = {parameter.name: parameter for parameter in read(CELL, typed=False)}
CHECK = "from workbook import parameters; parameters.check(globals())"


def refused(name, value, folder="."):
    """The sentence, or "" where the value is taken."""
    try:
        PARAMETERS[name].demand(value, folder)
    except OutOfRange as outside:
        return str(outside)
    return ""


def test_names_defaults_and_ranges_are_read_in_their_order():
    found = [(parameter.name, parameter.default, parameter.range) for parameter in PARAMETERS.values()]
    assert found[:2] == [("seeds", 5, "2 .. 20"), ("labelled", 50, "10 .. 1000")]
    assert found[5] == ("device", "auto", '"auto", "cpu" or "cuda"')
    assert found[6][2] == "text"  # what stands after the colon may have names, too
    assert found[9] == ("skip", ["jax", "bare C"], '0 or more, each text but "eager"')  # from a comment on two lines
    assert len(found) == 14


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_default_is_taken(name):
    assert refused(name, PARAMETERS[name].default) == ""


@pytest.mark.parametrize(
    "name, value, sentence",
    [
        ("seeds", "five", "seeds = 'five' is not a whole number; it must be 2 .. 20"),
        ("seeds", 2.5, "seeds = 2.5 is not a whole number; it must be 2 .. 20"),
        ("seeds", True, "seeds = True is not a whole number; it must be 2 .. 20"),
        ("seeds", 21, "seeds = 21 is out of range; it must be 2 .. 20"),
        ("labelled", 5000, "labelled = 5000 is out of range; it must be 10 .. 1000"),
        ("seed", -1, "seed = -1 is out of range; it must be >= 0"),
        ("alpha", "half", "alpha = 'half' is not a number; it must be 0.0 .. 1.0"),
        ("alpha", math.nan, "alpha = nan is not a number; it must be 0.0 .. 1.0"),
        ("lr", math.inf, "lr = inf is not a number; it must be > 0.0"),
        ("lr", 0, "lr = 0 is out of range; it must be > 0.0"),
        ("device", "gpu", "device = 'gpu' is not one of these; it must be \"auto\", \"cpu\" or \"cuda\""),
        ("compiler", 4, "compiler = 4 is not text; it must be text"),
        ("log", "gone.json", "log = 'gone.json' is not there; it must be \"\" or a file"),
        ("batches", 4, "batches = 4 is not a list; it must be a list, rising, each >= 1"),
        ("batches", [], "batches = [] is not \"1 or more\"; it must be a list, rising, each >= 1"),
        ("batches", [1, 0], "batches[1] = 0 is out of range; it must be >= 1"),
        ("batches", [4, 1], "batches = [4, 1] is not \"rising\"; it must be a list, rising, each >= 1"),
        ("skip", ["eager"], "skip[0] = 'eager' is excepted; it must be text but \"eager\""),
        ("alphas", [0.5], "alphas = [0.5] is not \"from 0 to 1\"; it must be a list, from 0 to 1, each 0.0 .. 1.0"),
        ("temperatures", [1, 8], "temperatures = [1, 8] is not \"2 or more >= 8\"; it must be a list, rising, "
                                 "2 or more >= 8, each > 0.0"),
        ("fleet", [["a", 1], ["b", 0.5]], "fleet[1][1] = 0.5 is out of range; it must be >= 1.0"),
        ("fleet", [["a", 1], "b"], "fleet[1] = 'b' is not a list of 2; it must be [text, >= 1.0]"),
        ("widths", [[4, 8]], "widths[0] = [4, 8] is not falling; it must be falling [2 .. 32, 1 .. 31]"),
    ],
)
def test_a_value_outside_is_refused_with_its_name_and_range(name, value, sentence):
    assert refused(name, value) == sentence


@pytest.mark.parametrize(
    "name, value",
    [("alpha", 1), ("lr", 5), ("skip", []), ("widths", [[8, 4], (16, 6)]), ("alphas", [0, 1]), ("compiler", "gcc")],
)
def test_whole_numbers_are_numbers_and_lists_may_be_tuples(name, value):
    assert refused(name, value) == ""


def test_a_file_is_seen_from_the_folder_of_the_notebook(tmp_path):
    (tmp_path / "log.json").touch()
    assert refused("log", "log.json", tmp_path) == "" and "not there" in refused("log", "log.json")
    assert "not there" in refused("log", str(tmp_path))  # a folder is no file


@given(low=st.integers(-99, 99), width=st.integers(0, 99), value=st.integers(-300, 300), pointed=st.booleans())
def test_a_range_holds_its_ends_and_what_is_between(low, width, value, pointed):
    point = ".0" if pointed else ""
    [parameter] = read(f"x = 0  # {low}{point} .. {low + width}{point}: x", typed=False)
    try:
        parameter.demand(value + 0.5 if pointed else value)
        taken = True
    except OutOfRange:
        taken = False
    assert taken == (low <= value + 0.5 * pointed <= low + width)


@pytest.mark.parametrize(
    "comment",
    ["", "any number", "2 .. ", "10 .. 1000 images", '"a', '"a" or', "each", "each day", "many, each >= 1", "[text]]",
     "falling, >= 1", "each [text, such]"],
)
def test_a_comment_that_is_no_range_is_read_as_none_and_refuses_nothing(comment):
    [parameter] = read(f"x = 1  # {comment}")
    assert parameter.range == "" and parameter.demand("anything") is None


def test_a_default_with_a_point_makes_numbers_where_nobody_has_edited_it():
    line = "alpha = 1.0  # 0 .. 1"
    assert read(line)[0].demand(0.5) is None
    with pytest.raises(OutOfRange, match="alpha = 0.5 is not a whole number"):
        read(line, typed=False)[0].demand(0.5)


@pytest.fixture
def shell():
    """IPython as it runs inside a kernel."""
    yield InteractiveShell()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    "cells, sentence",
    [
        ([CELL], ""),
        ([CELL.replace("seeds = 5", "seeds = 'five'")], "seeds = 'five' is not a whole number; it must be 2 .. 20"),
        ([CELL.replace("seeds = 5", "seeds = 2.5")], "seeds = 2.5 is not a whole number; it must be 2 .. 20"),
        ([CELL, "# Parameters\nseed = -1"], "seed = -1 is out of range; it must be >= 0"),  # as papermill adds it
        ([CELL.replace("seed = 0", "seed = -1"), CELL], ""),  # put right, and run again
        ([CELL, "seeds = 'five'  # a note", "seeds ="], "seeds = 'five' is not a whole number; it must be 2 .. 20"),
        (["seeds = five  # 2 .. 20"], ""),  # raised, so there is no such name
        (["seeds = 'five'"], ""),  # nothing is known
    ],
)
def test_a_notebook_checks_what_its_cells_have_set(shell, capsys, cells, sentence):
    for cell in cells:
        shell.run_cell(cell, store_history=True)
    capsys.readouterr()
    error = shell.run_cell(CHECK, store_history=True).error_in_exec
    assert str(error or "") == sentence
    assert capsys.readouterr().out.strip() == (f"OutOfRange: {sentence}" if sentence else "")


def test_where_no_cells_are_known_nothing_is_refused():
    assert check({"seeds": "five"}) is None


@pytest.mark.slow
def test_papermill_stops_at_the_set_up_with_that_sentence(tmp_path):
    cells = [new_code_cell(source) for source in (CELL, CHECK, "print(seeds)")]
    cells[0].metadata.tags = ["parameters"]
    path = tmp_path / "small.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    (tmp_path / "out").mkdir()
    run.execute(path, tmp_path / "out", {"seeds": 3})
    *_, checked, last = nbformat.read(tmp_path / "out" / "small.ipynb", 4).cells
    assert last.outputs[0].text == "3\n" and checked.outputs == []
    with pytest.raises(papermill.PapermillExecutionError) as stopped:
        run.execute(path, tmp_path / "out", {"labelled": 5000})
    assert stopped.value.evalue == "labelled = 5000 is out of range; it must be 10 .. 1000"
