"""Methods side by side: equal starts, equal batches, and answers that were asked once teach as a live teacher does."""

import pytest
import torch

from kdlab import data, models
from kdlab.training import Knobs, distil, finish
from workbook.labs import beyond
from workbook.methods import similarity_preserving, tap


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    return data.load("digits", seed=0)


@pytest.fixture(scope="module")
def teacher(digits):
    return models.build(beyond.SMALL.teacher, digits.shape, 10, seed=0).eval()


PLACES = torch.tensor([7, 900, 3, 4, 40, 41, 42, 43, 44, 45])


@pytest.fixture(scope="module")
def known(digits, teacher):
    return beyond.answers(beyond.SMALL, teacher, digits, PLACES)


@pytest.mark.parametrize("name", beyond.WAYS)
def test_every_way_moves_the_student_and_leaves_the_teacher(name, digits, teacher, known):
    before = [p.clone() for p in teacher.parameters()]
    model = beyond.student(name, beyond.SMALL, teacher, known, digits, PLACES, lr=1e-2, seed=0, steps=2)
    fresh = models.build(beyond.SMALL.student, digits.shape, 10, seed=0)
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters()))
    assert all(map(torch.equal, before, teacher.parameters()))
    assert model(torch.zeros(1, *digits.shape)).shape == (1, 10) and not model.training


def test_answers_asked_before_teach_as_a_live_teacher_does(digits, teacher, known):
    models_of = [models.build(beyond.SMALL.student, digits.shape, 10, seed=0) for _ in range(2)]
    method, options = similarity_preserving.method, dict(steps=3, batch_size=4, seed=1)
    kept = beyond.Known(method, {name: known[name] for name in ("logits", "7")}, PLACES)
    for model, way in zip(models_of, (dict(teacher=tap(teacher, "7"), method=method), dict(method=kept))):
        finish(distil(tap(model, "7"), digits.only(PLACES), Knobs(0.5), **way, **options))
    for a, b in zip(*(model.parameters() for model in models_of)):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_answers_that_do_not_fit_are_refused(digits, known):
    with pytest.raises(ValueError, match="an answer for each image, got 10 for 3"):
        beyond.Known(similarity_preserving.method, known, PLACES[:3])
    model = models.build(beyond.SMALL.student, digits.shape, 10, seed=0)
    method = beyond.Known(beyond.WAYS["KD"].method, known["logits"], PLACES)
    for other in (torch.tensor([5]), torch.tensor([950])):
        with pytest.raises(IndexError, match="not among those that the teacher was asked about"):
            finish(distil(model, digits.only(other), steps=1, method=method))


def test_exchanged_answers_stay_in_their_class_and_are_used_once_each():
    labels = torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(0))
    places = beyond.exchanged(labels, seed=0)
    assert torch.equal(labels[places], labels) and sorted(places.tolist()) == list(range(40))
    assert (places != torch.arange(40)).sum() > 20
    assert torch.equal(places, beyond.exchanged(labels, seed=0))


def test_only_what_learns_from_features_pays_for_the_teacher():
    work = {name: beyond.work(name, beyond.SMALL, (1, 8, 8), 10) for name in beyond.WAYS}
    assert {name for name, one in work.items() if one > 1} == {"FitNets", "AT", "RKD", "SP", "CRD", "ReviewKD"}
    large, small = (models.cost(models.build(x, (1, 8, 8), 10), (1, 8, 8)).multiply_adds
                    for x in (beyond.SMALL.teacher, beyond.SMALL.student))
    assert work["AT"] == pytest.approx((3 * small + large) / (3 * small))


def test_the_resnets_are_tapped_where_they_meet(digits):
    shape = (3, 32, 32)
    glyphs = data.load("glyphs", train=4, test=2)
    teacher = models.build("resnet20", shape, 10, seed=0)
    known = beyond.answers(beyond.RESNETS, teacher, glyphs, torch.arange(4))
    assert {name: tuple(x.shape[1:]) for name, x in known.items()} == {
        "logits": (10,), "blocks.2": (16, 32, 32), "blocks.5": (32, 16, 16), "blocks.8": (64, 8, 8), "mean": (64,),
    }
    beyond.student("AT", beyond.RESNETS, teacher, known, glyphs, torch.arange(4), lr=1e-2, seed=0, steps=1)
