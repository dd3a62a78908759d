"""Many students at once: the same as one by one, each with its own knobs, weights and data, or refused."""

import copy
import dataclasses
import functools
import math
import signal

import pytest
import torch
from torch import nn

from kdlab import bank, data, losses, models, training
from kdlab.evaluation import predict
from kdlab.training import Knobs
from workbook.labs import many

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
    """The first 50 digits and a float64 bank; the teacher need not be good, its answers need not be equal."""
    digits = data.load("digits", seed=seed)
    teacher = models.build("mlp-64", digits.shape, 10, seed=seed)
    training.finish(training.train(teacher, digits, steps=60, batch_size=64))
    stored = bank.fill(teacher, digits)
    return digits.only(FEW), dataclasses.replace(stored, logits=stored.logits.double())


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    return filled(0)


def built(count, shape, name="mlp-16", same=False):
    return [models.build(name, shape, 10, seed=0 if same else i) for i in range(count)]


def one_by_one(students, datasets, knobs, teachers, seeds, weight_decay, **options):
    """training.distil for each of them, in float64; copies, with their records."""
    copies, history = copy.deepcopy(students), []
    options |= {"optimizer": functools.partial(torch.optim.AdamW, weight_decay=weight_decay)}
    for s, d, k, t, seed in zip(copies, datasets, knobs, teachers, seeds, strict=True):
        history.append(list(training.distil(Float64(s), d, k, teacher=t, seed=seed, **options)))
    return copies, history


def furthest(students, others):
    pairs = [(s.parameters(), o.parameters()) for s, o in zip(students, others, strict=True)]
    return max((a - b).abs().max().item() for mine, his in pairs for a, b in zip(mine, his, strict=True))


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
    theirs, history = one_by_one(students, [dataset] * 9, knobs, [stored] * 9, [3] * 9, **options)
    before = copy.deepcopy(students)
    ours = list(many.distil(students, dataset, knobs, teacher=stored, seed=3, way="at once", **options))
    assert furthest(students, theirs) < 1e-10 < 0.01 < furthest(students, before)
    for mine, *others in zip(ours, *history, strict=True):
        assert {mine.step} == {other.step for other in others}
        for name, values in mine.parts.items():
            assert values.tolist() == pytest.approx([float(other.parts[name]) for other in others], abs=1e-10)


def test_each_student_may_have_its_own_split_bank_seed_images_weights_and_lr(digits):
    sets, banks = zip(digits, filled(1))
    pick = [0, 1, 1, 0, 0, 0]
    students = [s.double() for s in built(6, sets[0].shape)]
    knobs = [Knobs(a, t, lr) for (a, t), lr in zip(GRID, (0.01, 0.03, 0.001, 0.01, 0.1, 0.02), strict=False)]
    images = [FEW, FEW, FEW + 100, FEW + 7, FEW, FEW]
    seeds = [0, 0, 0, 0, 5, 0]
    options = dict(steps=60, batch_size=20, weight_decay=0.05)
    d, b = [sets[i].only(places) for i, places in zip(pick, images)], [banks[i] for i in pick]
    theirs, _ = one_by_one(students, d, knobs, b, seeds, **options)
    list(many.distil(students, d, knobs, teacher=b, seed=seeds, way="at once", **options))
    assert furthest(students, theirs) < 1e-10
    for i, student in enumerate(students):  # and no two of them have learnt the same
        assert all(furthest([student], [other]) > 1e-3 for other in students[:i])


def test_float32_stays_close_and_students_keep_their_dtype(digits):
    dataset, stored = digits
    students = built(4, dataset.shape, same=True)
    other = copy.deepcopy(students[3])
    knobs = [Knobs(a, t) for a, t in GRID[-4:]]
    list(many.distil(students, dataset, knobs, teacher=stored, steps=40))
    list(training.distil(other, dataset, knobs[3], teacher=stored, steps=40))
    assert furthest(students[3:], [other]) < 1e-3 and students[0][1].weight.dtype == torch.float32


def test_alpha_zero_is_the_student_alone_whatever_the_temperature(digits):
    dataset, stored = digits
    students = [s.double() for s in built(2, dataset.shape, same=True)]
    alone = copy.deepcopy(students[0])
    list(many.distil(students, dataset, [Knobs(0, 1), Knobs(0, 30)], teacher=stored, steps=30))
    list(training.distil(Float64(alone), dataset, Knobs(0), teacher=None, steps=30))
    assert furthest(students, [alone, alone]) < 1e-10


def test_students_are_up_to_date_while_they_train_and_own_their_memory_afterwards(digits):
    dataset, stored = digits
    students = built(3, dataset.shape)
    stepper = many.distil(students, dataset, [Knobs()] * 3, teacher=stored, steps=20)
    seen = [(next(stepper), predict(students[2], dataset, "test")) for _ in range(3)]
    assert not torch.equal(seen[0][1], seen[2][1])
    stepper.close()
    assert torch.equal(predict(students[2], dataset, "test"), seen[2][1]) and not students[2].training
    weight = students[2][1].weight
    assert weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()


@pytest.mark.parametrize("name", ["cnn-4", "mlp-16"])
def test_one_by_one_is_the_loop_itself(digits, name):
    dataset, stored = digits
    students = built(3, dataset.shape, name)
    others, knobs = copy.deepcopy(students), [Knobs(a, 4.0) for a in (0, 0.5, 1)]
    ours = list(many.distil(students, dataset, knobs, teacher=stored, steps=5, way="one by one"))
    for i, (other, k) in enumerate(zip(others, knobs)):
        theirs = list(training.distil(other, dataset, k, teacher=stored, steps=5))
        assert [(one.step, one.loss, one.soft) for one in theirs] == [
            (one.step, one.parts["loss"][i].item(), one.parts["soft"][i].item()) for one in ours
        ]
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
        list(many.distil(students, dataset, knobs, teacher=stored, steps=20))
        for other, k in zip(others, knobs):
            list(training.distil(Float64(other), dataset, k, teacher=stored, steps=20))
        assert furthest(students, others) < 1e-10


def test_a_loss_that_is_not_finite_names_student_step_and_knobs(digits):
    dataset, stored = digits
    students = built(3, dataset.shape)
    with torch.no_grad():
        students[1][1].weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match=r"student 1 is not finite at step 1 with Knobs\(alpha=0.5"):
        list(many.distil(students, dataset, [Knobs(0.5)] * 3, teacher=stored, steps=3))
    assert not students[0].training


REFUSED = [
    (dict(students=[]), "one Knobs for each student"),
    (dict(knobs=[Knobs()]), "got 2 students, 1 knobs"),
    (dict(steps=0), "steps must be >= 1, got 0"),
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
        list(many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=part, steps=2))


def test_finish_runs_many_to_their_end(digits):
    dataset, stored = digits
    history = training.finish(many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=stored, steps=4))
    assert [one.step for one in history] == [1, 2, 3, 4] and history[0].parts["loss"].shape == (2,)


def test_ctrl_c_waits_for_the_step_and_leaves_the_students_with_it(digits, monkeypatch):
    dataset, stored = digits
    students, seen = built(2, dataset.shape), []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is born deaf to it
    mixed = losses.mixed
    monkeypatch.setattr(losses, "mixed", lambda *parts: signal.raise_signal(signal.SIGINT) or mixed(*parts))
    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            for one in many.distil(students, dataset, [Knobs()] * 2, teacher=stored, steps=9, way="at once"):
                seen.append(one.step)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [] and stopped.value.args == (1,) and not students[0].training
    weight = students[1][1].weight
    assert weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()


def test_students_one_by_one_can_be_closed_and_are_left_in_eval_mode(digits):
    dataset, stored = digits
    students = built(2, dataset.shape)
    run = many.distil(students, dataset, [Knobs()] * 2, teacher=stored, steps=4, way="one by one")
    next(run)
    assert all(student.training for student in students)
    run.close()
    assert not any(student.training for student in students)


def test_a_bank_of_the_test_split_is_refused(digits):
    dataset, stored = digits
    test = bank.make(torch.randn(len(dataset.test), 10), dataset, split="test", producer="test")
    with pytest.raises(ValueError, match="training split, and a bank here holds another"):
        many.distil(built(2, dataset.shape), dataset, [Knobs()] * 2, teacher=test, steps=2)


def test_students_of_unequally_many_images_or_of_views_go_one_by_one(digits):
    dataset, stored = digits
    unequal, few = [dataset, dataset.only(FEW[:20])], dict(teacher=stored, steps=2)
    with pytest.raises(ValueError, match="got 'at once' where students at once see equally many plain images"):
        many.distil(built(2, dataset.shape), unequal, [Knobs()] * 2, way="at once", **few)
    assert len(list(many.distil(built(2, dataset.shape), unequal, [Knobs()] * 2, **few))) == 2
    list(many.distil(built(2, dataset.shape), unequal, [Knobs()] * 2, batch_size=16, way="at once", **few))
    with pytest.raises(ValueError, match="a bank of the plain images cannot answer for augmented ones"):
        list(many.distil(built(2, dataset.shape), dataset.augmented(), [Knobs()] * 2, **few))
