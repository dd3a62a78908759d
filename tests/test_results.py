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
    script = origin["command"].removeprefix("python ").split()[0]
    if script == "-m":
        script = origin["command"].split()[2].replace(".", "/")
    assert (ROOT / script).exists(), f"{path.name} was made by {script}, which is not here"
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
    if recipe == "resnet":
        alone, distilled = (sum(found) / len(found) for found in record["accuracy_percent"].values())
        assert f"{alone:.1f} to {distilled:.1f} %" in readme


def spread(found):
    return "{median:.1f} [{lowest:.1f}, {highest:.1f}]".format(**found)


def test_readme_quotes_the_benchmarks_as_recorded():
    readme = (ROOT / "README.md").read_text()
    one, two = (json.loads(next(ROOT.glob(f"results/training_speed{threads}-intel-*.json")).read_text())
                for threads in ("", "-2-threads"))
    many = json.loads(next(ROOT.glob("results/many_students-amd-*.json")).read_text())
    table = [line for line in readme.splitlines() if line.startswith("|")]
    start = next(i for i, line in enumerate(table) if "times as fast as the usual loop" in line)
    tasks = ["distil", "distil, 10 epochs with the bank's filling", "teacher"]
    rows = [(pair, task) for pair in ("tutorial", "article") for task in tasks]
    for line, (pair, task) in zip(table[start + 2 :], rows, strict=False):
        assert line.startswith("| ..." if task != "distil" else f"| the {pair}'s pair: distilling"), line
        name = f"{pair}, {task}: kdlab / usual"
        found = [record["figures"][name] for record in (one, two)]
        found += [one["figures"][f"{name} with kdlab's memory"]] if task != "teacher" else []
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        assert cells[: len(found)] == [spread(figure) for figure in found], line
    times = many["figures"]["mlp-32, 50 digits, 300 steps, 25 students: at once / one by one"]["median"]
    assert f"25 digit students at once train {times:.1f} times as fast" in readme
    libraries = json.loads(next(ROOT.glob("results/libraries-amd-*.json")).read_text())["figures"]
    plain = [found["median"] for name, found in libraries.items() if "live teacher, plain float32 / " in name]
    assert len(plain) == 4 and f"({min(plain):.1f} to {max(plain):.1f} times), no faster" in readme


def test_readme_quotes_the_growth_as_recorded():
    [path] = ROOT.glob("results/growth-*.json")
    record, readme = json.loads(path.read_text()), re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    found = {name: row["median"] for name, row in record["figures"].items()}
    assert f"16 times the images take {found['16 times the images: fill seconds']:.1f} times as long" in readme
    work = [row["teacher_multiply_adds"] for row in record["rows"] if row["axis"] == "teacher"]
    slower = found["8 times the width of the teacher: fill seconds"]
    assert f"{max(work) / min(work):.0f} times the multiply-adds fills its bank {slower:.1f} times as slowly" in readme
    assert f"{found['125 times the students: seconds per step']:.1f} times as long as a step of one" in readme
    for axis in ("16 times the images", "8 times the width of the teacher"):  # "what it did", "no slower"
        assert found[f"{axis}: seconds per step"] < 1.05
    assert f"of an {record['provenance']['machine'].split('(')[0]} Xeon" in readme


def test_readme_quotes_what_was_tried_in_float32_as_recorded():
    record = json.loads(next(ROOT.glob("results/float32_variants-*.json")).read_text())
    found, compiled = record["figures"], "tutorial, filling: compiled"
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())

    def both(variant):
        medians = [found[f"{pair}, step: {variant}"]["median"] for pair in ("tutorial", "article")]
        return "{:.2f} and {:.2f}".format(*medians)

    tried = {"compiled": "makes a step {} times as fast", "compiled, max-autotune": "max-autotune {}",
             "oneDNN's own layout": "oneDNN's own layout makes it {} times as fast"}
    for variant, sentence in tried.items():
        assert sentence.format(both(variant)) in readme, variant
    earned = record["steps_or_pictures_until_earned_back"][compiled]
    assert earned > 50_000
    assert f"{found[compiled]['median']:.2f} times, and its seconds are earned back after {earned:,} pictures" in readme


def test_readme_quotes_the_time_to_accuracy_as_recorded():
    record = json.loads(next(ROOT.glob("results/time_to_accuracy-*.json")).read_text())
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    one, two, three = record["accuracy_percent"]
    assert f"reaches {one:.1f}, {two:.1f} and {three:.1f} % (three seeds" in readme
    minutes = [sum(record["cpu_seconds"]) / 3 / 60, record["computed_cpu_seconds_of_ten_usual_epochs"] / 60]
    times = record["figures"]["ten usual epochs (median) / each whole training, CPU time"]
    assert times["lowest"] > 3 and min(record["accuracy_percent"]) > 75
    assert f"{minutes[0]:.0f} CPU-minutes on one core" in readme
    told = f"{minutes[1]:.0f}, computed from steps in turns: {times['median']:.1f} times as long, for"
    assert f"{told} {record['usual_percent']:.1f} %" in readme
    assert f"takes it to {record['mean_percent']:.1f} on the same pictures" in readme


def test_docs_quote_what_a_grid_costs_as_recorded():
    record = json.loads(next(ROOT.glob("results/grid-*.json")).read_text())
    told = re.sub(r"\s+", " ", (ROOT / "docs" / "grid.md").read_text())
    empty, half, two = (spread(record["figures"][name]) for name in (
        "empty: grid with 1 worker / papermill", "half a second: grid with 1 worker / papermill",
        "half a second: grid with 2 workers / with 1"))
    assert f"{empty} times as long where a notebook's only cell does nothing" in told
    assert f"{half} times where it computes for half a second" in told
    assert f"five turns of {record['runs']} runs" in told and len(record["runs_per_second"]["empty: papermill"]) == 5
    assert f"Two workers did {two} times as many runs" in told
    starts = record["start_seconds"].values()
    assert f"a cluster's start, {min(starts):.0f} to {max(starts):.0f} seconds" in told


def test_readme_quotes_what_jpeg_once_more_costs_as_recorded():
    moves = json.loads(next(ROOT.glob("results/recompressed-*.json")).read_text())["points_over_the_files"]
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    told = {"once more, grid moved": "it loses {} points {}, three", "once more": "on the same grid {} {}"}
    for name, sentence in told.items():
        move = moves[name]
        lost = f"[{-move['high']:+.1f}, {-move['low']:+.1f}]".replace("-", "−")
        assert sentence.format(f"{-move['mean']:.1f}", lost) in readme


def test_readme_quotes_the_whole_experiment_as_recorded():
    ours, usual = (json.loads(next(ROOT.glob(f"results/{name}-tutorial-*.json")).read_text())
                   for name in ("cifar10", "cifar10_usual"))
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    whole = {way: seconds / 60 for way, seconds in usual["computed_seconds_of_the_whole"].items()}
    ratio = spread(usual["figures"]["the whole experiment: kdlab / usual"])
    assert f"{whole['kdlab']:.0f} minutes in place of {whole['usual']:.0f}, {ratio} times as fast" in readme
    distilled = spread(usual["figures"]["distilled, the bank's filling counted: kdlab / usual"])
    assert f"the distilled student alone, its bank included, {distilled} times" in readme
    for name, mean in {name: sum(found) / len(found) for name, found in ours["accuracy_percent"].items()}.items():
        assert f"{mean:.1f} {'alone' if name == 'alone' else 'distilled'}" in readme
    assert f"{ours['teacher_percent']:.1f} for the teacher" in readme
