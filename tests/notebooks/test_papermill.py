"""Every notebook runs with other parameters than its own, and leaves no temporary files behind.

Small ones, so that a run is mostly imports. Its own parameters are run by nbval, in the last step of `make test`.
"""

import getpass
import tempfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from workbook import panels
from workbook import run as workbook
from workbook.runtimes import RUNTIMES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = ROOT / "build" / "small"  # copies and pages, to be looked at where a run fails
# What others keep in the temporary folder, one for all runs: torch's compiler its cache, onnxruntime its session.
KEPT_BY_OTHERS = {f"torchinductor_{getpass.getuser()}", ".ses"}


def all_but(*names):
    """The runtimes to leave out, so that these are left."""
    return [name for name in RUNTIMES if name not in names]


# Notebook -> its parameters; those that take longest come first, so that two workers end together. Among them are the
# corners alpha 0 and 1, T 1 and 8, two seeds in place of more, a recorded run (03) and other data (05).
SMALL = {
    "15": {
        "seed": 3, "seeds": 2, "fleet": [["eager", 1], ["channels_last", 2]], "pictures": 200, "rounds": 1, "rare": 3,
    },
    "10": {"seed": 3, "seeds": 2, "pictures": 25, "views": 5, "steps": 8, "alpha": 1.0, "temperature": 8.0},
    "14": {
        "seed": 3, "seeds": 2, "delay_ms": 5.0, "bandwidth_kB": 100.0, "rate": 100.0, "pictures": 60,
        "deadline_ms": 100.0,
    },
    "12": {
        "seed": 3, "steps": 50, "calibration": 8, "seconds": 0.02,
        "leave_out": all_but("eager", "onnxruntime", "bare C"),
    },
    "03": {"alpha": 0.0, "temperature": 1.0, "seeds": 2, "steps": 20, "labelled": 20, "log": "RECORDED"},
    "04": {"seed": 3, "batches": [1, 16], "seconds": 0.02, "leave_out": all_but("eager", "channels_last")},
    "16": {"seed": 3, "calibration": 10, "widths": [[8, 6]]},
    "13": {"seed": 3, "seeds": 2, "labelled": 20, "bits": [8, 2], "keep": 4, "temperature": 8.0, "steps": 10},
    "11": {"seed": 3, "seeds": 2, "alphas": [0, 0.5, 1], "temperatures": [1, 8, 16], "steps": 20},
    "05": {
        "dataset": "PICTURES", "teacher": "cnn-16-32-64", "student": "cnn-4-8", "teacher_steps": 10,
        "student_steps": 10, "few": 20, "seeds": 2, "output": "OUTPUT",
    },
    "24": {"seed": 3, "seeds": 2, "images": 20, "share": 0.5, "temperature": 8.0, "steps": 10},
    "25": {
        "seed": 3, "seeds": 2, "labelled": 20, "mixtures": 50, "depth": 1, "temperature": 8.0, "rounds": 2, "steps": 10,
    },
    "26": {
        "seed": 3, "seeds": 2, "labelled": 20, "layers": 4, "kth": 3, "rank": 1, "temperature": 8.0, "steps": 20,
    },
    "31": {"seed": 3, "tries": 1, "trials": 10, "seeds": 2, "budget": 100.0, "labelled": 20, "steps": 8},
    "23": {"seed": 3, "seeds": 2, "labelled": 20, "steps": 10, "tune": "KD"},
    "17": {"seed": 3, "student": "cnn-4", "few": 20, "steps": 20, "seeds": 2},
    "20": {"seed": 3, "seeds": 2, "labelled": 50, "steps": 4, "teacher_steps": 2, "temperature": 1.0},
    "21": {
        "seed": 3, "seeds": 2, "labelled": 20, "wrong": 0.0, "alpha": 0.5, "temperature": 1.0, "steps": 10,
    },
    "30": {"seed": 3, "seeds": 2, "steps": 300, "epochs": 2},
    "01": {"seed": 3, "steps": 20, "batch_size": 16, "lr": 1e-3},
    "00": {"seed": 3, "labelled": 20, "temperature": 8.0},
    "22": {"seed": 3, "seeds": 2, "epochs": 2, "alpha": 0.9, "temperature": 2.0, "lr": 0.001},
    "27": {"seed": 3, "seeds": 2, "teacher_steps": 6, "steps": 6, "more": 2, "k": 3},
    "32": {
        "seed": 3, "seeds": 2, "rounds": 2, "first": 4, "digest": 4, "revisit": 2, "concentration": 1.0, "noise": 0.0,
    },
    "02": {"seed": 3, "pictures": 500, "steps": 20, "temperature": 1.0},
}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder in torchvision's ImageFolder layout: 40 training and 20 test images of each of three shapes."""
    place = tmp_path_factory.mktemp("shapes")
    for split, count in (("train", 40), ("test", 20)):
        for shape in ("disc", "square", "stripes"):
            (place / split / shape).mkdir(parents=True)
            for i in range(count):
                picture = Image.new("RGB", (24, 24), (i * 3, 40, 90))
                draw, box = ImageDraw.Draw(picture), (2 + i % 5, 3 + i % 4, 14 + i % 7, 15 + i % 6)
                if shape == "stripes":
                    for row in range(i % 3, 24, 4):
                        draw.line((0, row, 24, row), fill="yellow")
                else:
                    (draw.ellipse if shape == "disc" else draw.rectangle)(box, fill="yellow")
                picture.save(place / split / shape / f"{i}.png")
    return place


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, digits, known):
    """A run of the training panel, turned from the labels to the teacher halfway, as its Export button saves it."""
    path = tmp_path_factory.mktemp("runs") / "recorded.json"
    turns = [{"step": step, "alpha": alpha, "temperature": 4.0, "lr": 0.01} for step, alpha in ((1, 0.0), (150, 1.0))]
    run = panels.training(digits, {"teacher": known}, steps=300, log=turns)
    run.wait()
    run.save(path)
    run.close()
    return path


def test_every_notebook_has_small_parameters():
    assert sorted(SMALL) == [path.name[:2] for path in NOTEBOOKS]


@pytest.mark.parametrize("number", SMALL)
def test_notebook_runs_with_other_parameters(number, request, tmp_path, monkeypatch):
    [path] = [path for path in NOTEBOOKS if path.name.startswith(number)]
    assert set(SMALL[number]) <= set(workbook.parameters_of(path)), f"{path.name} lacks a parameter that stands here"
    made = {
        "PICTURES": lambda: f"folder:{request.getfixturevalue('pictures')}",
        "RECORDED": lambda: str(request.getfixturevalue("recorded")),
        "OUTPUT": lambda: str(tmp_path / "output"),
    }
    parameters = {name: made.get(str(value), lambda value=value: value)() for name, value in SMALL[number].items()}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", f"{tempfile.gettempdir()}/torchinductor_{getpass.getuser()}")
    monkeypatch.setenv("TMPDIR", str(scratch))  # of the kernel
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    EXECUTED.mkdir(parents=True, exist_ok=True)
    workbook.execute(path, EXECUTED, parameters)
    left = {entry.name for entry in scratch.iterdir()} - KEPT_BY_OTHERS
    assert not left, f"{path.name} made temporary files and did not remove them: {sorted(left)}"
