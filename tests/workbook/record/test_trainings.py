"""The tutorial's two losses on maps are torch's own, and a training on a GPU falls back to kdlab's loop."""

import pytest
import torch
from torch import nn

from kdlab import data, models
from kdlab.training import Batch, Knobs
from workbook.record import replay, trainings
from workbook.record.sheet import SIZES, Clock, LeftOut

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def pair():
    return {role: models.build(f"tutorial-{role}", SHAPE, 10, seed=0).eval() for role in ("teacher", "student")}


@pytest.fixture(scope="module")
def batch():
    draw = torch.Generator().manual_seed(0)
    return Batch(torch.randn(5, *SHAPE, generator=draw), torch.arange(5), torch.arange(5))


def test_maps_are_those_of_the_tutorials_text(pair, batch):
    shapes = [tuple(trainings.maps_of(pair[role])(batch.images).shape) for role in ("teacher", "student")]
    assert shapes == [(5, 32, 8, 8), (5, 16, 8, 8)]


def test_cosine_is_torchs_cosine_embedding_loss_and_the_mix_the_tutorials(pair, batch):
    maps, student = trainings.maps_of(pair["teacher"])(batch.images), pair["student"]
    parts = trainings.Cosine()(student, batch, maps, Knobs(0.25, 2.0, 1e-3))
    own = trainings.maps_of(student)(batch.images).flatten(1)
    pooled = nn.AvgPool1d(2)(maps.flatten(1))
    soft = nn.CosineEmbeddingLoss()(own, pooled, torch.ones(5))
    hard = nn.CrossEntropyLoss()(student(batch.images), batch.labels)
    assert parts["soft"].item() == pytest.approx(soft.item(), rel=1e-5)
    assert parts["loss"].item() == pytest.approx((0.25 * soft + 0.75 * hard).item(), rel=1e-5)


def test_the_regressor_is_trained_with_the_student(pair):
    few = data.load("glyphs", train=64, test=10)
    method = trainings.Regressor(0, torch.device("cpu"))
    before = method.widen.weight.detach().clone()
    student = models.build("tutorial-student", SHAPE, 10, seed=0)
    result = trainings.fit(student, few, Knobs(0.25, 2.0, 1e-3), teacher=trainings.maps_of(pair["teacher"]), steps=2,
                           batch_size=32, method=method, optimizer=trainings.ADAM)
    assert not torch.equal(before, method.widen.weight)
    assert result["way"] == "kdlab's loop" and 0 <= result["percent"] <= 100 and result["seconds"] > 0


def test_a_gain_needs_two_seeds():
    assert trainings.gain([3.0], [1.0]) is None
    assert trainings.gain([3.0, 5.0], [1.0, 2.0])["mean"] == 2.5


def test_many_students_gain_from_their_teacher_and_each_pair_starts_alike():
    clock = Clock(10)
    found = list(trainings.students(torch.device("cpu"), clock, SIZES["small"]))[-1]
    assert list(found["by"]) == ["25", "250"]
    for of_so_many in found["by"].values():
        assert of_so_many["gain"]["low"] > 5, of_so_many
    assert found["by"]["250"]["gain"]["pairs"] == 125


def test_what_no_time_is_left_for_is_left_out_with_its_estimate():
    clock = Clock(0.001)
    with pytest.raises(LeftOut, match="25 students needs about"):
        list(trainings.students(torch.device("cpu"), clock, SIZES["small"]))


def test_the_two_loops_are_one_training(monkeypatch):
    """What `fit` does where a graph was recorded is what it does where that failed."""
    few = data.load("glyphs", train=64, test=50)
    ends = []
    for fails in (False, True):
        student = models.build("article-student", SHAPE, 10, seed=0)

        def recorded(model, *arguments, fails=fails, loop=replay.distil, **options):
            if fails:
                nn.init.zeros_(next(model.parameters()))  # it was trained a little, and then
                raise RuntimeError("operation not permitted when stream is capturing\nmore")
            loop(model, *arguments, **options)

        monkeypatch.setattr(trainings, "_records", lambda device: True)
        monkeypatch.setattr(trainings.replay, "distil", recorded)
        ends.append((trainings.fit(student, few, Knobs(), steps=3, batch_size=32, optimizer=trainings.ADAM), student))
        monkeypatch.undo()
    (one, first), (other, second) = ends
    assert one["way"] == "one CUDA graph a step" and other["way"] == "kdlab's loop"
    assert other["said"] == "a step could not be recorded: operation not permitted when stream is capturing"
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))

