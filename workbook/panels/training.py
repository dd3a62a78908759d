"""The training panel: knobs and buttons over one training at a time, with live pictures.

The training is session.py's, what it looks like frames.py's and training.js's. Without a front end `wait` trains.
"""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anywidget
import ipywidgets as widgets
from matplotlib.figure import Figure

from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.training import Knobs, Step
from workbook.panels import base, frames, session
from workbook.panels.session import Choice, Session

PRESSES = ("start", "pause", "step", "stop", "reset", "pin", "export")  # methods of Run, whose first lines are tips
PLAIN = {"style": {"description_width": "initial"}}
RUNS = 40  # finished runs that are kept beside the pinned ones


class Curves(anywidget.AnyWidget):
    """The canvas; `Run` feeds it with messages, and it asks for all of them when it appears."""

    _esm = Path(__file__).with_name("training.js")


class Run(base.Pictured, widgets.VBox):
    """A panel that trains students, one at a time, and lets alpha, temperature and learning rate be turned meanwhile.

    Nothing trains before Start is pressed or `wait` is called; then a daemon thread does. Opening a panel ends the runs
    of all earlier ones.

    Args:
        dataset: of the students, and of the teachers' banks.
        teachers: a teacher's logits for the training split, or several by name; the first one is chosen at first.
        students: names of `kdlab.models.build`.
        labelled, seed, steps: how many of the first training images the student sees; of its weights; >= 1.
        alpha, temperature, lr: where the knobs start; see `kdlab.training.Knobs`.
        log: a recorded run, which the first run replays: the path of a file by `Run.save`, whose student, teacher,
            labelled, seed and steps count then; or the list of changes alone. "" and None for none.

    Attributes:
        knobs: what the next step uses; a slider or `turn` sets it.
        finished: a dict for each ended run that was evaluated: its last knobs, name, accuracy, steps, state, pinned.

    Raises:
        ValueError: a value out of its range, or a record that does not fit.
    """

    told = "a training panel"

    def __init__(
        self, dataset: Dataset, teachers: Bank | Mapping[str, Bank], *,
        students: Sequence[str] = ("mlp-32", "mlp-16", "mlp-64"), labelled: int = 50, seed: int = 0, steps: int = 3000,
        alpha: float = 1.0, temperature: float = 4.0, lr: float = 1e-2, log: str | Path | Sequence[dict] | None = None,
    ):
        self._session, self._error, self._note, self._count = None, None, "", 0
        self.dataset, self.teachers = dataset, {"teacher": teachers} if isinstance(teachers, Bank) else dict(teachers)
        choice = Choice(students[0], next(iter(self.teachers)), labelled, seed, steps)
        if isinstance(log, str | Path) and str(log):
            choice, log = session.read(log)
            if choice.teacher not in self.teachers:
                here = ", ".join(self.teachers)
                raise ValueError(f"the record was made with the teacher {choice.teacher!r}, here are {here}")
        self._pending = list(log) if log else None
        self.knobs = knobs = session.turns(log)[1] if log else Knobs(alpha, temperature, lr)
        self._first, self._frame, self.finished = (choice, knobs, self._pending), frames.EMPTY, []
        self._looked = frames.telling(self.teachers[choice.teacher], dataset, choice.labelled)
        self.canvas = Curves()
        self.canvas.on_msg(lambda *_: self._show_all())
        self.sliders = sliders(knobs)
        self.choices = choices(choice, students, self.teachers, len(dataset.train))
        self.buttons = {name: widgets.Button(description=name.title(), layout={"width": "80px"}) for name in PRESSES}
        for name, button in self.buttons.items():
            button.tooltip = getattr(Run, name).__doc__.partition("\n")[0].rstrip(".")
            button.on_click(lambda _, name=name: getattr(self, name)())
        self.buttons["start"].button_style = "primary"
        looks = PLAIN | {"layout": {"width": "200px"}}
        self.name = widgets.Text(placeholder="for Pin, Export", description="name", **looks)
        base.classed("kd", self.buttons | {"name": self.name})
        for name, slider in self.sliders.items():
            slider.observe(lambda change, name=name: self.turn(**{name: change["new"]}), "value")
        rows = [self.choices.values(), self.sliders.values(), (*self.buttons.values(), self.name)]
        rows = [widgets.HBox([*row], layout={"flex_flow": "row wrap", "grid_gap": "0 12px"}) for row in rows]
        super().__init__([*rows, self.canvas, base.Keys(layout={"display": "none"})])
        self.add_class("kd-panel")
        base.alone(self)

    # of the newest run: its steps, (step, test accuracy in [0, 1]), and what was turned, from step 1 on
    history: list[Step] = property(lambda self: self._session.history if self._session else [])
    accuracies: list[tuple[int, float]] = property(lambda self: self._session.accuracies if self._session else [])
    log: list[dict] = property(lambda self: self._session.log if self._session else [])

    @property
    def state(self) -> str:
        """"ready", "training", "paused", "finished", "stopped" or "failed"."""
        return "failed" if self._error else self._session.state if self._session else "ready"

    @property
    def status(self) -> str:
        """State, steps, speed and accuracy in words, or what went wrong."""
        if self._error:
            return f"failed: {session.named(self._error)}"
        if self._session:
            return " · ".join(filter(None, (self._session.status, self._note)))
        return self._note or "ready: press Start; every knob may be turned while it trains"

    def turn(self, **turned: float) -> None:
        """Sets alpha, temperature or lr from the next step on; what a slider calls."""
        self.knobs = replace(self.knobs, **turned)

    def start(self, *, paused: bool = False) -> None:
        """Trains a new student in a thread; a run that is under way ends first."""
        if self._prepare():
            self._session.start(held=paused)

    def pause(self) -> None:
        """Holds the run before its next step, or lets a held one go on."""
        if self._session and not self._session.ended:
            self._session.hold(not self._session.held)

    def step(self) -> None:
        """One step, then hold; it begins a run where there is none."""
        if not self._session or self._session.ended:
            self.start(paused=True)
        if self._session:
            self._session.hold(after=1)

    def stop(self) -> None:
        """Ends the run and waits until its thread is gone."""
        if self._session:
            self._session.stop()

    def reset(self) -> None:
        """Ends the run, puts all controls back, and forgets every run that is not pinned."""
        self.stop()
        choice, knobs, self._pending = self._first
        self.knobs = knobs  # a slider that code has turned past does not say so
        for name, control in (self.sliders | self.choices).items():
            control.value = getattr(knobs if name in self.sliders else choice, name)
        self.finished[:] = [run for run in self.finished if run["pinned"]]
        self._session, self._error, self._note, self._frame = None, None, "", frames.EMPTY
        self._show_all()

    def wait(self, timeout: float | None = None) -> Figure:
        """Lets "Run All" go on in order: waits for the run under way, or makes it where none was started.

        Where nobody pressed Start, as without a front end, the run happens here, in the calling thread. `timeout` is
        how many seconds to wait for a run in the thread. Returns the run's figure, and raises what ended the run.
        """
        if self._session:
            self._session.hold(False)
            with contextlib.suppress(KeyboardInterrupt):  # the cell ends, the training does not
                self._session.join(timeout)
        elif self._prepare():
            self._session.drive()
        if error := self._error or self._session.error:
            raise error
        print({"finished": "the run is finished", "stopped": "the run was stopped"}.get(self.state, "the run goes on"))
        return self.figure()

    def figure(self) -> Figure:
        """The newest run as a static figure."""
        return frames.curves(self._session)

    def pin(self, name: str = "") -> None:
        """Keeps the newest ended run in the pictures, under this name or the one in the field."""
        self._note = "there is no ended run to pin yet"
        if self.finished:
            newest = self.finished[-1]
            newest.update(pinned=True, name=name or self.name.value.strip() or newest["name"])
            self._note = f"pinned as {newest['name']}"
        self._show_all()

    def save(self, path: str | Path) -> None:
        """Writes the newest run as JSON, which `training(…, log=path)` replays; ValueError where there is none."""
        if not self._session:
            raise ValueError("there is no run to save: press Start, or call wait()")
        session.write(self._session, path, self.name.value)

    def export(self) -> None:
        """Writes the newest run as NAME.json beside the notebook, NAME being what the panel's field holds."""
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
        for row in self.children:
            for control in (*getattr(row, "children", ()), row):
                control.close()
        super().close()

    def _prepare(self) -> bool:
        """A new session from the controls; False, with the reason in the status, where they do not fit together."""
        self.stop()
        self._session, self._error, self._note, self._frame = None, None, "", frames.EMPTY
        try:
            choice = Choice(**{name: control.value for name, control in self.choices.items()})
            bank = self.teachers[choice.teacher]
            self._looked = frames.telling(bank, self.dataset, choice.labelled)
            self._session = Session(
                choice, self.dataset, bank, lambda: self.knobs, log=self._pending, watch=self._watch)
            self._pending, self._count = None, self._count + 1
        except Exception as error:
            self._error = error
        self._show_all()
        return self._session is not None

    def _watch(self, run: Session) -> None:
        """Called in the thread that trains."""
        if run is not self._session:
            return
        if run.replays and run.log:
            for name, slider in self.sliders.items():
                slider.value = run.log[-1][name]
        if run.ended and run.accuracies:
            self.finished.append(frames.ended(run, f"run {self._count}"))
            for old in [kept for kept in self.finished if not kept["pinned"]][:-RUNS]:
                self.finished.remove(old)
        self.buttons["pause"].description = "Resume" if run.held and not run.ended else "Pause"
        # what ended the training, bad labels for instance, may make a new picture impossible as well
        with contextlib.suppress(Exception if run.error else ()):
            self._frame = frames.frame(run, self._looked)
        self._show()
        if run.ended:
            self.canvas.send(*frames.runs(self.finished))

    def _show(self) -> None:
        (header, buffers), status = self._frame, self.status
        summary = frames.spoken(self._session, status, header["share"])
        self.canvas.send(header | {"state": self.state, "status": status, "summary": summary}, buffers)

    def _show_all(self) -> None:
        """Everything once, from what is at hand: a student that trains is not touched from this thread."""
        self.canvas.send(*frames.pictures(self.dataset, self._looked))
        self._show()
        self.canvas.send(*frames.runs(self.finished))


def sliders(knobs: Knobs) -> dict[str, widgets.Widget]:
    """A slider for each knob, which starts at the knob's value; one beyond the usual range widens that range."""
    two, ten, looks = math.log2(knobs.temperature), math.log10(knobs.lr), PLAIN | {"layout": {"width": "276px"}}
    return base.classed("kd", {
        "alpha": widgets.FloatSlider(knobs.alpha, min=0, max=1, step=0.05, description="alpha", **looks),
        "temperature": widgets.FloatLogSlider(
            knobs.temperature, base=2, min=min(-2, two), max=max(5, two), step=0.25, readout_format=".2f",
            description="temperature", **looks),
        "lr": widgets.FloatLogSlider(
            knobs.lr, base=10, min=min(-4, ten), max=max(-0.5, ten), step=0.1, readout_format=".2g",
            description="learning rate", **looks),
    })


def choices(choice: Choice, students: Sequence[str], teachers: Iterable[str], images: int) -> dict[str, widgets.Widget]:
    """A dropdown for each field of a choice, with that choice selected, among these names and so many images."""
    counts = sorted({n for n in (10, 25, 50, 100, 250, 1000) if n < images} | {choice.labelled, images})
    options = {
        "student": ("student", list(dict.fromkeys([choice.student, *students]))),
        "teacher": ("teacher", list(teachers)),
        "labelled": ("labelled images", [(f"{n:,}", n) for n in counts]),
        "seed": ("seed", list(range(choice.seed, choice.seed + 5))),
        "steps": ("steps", [(f"{n:,}", n) for n in sorted({300, 3_000, 30_000, 300_000, choice.steps})]),
    }
    looks = PLAIN | {"layout": {"width": "max-content"}}
    return base.classed("kd", {
        name: widgets.Dropdown(options=given, value=getattr(choice, name), description=text, **looks)
        for name, (text, given) in options.items()
    })
