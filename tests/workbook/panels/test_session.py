"""A steered run without a panel: what it keeps, what it logs, and what its record gives back."""

import json
import threading

import pytest

from kdlab import bank, data, models, training
from workbook.panels import session
from workbook.panels.session import Choice, Session, Thinned

LOG = [{"step": 1, "alpha": 0.5, "temperature": 4.0, "lr": 0.01},
       {"step": 6, "alpha": 0.9, "temperature": 2.0, "lr": 0.02}]
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
        "loss": [
            1.225320, 1.169779, 1.100662, 1.059243, 1.014522, 0.969349, 0.929522, 0.279649, 0.281266, 0.277440,
            0.273628, 0.269951, 0.265691, 0.261033, 0.256655, 0.249803, 0.245225, 0.242447, 0.240894, 0.240194],
        "soft": [
            0.042172, 0.030817, 0.026905, 0.035338, 0.048282, 0.067720, 0.094429, 0.125869, 0.134032, 0.132389,
            0.128304, 0.123202, 0.117240, 0.110919, 0.105083, 0.095945, 0.089686, 0.085745, 0.083482, 0.082444],
        "hard": [
            2.408468, 2.308742, 2.174420, 2.083148, 1.980762, 1.870977, 1.764615, 1.663668, 1.606367, 1.582898,
            1.581552, 1.590688, 1.601753, 1.612054, 1.620807, 1.634521, 1.645082, 1.652765, 1.657596, 1.659942],
    },
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


def test_a_curve_that_is_read_while_it_grows_never_goes_back():
    curve, bad = Thinned(64), []

    def grow():
        for number in range(200_000):
            curve.add(number)

    growing = threading.Thread(target=grow)
    growing.start()
    while growing.is_alive():
        entries = curve.entries()
        bad += [entries] if None in entries or entries != sorted(set(entries)) else []
    assert not bad


def test_who_holds_a_run_at_the_last_moment_is_told_so_once_nothing_more_comes(taught):
    """Between the answer that the next step may come and that step: it is still a step of a run that trains."""
    digits, known = taught
    told, states = [], []

    def watch(session):
        told.append((session.state, session.step))
        if session.state == "paused":
            session.hold(False)

    def knobs():
        states.append(made.state)
        return training.Knobs()

    made = Session(Choice("mlp-16", "teacher", 50, 0, 6), digits, known, knobs, watch=watch)
    real = made.allowed

    def allowed(waiting):
        answer = real(waiting)
        if made.step == 3:
            made.hold()
        return answer

    made.allowed = allowed
    made.drive()
    assert states == ["training"] * 6 and ("paused", 4) in told and ("paused", 3) not in told


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
    (steps, found), (_, recorded) = zip(*again.accuracies), zip(*RECORD["accuracy"])
    assert steps == (10, 20) and found == pytest.approx(recorded, abs=0.01)


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


def test_a_run_of_no_steps_is_refused(taught):
    with pytest.raises(ValueError, match="steps must be >= 1, got 0"):
        run(taught, steps=0)
