"""What TensorBoard and Weights & Biases have written is read back, by their own readers."""

import importlib.util
import struct
import sys
import time

import pytest
import torch

from kdlab import Knobs, distil, models
from workbook.scale import trackers

STEPS = 6


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setenv("WANDB__SERVICE_WAIT", "300")  # seconds in which W&B's own process must have begun; 30 without


def run(digits, **options):
    student = models.build("mlp-4", digits.shape, 10, seed=0)
    teacher = models.build("mlp-8", digits.shape, 10, seed=1)
    known = dict(steps=STEPS, batch_size=64, teacher=teacher) | options
    return distil(student, digits, lambda step: Knobs(0.25 if step > 3 else 0.75, 2.0, 1e-3 * step), **known)


def wanted(steps):
    found = {}
    for step in steps:
        values = {f"loss/{name}": float(part) for name, part in step.parts.items()}
        values |= {"knobs/alpha": step.alpha, "knobs/temperature": step.temperature, "knobs/lr": step.lr}
        for name, value in values.items():
            found.setdefault(name, {})[step.step] = value
    return found


def from_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


def from_wandb(folder):
    from wandb.proto.wandb_internal_pb2 import Record

    [file] = folder.glob("wandb/offline-run-*/run-*.wandb")
    found, records, until = {}, [], time.monotonic() + 120
    while not any(record.HasField("exit") for record in records):  # W&B's own process writes it, a little later
        assert time.monotonic() < until, "the run's file has no end"
        time.sleep(0.05)
        records = [Record.FromString(data) for data in log_records(file.read_bytes())]
    for record in records:
        items = record.history.item
        items = {item.key or "/".join(item.nested_key): item.value_json for item in items}
        for name, value in items.items():
            if name[0] != "_":
                found.setdefault(name, {})[int(items["_step"])] = float(value)
    return found


def log_records(content, block=32768):
    """The whole records of a log in LevelDB's format, as far as it is, behind W&B's header of 7 bytes."""
    assert content[:4] == b":W&B"[: len(content)]
    place, parts = 7, []
    while place + 7 <= len(content):
        if block - place % block < 7:  # no room for a head: the block's end is padding
            place += block - place % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if not kind or place + 7 + length > len(content):  # it is still being written
            return
        parts.append(content[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


READERS = {"tensorboard": from_tensorboard, "wandb": from_wandb}


def needs(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed; pip install -e '.[tracking]'")


@pytest.mark.parametrize("name", READERS)
def test_what_was_written_is_every_step_of_the_run(name, digits, tmp_path):
    needs(name)
    passed = list(trackers.track(run(digits), name, tmp_path))
    assert [step.step for step in passed] == [*range(1, STEPS + 1)]
    found = READERS[name](tmp_path)
    for key, values in wanted(passed).items():
        assert found[key] == pytest.approx(values, rel=1e-6), key
    assert set(found) == set(wanted(passed)) and found["knobs/alpha"][3] != found["knobs/alpha"][4]


@pytest.mark.parametrize("name", READERS)
def test_only_every_so_manyth_step_is_written(name, digits, tmp_path):
    needs(name)
    passed = list(trackers.track(run(digits), name, tmp_path, every=3))
    assert len(passed) == STEPS and set(READERS[name](tmp_path)["loss/loss"]) == {3, 6}


@pytest.mark.parametrize("name", READERS)
def test_a_run_that_is_left_is_closed_and_what_was_written_stays(name, digits, tmp_path):
    needs(name)
    training = run(digits)
    tracked = trackers.track(training, name, tmp_path)
    next(tracked), next(tracked)
    tracked.close()
    assert next(training, None) is None and set(READERS[name](tmp_path)["loss/loss"]) == {1, 2}


def test_a_tracked_run_learns_what_an_untracked_one_learns(digits, tmp_path):
    needs("tensorboard")
    students = [models.build("mlp-4", digits.shape, 10, seed=0) for _ in range(2)]
    for student, name in zip(students, ("none", "tensorboard")):
        list(trackers.track(distil(student, digits, steps=3, seed=0), name, tmp_path))
    assert all(map(torch.equal, *(student.state_dict().values() for student in students)))


def test_another_tracker_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match="tracker must be one of none, tensorboard, wandb, got 'mlflow'"):
        trackers.track([], "mlflow", tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_installed_is_said_in_a_sentence(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}[name], None)
    with pytest.raises(ValueError, match=r"is not installed: pip install -e '\.\[tracking\]'"):
        next(iter(trackers.track([], name, tmp_path)))


@pytest.mark.parametrize("name", READERS)
def test_every_below_one_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        next(iter(trackers.track([], name, tmp_path, every=0)))
