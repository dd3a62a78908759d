"""The loop for CUDA graphs takes the steps of kdlab's loop: the same bits, where nothing is recorded."""

import functools

import pytest
import torch

from kdlab import bank, data, losses, models, training
from kdlab.training import Knobs
from workbook.record import replay, trainings

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)}


@pytest.fixture(scope="module")
def few():
    torch.set_num_threads(1)
    return data.load("glyphs", train=200, test=10)


@pytest.mark.parametrize("asked", ["nobody", "a bank", "its maps"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_loops_end_with_the_same_weights(few, asked, optimizer):
    teacher = models.build("article-teacher", few.shape, 10, seed=1)
    told = {"nobody": None, "a bank": bank.fill(teacher, few), "its maps": trainings.maps_of(teacher)}[asked]
    seen = few if asked == "a bank" else few.augmented(0)
    ends = []
    for loop in (training.distil, replay.distil):
        student = models.build("article-student", few.shape, 10, seed=0)
        method = losses.logits
        if asked == "its maps":
            method = trainings.Regressor(0, torch.device("cpu"))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                method.widen = torch.nn.Conv2d(32, 64, 3, padding=1)
        run = loop(student, seen, Knobs(0.25, 2.0, 1e-2), teacher=told, steps=7, batch_size=64, seed=3, method=method,
                   optimizer=OPTIMIZERS[optimizer])
        for _ in run or ():
            pass
        ends.append([*student.state_dict().values(), *(method.parameters() if asked == "its maps" else ())])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_function_of_the_step_gives_the_learning_rate(few):
    start, student = (models.build("article-student", few.shape, 10, seed=0) for _ in range(2))
    replay.distil(student, few, lambda step: Knobs(lr=1e-30), steps=3, batch_size=64, optimizer=torch.optim.SGD)
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), student.parameters()))


def test_a_loss_that_is_not_finite_is_an_error(few):
    student = models.build("article-student", few.shape, 10, seed=0)
    with pytest.raises(FloatingPointError, match="after 30 steps"):
        replay.distil(student, few, lambda step: Knobs(lr=1e9), steps=30, batch_size=64, optimizer=torch.optim.SGD)
