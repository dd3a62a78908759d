"""Every notebook of the lesson runs over a small matrix of parameter values, each with the parameters that it has.

The defaults, and those of the labs, are run by `python -m workbook.run` in `make test`.
"""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kdlab import bank, data, models
from workbook import run as workbook
from workbook.panels import training as steer

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("0*.ipynb"))
# Two corners of the range, a recorded run and another seed in two runs, other data in a third; fewer of what takes long.
MATRIX = {
    "alpha 0, T 1": {"alpha": 0.0, "temperature": 1.0, "seeds": 2, "log": "recorded.json"},
    "alpha 1, T 8, seed 3": {"alpha": 1.0, "temperature": 8.0, "seed": 3, "batches": [1, 16], "seconds": 0.05},
    "folder": {"dataset": "folder:", "seeds": 2},
}


def known(parameters, names):
    return {name: value for name, value in parameters.items() if name in names}


def cases():
    for path in NOTEBOOKS:
        for case, parameters in MATRIX.items():
            chosen = known(parameters, workbook.parameters_of(path))
            if chosen:
                yield pytest.param(path, chosen, id=f"{path.stem}, {case}")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
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
def recorded(tmp_path_factory):
    """A run of the training panel, turned from the labels to the teacher halfway, as its Export button saves it."""
    digits, path = data.load("digits"), tmp_path_factory.mktemp("runs") / "recorded.json"
    turns = [{"step": step, "alpha": alpha, "temperature": 4.0, "lr": 0.01} for step, alpha in ((1, 0.0), (150, 1.0))]
    teacher = bank.fill(models.build("mlp-64", digits.shape, 10), digits)
    run = steer.panel(digits, {"teacher": teacher}, steps=300, log=turns)
    run.wait()
    run.save(path)
    run.close()
    return path


@pytest.mark.parametrize("path, parameters", list(cases()))
def test_notebook_runs_with_these_parameters(path, parameters, images, recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "cache"))
    if "dataset" in parameters:
        parameters = {**parameters, "dataset": f"folder:{images}"}
    if "log" in parameters:
        parameters = {**parameters, "log": str(recorded)}
    workbook.execute(path, tmp_path, parameters)


def test_a_notebook_gets_only_the_parameters_that_it_has():
    parameters = MATRIX["alpha 1, T 8, seed 3"]
    assert known(parameters, ["seed", "alpha"]) == {"seed": 3, "alpha": 1.0}
    assert known(parameters, ["steps"]) == {}
