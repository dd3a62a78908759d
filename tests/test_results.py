"""Every recorded figure says where it comes from, and README quotes the records."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORDS = sorted((ROOT / "results").glob("*.json"))


def test_there_are_records():
    assert {"headline", "cifar10-article", "timer_agreement"} <= {path.name.split("-intel")[0] for path in RECORDS}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_record_names_its_machine_versions_commit_command_and_date(path):
    origin = json.loads(path.read_text())["provenance"]
    assert all(origin[key] for key in ("machine", "versions", "commit", "command", "date"))
    assert not re.search(r"[ :]/", origin["command"]), "a place on somebody's machine"
    script = origin["command"].split()[1]
    assert (ROOT / script).is_file(), f"{path.name} was made by {script}, which is not here"
    assert "+" not in origin["commit"], f"{path.name} was made with code that no commit holds"


def quoted(mean, low, high):
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def test_readme_quotes_the_headline_as_recorded():
    record = json.loads(next(ROOT.glob("results/headline-*.json")).read_text())
    readme = (ROOT / "README.md").read_text()
    rows = record["gains_points"] | {"with all 1,000 labels": record["limits_points"]["all 1,000 labels"]}
    names = {"soft targets": "the teacher's soft targets", "label smoothing 0.1": "label smoothing",
             "teacher of the same 50": "a teacher of the same 50"}
    for name, gain in rows.items():
        if name == "teacher's hard answers":
            continue  # the labels themselves
        line = next(line for line in readme.splitlines() if names.get(name, name) in line and line.startswith("|"))
        assert quoted(gain["mean"], gain["low"], gain["high"]) in line and f"{gain['wins']} of 10" in line, line
    assert f"recognises {100 * sum(record['missing_digit_recall']['T=4'][3]) / 3:.0f} % of them" in readme


@pytest.mark.parametrize("recipe", ["article", "tutorial", "resnet"])
def test_readme_quotes_cifar10_as_recorded(recipe):
    record = json.loads(next(ROOT.glob(f"results/cifar10-{recipe}-*.json")).read_text())
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    for gain in record["gains_points"].values():
        numbers = quoted(gain["mean"], gain["low"], gain["high"])
        assert numbers in readme.replace(" points [", " ["), numbers


def test_readme_quotes_the_benchmarks_as_recorded():
    readme = (ROOT / "README.md").read_text()
    bench, two = (json.loads(next(ROOT.glob(f"results/{name}-amd-*.json")).read_text()) for name in ("bench", "training_speed-2-threads"))
    table = [line for line in readme.splitlines() if line.startswith("|")]
    start = next(i for i, line in enumerate(table) if "times as fast as the usual loop" in line)
    tasks = ["distil", "distil, 10 epochs with the bank's filling", "teacher"]
    for line, (pair, task) in zip(table[start + 2 :], [(pair, task) for pair in ("tutorial", "article") for task in tasks], strict=False):
        assert line.startswith("| ..." if task != "distil" else f"| the {pair}'s pair: distilling"), line
        for record in (bench, two):
            found = record["figures"][f"{pair}, {task}: kdlab / usual"]
            assert "{median:.1f} [{lowest:.1f}, {highest:.1f}]".format(**found) in line, (line, found)
    many = bench["figures"]["mlp-32, 50 digits, 300 steps, 25 students: at once / one by one"]["median"]
    assert f"25 digit students at once train {many:.1f} times as fast" in readme


def test_readme_quotes_the_whole_experiment_as_recorded():
    ours, usual = (json.loads(next(ROOT.glob(f"results/{name}-tutorial-*.json")).read_text()) for name in ("cifar10", "cifar10_usual"))
    seconds = {name: sum(values) / len(values) if isinstance(values, list) else values for name, values in ours["cpu_seconds"].items()}
    distilled = seconds["bank"] + seconds["alpha=0.25 T=2"]
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    assert f"took {sum(seconds.values()) / 60:.0f} minutes of one core" in readme
    assert f"the usual loop would take {sum(usual['computed_seconds'].values()) / 60:.0f}, by {usual['steps_timed']} timed steps" in readme
    assert f"took {distilled / 60:.1f} of those minutes, the teacher's bank included, in place of {usual['computed_seconds']['distilled'] / 60:.0f}" in readme
