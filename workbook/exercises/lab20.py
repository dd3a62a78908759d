"""The checks of lab 20, reading the article: any right answer passes. What a check is made of stands in base.py."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import losses, models
from workbook.exercises.base import checks, close, expect


@checks("ten logits for a 3x32x32 image, 25,578 parameters, and a gradient for each of them")
def student(answer: Callable) -> None:  # 20, exercise 1
    """The answer returns the article's student, mended: a new module each time."""
    network = answer()
    expect(isinstance(network, nn.Module), f"return an nn.Module, not {type(network).__name__}")
    images = torch.randn(5, 3, 32, 32)
    try:
        logits = network(images)
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise AssertionError(f"five 3x32x32 images do not go through, {said!r}: 32 halved twice is 8") from None
    told = tuple(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
    expect(told == (5, 10), f"five images must give a tensor (5, 10), got {told}")
    probabilities = bool((logits >= 0).all()) and close(logits.detach().sum(1), torch.ones(5))
    expect(not probabilities, "each row sums to 1: leave the softmax to the loss")
    convolutions = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    expect(convolutions == [16, 32], f"the student has convolutions of 16 and 32 channels, yours {convolutions}")
    mended = models.build("article-student", (3, 32, 32), 10, seed=0)
    count, wanted = (sum(p.numel() for p in net.parameters()) for net in (network, mended))
    hint = f"{count:,} parameters, not {wanted:,}: 3x3 convolutions with padding=1, two poolings, one Linear; biases"
    expect(count == wanted, hint)
    trained = [bool(p.requires_grad) for p in network.parameters()]
    expect(all(trained) and logits.requires_grad, "no gradient comes back: nothing may be detached or frozen")
    F.cross_entropy(logits, torch.arange(5)).backward()
    reached = [p.grad is not None and bool(p.grad.any()) for p in network.parameters()]
    expect(all(reached), "the gradient does not reach every layer: does each one stand in the path?")
    again = answer()
    expect(again is not network, "return a new network each time, so that two students can differ")


@checks("autograd's own gradient, at every temperature and for any batch")
def gradient(answer: Callable) -> None:  # 20, exercise 3
    """The answer maps logits (n, classes) of both and T to the gradient of kdlab's soft loss, (n, classes)."""
    for n, classes, temperature in [(1, 2, 1.0), (6, 10, 1.0), (6, 10, 4.0), (3, 5, 0.5)]:
        z, v = 3 * torch.randn(n, classes, dtype=torch.float64), 3 * torch.randn(n, classes, dtype=torch.float64)
        where = f"for {n} x {classes} logits at T = {temperature:g}"
        got = answer(z.clone(), v.clone(), temperature)
        fits = torch.is_tensor(got) and got.shape == z.shape
        expect(fits, "return a tensor of the shape of student_logits: one number for each of them")
        x = z.clone().requires_grad_()
        losses.soft_loss(x, v, temperature).backward()
        right, got = x.grad, got.detach()
        if close(got, right, 1e-8):
            continue
        q, cold = (z / temperature).softmax(1), z.softmax(1) - v.softmax(1)
        twice = q * (right - (q * right).sum(1, keepdim=True))
        sloped = "this is the right one times the softmax's slope, which q − p holds already"
        known = [  # a mistake and what to say of it; the factor of the batch may be forgotten as well
            (-right, "the sign: the student's share minus the teacher's"),
            (right / temperature, "T is missing: T² of the loss times 1/T of the logits leaves T"),
            (right / temperature**2, "T² is missing: the soft loss has it, so q − p is multiplied by T, not divided"),
            (right * temperature, "T² of the loss meets 1/T of the logits: T is left, not T²"),
            (cold * temperature / n, "both logits are divided by T before their softmax"),
            (cold / n, "both logits are divided by T before their softmax, and T² · 1/T leaves T"),
            *((factor * twice, sloped) for factor in (1, temperature, 1 / temperature)),
        ]
        for wrong, hint in known:
            expect(not close(got, wrong, 1e-8), f"{where}: {hint}")
        mean = "the loss is a mean over the batch: divide by the number of images"
        expect(not close(got, n * right, 1e-8), f"{where}: {mean}")
        for wrong, hint in known:
            expect(not close(got, n * wrong, 1e-8), f"{where}: {hint}")
        expect(close(got.sum(1), torch.zeros(n), 1e-6), f"{where}: each row must sum to 0, as q and p both sum to 1")
        raise AssertionError(f"{where} it is not autograd's gradient: start from T · (q − p) / n")


@checks("every program is told from the others, and nothing that was handed in has changed")
def uses_its_teacher(answer: Callable) -> None:  # 20, exercise 2
    """The answer maps a program and its arguments to whether the student learns anything from the teacher."""
    known, taught = (models.build("mlp-12", (1, 8, 8), 10, seed=s) for s in (1, 2))
    images, labels = torch.randn(24, 1, 8, 8), torch.randint(10, (24,))
    before = [p.clone() for net in (known, taught) for p in net.parameters()]
    for program, uses, hint in PROGRAMS:
        said = answer(program, known, taught, images, labels)
        expect(isinstance(said, bool), f"return True or False, not {said!r}")
        after = [p for net in (known, taught) for p in net.parameters()]
        same = all(map(torch.equal, before, after))
        expect(same, "student and teacher must stay as they were: change a copy.deepcopy of the teacher")
        expect(said == uses, hint)


def _labels(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(student(images), labels)


def _asked_in_vain(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    teacher(images)
    return _labels(student, teacher, images, labels)


def _taught(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return losses.soft_loss(student(images), teacher(images), 4.0)


def _a_little(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    soft, hard = _taught(student, teacher, images, labels), _labels(student, teacher, images, labels)
    return 0.01 * soft + 0.99 * hard


def _weight_zero(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return 0 * _taught(student, teacher, images, labels) + _labels(student, teacher, images, labels)


def _constant(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return _labels(student, teacher, images, labels) + F.cross_entropy(teacher(images), labels)


def _choices(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(student(images), teacher(images).argmax(1))


def _noisy(student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return _labels(student, teacher, images + torch.randn_like(images), labels)


# a program, whether its student learns from its teacher, and what to say to whoever thinks otherwise
PROGRAMS = [
    (_taught, True, "a program that distils was called one that does not: another teacher, another gradient?"),
    (_labels, False, "a program without any teacher was said to use it"),
    (_asked_in_vain, False, "a program asks the teacher and throws its answer away: compare what reaches the student"),
    (_noisy, False, "a program draws random numbers: set the same seed before each of the two calls"),
    (_constant, False, "a teacher may change the loss and not the student: compare the student's gradients"),
    (_weight_zero, False, "a weight of 0 leaves nothing of the teacher, but 0 · NaN is NaN: take a finite teacher"),
    (_a_little, True, "a teacher with a weight of 0.01 is used: compare the gradients exactly, not roughly"),
    (_choices, True, "a program takes the teacher's first choices as labels: give it a very different teacher"),
]


def other_teacher(teacher: nn.Module) -> nn.Module:
    """A copy with random weights: whoever learns from it learns something else."""
    other = copy.deepcopy(teacher)
    with torch.no_grad():
        for p in other.parameters():
            p.normal_()
    return other
