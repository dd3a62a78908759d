"""One training that is steered while it runs: in a thread or in place, with what was turned and what came of it.

It knows no widgets: whoever watches it gets a call now and then, in the thread that trains.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from kdlab import models
from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.files import write_whole
from kdlab.training import Knobs, Step, distil

LIMIT = 4096  # points that a curve keeps at most
VERSION = 1


@dataclass(frozen=True)
class Choice:
    """What a run is made of beside its knobs: names of student and teacher, how many of the first training images
    the student sees, the seed of its weights and batches, and the number of steps."""

    student: str
    teacher: str
    labelled: int
    seed: int
    steps: int

    def __str__(self) -> str:
        return f"{self.student} taught by {self.teacher}, {self.labelled} labelled images, seed {self.seed}"


class Thinned:
    """A list that stops growing: once it is full, every second entry goes, and every second one comes in.

    Args:
        limit: entries at most, >= 2.
    """

    def __init__(self, limit: int = LIMIT):
        self.limit, self.stride, self._seen, self._kept, self._last = limit, 1, 0, [], None

    def add(self, entry) -> None:
        if self._seen % self.stride == 0:
            self._kept.append(entry)
            if len(self._kept) >= self.limit:
                self._kept, self.stride = self._kept[::2], 2 * self.stride
        self._seen, self._last = self._seen + 1, entry

    def entries(self) -> list:
        """A copy: what was kept, and the newest entry in any case."""
        kept, last = list(self._kept), self._last
        return kept if not kept or kept[-1] is last else [*kept, last]


class Session:
    """Drives `distil` step by step. Its methods may be called from any thread, and return at once but for `join`.

    Before each step it reads the knobs, and logs them where they differ from the last step's. A session with a
    log of its own takes the knobs from there and does not listen to others.

    Args:
        choice: names are those of `models.build`; the student's weights come from the seed.
        dataset: the student trains on its first `labelled` training images.
        bank: the teacher's logits for them.
        knobs: any thread may set them; the loop copies them before each step.
        log: changes as `log` holds them, to replay; None to listen to the knobs.
        watch: called in the training thread with the session, `frames` times a second at most, after each change
            of state, and once more when the training has ended.
        evaluate_every: steps between two evaluations on the test split.
        frames: calls of `watch` per second.

    Attributes:
        state: "ready", "training", "paused", "finished", "stopped" or "failed".
        log: [{"step", "alpha", "temperature", "lr"}], from step 1 on; lr is the peak before the schedule.
        error: what ended a failed training, or None.
    """

    def __init__(
        self, choice: Choice, dataset: Dataset, bank: Bank, knobs: Knobs, *, log: Sequence[dict] | None = None,
        watch: Callable[["Session"], None] = lambda session: None, evaluate_every: int = 50, frames: float = 10.0,
    ):
        if not 1 <= choice.labelled <= len(dataset.train):
            raise ValueError(f"labelled must be in 1 .. {len(dataset.train)}, got {choice.labelled}")
        with torch.random.fork_rng(devices=[]):  # other cells' random numbers stay as they were
            torch.manual_seed(choice.seed)
            self.student = models.build(choice.student, dataset.shape, len(dataset.classes))
        self.student.to(dataset.train.images.device)
        self.choice, self.dataset, self.bank, self.knobs, self.watch, self.frames = (
            choice, dataset, bank, knobs, watch, frames)
        self.state, self.error, self.log, self.rate = "ready", None, [], 0.0
        self._replay = None if log is None else {entry["step"]: _three(entry) for entry in checked(log)}
        self._used = Knobs(*(self._replay[1] if self._replay else (knobs.alpha, knobs.temperature, knobs.lr)))
        self._steps, self._accuracies = Thinned(), Thinned(LIMIT // 4)
        self._going, self._singles, self._ended = True, 0, False
        self._change, self._thread, self._stopped = threading.Condition(), None, False
        self._stepper = distil(
            self.student, dataset, self._used, teacher=bank, steps=choice.steps, seed=choice.seed,
            indices=torch.arange(choice.labelled), evaluate_every=evaluate_every,
        )

    @property
    def history(self) -> list[Step]:
        """The steps so far, all of the first 4,095 and then ever fewer of them, with the newest."""
        return self._steps.entries()

    @property
    def accuracies(self) -> list[tuple[int, float]]:
        """(step, test accuracy in [0, 1]), thinned in the same way."""
        return self._accuracies.entries()

    @property
    def step(self) -> int:
        """Number of the last finished step, 0 before the first."""
        last = self._steps._last
        return last.step if last else 0

    @property
    def ended(self) -> bool:
        """Whether no further step will come."""
        return self._ended

    @property
    def status(self) -> str:
        """State, steps, speed and accuracy in words."""
        words = [f"{self.state}{', from a log' if self.replays else ''}: step {self.step:,} of {self.choice.steps:,}"]
        words += [f"{self.rate:,.0f} steps/s"] if self.state == "training" and self.rate else []
        return " · ".join(words + ([f"test accuracy {100 * self.accuracies[-1][1]:.1f} %"] if self.accuracies else []))

    @property
    def held(self) -> bool:
        """Whether it is told to pause."""
        return not self._going

    @property
    def replays(self) -> bool:
        """Whether its knobs come from a log."""
        return self._replay is not None

    def start(self, *, paused: bool = False) -> None:
        """Trains in a daemon thread with this thread's number of arithmetic threads."""
        self._going, threads = not paused, torch.get_num_threads()

        def work():
            torch.set_num_threads(threads)
            self.drive()

        self._thread = threading.Thread(target=work, name="kdlab training", daemon=True)
        self._thread.start()

    def drive(self) -> None:
        """Trains in the calling thread to the end, or until `stop` or Ctrl-C; an error is kept in `error`."""
        state, due, window = "finished", 0.0, (time.monotonic(), 0)
        try:
            for number in range(1, self.choice.steps + 1):
                if not self._allowed():
                    state = "stopped"
                    break
                self._turn(number)
                step = next(self._stepper)
                self._steps.add(step)
                if step.accuracy is not None:
                    self._accuracies.add((number, step.accuracy))
                now = time.monotonic()
                if now >= due or not self._going:
                    if now - window[0] >= 0.5:
                        self.rate, window = (number - window[1]) / (now - window[0]), (now, number)
                    self.watch(self)
                    done = time.monotonic()
                    due = max(now + 1 / self.frames, done + 9 * (done - now))  # a slow watcher gets a tenth of the time
        except KeyboardInterrupt:
            state = "stopped"
        except Exception as error:  # whatever it is, the panel shows it and goes on
            self.error, state = error, "failed"
        finally:
            self._stepper.close()
            self.state, self._ended = state, True
            self.watch(self)

    def pause(self) -> None:
        """Holds the training before its next step."""
        self._set(going=False)

    def resume(self) -> None:
        """Lets a paused training go on."""
        self._set(going=True)

    def once(self) -> None:
        """Makes one step and holds."""
        self._set(going=False, singles=1)

    def stop(self) -> None:
        """Ends the training after the step that it is in, and waits for that."""
        with self._change:
            self._stopped = True
            self._change.notify_all()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(30)

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the thread, and says whether the training has ended."""
        if self._thread:
            self._thread.join(timeout)
        return self._ended

    def _set(self, going: bool, singles: int = 0) -> None:
        with self._change:
            self._going, self._singles = going, self._singles + singles if not going else 0
            self._change.notify_all()

    def _allowed(self) -> bool:
        """Waits while the training is paused; False where it is to end."""
        if not self._going and not self._singles and not self._stopped:
            self.state = "paused"
            self.watch(self)
            with self._change:
                self._change.wait_for(lambda: self._going or self._singles or self._stopped)
        with self._change:
            self._singles = max(0, self._singles - 1)
        if not self._stopped:
            self.state = "training" if self._going else "paused"
        return not self._stopped

    def _turn(self, number: int) -> None:
        """Copies the knobs for this step, and logs them where they differ from those of the step before."""
        if self._replay is None:
            wanted = (self.knobs.alpha, self.knobs.temperature, self.knobs.lr)
        else:
            wanted = self._replay.get(number, _three(self.log[-1]) if self.log else None)
        if not self.log or wanted != _three(self.log[-1]):
            self._used.alpha, self._used.temperature, self._used.lr = wanted
            self.log.append({"step": number, "alpha": wanted[0], "temperature": wanted[1], "lr": wanted[2]})


def save(session: Session, path: str | Path, name: str = "") -> None:
    """Writes a run as JSON: what it was made of, what was turned, and its curves.

    Args:
        session: any; a run that still trains is written as far as it is.
        path: the file; its folder is made where it is missing.
        name: a name for people.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing half-written remains.
    """
    history = session.history  # once: the training's thread adds to it
    curves = {key: [getattr(step, key) for step in history] for key in ("step", "loss", "soft", "hard")}
    data = {"version": VERSION, "name": name, "dataset": session.dataset.name, **asdict(session.choice),
            "state": session.state, "log": session.log, "accuracy": session.accuracies, "curves": curves}
    write_whole("run", path, json.dumps(data).encode())


def load(path: str | Path) -> tuple[Choice, list[dict]]:
    """Reads what a recorded run was made of, and its changes.

    Args:
        path: a file that `save` wrote.

    Raises:
        ValueError: the file is missing, or is none of these.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        choice = Choice(**{key: data[key] for key in Choice.__dataclass_fields__})
        return choice, checked(data["log"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a readable record of a run: {type(error).__name__}: {error}") from None


def load_log(path: str | Path) -> list[dict]:
    """The changes of a run that `save` wrote.

    Raises:
        ValueError: the file is missing, or is no record.
    """
    return load(path)[1]


def checked(log: Sequence[dict]) -> list[dict]:
    """The log as it was given.

    Raises:
        ValueError: its steps do not rise from 1, or a value is out of its range.
    """
    steps = [entry["step"] for entry in log]
    if not steps or steps[0] != 1 or any(b <= a for a, b in zip(steps, steps[1:])):
        raise ValueError(f"the steps of a log must rise from 1, got {steps[:5]}")
    for entry in log:
        Knobs(*_three(entry))
    return list(log)


def _three(entry: dict) -> tuple[float, float, float]:
    return entry["alpha"], entry["temperature"], entry["lr"]
