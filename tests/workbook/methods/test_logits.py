"""The methods on logits against cases computed by hand, the properties that their papers claim, and bad input."""

import functools
import math

import pytest
import torch
from torch.nn.functional import mse_loss
from waves import wave

from kdlab import losses
from workbook.methods.dist import pearson_distance, relations
from workbook.methods.dkd import decoupled
from workbook.methods.logit_mse import logit_mse
from workbook.methods.logit_standardization import standardized, standardized_loss
from workbook.methods.per_sample import PerSample, per_sample_loss

STUDENT, TEACHER = wave(6, 5, phase=0.0), wave(6, 5, phase=0.7)
LABELS = torch.tensor([0, 4, 2, 2, 1, 3])


def weighted(temperature, **logits):
    ones = torch.ones(len(logits["student_logits"]))
    return per_sample_loss(weights=ones, temperatures=temperature * ones, **logits)


def each_loss(temperature, labels=LABELS):
    return {
        "logit MSE": logit_mse,
        "DKD": functools.partial(decoupled, labels=labels, temperature=temperature),
        "DIST": functools.partial(relations, temperature=temperature),
        "logit standardization": functools.partial(standardized_loss, temperature=temperature),
        "per sample": functools.partial(weighted, temperature),
    }


NAMES = list(each_loss(1.0))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_zero_where_student_equals_teacher_and_positive_elsewhere(name):
    loss = each_loss(2.0)[name]
    assert loss(student_logits=STUDENT, teacher_logits=STUDENT.clone()).item() == pytest.approx(0, abs=1e-12)
    assert loss(student_logits=STUDENT, teacher_logits=TEACHER).item() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_right_and_reach_the_student_alone(name):
    loss = each_loss(2.0)[name]
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    loss(student_logits=student, teacher_logits=teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    assert torch.autograd.gradcheck(lambda s: loss(student_logits=s, teacher_logits=TEACHER), (student,))


EXTREME = torch.tensor([[1e4, -1e4, 0.0, 5.0], [-1e4, 1e4, 1e4, 1.0], [0.0, 0.0, 0.0, 0.0], [1e4, 1e4, 1e4, 1e4]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("name", NAMES)
def test_logits_of_ten_thousand_give_a_finite_loss_and_gradient(name, temperature, dtype):
    loss = each_loss(temperature, labels=torch.tensor([1, 0, 2, 3]))[name]
    for teacher in (-EXTREME, EXTREME, EXTREME.flip(0)):
        student = EXTREME.clone().to(dtype).requires_grad_()
        found = loss(student_logits=student, teacher_logits=teacher.to(dtype))
        found.backward()
        assert found.dtype == torch.float32 and math.isfinite(found.item()) and student.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_float32(name):
    loss, half = each_loss(2.0)[name], (STUDENT.half(), TEACHER.half())
    single = loss(student_logits=half[0].float(), teacher_logits=half[1].float())
    assert torch.equal(loss(student_logits=half[0], teacher_logits=half[1]), single)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teacher_logits": TEACHER[:, :4]}, "the student tells 5 classes apart and the teacher 4; give them the same"),
        ({"teacher_logits": TEACHER[:3]}, r"teacher_logits must have the student's shape \(6, 5\), got \(3, 5\)"),
        ({"student_logits": STUDENT[0]}, r"student_logits must be \(batch, classes\), got shape \(5,\)"),
    ],
)
def test_logits_that_do_not_fit_are_refused_in_a_sentence(name, change, words):
    with pytest.raises(ValueError, match=words):
        each_loss(2.0)[name](**dict(student_logits=STUDENT, teacher_logits=TEACHER) | change)


@pytest.mark.parametrize("name", ["DKD", "DIST", "logit standardization"])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperatures_out_of_range_are_refused(name, temperature):
    with pytest.raises(ValueError, match=f"temperature must be > 0 and finite, got {temperature}"):
        each_loss(temperature)[name](student_logits=STUDENT, teacher_logits=TEACHER)


def test_logit_mse_by_hand():
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[3.0, 2.0], [0.0, 1.0]])
    assert logit_mse(student_logits=student, teacher_logits=teacher).item() == (4 + 0 + 0 + 4) / 4


def test_decoupled_by_hand():
    student, teacher = torch.tensor([[4.0, 2.0, 2.0]]).log(), torch.tensor([[2.0, 3.0, 1.0]]).log()
    found = {
        name: decoupled(
            student_logits=student, teacher_logits=teacher, labels=torch.tensor([0]), temperature=1.0,
            tckd=float(name == "tckd"), nckd=float(name == "nckd"),
        )
        for name in ("tckd", "nckd")
    }
    assert found["tckd"].item() == pytest.approx(1 / 3 * math.log((1 / 3) / 0.5) + 2 / 3 * math.log((2 / 3) / 0.5))
    assert found["nckd"].item() == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))


def test_decoupled_with_the_papers_weights_is_plain_distillation():
    for image in range(6):
        one = slice(image, image + 1)
        logits = dict(student_logits=STUDENT[one], teacher_logits=TEACHER[one])
        rest = 1 - losses.soft_targets(TEACHER[one], 3.0)[0, LABELS[image]].item()
        found = decoupled(**logits, labels=LABELS[one], temperature=3.0, tckd=1.0, nckd=rest)
        assert found.item() == pytest.approx(losses.soft_loss(STUDENT[one], TEACHER[one], 3.0).item(), rel=1e-12)


def test_decoupled_knows_two_classes_and_refuses_labels_of_another_form():
    logits = dict(student_logits=STUDENT[:, :2], teacher_logits=TEACHER[:, :2], temperature=2.0)
    labels = LABELS % 2
    soft = losses.soft_loss(STUDENT[:, :2], TEACHER[:, :2], 2.0)
    torch.testing.assert_close(decoupled(**logits, labels=labels), soft)  # nothing is left to tell apart among one
    for wrong in (labels[:3], labels.float()):
        with pytest.raises(ValueError, match=r"labels must be int64 of shape \(6,\)"):
            decoupled(**logits, labels=wrong)


def test_dist_by_hand():
    student, teacher = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).log(), torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log()
    # images: opposite, and a row without a direction; classes: the student's .25, .5 and the teacher's .75, .25
    found = {
        (inter, intra): relations(
            student_logits=student, teacher_logits=teacher, temperature=1.0, inter=inter, intra=intra
        ).item()
        for inter, intra in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0))
    }
    assert found[1.0, 0.0] == pytest.approx((2 + 1) / 2)
    assert found[0.0, 1.0] == pytest.approx(2)
    assert found[2.0, 3.0] == pytest.approx(2 * 1.5 + 3 * 2)


def test_dist_ignores_the_scale_and_the_shift_of_a_row():
    p, q = STUDENT.softmax(1), TEACHER.softmax(1)
    scale, shift = torch.linspace(0.5, 9, 6).double()[:, None], torch.arange(6).double()[:, None]
    torch.testing.assert_close(pearson_distance(scale * p + shift, q), pearson_distance(p, q))
    torch.testing.assert_close(pearson_distance(-p, p), torch.tensor(2.0).double())


def test_standardized_logits_have_mean_0_and_deviation_1_and_their_pattern():
    found = standardized(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [7.0, 7.0, 7.0]]))
    row = torch.tensor([-1.0, 0.0, 1.0]) * math.sqrt(1.5)
    torch.testing.assert_close(found, torch.stack([row, row, torch.zeros(3)]), rtol=1e-4, atol=1e-4)


def test_the_standardized_loss_ignores_scale_and_shift():
    loss = functools.partial(standardized_loss, temperature=2.0)
    scale, shift = torch.linspace(1, 9, 6).double()[:, None], torch.arange(6).double()[:, None]
    plain = loss(student_logits=STUDENT, teacher_logits=TEACHER)
    moved = loss(student_logits=scale * STUDENT + shift, teacher_logits=TEACHER / 2 - 3)
    torch.testing.assert_close(moved, plain, rtol=1e-4, atol=0)


def test_per_sample_by_hand_a_weight_and_a_temperature_for_each():
    heat, weights = torch.tensor([1.0, 2, 3, 4, 5, 6]), torch.tensor([0.0, 1, 2, 0, 3, 4])
    rows = [losses.soft_loss(STUDENT[i : i + 1], TEACHER[i : i + 1], heat[i].item()).item() for i in range(6)]
    expected = sum(w * loss for w, loss in zip(weights.tolist(), rows)) / 10
    logits = dict(student_logits=STUDENT, teacher_logits=TEACHER)
    assert per_sample_loss(**logits, weights=weights, temperatures=heat).item() == pytest.approx(expected, rel=1e-6)
    scaled = per_sample_loss(**logits, weights=7 * weights, temperatures=heat)
    assert scaled.item() == pytest.approx(expected, rel=1e-6)


def test_per_sample_with_equal_weights_is_plain_distillation_and_a_mask_is_its_subset():
    logits, heat = dict(student_logits=STUDENT, teacher_logits=TEACHER), torch.full((6,), 2.0)
    plain = per_sample_loss(**logits, weights=torch.ones(6), temperatures=heat)
    torch.testing.assert_close(plain, losses.soft_loss(STUDENT, TEACHER, 2.0))
    mask = torch.tensor([True, False, True, True, False, False])
    masked = per_sample_loss(**logits, weights=mask, temperatures=heat)
    torch.testing.assert_close(masked, losses.soft_loss(STUDENT[mask], TEACHER[mask], 2.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": torch.zeros(6)}, "the mask is empty: at least one image needs a weight > 0"),
        ({"weights": torch.zeros(6, dtype=torch.bool)}, "the mask is empty"),
        ({"weights": -torch.ones(6)}, "weights must be finite and >= 0, one for each of 6 images"),
        ({"weights": torch.ones(5)}, r"weights .*for each of 6 images; got shape \(5,\)"),
        ({"temperatures": torch.zeros(6)}, "temperatures must be > 0, got 0"),
        ({"temperatures": torch.full((6,), math.inf)}, "temperatures must be finite"),
    ],
)
def test_weights_and_temperatures_out_of_range_are_refused_before_a_training_begins(change, words):
    given = dict(weights=torch.ones(6), temperatures=torch.ones(6)) | change
    with pytest.raises(ValueError, match=words):
        per_sample_loss(student_logits=STUDENT, teacher_logits=TEACHER, **given)
    if not any(len(x) < 6 for x in change.values()):
        with pytest.raises(ValueError, match=words):
            PerSample(**change)


def test_per_sample_without_either_says_what_it_wants():
    with pytest.raises(ValueError, match="give weights, temperatures, or both"):
        PerSample()


def test_the_soft_gradient_tends_to_half_the_gradient_of_logit_mse():
    student, teacher = (x - x.mean(1, keepdim=True) for x in (STUDENT, TEACHER))
    ours, soft = student.clone().requires_grad_(), student.clone().requires_grad_()
    logit_mse(student_logits=ours, teacher_logits=teacher).backward()
    losses.soft_loss(soft, teacher, 1e4).backward()
    torch.testing.assert_close(ours.grad / 2, soft.grad, rtol=1e-2, atol=1e-4)
    assert logit_mse(student_logits=student, teacher_logits=teacher) == mse_loss(student, teacher)
