"""The training panel: knobs and buttons over one training at a time, with live pictures.

The training itself is session.py's, the pictures are steer.js's; without a front end `Run.wait` does the same run.
"""

import atexit
import base64
import contextlib
import io
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
from matplotlib.figure import Figure

from workbook.panels import controls, frames, session
from kdlab.bank import Bank
from kdlab.data import Dataset
from workbook.panels.session import Choice, Session, load_log
from kdlab.training import Knobs, Step

RUNS = 40  # finished runs that are kept beside the pinned ones
__all__ = ["Run", "load_log", "panel"]
_OPEN: "weakref.WeakSet[Run]" = weakref.WeakSet()


class Curves(anywidget.AnyWidget):
    """The canvas; `Run` feeds it with messages, and it asks for all of them when it appears."""

    _esm = "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("chart.js", "training.js"))


class Run(widgets.VBox):
    """A training panel; `panel` makes it. One training at a time, in a daemon thread.

    Attributes:
        knobs: what the next step reads; the sliders set it, and so may code.
        finished: a dict for each ended run: name, alpha, temperature, lr, accuracy, steps, state, pinned, steered.
    """

    def __init__(
        self, dataset: Dataset, teachers: Mapping[str, Bank], choice: Choice, knobs: Knobs, students: Sequence[str],
        log: list[dict] | None, evaluate_every: int,
    ):
        self.dataset, self.teachers, self.knobs = dataset, dict(teachers), knobs
        self.finished: list[dict] = []
        self._session: Session | None = None
        self._count, self._frame, self._pending, self._every = 0, None, log, evaluate_every
        self._problem, self._note, self._first = "", "", (choice, (knobs.alpha, knobs.temperature, knobs.lr), log)
        self._looked = frames.telling(next(iter(self.teachers.values())), dataset, choice.labelled)
        self.canvas = Curves()
        self.canvas.on_msg(lambda *_: self._show_all())
        self.sliders = controls.sliders(knobs)
        self.choices = controls.choices(choice, students, self.teachers, len(dataset.train))
        self.buttons, self.name = controls.buttons({name: getattr(self, name) for name in controls.PRESSES})
        rows = [self.choices.values(), self.sliders.values(), (*self.buttons.values(), self.name)]
        rows = [widgets.HBox([*row], layout={"flex_flow": "row wrap", "grid_gap": "0 12px"}) for row in rows]
        super().__init__([*rows, self.canvas, controls.Keys(layout={"display": "none"})])
        self.add_class("kd-panel")
        _OPEN.add(self)

    @property
    def history(self) -> list[Step]:
        """The steps of the newest run; a long one is thinned out."""
        return self._session.history if self._session else []

    @property
    def accuracies(self) -> list[tuple[int, float]]:
        """(step, test accuracy in [0, 1]) of the newest run."""
        return self._session.accuracies if self._session else []

    @property
    def log(self) -> list[dict]:
        """The newest run's settings as {"step", "alpha", "temperature", "lr"}, from step 1 on."""
        return self._session.log if self._session else []

    @property
    def state(self) -> str:
        """"ready", "training", "paused", "finished", "stopped" or "failed"."""
        return "failed" if self._problem else self._session.state if self._session else "ready"

    @property
    def status(self) -> str:
        """State, steps, speed and accuracy in words, or what went wrong."""
        run = self._session
        if self._problem:
            return f"failed{f' after step {run.step:,}' if run else ''}: {self._problem}"
        if run is None:
            return self._note or "ready: press Start; every knob may be turned while it trains"
        return " · ".join(filter(None, (run.status, self._note)))

    def start(self, *, paused: bool = False) -> None:
        """Trains a new student in a thread; a run that is under way ends first."""
        if self._prepare():
            self._session.start(paused=paused)

    def pause(self) -> None:
        """Holds the run before its next step, or lets a held one go on."""
        if self._session and not self._session.ended:
            self._session.resume() if self._session.held else self._session.pause()

    def step(self) -> None:
        """One step, then hold; it begins a run where there is none."""
        if not self._session or self._session.ended:
            self.start(paused=True)
        if self._session:
            self._session.once()

    def stop(self) -> None:
        """Ends the run and waits until its thread is gone."""
        if self._session:
            self._session.stop()

    def reset(self) -> None:
        """Ends the run, puts all controls back, and forgets every run that is not pinned."""
        self.stop()
        choice, knobs, self._pending = self._first
        for control, value in zip(self.sliders.values(), knobs):
            control.value = value
        for name, control in self.choices.items():
            control.value = getattr(choice, name)
        self.finished[:] = [run for run in self.finished if run["pinned"]]
        self._session, self._problem, self._note = None, "", ""
        self._show_all(anew=True)

    def wait(self, timeout: float | None = None) -> Figure:
        """Lets "Run All" go on in order: waits for the run under way, or makes it where none was started.

        Where nobody pressed Start, as without a front end, the run happens here, in the calling thread.

        Args:
            timeout: seconds to wait for a run in the thread; None for as long as it takes.

        Returns:
            The figure of the run.

        Raises:
            Exception: whatever ended the run.
        """
        if self._session is None:
            if self._prepare():
                self._session.drive()
        else:
            self._session.resume()
            with contextlib.suppress(KeyboardInterrupt):  # the cell ends, the training does not
                self._session.join(timeout)
        if not self._session or self._session.error:
            raise self._session.error if self._session else ValueError(self._problem)
        print({"finished": "the run is finished", "stopped": "the run was stopped"}.get(self.state, "the run goes on"))
        return self.figure()

    def figure(self) -> Figure:
        """The newest run as a static figure."""
        return frames.figure(self._session)

    def pin(self, name: str = "") -> None:
        """Keeps the newest ended run in the pictures, under this name or the one in the panel's field."""
        if not self.finished:
            self._note = "there is no ended run to pin yet"
        else:
            newest = self.finished[-1]
            newest.update(pinned=True, name=name or self.name.value.strip() or newest["name"])
            self._note = f"pinned as {newest['name']}"
        self._show_all(anew=self._session is None)

    def save(self, path: str | Path) -> None:
        """Writes the newest run as JSON, to be replayed by `panel(..., log=path)`.

        Raises:
            ValueError: nothing was trained yet.
        """
        if not self._session:
            raise ValueError("there is no run to save: press Start, or call wait()")
        session.save(self._session, path, self.name.value)

    def export(self) -> None:
        """Saves the newest run in the working folder, under the name in the panel's field."""
        path = Path(f"{self.name.value.strip() or f'run-{self._count}'}.json")
        try:
            self.save(path)
            self._note = f"written to {path}"
        except (OSError, ValueError) as error:
            self._note = str(error)
        self._show_all()

    def close(self) -> None:
        """Ends the run and takes the panel away."""
        self.stop()
        _OPEN.discard(self)
        for row in self.children:
            for control in (*getattr(row, "children", ()), row):
                control.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs):
        self.figure().savefig(png := io.BytesIO(), format="png", dpi=80)
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle | {"text/plain": "a training panel", "image/png": base64.b64encode(png.getvalue()).decode()}

    def _prepare(self) -> bool:
        """A new session from the controls; False, with the reason in the status, where they do not fit together."""
        self.stop()
        self._problem, self._note = "", ""
        try:
            choice = Choice(**{name: control.value for name, control in self.choices.items()})
            bank = self.teachers[choice.teacher]
            self._session = Session(
                choice, self.dataset, bank, self.knobs, log=self._pending, evaluate_every=self._every, watch=self._watch)
            self._looked = frames.telling(bank, self.dataset, choice.labelled)
            self.canvas.send(*frames.pictures(self.dataset, self._looked))
        except Exception as error:
            self._session, self._problem = None, f"{type(error).__name__}: {error}"
            self._show_all(anew=True)
            return False
        self._pending, self._count = None, self._count + 1
        return True

    def _watch(self, run: Session) -> None:
        """Called in the thread that trains."""
        if run is not self._session:
            return
        if run.replays and run.log:
            for name, slider in self.sliders.items():
                slider.value = run.log[-1][name]
        if run.ended:
            self._problem = f"{type(run.error).__name__}: {run.error}" if run.error else ""
            if run.accuracies:
                self.finished.append(frames.ended(run, f"run {self._count}"))
            for old in [kept for kept in self.finished if not kept["pinned"]][:-RUNS]:
                self.finished.remove(old)
        self.buttons["pause"].description = "Resume" if run.held and not run.ended else "Pause"
        try:
            self._show(*frames.frame(run, self._looked))
        except Exception:  # what ended the training, bad labels for instance, may make this impossible as well
            if not run.error:
                raise
            self._show(*self._frame or ({"kind": "frame", "step": 0}, [b""] * 4))
        if run.ended:
            self.canvas.send(*frames.runs(self.finished))

    def _show(self, header: dict, buffers: list[bytes]) -> None:
        summary = frames.spoken(self._session, self.status, header.get("share"))
        self._frame = header | {"state": self.state, "status": self.status, "summary": summary}, buffers
        self.canvas.send(*self._frame)

    def _show_all(self, anew: bool = False) -> None:
        """Everything once, from what is at hand: a student that trains is not touched from this thread."""
        if anew or self._frame is None:
            self._frame = ({"kind": "frame", "step": 0}, [b""] * 4)
        self.canvas.send(*frames.pictures(self.dataset, self._looked))
        self._show(*self._frame)
        self.canvas.send(*frames.runs(self.finished))


def panel(
    dataset: Dataset, teachers: Bank | Mapping[str, Bank], *, students: Sequence[str] = ("mlp-32", "mlp-16", "mlp-64"),
    labelled: int = 50, seed: int = 0, steps: int = 3000, alpha: float = 1.0, temperature: float = 4.0, lr: float = 1e-2,
    log: str | Path | Sequence[dict] | None = None, evaluate_every: int = 50,
) -> Run:
    """A panel that trains students, one at a time, and lets alpha, temperature and learning rate be turned meanwhile.

    Nothing trains before Start is pressed or `wait` is called. Opening a panel ends the runs of all earlier ones.

    Args:
        dataset: of the students, and of the teachers' banks.
        teachers: a teacher's logits for the training split, or several by name; the first one is chosen at first.
        students: names of `kdlab.models.build`.
        labelled: how many of the first training images the student sees.
        seed: of the student's weights and of its batches.
        steps: of a run, >= 1.
        alpha, temperature, lr: where the knobs start; see `kdlab.training.Knobs`.
        log: a recorded run, which the first run replays: the path of a file by `Run.save`, whose student, teacher,
            labelled, seed and steps count then; or the list of changes alone. "" and None for none.
        evaluate_every: steps between two evaluations on the test split.

    Returns:
        A Run, which shows itself.

    Raises:
        ValueError: a value out of its range, or a record that does not fit.
    """
    for other in list(_OPEN):
        other.stop()
    teachers = {"teacher": teachers} if isinstance(teachers, Bank) else teachers
    choice = Choice(students[0], next(iter(teachers)), labelled, seed, steps)
    if isinstance(log, str | Path) and str(log):
        choice, log = session.load(log)
        if choice.teacher not in teachers:
            raise ValueError(f"the record was made with the teacher {choice.teacher!r}, here are {', '.join(teachers)}")
    if log:
        alpha, temperature, lr = (session.checked(log)[0][key] for key in ("alpha", "temperature", "lr"))
    return Run(dataset, teachers, choice, Knobs(alpha, temperature, lr), students, list(log) if log else None, evaluate_every)


atexit.register(lambda: [run.stop() for run in list(_OPEN)])
