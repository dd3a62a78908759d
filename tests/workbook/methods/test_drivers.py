"""Who teaches whom: several teachers, students each other, generations, assistants."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional as F

from kdlab import bank, devices, evaluate, losses, models
from kdlab.evaluation import predict
from kdlab.training import Knobs, distil, finish
from workbook.methods.born_again import born_again
from workbook.methods.mutual_learning import mutual
from workbook.methods.several_teachers import Teachers, together
from workbook.methods.teacher_assistant import chain
from workbook.task.teachers import average

FEW = torch.arange(50)


def mlp(width, seed=0):
    return models.build(f"mlp-{width}", (1, 8, 8), 10, seed=seed)


def test_together_by_hand():
    logits = torch.tensor([[[0.5, 0.5]], [[0.9, 0.1]]]).log()
    mean = losses.soft_targets(together(logits, temperature=1.0), 1.0)
    torch.testing.assert_close(mean, torch.tensor([[0.7, 0.3]]))
    mean = losses.soft_targets(together(logits, temperature=1.0, weights=[3, 1]), 1.0)
    torch.testing.assert_close(mean, torch.tensor([[0.6, 0.4]]))


def test_together_is_the_mean_of_the_soft_targets_at_its_temperature():
    logits = 5 * torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for heat in (0.5, 1.0, 4.0):
        mean = losses.soft_targets(logits, heat).mean(0)
        torch.testing.assert_close(losses.soft_targets(together(logits, temperature=heat), heat), mean)
    torch.testing.assert_close(losses.soft_targets(together(logits[:1], temperature=2.0), 1.0), logits[0].softmax(1))


def test_a_loud_teacher_does_not_outvote_the_others_as_it_does_in_the_mean_of_logits():
    logits = torch.tensor([[[0.0, 2.0]], [[0.0, 2.0]], [[1e4, 0.0]]])
    assert losses.soft_targets(together(logits, temperature=1.0), 1.0).argmax() == 1
    assert logits.mean(0).argmax() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_together_is_finite_at_extremes(dtype):
    logits = torch.tensor([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 1e4]]], dtype=dtype)
    assert together(logits, temperature=0.05).isfinite().all()


@pytest.mark.parametrize("change", [dict(weights=[1.0]), dict(weights=[1.0, 0.0]), dict(temperature=0.0)])
def test_weights_and_temperatures_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match="a weight > 0 for each of 2 teachers, and a temperature > 0; got"):
        together(torch.zeros(2, 3, 4), **dict(temperature=1.0) | change)


def test_the_banks_of_several_teachers_are_one_bank_for_the_usual_loop(digits, known, teacher):
    other = bank.fill(mlp(16, seed=5), digits)
    both = average([known, other], digits, temperature=4.0)
    mean = (losses.soft_targets(known.logits, 4.0) + losses.soft_targets(other.logits, 4.0)) / 2
    torch.testing.assert_close(losses.soft_targets(both.logits, 4.0), mean)
    live = Teachers([teacher, mlp(16, seed=5)], temperature=4.0)
    first = [
        finish(distil(mlp(8), digits.only(FEW), teacher=each, steps=2, settings=devices.Settings()))[1].soft
        for each in (both, live)
    ]
    assert first[0] == pytest.approx(first[1], rel=1e-4)


def test_a_bank_of_several_teachers_weighs_them(digits, known):
    other = bank.fill(mlp(16, seed=5), digits)
    made = average([known, other], digits, temperature=4.0, weights=[3, 1])
    mean = (3 * losses.soft_targets(known.logits, 4.0) + losses.soft_targets(other.logits, 4.0)) / 4
    torch.testing.assert_close(losses.soft_targets(made.logits, 4.0), mean)
    with pytest.raises(ValueError, match="a weight > 0 for each of 2 teachers"):
        average([known, other], digits, temperature=4.0, weights=[3])


@pytest.mark.parametrize("name", ["classes", "fingerprint", "split"])
def test_banks_of_other_classes_or_images_are_refused(name, digits, known):
    value = {"classes": tuple("abcdefghij"), "fingerprint": {"order": "0"}, "split": "test"}[name]
    said = {"classes": "a bank has the classes a, b", "fingerprint": "made for other images", "split": "the test split"}
    with pytest.raises(ValueError, match=f"these teachers cannot be averaged: .*{said[name]}"):
        average([known, dataclasses.replace(known, **{name: value})], digits, temperature=1.0)
    part = dataclasses.replace(known, indices=known.indices[:9], logits=known.logits[:9])
    with pytest.raises(ValueError, match="the banks hold different images, 9 and 1000"):
        average([known, part], digits, temperature=1.0)


def test_mutual_learning_is_the_papers_algorithm(digits):
    """Written out: the first learns from the second, and then the second from the first as it is by then."""
    few, students, copies = digits.only(FEW), [mlp(8, 1), mlp(12, 2)], [mlp(8, 1), mlp(12, 2)]
    sgd = dict(optimizer=torch.optim.SGD, settings=devices.Settings())
    (steps,) = mutual(students, few, Knobs(alpha=0.5, temperature=1.0, lr=0.1), steps=1, **sgd)
    assert steps[0].lr == 0.1
    images, labels = digits.normalize(digits.train.images[FEW]), digits.train.labels[FEW]
    for me, peer in ((0, 1), (1, 0)):
        with torch.no_grad():
            said = copies[peer](images)
        mine = copies[me](images)
        soft = F.kl_div(mine.log_softmax(1), said.softmax(1), reduction="batchmean")
        loss = (soft + F.cross_entropy(mine, labels)) / 2
        assert steps[me].loss == pytest.approx(loss.item(), rel=1e-5)
        for p, g in zip(copies[me].parameters(), torch.autograd.grad(loss, list(copies[me].parameters()))):
            p.data -= 0.1 * g
    for found, expected in zip(students, copies):
        for a, b in zip(found.parameters(), expected.parameters()):
            torch.testing.assert_close(a, b)


def test_mutual_learning_among_three_lets_all_learn_and_agree(digits):
    students, few = [mlp(16, seed) for seed in (1, 2, 3)], digits.only(FEW)
    history = list(mutual(students, few, steps=25))
    assert len(history) == 25 and [len(steps) for steps in history] == [3] * 25
    assert all(last.hard < 0.7 * first.hard for first, last in zip(history[0], history[-1]))
    assert all(not student.training for student in students)
    assert min(evaluate(student, digits).accuracy for student in students) > 0.4


def test_closing_mutual_learning_leaves_the_students_in_eval_mode(digits):
    students = [mlp(8, 1), mlp(8, 2)]
    run = mutual(students, digits.only(FEW), steps=9)
    next(run)
    run.close()
    assert not any(student.training for student in students)


def test_mutual_learning_wants_two_different_students(digits):
    student = mlp(8)
    for wrong in ([], [student], [student, student]):
        with pytest.raises(ValueError, match=f"needs two different students or more, got {len(wrong)}"):
            next(mutual(wrong, digits, steps=1))


def test_a_chain_of_one_is_plain_distillation_and_of_two_ends_with_what_the_assistant_taught(digits, teacher, known):
    few, knobs = digits.only(FEW), Knobs(alpha=1.0, temperature=4.0)
    direct, alone = mlp(8), mlp(8)
    finish(distil(direct, few, knobs, teacher=known, steps=20))
    assert chain([alone], few, knobs, teacher=teacher, steps=20) == [alone]
    assert torch.equal(predict(direct, digits), predict(alone, digits))
    assistant, student, again = mlp(24, 3), mlp(8), mlp(8)
    trained = chain([assistant, student], few, knobs, teacher=known, steps=20)
    assert trained == [assistant, student]
    finish(distil(again, few, knobs, teacher=bank.fill(assistant, digits), steps=20))
    assert torch.equal(predict(student, digits), predict(again, digits))


def test_a_chain_learns_from_a_live_teacher_where_images_are_augmented(digits, teacher):
    (student,) = chain([mlp(8)], digits.only(FEW).augmented(0), teacher=teacher, steps=3)
    assert not student.training


def test_born_again_generations_learn_each_from_the_one_before(digits, teacher):
    few, seeds = digits.only(FEW), []

    def build(number):
        seeds.append(number)
        return mlp(16, seed=number)

    generations = born_again(build, few, teacher=teacher, generations=3, steps=20)
    assert seeds == [1, 2, 3] and len(generations) == 3
    again = mlp(16, seed=2)
    finish(distil(again, few, teacher=bank.fill(generations[0], digits), steps=20))
    assert torch.equal(predict(again, digits), predict(generations[1], digits))
    ensemble = Teachers(generations, temperature=1.0)
    assert math.isclose(predict(ensemble, digits).softmax(1).sum().item(), 1000, rel_tol=1e-4)


def test_chains_of_nothing_are_refused(digits, teacher):
    with pytest.raises(ValueError, match="a chain needs at least one model"):
        chain([], digits, teacher=teacher, steps=1)
    with pytest.raises(ValueError, match="generations must be >= 1, got 0"):
        born_again(lambda number: mlp(8), digits, teacher=teacher, generations=0, steps=1)
