"""Records of other machines: none, one and several are read; a damaged one says which it is."""

import json
import re
from pathlib import Path

import pytest

from workbook.labs import recorded
from workbook.labs.recorded import latencies
from workbook.plots import latency as figures

ROOT = Path(__file__).parents[3]

PAIR = {"tutorial-teacher": "teacher", "tutorial-student": "student"}


def write(folder, name, machine, **latency):
    record = {"provenance": {"machine": machine, "date": "made up for a test"}} | latency
    (folder / name).write_text(json.dumps(record))


def measured(*batches):
    return {"latency": {"ms": {name: {"eager": {str(n): n / 2 for n in batches}} for name in (*PAIR, "resnet50")}}}


def test_no_record_and_no_folder_are_no_latencies(tmp_path):
    assert latencies(tmp_path, PAIR) == latencies(tmp_path / "gone", PAIR) == {}


def test_a_record_gives_batches_and_milliseconds_under_the_names_used_here(tmp_path):
    write(tmp_path, "gpu-a.json", "GPU A", **measured(1, 64))
    write(tmp_path, "cpu-a.json", "CPU A", **measured(1))
    assert latencies(tmp_path, PAIR) == {"GPU A: recorded": dict.fromkeys(PAIR.values(), {1: 0.5, 64: 32.0})}
    assert list(latencies(tmp_path, PAIR, kind="cpu")) == ["CPU A: recorded"]
    assert latencies(tmp_path, PAIR, variant="compile") == {}


def test_several_records_keep_their_names_apart_and_one_that_was_stopped_early_is_left_out(tmp_path):
    for name, machine in (("a", "GPU A"), ("b", "GPU B"), ("c", "GPU A")):
        write(tmp_path, f"gpu-{name}.json", machine, **measured(1))
    write(tmp_path, "gpu-d.json", "GPU D", launch={"alone_us": 5})
    assert list(latencies(tmp_path, PAIR)) == ["GPU A: recorded", "GPU B: recorded", "GPU A: recorded (gpu-c)"]


def test_a_record_with_one_of_the_two_networks_gives_that_one(tmp_path):
    found = measured(4)
    del found["latency"]["ms"]["tutorial-teacher"]
    write(tmp_path, "gpu-a.json", "GPU A", **found)
    assert latencies(tmp_path, PAIR) == {"GPU A: recorded": {"student": {4: 2.0}}}


NO_LATENCIES = '{"provenance": {"machine": "x"}, "latency": 3}'


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"provenance": {}}', NO_LATENCIES])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "gpu-a.json").write_text(text)
    with pytest.raises(ValueError, match="gpu-a.json is not a record"):
        latencies(tmp_path, PAIR)


def test_the_fastest_setting_leaves_out_copies_and_further_threads(tmp_path):
    ways = {"eager": {"1": 4.0, "64": 9.0}, "bf16": {"1": 5.0, "64": 3.0}, "eager+copy": {"1": 1.0},
            "eager, 2 threads": {"64": 2.0}}
    write(tmp_path, "cpu-a.json", "CPU A", latency={"ms": {"tutorial-teacher": ways}})
    found = latencies(tmp_path, PAIR, variant=None, kind="cpu")
    assert found == {"CPU A: recorded": {"teacher": {1: 4.0, 64: 3.0}}}
    assert latencies(tmp_path, PAIR, variant="eager+copy", kind="cpu")["CPU A: recorded"]["teacher"] == {1: 1.0}


def test_the_committed_picture_is_that_of_the_committed_records(tmp_path):
    (tmp_path / "results").symlink_to(ROOT / "results")
    (tmp_path / ".github").mkdir()
    made, committed = recorded.write(tmp_path).read_text(), (ROOT / ".github" / "machines.svg").read_text()
    texts = [re.findall(r"<!-- (.*?) -->", drawn) for drawn in (made, committed)]
    assert texts[0] == texts[1] and any("fastest setting" in text for text in texts[0])
    assert made.count("<path") == committed.count("<path")
    machines = {label for kind in ("cpu", "gpu") for label in latencies(ROOT / "results", recorded.PAIR, kind=kind)}
    assert len(machines) >= 1


def test_a_machine_has_one_colour_and_its_fastest_setting_is_dashed():
    lines = {("A, 2 cores", "eager"): {"the student": {1: 1.0, 4: 2.0}},
             ("A, 2 cores", "fastest setting"): {"the student": {4: 1.0}}, ("B", "eager"): {"the teacher": {1: 3.0}}}
    student, teacher = figures.machines(lines).axes
    eager, fastest, _ = student.lines
    assert [*eager.get_xdata()] == [1, 4] and [*eager.get_ydata()] == [1.0, 0.5]
    assert eager.get_color() == fastest.get_color() != teacher.lines[2].get_color()
    assert (eager.get_linestyle(), fastest.get_linestyle()) == ("-", "--")
