"""The losses against an independent float64 reference, and the properties that the lesson states."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax as reference_log_softmax
from torch.nn.functional import cross_entropy, mse_loss

from kdlab.losses import distillation_loss, hard_loss, mixed, soft_loss, soft_targets, soft_term


def reference(student, teacher, labels, alpha, temperature):
    """The convention written out with numpy and scipy in float64, sample by sample."""
    soft = hard = 0.0
    for s, t, label in zip(student, teacher, labels):
        log_p, log_q = reference_log_softmax(t / temperature), reference_log_softmax(s / temperature)
        soft += temperature**2 * float(np.sum(np.exp(log_p) * (log_p - log_q)))
        hard += -float(reference_log_softmax(s)[label])
    return alpha * soft / len(labels) + (1 - alpha) * hard / len(labels)


def some(batch=6, classes=10, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    student = scale * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    teacher = scale * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(classes, (batch,), generator=generator)


logits = st.tuples(st.integers(1, 8), st.integers(2, 12)).flatmap(
    lambda shape: st.tuples(
        *[hnp.arrays(np.float64, shape, elements=st.floats(-50, 50)) for _ in "st"],
        hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)),
    )
)


@settings(max_examples=200)
@given(logits, st.floats(0, 1), st.floats(0.1, 50))
def test_the_loss_equals_the_reference(arrays, alpha, temperature):
    student, teacher, labels = arrays
    got = distillation_loss(*map(torch.from_numpy, arrays), alpha=alpha, temperature=temperature)
    assert got.item() == pytest.approx(reference(student, teacher, labels, alpha, temperature), rel=1e-9, abs=1e-9)


@settings(max_examples=100)
@given(logits, st.floats(0.1, 50))
def test_the_soft_loss_is_never_negative(arrays, temperature):
    student, teacher, _ = map(torch.from_numpy, arrays)
    assert soft_loss(student, teacher, temperature).item() >= -1e-9 * temperature**2


def test_float32_agrees_with_float64():
    student, teacher, labels = some()
    exact = distillation_loss(student, teacher, labels, alpha=0.7, temperature=4)
    single = distillation_loss(student.float(), teacher.float(), labels, alpha=0.7, temperature=4)
    assert single.item() == pytest.approx(exact.item(), rel=1e-5)


def test_gradcheck():
    student, teacher, labels = some(batch=4, classes=5)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: distillation_loss(s, teacher, labels, 0.6, 3.0), (student,))


def test_the_gradient_is_temperature_times_the_gap_between_the_soft_targets():
    student, teacher, _ = some()
    student.requires_grad_()
    soft_loss(student, teacher, 5.0).backward()
    expected = 5.0 * (soft_targets(student.detach(), 5.0) - soft_targets(teacher, 5.0)) / len(student)
    torch.testing.assert_close(student.grad, expected)


def test_soft_loss_is_zero_when_student_equals_teacher():
    student, _, _ = some()
    for temperature in (0.5, 1, 4, 20):
        assert soft_loss(student, student.clone(), temperature).item() == pytest.approx(0, abs=1e-12)


def test_the_soft_loss_ignores_a_constant_added_to_a_row():
    student, teacher, _ = some()
    moved = student + torch.arange(len(student)).double()[:, None]
    torch.testing.assert_close(soft_loss(moved, teacher, 2.0), soft_loss(student, teacher, 2.0))


def gradient(loss, student, *args):
    student = student.clone().requires_grad_()
    loss(student, *args).backward()
    return student.grad


def test_the_soft_gradient_tends_to_logit_matching_as_the_temperature_grows():
    student, teacher, _ = some()
    student, teacher = (x - x.mean(1, keepdim=True) for x in (student, teacher))
    limit = 0.5 * gradient(mse_loss, student, teacher)
    errors = [
        (gradient(soft_loss, student, teacher, t) - limit).norm().item() / limit.norm().item()
        for t in (10.0, 100.0, 1000.0)
    ]
    assert errors[2] < 5e-3 and errors[0] > 5 * errors[1] > 25 * errors[2]


def test_t_squared_keeps_the_scale_of_the_gradient():
    student, teacher, _ = some(scale=1.0)
    norms = {t: gradient(soft_loss, student, teacher, t).norm().item() for t in (10.0, 40.0)}
    assert norms[40.0] / norms[10.0] == pytest.approx(1, abs=0.1)
    without = {t: norm / t**2 for t, norm in norms.items()}
    assert without[10.0] / without[40.0] == pytest.approx(16, rel=0.1)


def test_repeating_the_batch_changes_nothing():
    student, teacher, labels = some()
    once = distillation_loss(student, teacher, labels, 0.4, 3.0)
    thrice = distillation_loss(student.repeat(3, 1), teacher.repeat(3, 1), labels.repeat(3), 0.4, 3.0)
    torch.testing.assert_close(once, thrice)


def test_alpha_0_and_1_reduce_to_the_parts():
    student, teacher, labels = some()
    assert distillation_loss(student, teacher, labels, 0.0, 3.0) == hard_loss(student, labels)
    assert distillation_loss(student, teacher, labels, 1.0, 3.0) == soft_loss(student, teacher, 3.0)


def test_label_smoothing_equals_cross_entropy_with_smoothed_targets():
    student, _, labels = some()
    targets = torch.full_like(student, 0.1 / 10).scatter_add_(1, labels[:, None], torch.full((6, 1), 0.9).double())
    expected = -(targets * student.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(hard_loss(student, labels, label_smoothing=0.1), expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_huge_logits_give_a_finite_loss_and_gradient(temperature):
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], requires_grad=True)
    teacher = -student.detach()
    loss = distillation_loss(student, teacher, torch.tensor([1, 0]), 0.5, temperature)
    loss.backward()
    assert math.isfinite(loss.item()) and student.grad.isfinite().all()


def test_no_gradient_reaches_the_teacher():
    student, teacher, labels = some()
    student.requires_grad_(), teacher.requires_grad_()
    distillation_loss(student, teacher, labels, 0.5, 2.0).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_the_unchecked_terms_of_the_loop_are_the_checked_loss_also_for_a_stack_of_students():
    student, teacher, labels = some()
    term = mixed(soft_term(student, teacher, 3.0), cross_entropy(student, labels), 0.4)
    assert torch.equal(term, distillation_loss(student, teacher, labels, 0.4, 3.0))
    heat = torch.tensor([1.0, 3.0, 8.0], dtype=torch.float64)
    stack = torch.stack([student, student + 1, -student])
    together = torch.vmap(soft_term)(stack, teacher.expand(3, -1, -1), heat)
    torch.testing.assert_close(together, torch.stack([soft_loss(s, teacher, t) for s, t in zip(stack, heat.tolist())]))


@settings(max_examples=50)
@given(logits, st.floats(0.5, 20), st.floats(1.1, 5))
def test_soft_targets_sum_to_one_keep_their_order_and_flatten_with_temperature(arrays, temperature, factor):
    teacher = torch.from_numpy(arrays[1])
    cool, warm = soft_targets(teacher, temperature), soft_targets(teacher, temperature * factor)
    torch.testing.assert_close(cool.sum(1), torch.ones(len(cool), dtype=torch.float64))
    assert (cool.gather(1, teacher.argmax(1, keepdim=True)) == cool.max(1, keepdim=True).values).all()
    entropy = [torch.special.entr(p).sum(1) for p in (cool, warm)]
    assert (entropy[1] >= entropy[0] - 1e-9).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1.5"),
        ({"alpha": -0.1}, r"alpha .*-0.1"),
        ({"alpha": float("nan")}, r"alpha .*nan"),
        ({"temperature": 0}, r"temperature must be > 0.*got 0"),
        ({"temperature": -1.0}, r"temperature .*-1.0"),
        ({"temperature": float("nan")}, r"temperature .*nan"),
        ({"temperature": float("inf")}, r"temperature .*inf"),
        ({"teacher_logits": torch.zeros(6, 9)}, r"teacher_logits .*\(6, 10\).*\(6, 9\)"),
        ({"student_logits": torch.zeros(10)}, r"student_logits .*\(10,\)"),
        ({"student_logits": torch.zeros(0, 10)}, r"student_logits .*\(0, 10\)"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, r"labels .*\(6,\).*\(5,\)"),
        ({"labels": torch.zeros(6)}, r"labels must be int64.*float32"),
        ({"labels": torch.tensor([0, 1, 2, 3, 4, 10])}, r"labels must be in 0 \.\. 9, got 10"),
        ({"labels": torch.tensor([0, 1, -2, 3, 4, 5])}, r"labels .*got -2"),
    ],
)
def test_bad_arguments_are_named_with_their_value(change, words):
    student, teacher, labels = some()
    arguments = dict(student_logits=student, teacher_logits=teacher, labels=labels, alpha=0.5, temperature=2.0)
    with pytest.raises(ValueError, match=words):
        distillation_loss(**arguments | change)
