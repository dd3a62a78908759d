"""Many students at once: the same as one by one, each with its own knobs, weights and data, and refused where it cannot be."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from kdlab import bank, data, models, training
from workbook.labs import many
from kdlab.evaluation import predict
from kdlab.training import Knobs

FEW = torch.arange(50)
GRID = [(a, t) for a in (0.0, 0.5, 1.0) for t in (1.0, 4.0, 20.0)]


class Float64(nn.Module):
    """Makes a float64 student out of float32 images for `training.distil`, which casts nothing upwards itself."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images.double())


def filled(seed):
    """A data set and a float64 bank; the teacher need not be good, its answers need not be equal."""
    digits = data.load("digits", seed=seed)
    torch.manual_seed(seed)
    teacher = models.build("mlp-64", digits.shape, 10)
    training.finish(training.train(teacher, digits, steps=60, batch_size=64))
    stored = bank.fill(teacher, digits)
    return digits, dataclasses.replace(stored, logits=stored.logits.double())


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    return filled(0)


def built(count, shape, name="mlp-16", same=False):
    students = []
    for i in range(count):
        torch.manual_seed(0 if same else i)
        students.append(models.build(name, shape, 10))
    return students


def one_by_one(students, datasets, knobs, teachers, seeds, indices, **options):
    """training.distil for each of them, in float64; copies, with their records."""
    copies, history = copy.deepcopy(students), []
    for s, d, k, t, seed, places in zip(copies, datasets, knobs, teachers, seeds, indices, strict=True):
        history.append(list(training.distil(Float64(s), d, k, teacher=t, seed=seed, indices=places, **options)))
    return copies, history


def furthest(students, others):
    return max(
        (a - b).abs().max().item() for s, o in zip(students, others, strict=True) for a, b in zip(s.parameters(), o.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    "batch_size, weight_decay, layer", [(None, 0.0, nn.ReLU), (16, 0.1, nn.GELU), (500, 0.0, nn.Tanh)]
)
def test_at_once_equals_one_by_one_in_float64(digits, batch_size, weight_decay, layer):
    dataset, stored = digits
    students = [s.double() for s in built(9, dataset.shape)]
    for s in students:
        s[2] = layer()
    knobs = [Knobs(a, t, 0.01) for a, t in GRID]
    options = dict(steps=60, batch_size=batch_size, weight_decay=weight_decay)
    theirs, history = one_by_one(students, [dataset] * 9, knobs, [stored] * 9, [3] * 9, [FEW] * 9, **options)
    before = copy.deepcopy(students)
    ours = list(many.distil(students, dataset, knobs, teacher=stored, indices=FEW, seed=3, way="at once", **options))
    assert furthest(students, theirs) < 1e-10 < 0.01 < furthest(students, before)
    for mine, his in zip(zip(*ours, strict=True), history, strict=True):
        for a, b in zip(mine, his, strict=True):
            assert dataclasses.astuple(a)[:-1] == pytest.approx(dataclasses.astuple(b)[:-1], abs=1e-10)


def test_each_student_may_have_its_own_split_bank_seed_images_weights_and_lr(digits):
    sets, banks = zip(digits, filled(1))
    pick = [0, 1, 1, 0, 0, 0]
    students = [s.double() for s in built(6, sets[0].shape)]
    knobs = [Knobs(a, t, lr) for (a, t), lr in zip(GRID, (0.01, 0.03, 0.001, 0.01, 0.1, 0.02), strict=False)]
    images = torch.stack([FEW, FEW, FEW + 100, FEW + 7, FEW, FEW])
    seeds = [0, 0, 0, 0, 5, 0]
    options = dict(steps=60, batch_size=20, weight_decay=0.05)
    d, b = [sets[i] for i in pick], [banks[i] for i in pick]
    theirs, _ = one_by_one(students, d, knobs, b, seeds, images, **options)
    list(many.distil(students, d, knobs, teacher=b, indices=images, seed=seeds, way="at once", **options))
    assert furthest(students, theirs) < 1e-10
    for i, student in enumerate(students):  # and no two of them have learnt the same
        assert all(furthest([student], [other]) > 1e-3 for other in students[:i])


def test_knobs_turned_between_two_steps_are_read_once_per_step(digits):
    dataset, stored = digits
    students = [s.double() for s in built(2, dataset.shape)]
    others = copy.deepcopy(students)

    def drive(stepper, *turned):
        for step in stepper:
            number = (step[0] if isinstance(step, tuple) else step).step
            for knobs in turned:
                if number == 10:
                    knobs.alpha, knobs.temperature, knobs.lr = 0.3, 2.0, 0.004

    ours = [Knobs(1.0, 4.0), Knobs(0.0, 1.0)]
    drive(many.distil(students, dataset, ours, teacher=stored, steps=30, indices=FEW), ours[0])
    for student, knobs, turned in zip(others, [Knobs(1.0, 4.0), Knobs(0.0, 1.0)], (True, False)):
        drive(training.distil(Float64(student), dataset, knobs, teacher=stored, steps=30, indices=FEW), *[knobs] * turned)
    assert furthest(students, others) < 1e-10


def test_float32_stays_close_and_students_keep_their_dtype(digits):
    dataset, stored = digits
    students = built(4, dataset.shape, same=True)
    other = copy.deepcopy(students[3])
    knobs = [Knobs(a, t) for a, t in GRID[-4:]]
    list(many.distil(students, dataset, knobs, teacher=stored, steps=40, indices=FEW))
    list(training.distil(other, dataset, knobs[3], teacher=stored, steps=40, indices=FEW))
    assert furthest(students[3:], [other]) < 1e-3 and students[0][1].weight.dtype == torch.float32


def test_alpha_zero_is_the_student_alone_whatever_the_temperature(digits):
    dataset, stored = digits
    students = [s.double() for s in built(2, dataset.shape, same=True)]
    alone = copy.deepcopy(students[0])
    list(many.distil(students, dataset, [Knobs(0, 1), Knobs(0, 30)], teacher=stored, steps=30, indices=FEW))
    list(training.distil(Float64(alone), dataset, Knobs(0), teacher=None, steps=30, indices=FEW))
    assert furthest(students, [alone, alone]) < 1e-10


def test_students_are_up_to_date_while_they_train_and_own_their_memory_afterwards(digits):
    dataset, stored = digits
    students = built(3, dataset.shape)
    stepper = many.distil(students, dataset, [Knobs()] * 3, teacher=stored, steps=20, indices=FEW)
    seen = [(next(stepper), predict(students[2], dataset, "test")) for _ in range(3)]
    assert not torch.equal(seen[0][1], seen[2][1])
    stepper.close()
    assert torch.equal(predict(students[2], dataset, "test"), seen[2][1]) and not students[2].training
    weight = students[2][1].weight
    assert weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()


def test_records_and_evaluations_come_when_asked_for(digits):
    dataset, stored = digits
    students = built(3, dataset.shape)
    found = list(many.distil(
        students, dataset, [Knobs(lr=r) for r in (0.01, 0.02, 0.03)], teacher=stored, steps=25, indices=FEW, record_every=10, evaluate_every=20))
    assert [steps[0].step for steps in found] == [10, 20, 25]
    assert [steps[1].accuracy is None for steps in found] == [True, False, False]
    answers = [predict(s, dataset, "test").argmax(1) for s in students]
    exact = [(a == dataset.test.labels).double().mean().item() for a in answers]
    assert [s.accuracy for s in found[-1]] == exact
    assert [s.lr for s in found[0]] == pytest.approx([r * training.warm_cosine(10, 25) for r in (0.01, 0.02, 0.03)])


@pytest.mark.parametrize("name", ["cnn-4", "mlp-16"])
def test_one_by_one_is_the_loop_itself(digits, name):
    dataset, stored = digits
    students = built(3, dataset.shape, name)
    others, knobs = copy.deepcopy(students), [Knobs(a, 4.0) for a in (0, 0.5, 1)]
    ours = list(many.distil(students, dataset, knobs, teacher=stored, steps=5, indices=FEW, way="one by one"))
    for i, (other, k) in enumerate(zip(others, knobs)):
        assert list(training.distil(other, dataset, k, teacher=stored, steps=5, indices=FEW)) == [s[i] for s in ours]
        assert all(torch.equal(a, b) for a, b in zip(students[i].state_dict().values(), other.state_dict().values()))
        assert not students[i].training


def test_how_says_which_way_and_why():
    assert many.how(models.build("mlp-32", (1, 8, 8), 10), 50)[0] == "at once"
    for name, images, word in [("cnn-8-16", 50, "Conv2d"), ("resnet8", 50, "ResNet"), ("mlp-2048", 1000, "million")]:
        way, why = many.how(models.build(name, (1, 32, 32), 10), images)
        assert way == "one by one" and word in why
    dropping = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(0.5))
    assert many.how(dropping, 1)[0] == "one by one"  # each student's own random numbers have no batched twin


def test_a_layer_without_bias_and_a_student_of_one_layer(digits):
    dataset, stored = digits
    for build in (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.ReLU(), nn.Linear(8, 10)),
                  lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))):
        students = [build().double() for _ in range(3)]
        others, knobs = copy.deepcopy(students), [Knobs(a, 3.0) for a in (0, 0.5, 1)]
        list(many.distil(students, dataset, knobs, teacher=stored, steps=20, indices=FEW))
        for other, k in zip(others, knobs):
            list(training.distil(Float64(other), dataset, k, teacher=stored, steps=20, indices=FEW))
        assert furthest(students, others) < 1e-10


def test_a_loss_that_is_not_finite_names_student_step_and_knobs(digits):
    dataset, stored = digits
    students = built(3, dataset.shape)
    with torch.no_grad():
        students[1][1].weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match=r"student 1 is not finite at step 1 with Knobs\(alpha=0.5"):
        list(many.distil(students, dataset, [Knobs(0.5)] * 3, teacher=stored, steps=3, indices=FEW))
    assert not students[0].training


REFUSED = [
    (dict(students=[]), "one Knobs for each student"),
    (dict(knobs=[Knobs()]), "got 2 students, 1 knobs"),
    (dict(steps=0), "steps and record_every must be >= 1"),
    (dict(teacher=None), "each teacher must be a Bank"),
    (dict(seed=[1, 2, 3]), "one for each of 2 students, got 3"),
    (dict(way="both"), "got 'both'"),
]


@pytest.mark.parametrize("change, sentence", REFUSED)
def test_what_does_not_fit_is_refused_at_the_call(digits, change, sentence):
    dataset, stored = digits
    given = dict(students=built(2, dataset.shape), knobs=[Knobs()] * 2, teacher=stored, steps=2) | change
    with pytest.raises(ValueError, match=sentence):
        many.distil(given.pop("students"), dataset, given.pop("knobs"), **given)


def test_students_that_cannot_be_stacked_are_refused(digits):
    dataset, stored = digits
    twice, cnns = built(1, dataset.shape) * 2, built(2, dataset.shape, "cnn-4")
    mixed = [*built(1, dataset.shape), *built(1, dataset.shape, "mlp-8")]
    for students in (twice, mixed):
        with pytest.raises(ValueError, match="one architecture, and each a module of its own"):
            many.distil(students, dataset, [Knobs()] * 2, teacher=stored, steps=2)
    with pytest.raises(ValueError, match="there is Conv2d"):
        many.distil(cnns, dataset, [Knobs()] * 2, teacher=stored, steps=2, way="at once")


def test_an_image_that_is_not_in_the_bank_is_refused(digits):
    dataset, _ = digits
    part = bank.make(torch.randn(20, 10), dataset, indices=torch.arange(20), producer="test")
    with pytest.raises(IndexError, match="image 20"):
        list(many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=part, steps=2, indices=FEW))


def test_finish_runs_many_to_their_end(digits):
    dataset, stored = digits
    history = training.finish(many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=stored, steps=4))
    assert len(history) == 4 and len(history[0]) == 2


def test_students_one_by_one_can_be_closed_and_are_left_in_eval_mode(digits):
    dataset, stored = digits
    students = built(2, dataset.shape)
    run = many.distil(students, dataset, [Knobs()] * 2, teacher=stored, steps=4, way="one by one")
    next(run)
    assert all(student.training for student in students)
    run.close()
    assert not any(student.training for student in students)


def test_a_bank_of_the_test_split_and_indices_for_other_students_are_refused(digits):
    dataset, stored = digits
    test = bank.make(torch.randn(len(dataset.test), 10), dataset, split="test", producer="test")
    with pytest.raises(ValueError, match="training split, and a bank here holds another"):
        many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=test, steps=2, indices=FEW)
    with pytest.raises(ValueError, match=r"indices must be \(n,\) or \(2, n\), got \(3, 5\)"):
        many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=stored, steps=2, indices=torch.zeros(3, 5).long())
