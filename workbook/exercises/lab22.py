"""The checks of lab 22, the bug clinic: any right answer passes. What a check is made of stands in base.py."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from workbook.exercises.base import checks, close, expect

PATIENTS, ENOUGH = 13, 10


@checks("the right losses, one step of the student, in training mode, and a teacher that is left as it was")
def step(answer: Callable) -> None:  # 22, exercise 1
    """The answer makes one training step, and returns the soft and the hard loss."""
    alpha, heat = 0.7, 6.0
    student, teacher = _network(16), _network(24)
    teacher[-1].weight.data *= 6  # sure answers, in which a fault shows
    teacher.insert(3, nn.Dropout(0.5))
    teacher.train()
    student.eval()  # as a test leaves it
    images, labels = torch.randn(30, 12), torch.randint(5, (30,))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for weight in student.parameters():
        weight.grad = torch.ones_like(weight)  # left over from before
    before, start = copy.deepcopy(student), copy.deepcopy(teacher)
    quiet = copy.deepcopy(teacher).eval()
    with torch.no_grad():
        s, t = copy.deepcopy(student).train()(images), quiet(images)
    soft, hard = _soft(s, t, heat), F.cross_entropy(s, labels)
    got = answer(student, teacher, optimizer, images, labels, alpha, heat)
    pair = isinstance(got, (tuple, list)) and len(got) == 2
    expect(pair, "return two numbers: the soft loss and the hard loss")
    own, other = (float(x.detach()) if torch.is_tensor(x) else float(x) for x in got)
    same = all(torch.equal(a, b) for a, b in zip(teacher.state_dict().values(), start.state_dict().values()))
    hint = "the teacher is no longer what it was: its batch norm has learned from this batch. Put it into eval mode"
    expect(same, hint)
    gradients = any(weight.grad is not None for weight in teacher.parameters())
    expect(not gradients, "a gradient reaches the teacher: ask it under torch.no_grad(), or detach its logits")
    hint = "the student's batch norm has not looked at the batch: a test has left it in eval mode, student.train()"
    expect(int(student[1].num_batches_tracked) == int(before[1].num_batches_tracked) + 1, hint)
    _name_the_fault(own, soft, s, t, heat)
    hint = "the hard loss is the cross-entropy of the labels with the student's logits at T = 1"
    if close(other, F.cross_entropy(s.softmax(1), labels), 1e-4):
        hint = "softmax twice: cross_entropy applies it itself, give it logits"
    expect(close(other, hard, 1e-4), f"{hint}; got {other:.3f} where {hard:.3f} is right")
    cases = {"right": (alpha, False), "added": (alpha, True), "exchanged": (1 - alpha, False)}
    fits = {name: _moved(before, images, labels, t, heat, *case) for name, case in cases.items()}
    now = _weights(student)
    expect(not torch.equal(now, _weights(before)), "the student has not moved: loss.backward(), then optimizer.step()")
    hint = "the gradients of the step before were added to these: optimizer.zero_grad() before backward()"
    expect(not close(now, fits["added"]), hint)
    hint = "alpha weighs the soft loss, and 1 − alpha the hard one; here it is the other way round"
    expect(not close(now, fits["exchanged"]), hint)
    expect(close(now, fits["right"]), "the student moved otherwise than alpha · soft + (1 − alpha) · hard asks for")


def _name_the_fault(got: float, right: torch.Tensor, s: torch.Tensor, t: torch.Tensor, heat: float) -> None:
    """Raises with the typical fault that gives this soft loss, where there is one."""
    classes, q, p = s.shape[1], s / heat, t / heat
    log_q, log_p = q.log_softmax(1), p.log_softmax(1)
    faults = {
        "the soft loss is divided by the number of classes, too: reduction='batchmean'": right / classes,
        "T² is missing: the gradient shrinks with the temperature": right / heat**2,
        "T² and batchmean are missing": right / heat**2 / classes,
        "teacher and student have changed places: kl_div takes the student's logarithm first": _soft(t, s, heat),
        "the soft loss is 0: is the teacher compared with itself?": 0.0,
        "kl_div wants the student's log_softmax, not its softmax":
            heat**2 * F.kl_div(q.softmax(1), p.softmax(1), reduction="batchmean"),
        "with log_target=True the targets must be logarithms":
            heat**2 * F.kl_div(log_q, log_p.exp(), reduction="batchmean", log_target=True),
        "the student's answer goes through softmax twice": _soft(s.softmax(1), t, heat),
        "divide the teacher's logits by T, too": _soft(s, t * heat, heat),
        "divide the student's logits by T, too": _soft(s * heat, t, heat),
    }
    for hint, value in faults.items():
        expect(not close(got, value, 1e-4), hint)
    expect(close(got, right, 1e-4), f"the soft loss is {got:.4f}, where T² · KL(teacher ‖ student) is {right:.4f}")


@checks("every diagnosis is right")
def diagnoses(answer: Callable) -> None:  # 22, exercise 2
    """The answer returns patient → whether its diagnosis is right."""
    found = answer()
    wrong = [number for number, right in found.items() if not right]
    right = [number for number in found if number not in wrong]
    hint = f"right: {_listed(right) or 'none'}. Look again at patient {_listed(wrong)}"
    expect(not wrong, hint)


@checks(f"it passes the healthy training, and finds at least {ENOUGH} of the {PATIENTS} patients")
def checkup(answer: Callable) -> None:  # 22, exercise 3
    """The answer maps the number of a patient, 0 for the healthy one, to a list of complaints."""
    said = answer(0)
    expect(isinstance(said, list), f"return a list: what is wrong, or [] for a healthy training; got {said!r}")
    expect(not said, f"it complains of the healthy training: {'; '.join(map(str, said))}")
    missed = [number for number in range(1, PATIENTS + 1) if not answer(number)]
    hint = f"it finds {PATIENTS - len(missed)} of {PATIENTS}, and at least {ENOUGH} are wanted; "
    expect(PATIENTS - len(missed) >= ENOUGH, f"{hint}it is content with patient {_listed(missed)}")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _network(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 5))


def _soft(s: torch.Tensor, t: torch.Tensor, heat: float) -> torch.Tensor:
    log_q, log_p = (s / heat).log_softmax(1), (t / heat).log_softmax(1)
    return heat**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()


def _weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def _moved(
    student: nn.Module, images: torch.Tensor, labels: torch.Tensor, t: torch.Tensor, heat: float, alpha: float,
    added: bool,
) -> torch.Tensor:
    """The student's weights after one right step; with what was left over `added` to the gradients, or without."""
    student = copy.deepcopy(student).train()
    s = student(images)
    loss = alpha * _soft(s, t, heat) + (1 - alpha) * F.cross_entropy(s, labels)
    gradients = torch.autograd.grad(loss, list(student.parameters()))
    rest = 1.0 if added else 0.0
    return torch.cat([(w - 0.1 * (g + rest)).detach().flatten() for w, g in zip(student.parameters(), gradients)])
