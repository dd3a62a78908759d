"""The checks of notebook 03: one target in place of two losses, and a control that keeps half the gain with less."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from kdlab import Knobs, bank, data, distil, evaluate, finish, losses, models, train
from kdlab.bank import Bank
from kdlab.data import Dataset
from workbook.exercises.base import checks, close, expect

TEMPERATURE, SEEDS = 4.0, (0, 1)  # not the seeds that the notebook reports


@checks("one cross-entropy moves the student as the two losses do, whatever alpha is")
def mixed_target(answer: Callable) -> None:  # exercise 1
    """The answer maps teacher logits (n, classes), labels (n,) and alpha to a target (n, classes).

    Cross-entropy against it must have the gradient of the distillation loss at T = 1.
    """
    teacher, labels = 3 * torch.randn(6, 5), torch.arange(6) % 5
    student = torch.randn(6, 5, requires_grad=True)
    for alpha in (0.0, 1.0, 0.3):
        target = answer(teacher, labels, alpha)
        expect(torch.is_tensor(target) and target.shape == teacher.shape, "return one row of probabilities per image")
        expect(target.is_floating_point() and close(target.sum(1), torch.ones(6)), "each row of it must sum to 1")
        wanted = losses.distillation_loss(student, teacher, labels, alpha=alpha, temperature=1.0)
        loss = -(target * student.log_softmax(1)).sum(1).mean()
        (right,), (got,) = (torch.autograd.grad(value, student) for value in (wanted, loss))
        hint = "at alpha = 1 it is the teacher's softmax, at alpha = 0 the label"
        expect(alpha == 0.3 or close(got, right), hint)
        expect(close(got, right), "between the ends mix the two distributions: probabilities, not logits")


@checks("six numbers alike, and half of the gain is there")
def thinned(answer: Callable) -> None:  # exercise 2, open
    """The answer maps soft targets (n, classes) and labels (n,) to soft targets (n, classes) that say less.

    In each row six probabilities must be the same number, and students of it must keep half of the gain. Trained on
    two seeds, with a small teacher, which is made once.
    """
    kept, gains = [], []
    for digits, few, taught, alone, full in map(_class_of, SEEDS):
        p, labels = losses.soft_targets(taught.logits, TEMPERATURE), digits.train.labels
        before = p.clone()
        q = answer(p, labels)
        expect(torch.equal(p, before), "the soft targets that were handed in must stay as they were: work on a copy")
        expect(torch.is_tensor(q) and q.shape == p.shape, "return a tensor of the same shape as the soft targets")
        hint = "each row must sum to 1, and nothing in it may be negative"
        expect(bool((q >= 0).all()) and close(q.sum(1), torch.ones(len(q)), 1e-4), hint)
        order = q.sort(1).values  # (n, classes)
        alike = (order[:, 5:] - order[:, :5] < 1e-6).any(1)  # six neighbours in the order that are the same
        hint = f"{100 * (~alike).double().mean():.0f} % of the rows have no six equal numbers"
        expect(bool(alike.all()), hint)
        gains.append(full - alone)
        kept.append(_taught(digits, few, bank.make(_logits(q), digits, producer="thinned")) - alone)
    share = 100 * sum(kept) / sum(gains)
    if share < 50 and bool((order[:, 0] == 0).any()):
        expect(False, f"it keeps {share:.0f} % of the gain: a zero says 'never'; share the rest among the six instead")
    expect(share >= 50, f"it keeps {share:.0f} % of the gain: which of the wrong classes tell most about an image?")
    print(f"it keeps {share:.0f} % of the gain")


def _logits(probabilities: Tensor) -> Tensor:
    return TEMPERATURE * probabilities.clamp_min(1e-12).log()


def _taught(digits: Dataset, few: Dataset, taught: Bank | None) -> float:
    """Test accuracy in percent of the lesson's student; all of a data set's students start alike."""
    student = models.build("mlp-32", digits.shape, len(digits.classes), seed=0)
    finish(distil(student, few, Knobs(float(taught is not None), TEMPERATURE, 1e-2), teacher=taught, steps=300))
    return 100 * evaluate(student, digits).accuracy


@functools.cache
def _class_of(seed: int) -> tuple[Dataset, Dataset, Bank, float, float]:
    """Digits, the fifty labelled ones, a small teacher's bank, the student's accuracy alone and with the teacher."""
    digits = data.load("digits", seed=seed)
    few = digits.only(torch.arange(50))
    teacher = models.build("mlp-256", digits.shape, len(digits.classes), seed=seed)
    finish(train(teacher, digits, steps=100, batch_size=64, weight_decay=1e-2, seed=seed))
    taught = bank.fill(teacher, digits)
    return digits, few, taught, _taught(digits, few, None), _taught(digits, few, taught)
