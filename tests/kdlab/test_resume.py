"""A long run that is killed goes on where it was, to the same curve and the same weights, bit for bit."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from kdlab import Knobs, data, files, models
from kdlab.training import distil, save_state

STEPS = 40


def student():
    """Batch norm and dropout: buffers that move, and random numbers in every step."""
    torch.manual_seed(7)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, 10)]
    return nn.Sequential(*layers)


def run(model, digits, teacher, **changes):
    options = dict(teacher=teacher, steps=STEPS, batch_size=300, seed=3, optimizer=torch.optim.AdamW)
    return distil(model, digits.augmented(), Knobs(alpha=0.5), **options | changes)


def losses_until(last, steps, path=None):
    found = []
    for step in steps:
        found.append(step.loss)
        if step.step == last:
            if path:
                save_state(step, path)
            break
    steps.close()
    return found


@pytest.fixture(scope="module")
def whole(digits, teacher):
    model = student()
    return losses_until(None, run(model, digits, teacher)), model.state_dict()


@pytest.mark.parametrize("last", [1, 3, 4, 17, STEPS - 1, STEPS])  # an epoch is 3 steps
def test_a_run_resumed_after_any_step_gives_the_same_curve_and_weights(digits, teacher, whole, tmp_path, last):
    path, first, second = tmp_path / "new" / "run.state", student(), student()
    curve = losses_until(last, run(first, digits, teacher), path)
    torch.manual_seed(99)  # what happened in between
    nn.init.zeros_(second[0].weight)
    curve += losses_until(None, run(second, digits, teacher, resume=path))
    assert curve == whole[0]
    assert all(torch.equal(tensor, whole[1][name]) for name, tensor in second.state_dict().items())


SCRIPT = """
    import json, os, sys, time
    sys.path[:0] = [{folder!r}]
    import torch
    from kdlab import data, files, models
    from kdlab.training import save_state
    from test_resume import run, student
    torch.set_num_threads(1)
    digits = data.load("digits")
    teacher = files.read_weights(models.build("mlp-64", digits.shape, 10), {teacher!r})
    model, path = student(), {path!r}
    for own, step in enumerate(run(model, digits, teacher, resume=path if os.path.exists(path) else None), 1):
        with open({curve!r}, "a") as file:
            print(json.dumps([step.step, step.loss]), file=file)
        save_state(step, path)
        time.sleep(600 if own == {last} else {pause})
    files.write_weights(model, {weights!r})
"""


@pytest.mark.slow
def test_a_process_killed_twice_at_any_moment_ends_with_the_same_curve_and_weights(digits, teacher, whole, tmp_path):
    places = {name: str(tmp_path / name) for name in ("teacher", "path", "curve", "weights")}
    files.write_weights(teacher, places["teacher"])
    path = Path(places["path"])

    def started(pause, last):
        code = textwrap.dedent(SCRIPT.format(pause=pause, last=last, folder=str(Path(__file__).parent), **places))
        return subprocess.Popen([sys.executable, "-c", code])

    def written(path):
        return path.stat().st_mtime_ns if path.exists() else 0

    for moment in (0.031, 0.085):  # seconds after the first step of its own
        before, process = written(path), started(0.02, last=15)  # where it waits, so that it cannot end before
        while process.poll() is None and written(path) == before:
            time.sleep(0.005)
        time.sleep(moment)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert started(0, last=0).wait(300) == 0
    curve = dict(json.loads(line) for line in (tmp_path / "curve").read_text().splitlines())
    assert [curve[number] for number in range(1, STEPS + 1)] == whole[0]
    end = files.read_weights(student(), tmp_path / "weights").state_dict()
    assert all(torch.equal(tensor, whole[1][name]) for name, tensor in end.items())


def test_an_earlier_step_cannot_be_saved_any_more(digits, teacher, tmp_path):
    steps = run(student(), digits, teacher)
    first, _ = next(steps), next(steps)
    with pytest.raises(ValueError, match="the run is at step 2 by now, and the state of step 1 is gone"):
        save_state(first, tmp_path / "run.state")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change, words", [
    (dict(steps=41), "steps 40 in place of 41"),
    (dict(seed=4), "seed 3 in place of 4"),
    (dict(batch_size=None), "batch_size 300 in place of None"),
    (dict(optimizer=torch.optim.SGD), "its weights or its optimizer are others"),
    (dict(optimizer=partial(torch.optim.AdamW, weight_decay=0.5)), "its weights or its optimizer are others"),
])
def test_a_state_of_another_run_is_refused_and_changes_nothing(digits, teacher, tmp_path, change, words):
    path = tmp_path / "run.state"
    losses_until(5, run(student(), digits, teacher), path)
    model = student()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"run.state belongs to another run: .*{words}"):
        next(run(model, digits, teacher, resume=path, **change))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_a_state_of_a_run_on_other_pictures_or_with_another_teacher_is_refused(digits, teacher, tmp_path):
    losses_until(5, run(student(), digits, teacher), tmp_path / "run.state")
    with pytest.raises(ValueError, match="images 1000 of [0-9a-f]{32} in place of 1000 of [0-9a-f]{32}"):
        next(run(student(), data.load("digits", seed=1), teacher, resume=tmp_path / "run.state"))
    with pytest.raises(ValueError, match="teacher 4 tensors of weights in place of None"):
        next(run(student(), digits, None, resume=tmp_path / "run.state"))


def test_a_state_of_another_network_is_refused(digits, teacher, tmp_path):
    losses_until(5, run(student(), digits, teacher), tmp_path / "run.state")
    with pytest.raises(ValueError, match="its weights or its optimizer are others"):
        next(run(models.build("mlp-32", digits.shape, 10), digits, teacher, resume=tmp_path / "run.state"))


@pytest.mark.parametrize("content", [None, b"", b"not a state"])
def test_a_missing_or_damaged_state_is_refused_in_one_sentence(digits, teacher, tmp_path, content):
    if content is not None:
        (tmp_path / "run.state").write_bytes(content)
    with pytest.raises(ValueError, match="run.state is not a readable state of a run"):
        next(run(student(), digits, teacher, resume=tmp_path / "run.state"))


def test_a_state_cut_short_is_refused(digits, teacher, tmp_path):
    path = tmp_path / "run.state"
    losses_until(5, run(student(), digits, teacher), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="run.state is not a readable state of a run"):
        next(run(student(), digits, teacher, resume=path))


class Hints(nn.Module):
    """A method with parameters of its own, which belong to the state."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.scale = nn.Linear(10, 10)

    def forward(self, student, batch, targets, knobs):
        return {"loss": (self.scale(student(batch.images)) - targets).square().mean()}


def test_the_parameters_of_a_method_are_part_of_the_state(digits, teacher, tmp_path):
    through, hints = [], Hints()
    for step in run(student(), digits, teacher, method=hints):
        through.append(step.loss)
        if step.step == 12:
            save_state(step, tmp_path / "run.state")
    rest = losses_until(None, run(student(), digits, teacher, method=Hints(), resume=tmp_path / "run.state"))
    assert through[12:] == rest


def test_a_compiled_model_saves_a_file_that_loads_into_the_plain_one_and_back(digits, tmp_path):
    plain = models.build("cnn-4", digits.shape, 10, seed=0)
    compiled = torch.compile(plain)  # renames the weights; nothing is compiled before its first call
    files.write_weights(compiled, tmp_path / "weights")
    other = files.read_weights(models.build("cnn-4", digits.shape, 10, seed=1), tmp_path / "weights")
    back = files.read_weights(torch.compile(models.build("cnn-4", digits.shape, 10, seed=2)), tmp_path / "weights")
    for (name, tensor), also in zip(other.state_dict().items(), back.state_dict().values()):
        assert torch.equal(tensor, plain.state_dict()[name]) and torch.equal(tensor, also)


def test_the_same_object_as_teacher_and_student_is_refused(digits, teacher):
    with pytest.raises(ValueError, match="teacher and student are the same object"):
        next(distil(teacher, digits, teacher=teacher, steps=1))
    with pytest.raises(ValueError, match="teacher and student are the same object"):
        next(distil(teacher, digits, teacher=nn.Sequential(teacher), steps=1))
