"""A steered run without a panel: what it keeps, what it logs, and what its record gives back."""

import json

import pytest

from kdlab import bank, data, models, training
from workbook.panels import session
from workbook.panels.session import Choice, Session, Thinned

LOG = [{"step": 1, "alpha": 0.5, "temperature": 4.0, "lr": 0.01}, {"step": 6, "alpha": 0.9, "temperature": 2.0, "lr": 0.02}]
# a record that the first version of the panel wrote: its teacher is mlp-64 of seed 0, untrained
RECORD = {
    "version": 1, "name": "a lecture's", "dataset": "digits", "student": "mlp-16", "teacher": "teacher", "labelled": 50,
    "seed": 3, "steps": 20, "state": "finished",
    "log": [{"step": 1, "alpha": 0.5, "temperature": 4.0, "lr": 0.01},
            {"step": 8, "alpha": 0.9, "temperature": 2.0, "lr": 0.01},
            {"step": 15, "alpha": 0.9, "temperature": 2.0, "lr": 0.02}],
    "accuracy": [[10, 0.45671267252195735], [20, 0.5232120451693852]],
    "curves": {
        "step": list(range(1, 21)),
        "loss": [1.22532033, 1.16977918, 1.10066246, 1.05924320, 1.01452195, 0.96934866, 0.92952185, 0.27964913, 0.28126574,
                 0.27743998, 0.27362844, 0.26995062, 0.26569107, 0.26103281, 0.25665545, 0.24980300, 0.24522522, 0.24244666,
                 0.24089363, 0.24019393],
        "soft": [0.04217207, 0.03081657, 0.02690521, 0.03533804, 0.04828204, 0.06772038, 0.09442906, 0.12586925, 0.13403226,
                 0.13238906, 0.12830358, 0.12320205, 0.11723970, 0.11091941, 0.10508304, 0.09594545, 0.08968552, 0.08574461,
                 0.08348220, 0.08244413],
        "hard": [2.40846848, 2.30874180, 2.17441964, 2.08314847, 1.98076188, 1.87097692, 1.76461470, 1.66366815, 1.60636734,
                 1.58289813, 1.58155214, 1.59068775, 1.60175337, 1.61205351, 1.62080705, 1.63452088, 1.64508235, 1.65276503,
                 1.65759646, 1.65994203]},
}


def run(taught, steps=10, **options):
    digits, known = taught
    made = Session(Choice("mlp-16", "teacher", 50, 0, steps), digits, known, training.Knobs, **options)
    made.drive()
    return made


@pytest.mark.parametrize("limit", [100, 101])
def test_curves_stay_bounded_and_keep_their_newest_point(limit):
    curve = Thinned(limit)
    for number in range(1, 10_001):
        curve.add(number)
        assert len(curve.entries()) <= limit and curve.entries()[-1] == number
    stride = curve.stride
    assert curve.entries() == sorted({*range(1, 10_001, stride), 10_000}) and stride in (128, 256)


def test_the_accuracy_is_measured_every_so_many_steps_and_at_the_last(taught):
    assert [step for step, _ in run(taught, evaluate_every=4).accuracies] == [4, 8, 10]


def test_a_step_reports_the_knobs_of_the_log_with_the_learning_rate_scaled(taught):
    again = run(taught, log=LOG)
    assert [(s.alpha, s.temperature) for s in again.history] == [(0.5, 4.0)] * 5 + [(0.9, 2.0)] * 5
    assert [s.lr for s in again.history] == [
        (0.01 if n < 6 else 0.02) * training.warm_cosine(n, 10) for n in range(1, 11)]
    assert again.log == LOG and again.turned == [tuple(entry.values()) for entry in LOG]


def test_a_record_gives_back_what_was_written(taught, tmp_path):
    made = run(taught, log=LOG)
    session.write(made, tmp_path / "new" / "run.json", "a name")
    assert session.read(tmp_path / "new" / "run.json") == (made.choice, LOG)
    stored = json.loads((tmp_path / "new" / "run.json").read_text())
    assert stored["name"] == "a name" and stored["curves"]["loss"] == [step.loss for step in made.history]
    assert stored.keys() == RECORD.keys() and stored["curves"].keys() == RECORD["curves"].keys()


def test_a_record_of_the_first_version_is_read_and_replays(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    choice, log = session.read(tmp_path / "run.json")
    digits = data.load("digits")
    teacher = bank.fill(models.build("mlp-64", digits.shape, 10, seed=0), digits)
    again = Session(choice, digits, teacher, training.Knobs, log=log, evaluate_every=10)
    again.drive()
    assert again.log == RECORD["log"] and again.status.startswith("finished, from a log: step 20 of 20")
    for name, values in RECORD["curves"].items():
        assert [getattr(step, name) for step in again.history] == pytest.approx(values, rel=1e-3)
    assert [step for step, _ in again.accuracies] == [10, 20]
    assert [found for _, found in again.accuracies] == pytest.approx([found for _, found in RECORD["accuracy"]], abs=0.01)


@pytest.mark.parametrize("damage, sentence", [
    (lambda record: record.pop("seed"), "is not a readable record of a run: KeyError: 'seed'"),
    (lambda record: record["log"].pop(0), "must rise from 1"),
    (lambda record: record["log"][1].update(alpha=3), r"alpha must be in \[0, 1\], got 3"),
    (lambda record: record["log"].append(record["log"][0]), "must rise from 1"),
    (lambda record: record.clear(), "KeyError"),
])
def test_a_damaged_record_is_refused(tmp_path, damage, sentence):
    record = json.loads(json.dumps(RECORD))
    damage(record)
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=sentence):
        session.read(tmp_path / "run.json")


def test_a_record_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a readable record of a run: FileNotFoundError"):
        session.read(tmp_path / "none.json")


@pytest.mark.parametrize("labelled", [0, 10_000])
def test_more_images_than_there_are_cannot_be_labelled(taught, labelled):
    digits, known = taught
    with pytest.raises(ValueError, match=rf"labelled must be in 1 .. {len(digits.train)}, got {labelled}"):
        Session(Choice("mlp-16", "teacher", labelled, 0, 10), digits, known, training.Knobs)
