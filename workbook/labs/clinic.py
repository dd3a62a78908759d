"""The bug clinic of lab 22: a training in plain torch, and thirteen copies of it that have one fault each.

A patient is a piece of source text. It can be read, run, watched while it trains, and handed a student and a teacher.
"""

import copy
import difflib
import functools
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import data

HEALTHY = """\
def fit(student, teacher, images, labels, order, alpha, T, epochs, lr):
    optimizer = torch.optim.Adam(student.parameters(), lr)
    teacher.eval()
    for epoch in range(epochs):
        student.train()
        for i in torch.randperm(len(images)).split(40):
            s = student(images[i])
            t = teacher(images[i])[:, order].detach()
            log_q, p = F.log_softmax(s / T, 1), F.softmax(t / T, 1)
            soft = T * T * F.kl_div(log_q, p, reduction="batchmean")
            hard = F.cross_entropy(s, labels[i])
            loss = alpha * soft + (1 - alpha) * hard
            note(soft, hard)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        student.eval()
        test(student)
"""


class Fault(NamedTuple):
    """What is wrong in a sentence, who met it, and the changes of the healthy text: (old, new) pairs."""

    wrong: str
    source: str
    changes: tuple[tuple[str, str], ...]


_LOOP = "    for epoch in range(epochs):\n"
_ASK = "teacher(images[i])[:, order].detach()"
_FILL = """\
    batches = torch.randperm(len(images)).split(40)
    cache = torch.cat([teacher(images[i])[:, order] for i in batches]).detach()
"""
FAULTS = {
    "mean": Fault(
        "the loss is averaged over the classes too", "haitongli#48, deit#61", (("batchmean", "mean"),)),
    "softmax": Fault(
        "kl_div is given the student's probabilities, not their logarithm", "haitongli#2, vit-pytorch#289",
        (("F.log_softmax(s", "F.softmax(s"),)),
    "log_target": Fault(
        "kl_div is told that the soft targets are logarithms; they are probabilities",
        "no report; DeiT and timm pass logarithms",
        (('"batchmean"', '"batchmean", log_target=True'),)),
    "no T²": Fault(
        "the factor T² is missing", "keras-io#869, distiller#122", (("T * T * F.kl_div", "F.kl_div"),)),
    "swapped": Fault(
        "teacher and student have changed places in the loss", "keras-io#257, trl#4935",
        (("F.log_softmax(s / T, 1), F.softmax(t", "F.log_softmax(t / T, 1), F.softmax(s"),)),
    "twice": Fault(
        "the teacher is compared with itself, so nothing is distilled", "labml#66",
        (("F.log_softmax(s", "F.log_softmax(t"),)),
    "double softmax": Fault(
        "the student ends with a softmax, and the losses apply another", "the article that the workbook starts from",
        (("s = student(images[i])", "s = student(images[i]).softmax(1)"),)),
    "train mode": Fault(
        "the teacher is asked in training mode", "haitongli#25, sparseml#2191", (("    teacher.eval()\n", ""),)),
    "teacher learns": Fault(
        "the optimizer moves the teacher, too", "no report at hand",
        (("student.parameters()", "nn.ModuleList([student, teacher]).parameters()"), (".detach()", ""))),
    "cache": Fault(
        "the teacher's logits were stored in a shuffled order", "haitongli#4, #9, #23, Cream#109",
        ((_LOOP, _FILL + _LOOP), (_ASK, "cache[i]"))),
    "classes": Fault(
        "the teacher's classes stand in another order than the labels",
        "no report at hand; in deit#124 their number differs", (("[:, order]", ""),)),
    "eval mode": Fault(
        "after the first test the student's batch norm stays in eval mode", "no report at hand",
        ((_LOOP + "        student.train()\n", "    student.train()\n" + _LOOP),)),
    "autocast": Fault(
        "autocast is opened around the whole training", "no report at hand; met while this workbook was made",
        (("def fit", "@torch.autocast('cpu', torch.bfloat16)\ndef fit"),)),
}
_NAMES = "zero one two three four five six seven eight nine".split()
ORDER = torch.tensor([sorted(_NAMES).index(name) for name in _NAMES])  # teacher's logits[:, ORDER] are those of 0 … 9
_BEDS = random.Random(22).sample(list(FAULTS), len(FAULTS))
PATIENTS = range(1, len(_BEDS) + 1)


@dataclass
class Record:
    """What was seen while a patient trained; losses for each step, accuracies in percent for each epoch.

    `soft_gradient` and `hard_gradient` are the lengths of the two parts' gradients at the student's first weights,
    `confidence` the student's mean largest probability on the test images, `agreement` the percentage of test images
    on which it says what the teacher said before the training, `statistics` how often the student's batch norm looked
    at a batch, `teacher_moved` the largest change of a weight of the teacher, or of its batch norm's statistics,
    `weights` the student's at the end, in one row.
    """

    soft: list[float] = field(default_factory=list)
    hard: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    soft_gradient: float = 0.0
    hard_gradient: float = 0.0
    confidence: float = 0.0
    agreement: float = 0.0
    statistics: int = 0
    teacher_accuracy: tuple[float, float] = (0.0, 0.0)
    teacher_moved: float = 0.0
    weights: Tensor | None = None

    def summary(self) -> dict[str, float]:
        """The figures by which patients are compared, one line each."""
        before, after = self.teacher_accuracy
        return {
            "soft loss, first step": self.soft[0],
            "soft loss, mean of the last ten": sum(self.soft[-10:]) / len(self.soft[-10:]),
            "hard loss, mean of the last ten": sum(self.hard[-10:]) / len(self.hard[-10:]),
            "soft part of the first gradient": self.soft_gradient,
            "hard part of the first gradient": self.hard_gradient,
            "student's accuracy at the end (%)": self.accuracy[-1],
            "student's agreement with the teacher (%)": self.agreement,
            "student's mean confidence (%)": 100 * self.confidence,
            "batches that its batch norm saw": self.statistics,
            "teacher's accuracy before (%)": before,
            "teacher's accuracy after (%)": after,
            "largest change within the teacher": self.teacher_moved,
        }


class Patient:
    """A training as source text: read it, run it with `run`, or hand it networks of your own with `fit`."""

    def __init__(self, name: str, text: str):
        self.name, self.text = name, text

    def __repr__(self) -> str:
        return self.name

    def source(self) -> str:
        """The code as text."""
        return self.text

    def changes(self) -> str:
        """The lines that differ from the healthy text, with − and + before them: the diagnosis."""
        found = difflib.ndiff(HEALTHY.splitlines(), self.text.splitlines())
        return "\n".join(line.replace("-", "−", 1) for line in found if line[0] in "-+")

    def fit(
        self, student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor, *, order: Tensor | None = None,
        alpha: float = 0.5, T: float = 8.0, epochs: int = 1, lr: float = 0.01, seed: int = 0,
    ) -> list[tuple[float, float]]:
        """Trains a student in place, and returns (soft, hard) of each step.

        Args:
            student, teacher: networks that map images to logits; the teacher is handed over as it is.
            images, labels: float (n, …) and int64 (n,); a batch holds 40.
            order: int64 (classes,), the places of the student's classes among the teacher's; None where they agree.
            alpha, T, epochs, lr, seed: of the training; lr = 0 leaves the student's weights as they are.
        """
        steps = []
        order = torch.arange(10) if order is None else order
        note = lambda soft, hard: steps.append((float(soft.detach()), float(hard.detach())))  # noqa: E731
        self._call(note, lambda student: None, seed, student, teacher, images, labels, order, alpha, T, epochs, lr)
        return steps

    def run(
        self, seed: int = 0, *, teacher: nn.Module | None = None, alpha: float = 0.5, T: float = 8.0, epochs: int = 20,
        lr: float = 0.01,
    ) -> Record:
        """Trains a fresh student on 200 digits and watches; another teacher than the seed's own may be given."""
        digits, record = _digits(seed), Record()
        student, teacher = fresh(seed), copy.deepcopy(teacher or trained(seed)).train()
        images, labels = digits.images[:200], digits.labels[:200]
        before = _numbers(teacher)
        said = _answers(teacher, digits.test_images)[:, ORDER].argmax(1)

        def note(soft: Tensor, hard: Tensor) -> None:
            if not record.soft:
                record.soft_gradient, record.hard_gradient = (_length(part, student) for part in (soft, hard))
            record.soft.append(float(soft.detach()))
            record.hard.append(float(hard.detach()))

        def test(student: nn.Module) -> None:
            with torch.no_grad():
                right = student(digits.test_images).argmax(1) == digits.test_labels
            record.accuracy.append(100 * right.double().mean().item())

        self._call(note, test, seed, student, teacher, images, labels, ORDER, alpha, T, epochs, lr)
        answers = _answers(student, digits.test_images)
        after = _answers(teacher, digits.test_images)[:, ORDER].argmax(1)
        record.agreement = 100 * (answers.argmax(1) == said).double().mean().item()
        record.confidence = answers.softmax(1).max(1).values.mean().item()
        rates = [100 * (logits == digits.test_labels).double().mean().item() for logits in (said, after)]
        record.teacher_accuracy = rates[0], rates[1]
        record.teacher_moved = (_numbers(teacher) - before).abs().max().item()
        record.statistics = int(student[2].num_batches_tracked)
        record.weights = torch.cat([p.detach().flatten() for p in student.parameters()])
        return record

    def _call(self, note: Callable, test: Callable, seed: int, *arguments) -> None:
        room = {"torch": torch, "nn": nn, "F": F, "note": note, "test": test}
        exec(self.text, room)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch itself warns of one of the faults
            torch.manual_seed(seed)
            room["fit"](*arguments)


def admit(number: int) -> Patient:
    """The patient of this number, 1 to 13, or the healthy training, 0; ValueError for another."""
    if number == 0:
        return Patient("healthy", HEALTHY)
    return Patient(f"patient {number}", altered(_BEDS[_bed(number)]))


def altered(name: str) -> str:
    """The healthy text with one of FAULTS in it; ValueError for an unknown name."""
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; there are {', '.join(FAULTS)}")
    text = HEALTHY
    for old, new in FAULTS[name].changes:
        text = text.replace(old, new)
    return text


def diagnose(number: int, guess: str) -> bool:
    """Whether this is what the patient has; ValueError for an unknown patient or fault."""
    if guess not in FAULTS:
        raise ValueError(f"unknown fault {guess!r}; there are {', '.join(FAULTS)}")
    return _BEDS[_bed(number)] == guess


def compared(guesses: Mapping[int, str]) -> Callable:
    """For `check.diagnoses`: () → patient → whether its diagnosis is right; None where there is no guess yet."""

    def answer() -> dict[int, bool] | None:
        made = [number for number, guess in guesses.items() if guess not in (None, ...)]
        right = {number: number in made and diagnose(number, guesses[number]) for number in guesses}
        return right if made else None

    return answer


def rounds(checkup: Callable) -> Callable:
    """For `check.checkup`: number of a patient, 0 for the healthy one → what the check-up says of its `fit`."""
    return lambda number: checkup(admit(number).fit)


def chart(records: Mapping[str, Record]) -> str:
    """A table of what was seen of patients, a column for each: name → its record."""
    columns = {name: record.summary() for name, record in records.items()}
    lines = [" " * 41 + "".join(f"{name:>9}" for name in columns)]
    for row in next(iter(columns.values())):
        cells = (column[row] for column in columns.values())
        lines.append(f"{row:41}" + "".join(f"{cell:9.2f}" if abs(cell) < 1000 else f"{cell:9.0f}" for cell in cells))
    return "\n".join(lines)


QUESTIONS = (
    "Is the soft loss the one that is computed by hand?",
    "Is it the same for the same teacher with its classes in another order?",
    "Is the teacher afterwards what it was, to the last bit?",
    "Did the student's batch norm look at every batch?",
    "Does the loss of one batch fall when it is trained on?",
    "Is every soft loss at least zero?",
    "Does another teacher make another student?",
)


def checkup(fit: Callable) -> list[str]:
    """The QUESTIONS to which the answer is no, for the `fit` of a patient; an empty list for a healthy one.

    They need 40 random pictures of 64 numbers and no data set: what they ask must hold for any network and any data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images, labels, order = torch.randn(40, 64), torch.randint(10, (40,)), torch.randperm(10)
        student, teacher, other = (fresh(seed) for seed in (1, 2, 3))
        for last in (teacher[-1], other[-1]):
            last.weight.data *= 10  # sure answers, in which a fault shows
    teacher.insert(4, nn.Dropout(0.5))
    before, copied = _numbers(teacher), copy.deepcopy
    with torch.no_grad():
        log_q, log_p = (copied(m).train(m is student)(images).div(8).log_softmax(1) for m in (student, teacher))
    by_hand = 64 * (log_p.exp() * (log_p - log_q)).sum().item() / 40
    still = fit(copied(student), copied(teacher).train(), images, labels, lr=0.0)
    turned = copied(teacher)
    for weight in turned[-1].parameters():
        weight.data = weight.data[order]  # the same answers, in another order
    turned_loss = fit(copied(student), turned.train(), images, labels, order=order.argsort(), lr=0.0)
    one, two, used = copied(student), copied(student), copied(teacher).train()
    long = fit(one, used, images, labels, epochs=5)
    fit(two, other, images, labels, epochs=5)
    line = nn.Linear(64, 10)
    falls = fit(line, copied(teacher).train(), images, labels, epochs=10)
    yes = (
        abs(still[0][0] - by_hand) < 1e-3 * by_hand,
        abs(turned_loss[0][0] - still[0][0]) < 1e-3 * abs(still[0][0]) + 1e-6,
        torch.equal(before, _numbers(used)),
        int(one[2].num_batches_tracked) == 5,
        sum(falls[-1]) < 0.9 * sum(falls[0]),
        min(soft for soft, _ in long) > -1e-6,
        not torch.equal(_numbers(one), _numbers(two)),
    )
    return [question for question, fine in zip(QUESTIONS, yes) if not fine]


def fresh(seed: int) -> nn.Sequential:
    """The student before its training: 64 pixels, 32 units with batch norm, 10 logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


@functools.cache
def trained(seed: int) -> nn.Sequential:
    """The teacher: batch norm, dropout, 256 units; its classes are sorted by name, as a folder of pictures has them."""
    digits, place = _digits(seed), ORDER
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)
        first = nn.Linear(64, 256)
        teacher = nn.Sequential(
            nn.Flatten(), first, nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10))
        optimizer = torch.optim.Adam(teacher.parameters(), 3e-3)
        for _ in range(8):
            for i in torch.randperm(len(digits.images)).split(50):
                loss = F.cross_entropy(teacher(digits.images[i]), place[digits.labels[i]])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return teacher.eval()


class _Digits(NamedTuple):
    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@functools.cache
def _digits(seed: int) -> _Digits:
    digits = data.load("digits", seed=seed)
    train, test = digits.train, digits.test
    return _Digits(digits.normalize(train.images), train.labels, digits.normalize(test.images), test.labels)


def _bed(number: int) -> int:
    if number not in PATIENTS:
        raise ValueError(f"patients have the numbers 1 to {len(PATIENTS)}, got {number!r}")
    return number - 1


@torch.no_grad()
def _answers(model: nn.Module, images: Tensor) -> Tensor:
    was_training = model.training
    answers = model.eval()(images)
    model.train(was_training)
    return answers


def _numbers(model: nn.Module) -> Tensor:
    """All weights and all statistics of batch norms in one row."""
    return torch.cat([x.detach().flatten() for x in model.state_dict().values() if x.is_floating_point()])


def _length(loss: Tensor, student: nn.Module) -> float:
    """The length of a loss's gradient at the student's weights; 0 where it does not depend on them."""
    if not loss.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(loss, list(student.parameters()), retain_graph=True, allow_unused=True)
    return sum(float(g.double().square().sum()) for g in gradients if g is not None) ** 0.5
