"""A record is whole after every part of a section, whatever ends the run, and says where it comes from."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bare import ALONE

from workbook.record import __main__ as command
from workbook.record import sheet
from workbook.record.sheet import Clock, LeftOut, Sheet, Stopped

ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(tmp_path):
    return Sheet(tmp_path / "cpu-test.json", {"provenance": {"machine": "made up"}}, Clock(1))


def read(made):
    return json.loads(made.path.read_text())


def test_what_was_found_before_a_failure_stays_and_the_next_section_runs(made):
    def fails():
        yield {"rows": [1]}
        raise ValueError("too bad\nand more")

    def works():
        assert read(made)["first"] == {"rows": [1]}
        yield {"rows": [2]}

    made.run("first", 0.5, fails)
    made.run("second", 1.0, works)
    found = read(made)
    assert found["first"] == {"rows": [1]} and found["second"] == {"rows": [2]}
    assert found["sections"]["first"]["said"] == "failed: ValueError: too bad"
    traceback = found["sections"]["first"]["traceback"]
    assert "in fails" in traceback and str(ROOT) not in traceback
    assert found["sections"]["second"]["said"] == "done"


def test_an_error_without_words_is_told_by_its_kind(made):
    def silent():
        raise EOFError
        yield

    made.run("first", 1.0, silent)
    assert read(made)["sections"]["first"]["said"] == "failed: EOFError: EOFError"


def test_nothing_is_begun_when_the_minutes_are_over(made):
    made.clock.start -= 31
    made.run("first", 0.5, lambda: pytest.fail("it has begun"))
    made.run("second", 1.0, lambda: iter([{"rows": []}]))
    assert [one["said"] for one in read(made)["sections"].values()] == ["left out: the minutes are over", "done"]


def test_what_is_left_out_says_why(made):
    def absent():
        raise LeftOut("it is not here")
        yield

    made.run("first", 1.0, absent)
    assert read(made)["sections"]["first"]["said"] == "left out: it is not here" and "first" not in read(made)


def test_a_section_that_is_stopped_keeps_its_part_and_ends_the_run(made):
    def stopped():
        yield {"rows": [1]}
        raise Stopped("SIGTERM")

    with pytest.raises(Stopped):
        made.run("first", 1.0, stopped)
    assert read(made)["first"] == {"rows": [1]}
    assert read(made)["sections"]["first"]["said"] == "stopped before its end"


def test_a_record_that_is_there_is_not_written_over(made):
    before = made.path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already"):
        Sheet(made.path, {}, Clock(1))
    assert made.path.read_bytes() == before


def test_a_clock_lets_nothing_begin_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(sheet, "time", SimpleNamespace(monotonic=lambda: 100.0))
    clock = Clock(1)
    clock.share = 0.5
    assert clock.left() == 30
    clock.need(20, "it")
    with pytest.raises(LeftOut, match="it needs about 40 s, and 30 s are left"):
        clock.need(40, "it")


def test_the_origin_has_no_path_and_no_hosts_name():
    options = ["--device", "cpu", "--data", f"{os.sep}somewhere{os.sep}pictures.tar.xz", "--out", "cpu-x.json"]
    origin = sheet.provenance(torch.device("cpu"), options, "abc")
    assert origin["command"] == "python -m workbook.record --device cpu --data pictures.tar.xz --out cpu-x.json"
    assert origin["commit"] == "abc" and origin["driver"] is None
    assert os.uname().nodename not in json.dumps(origin)
    assert {"python", "torch", "torchvision", "numpy"} <= origin["versions"].keys()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a checkout")
def test_an_archive_of_the_repository_knows_its_commit(tmp_path):
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True).stdout

    packed = git("archive", "HEAD", "workbook/record/sheet.py")
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=packed, check=True)
    text = (tmp_path / "workbook/record/sheet.py").read_text()
    commit = git("rev-parse", "HEAD").decode().strip()
    assert f'ARCHIVED = "{commit}"' in text


def complaint(capsys, *options):
    assert command.main([*map(str, options)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def test_a_device_that_is_not_here_is_refused_in_a_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(command.devices, "available", lambda: ["cpu"])

    def too_old():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update\nmore")

    monkeypatch.setattr(torch.cuda, "init", too_old)
    said = complaint(capsys, "--device", "cuda", "--out", tmp_path / "gpu-x.json")
    assert said.startswith("device 'cuda' is not available here") and "driver on your system is too old" in said
    assert "Apple" not in complaint(capsys, "--device", "mps", "--out", tmp_path / "gpu-x.json")
    assert not list(tmp_path.iterdir())


def test_wrong_options_are_refused_before_anything_is_measured(capsys, tmp_path):
    assert "--minutes must be > 0, got -1" in complaint(capsys, "--out", tmp_path / "x.json", "--minutes", -1)
    said = complaint(capsys, "--out", tmp_path / "x.json", "--data", tmp_path / "gone.tar.xz")
    assert "there is no file" in said and "gone.tar.xz" in said
    (tmp_path / "file").write_text("")
    assert "could not write the record" in complaint(capsys, "--device", "cpu", "--out", tmp_path / "file" / "x.json")
    (tmp_path / "x.json").write_text("{}")
    assert "is there already" in complaint(capsys, "--device", "cpu", "--out", tmp_path / "x.json")


RUN = """
import runpy
sys.argv[0] = "record"
runpy.run_module("workbook.record", run_name="__main__")
"""


def bare(folder, *options):
    """The command in a process that has only three packages, from a copy of the repository's two."""
    for package in ("kdlab", "workbook"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-P", "-c", ALONE + RUN, *map(str, options)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, **pipes)


@pytest.mark.slow
def test_the_command_runs_from_a_copy_with_three_packages_and_measures_every_section(tmp_path, archive_path):
    out = tmp_path / "cpu-here.json"
    asked = ["--device", "cpu", "--data", archive_path, "--out", out, "--size", "trial", "--minutes", 20]
    run = bare(tmp_path / "copy", *asked)
    said, errors = run.communicate(timeout=800)
    assert run.returncode == 0, errors
    found = json.loads(out.read_text())
    told = {name: section["said"] for name, section in found["sections"].items()}
    assert told.pop("students") == "left out: the digits come with scikit-learn, which is not installed here"
    assert set(told.values()) == {"done"}, told
    times = found["latency"]["ms"]
    assert set(times["tutorial-teacher"]["eager"]) >= {"1", "16"} and len(times) == 6
    assert times["tutorial-teacher"]["eager"]["16"] > times["tutorial-student"]["eager"]["16"]
    assert found["tutorial"]["five_seconds"] > 0 and len(found["tutorial"]["runs"]) == 5
    share = found["peaks"]["shares"]["tutorial-teacher"]["eager"]["16"]["product"]
    assert 0 < share < 100  # how busy the machine was differed from one to the other
    assert found["provenance"]["device"] and "/" not in found["provenance"]["command"]


@pytest.mark.slow
def test_a_run_that_is_terminated_leaves_what_it_has_measured(tmp_path, archive_path):
    out = tmp_path / "cpu-here.json"
    run = bare(tmp_path / "copy", "--device", "cpu", "--data", archive_path, "--out", out, "--minutes", 40)
    while run.poll() is None and not (out.exists() and json.loads(out.read_text()).get("latency")):
        time.sleep(0.1)
    run.terminate()
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 143
    assert errors.strip() == f"stopped by SIGTERM; {out} holds what was measured until then"
    found = json.loads(out.read_text())
    assert found["latency"]["rows"] and found["sections"]["latency"]["said"] == "stopped before its end"
    assert not list(tmp_path.glob(".saving-*"))
