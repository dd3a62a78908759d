"""One training that is steered while it runs: what it is made of, what was turned, what came of it, and its record.

Whoever watches it gets a call now and then, in the thread that trains; what they show is their own.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from kdlab import models
from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.evaluation import evaluate
from kdlab.files import write_whole
from kdlab.training import Knobs, Step, distil, warm_cosine
from workbook.panels.base import Pace, Work

LIMIT = 800  # points of a curve at most: what a screen shows, and what a picture can carry ten times a second


@dataclass(frozen=True)
class Choice:
    """What a run is made of beside its knobs: names of student and teacher, how many of the first training images
    the student sees, the seed of its weights, and the number of steps."""

    student: str
    teacher: str
    labelled: int
    seed: int
    steps: int

    def __str__(self) -> str:
        return f"{self.student} taught by {self.teacher}, {self.labelled} labelled images, seed {self.seed}"


class Thinned:
    """A list that stops growing: once `limit` (>= 2) are in it, every second one goes, and every second comes in."""

    def __init__(self, limit: int):
        self.limit, self.stride, self.last, self._seen, self._kept = limit, 1, None, 0, []

    def add(self, entry) -> None:
        self.last = entry  # first: another thread may ask for the entries at any moment
        if self._seen % self.stride == 0:
            self._kept.append(entry)
            if len(self._kept) >= self.limit:
                self._kept, self.stride = self._kept[::2], 2 * self.stride
        self._seen += 1

    def entries(self) -> list:
        """A copy: what was kept, and the newest entry in any case."""
        kept, last = list(self._kept), self.last
        return kept if not kept or kept[-1] is last else [*kept, last]


class Session(Work):
    """Drives `distil` step by step; its start, hold and stop may be called from any thread.

    Args:
        choice: names are those of `models.build`; the student's weights come from the seed.
        dataset: the student trains on its first `labelled` training images.
        bank: the teacher's logits for them.
        knobs: asked before each step for what it shall use; lr is the peak before the schedule.
        log: changes as `log` holds them, to be replayed without asking `knobs`; None to ask.
        watch: called in the training thread with the session, ten times a second at most, after each change of
            state, and once more when the training has ended.
        evaluate_every: steps between two evaluations on the test split; the last step has one in any case.

    Attributes:
        state: "ready", "training", "paused", "finished", "stopped" or "failed"; with one of these three it has `ended`.
        step: number of the last finished step, 0 before the first.
        log: [{"step", "alpha", "temperature", "lr"}], from step 1 on, one for each change; `replays` if it was given.
        error: what ended a failed training, or None.
    """

    def __init__(
        self, choice: Choice, dataset: Dataset, bank: Bank, knobs: Callable[[], Knobs], *,
        log: Sequence[dict] | None = None, watch: Callable[["Session"], None] = lambda session: None,
        evaluate_every: int = 50,
    ):
        if not 1 <= choice.labelled <= len(dataset.train):
            raise ValueError(f"labelled must be in 1 .. {len(dataset.train)}, got {choice.labelled}")
        if choice.steps < 1:
            raise ValueError(f"steps must be >= 1, got {choice.steps}")
        super().__init__(self.drive, "training")
        self.choice, self.dataset, self.bank, self.watch = choice, dataset, bank, watch
        self.state, self.error, self.ended, self.step, self.rate, self.log = "ready", None, False, 0, 0.0, []
        self._knobs, self.replays, self._replayed = knobs, log is not None, turns(log) if log is not None else {}
        self._every, self._pace, self._used = evaluate_every, Pace(10, 0.1), None
        self._steps, self._accuracies, self._turns = Thinned(LIMIT), Thinned(LIMIT // 2), Thinned(LIMIT // 2)
        self.student = models.build(choice.student, dataset.shape, len(dataset.classes), seed=choice.seed)
        self.student.to(dataset.train.images.device)
        seen = dataset.only(torch.arange(choice.labelled))
        self._stepper = distil(self.student, seen, self._turn, teacher=bank, steps=choice.steps, seed=choice.seed)

    # thinned: the steps, (step, test accuracy in [0, 1]), and the log as (step, alpha, temperature, lr)
    history: list[Step] = property(lambda self: self._steps.entries())
    accuracies: list[tuple[int, float]] = property(lambda self: self._accuracies.entries())
    turned: list[tuple[int, float, float, float]] = property(lambda self: self._turns.entries())

    @property
    def status(self) -> str:
        """State, steps, speed and accuracy in words, or what went wrong."""
        if self.error:
            return f"failed after step {self.step:,}: {named(self.error)}"
        words = [f"{self.state}{', from a log' if self.replays else ''}: step {self.step:,} of {self.choice.steps:,}"]
        words += [f"{self.rate:,.0f} steps/s"] if self.state == "training" and self.rate else []
        found = self._accuracies.last
        return " · ".join(words + ([f"test accuracy {100 * found[1]:.1f} %"] if found else []))

    def drive(self) -> None:
        """Trains in the calling thread to the end, or until `stop` or Ctrl-C; an error is kept in `error`."""
        state, window = "stopped", (time.monotonic(), 0)
        try:
            while self.step < self.choice.steps and self.allowed(self._wait):
                if not self.held or self.state == "ready":  # who holds it now is told so before the next step
                    self.state = "paused" if self.held else "training"
                step = next(self._stepper)
                self._steps.add(step)
                self.step = step.step
                if self.step % self._every == 0 or self.step == self.choice.steps:
                    self._accuracies.add((self.step, evaluate(self.student, self.dataset).accuracy))
                now = time.monotonic()
                if now - window[0] >= 0.5:
                    self.rate, window = (self.step - window[1]) / (now - window[0]), (now, self.step)
                self._pace.draw(lambda: self.watch(self), now=self.held)
            state = "finished" if self.step == self.choice.steps else state
        except KeyboardInterrupt:
            pass  # stopped
        except Exception as error:  # whatever it is, the panel shows it and goes on
            self.error, state = error, "failed"
        finally:
            self._stepper.close()
            self.state, self.ended = state, True
            self.watch(self)

    def _wait(self) -> None:
        self.state = "paused"
        self.watch(self)

    def _turn(self, number: int) -> Knobs:
        """The knobs of this step, from the log that is replayed or as they stand; logged where they have changed."""
        knobs = self._replayed.get(number, self._used) if self.replays else self._knobs()
        if knobs != self._used:
            self._used, entry = knobs, {"step": number} | asdict(knobs)
            self.log.append(entry)
            self._turns.add(tuple(entry.values()))
        return replace(knobs, lr=knobs.lr * warm_cosine(number, self.choice.steps))


def named(error: Exception) -> str:
    """An error's kind, and what it says."""
    return f"{type(error).__name__}: {error}"


def write(session: Session, path: str | Path, name: str = "") -> None:
    """Writes a run, as far as it is, as JSON: what it was made of, what was turned, its curves, a name for people.

    Its folder is made where it is missing. OSError where it cannot be written; nothing half-written remains.
    """
    history = session.history  # once: the training's thread adds to it
    curves = {key: [getattr(step, key) for step in history] for key in ("step", "loss", "soft", "hard")}
    data = {"version": 1, "name": name, "dataset": session.dataset.name, **asdict(session.choice),
            "state": session.state, "log": session.log, "accuracy": session.accuracies, "curves": curves}
    write_whole("run", path, json.dumps(data).encode())


def read(path: str | Path) -> tuple[Choice, list[dict]]:
    """What a recorded run was made of, and its changes; ValueError where the file is missing or no record."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        turns(data["log"])
        return Choice(**{field.name: data[field.name] for field in fields(Choice)}), data["log"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a readable record of a run: {named(error)}") from None


def turns(log: Sequence[Mapping]) -> dict[int, Knobs]:
    """A log as the knobs from each of its steps on; ValueError where its steps do not rise from 1."""
    steps = [entry["step"] for entry in log]
    if not steps or steps[0] != 1 or any(b <= a for a, b in zip(steps, steps[1:])):
        raise ValueError(f"the steps of a log must rise from 1, got {steps[:5]}")
    return {entry["step"]: Knobs(entry["alpha"], entry["temperature"], entry["lr"]) for entry in log}
