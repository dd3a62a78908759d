"""The loop for CUDA graphs takes the steps of kdlab's loop: the same bits, where nothing is recorded."""

import contextlib
import copy
import functools

import pytest
import torch
from torch import nn

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


class Graph:
    """Stands for torch.cuda's: what is computed while it is recorded is done again by `replay`."""

    step = None

    def replay(self):
        Graph.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_recording_leaves_no_trace_and_a_replay_is_the_first_step(few, monkeypatch, optimizer):
    """Without a GPU: the three trial steps, and the recorded one, must be undone before the first replay."""
    state = torch.arange(3)
    put = []
    fakes = dict(stream=lambda stream: contextlib.nullcontext(), CUDAGraph=Graph,
                 graph=lambda graph: contextlib.nullcontext(), get_rng_state=lambda: state, set_rng_state=put.append,
                 current_stream=lambda: type("S", (), {"wait_stream": staticmethod(lambda other: None)}))
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: fakes["current_stream"]())
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.BatchNorm1d(4), nn.Linear(4, 10))
    twin = copy.deepcopy(model)
    images = few.normalize(few.train.images[:32])

    def steps(network):
        made = OPTIMIZERS[optimizer](network.parameters(), lr=1e-2)

        def step():
            made.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(network(images), few.train.labels[:32]).backward()
            made.step()

        return step, made

    step, made = steps(model)
    Graph.step = staticmethod(step)
    play = replay._recorded(step, [model], made)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), twin.state_dict().values()))
    assert put == [state]
    plain, _ = steps(twin)
    for _ in range(3):
        play()
        plain()
    for mine, theirs in zip(model.state_dict().values(), twin.state_dict().values()):
        assert torch.equal(mine, theirs)
