"""What a search chooses from on the digits, and how a choice is judged; search.py does the choosing, with Optuna.

A setting is a dict: the names of teacher, student and loss, and alpha, temperature and lr. It is tried on validation
images with a few seeds, and confirmed with others on test images, which are the same for all.
"""

import functools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from kdlab import bank, data, evaluation, latency, models, training
from workbook.methods import FROM_LOGITS

HAND_SET = {"teacher": "mlp-512-512", "student": "mlp-32", "loss": "KD", "alpha": 1.0, "temperature": 4.0, "lr": 0.01}
TEACHERS, SHAPE = ("mlp-512-512", "mlp-64", "cnn-16-32"), (1, 8, 8)
STUDENTS = ("mlp-8", "mlp-16", "mlp-32", "mlp-64", "mlp-128", "mlp-512", "mlp-64-64", "cnn-8")


@dataclass(frozen=True)
class Plan:
    """What may be chosen, and how long it is tried.

    A setting's value is the mean accuracy in percent of its students, one for each of `seeds`, on validation images.
    ValueError: nothing to choose from, an unknown name, a budget that no student meets, or a size out of its range.
    """

    students: Mapping[str, float]  # name → µs, of `latencies`
    budget: float = math.inf  # µs; slower students are left out
    teachers: Sequence[str] = TEACHERS
    losses: Sequence[str] = tuple(FROM_LOGITS)
    labelled: int = 50
    steps: int = 300
    seeds: Sequence[int] = (0, 1, 2)
    front: bool = False  # the latency is a second objective

    fitting = property(lambda self: [name for name, took in self.students.items() if took <= self.budget])
    names = property(lambda self: {"teacher": self.teachers, "student": self.fitting, "loss": self.losses})

    def __post_init__(self) -> None:
        for what in ("students", "teachers", "losses", "seeds"):
            if not getattr(self, what):
                raise ValueError(f"there is nothing to choose from: give one or more {what}")
        for name in (*self.students, *self.teachers):
            models.build(name, SHAPE, 10, seed=0)  # says which names there are
        if unknown := [name for name in self.losses if name not in FROM_LOGITS]:
            raise ValueError(f"no loss is called {unknown[0]!r}; there are {', '.join(FROM_LOGITS)}")
        if not self.fitting:
            took, name = min((took, name) for name, took in self.students.items())
            raise ValueError(f"no student meets a budget of {self.budget:g} µs; {name}, the fastest, takes {took:.0f}")
        if not 1 <= self.labelled <= 800 or self.steps < 4:
            raise ValueError(f"labelled must be in 1 .. 800 and steps >= 4, got {self.labelled} and {self.steps}")


def latencies(names: Sequence[str] = STUDENTS, *, seconds: float = 0.06) -> dict[str, float]:
    """Each student's median µs for 64 digits at once on one CPU thread, measured here and now, in turns."""
    nets = {name: models.build(name, SHAPE, 10, seed=0) for name in names}
    return {row.model: 1e3 * row.milliseconds for row in latency.sweep(nets, SHAPE, batches=(64,), min_seconds=seconds)}


@functools.cache
def parts(seed: int) -> data.Dataset:
    """A seed's digits: 800 to train, 200 to choose by, `val`, and the 797 of `test`, the same for every seed."""
    digits, order = data.load("digits", seed=0), torch.randperm(1000, generator=torch.Generator().manual_seed(seed))
    train, val = (digits.train.subset(places) for places in (order[:800], order[800:]))
    return replace(digits, train=train, val=val, mean=None, std=None)


def learn(setting: Mapping, plan: Plan, seeds: Sequence[int]) -> Iterator[tuple[int, list[nn.Module]]]:
    """Trains students of one setting side by side, one for each seed; yields step and students after each quarter."""
    knobs, few = training.Knobs(*(setting[x] for x in ("alpha", "temperature", "lr"))), torch.arange(plan.labelled)
    students = [models.build(setting["student"], SHAPE, 10, seed=seed) for seed in seeds]
    options = dict(steps=plan.steps, method=FROM_LOGITS[setting["loss"]])
    known = [_answers(setting["teacher"], seed) for seed in seeds]
    runs = [training.distil(student, parts(seed).only(few), knobs, teacher=answers, seed=seed, **options)
            for student, seed, answers in zip(students, seeds, known)]
    for number, _ in enumerate(zip(*runs), 1):
        if number % (plan.steps // 4) == 0 or number == plan.steps:
            yield number, students


@functools.cache
def _answers(teacher: str, seed: int) -> bank.Bank:
    model = models.build(teacher, SHAPE, 10, seed=seed)
    training.finish(training.train(model, parts(seed), steps=100, batch_size=64, weight_decay=1e-2, seed=seed))
    return bank.fill(model, parts(seed))


def accuracies(students: Sequence[nn.Module], seeds: Sequence[int], split: str) -> list[float]:
    """Each student's accuracy in percent on its seed's part."""
    return [100 * evaluation.evaluate(one, parts(seed), split=split).accuracy for one, seed in zip(students, seeds)]


def scores(setting: Mapping, plan: Plan, seeds: Sequence[int] | None = None) -> list[float]:
    """A setting's accuracies in percent, one for each seed, of students that are trained here to their end.

    Without seeds they are those that the search sees: on validation images, with its own seeds. Given others, they are
    on test images; ValueError: a seed that is one of the search's.
    """
    if seen := sorted({*(seeds or ())} & {*plan.seeds}):
        raise ValueError(f"a choice is confirmed on seeds that its search has not seen, and {seen[0]} is one of them")
    split, seeds = ("val", plan.seeds) if seeds is None else ("test", seeds)
    *_, (_, students) = learn(setting, plan, seeds)
    return accuracies(students, seeds, split)


def verdict(found: Sequence[float], hand_set: Sequence[float], promised: float) -> tuple[evaluation.Gain, str]:
    """What a search has gained on seeds that it has not seen, in points with its interval, and a sentence that says so.

    `found` and `hand_set` are `scores` with the same seeds, two or more; `promised` is the lead on the search's own.
    """
    gain = evaluation.paired_difference(found, hand_set)
    judged = "not shown to be better than the hand-set one: the interval holds zero"
    if gain.low > 0 or gain.high < 0:
        judged = f"{'better' if gain.low > 0 else 'worse'} than the hand-set one"
    elif gain.low == gain.high:
        judged = "no better than the hand-set one: their students are equally good"
    measured = f"{gain.mean:+.1f} points [{gain.low:+.1f}, {gain.high:+.1f}] on {gain.pairs} seeds that it never saw"
    return gain, f"The search promised {promised:+.1f} points; {measured}. Its choice is {judged}."


def judge(setting: Mapping, plan: Plan, seeds: Sequence[int]) -> tuple[evaluation.Gain, str]:
    """The `verdict` on a setting beside the hand-set one, trained and tested here."""
    seen, unseen = ([scores(x, plan, given) for x in (setting, HAND_SET)] for given in (None, seeds))
    return verdict(*unseen, statistics.fmean(seen[0]) - statistics.fmean(seen[1]))
