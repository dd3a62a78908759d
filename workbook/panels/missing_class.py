"""The missing class: students that never see one class, and how much of it they recognise while they train.

The caller's function trains them; here its looks are followed, in a thread once Go is pressed, and drawn.
"""

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from workbook.panels.live import Panel
from workbook.plots import COLORS, LINES, MARKERS

FRAMES = 8.0  # pictures a second at most
Look = tuple[int, Mapping[str, Sequence[float]]]  # step, and name → recall of every class
_OPEN: "weakref.WeakSet[Missing]" = weakref.WeakSet()


class Missing(Panel):
    """What `panel` returns: Go trains in a daemon thread, Stop or another choice ends it.

    Attributes:
        looks: what the newest run has yielded so far.
    """

    def __init__(self, run: Callable[[int, float], Iterator[Look]], classes: Sequence[str], missing: int, temperature: float):
        self._run, self._classes, self.looks = run, list(classes), []
        self._halted, self._thread, self._end = threading.Event(), None, 0
        halt = widgets.Button(description="Stop")
        halt.add_class("kd-missing-stop")
        halt.on_click(lambda _: self.stop())
        left_out = widgets.Dropdown(options=[(name, i) for i, name in enumerate(classes)], value=missing, description="left out")
        heat = widgets.FloatLogSlider(value=temperature, base=2, min=-1, max=5, step=0.5, readout_format=".2f",
                                      description="temperature T", continuous_update=False)
        super().__init__(None, name="missing", button="Go", missing=left_out, temperature=heat)
        self.children = [widgets.HBox([part, halt]) if part is self.button else part for part in self.children]
        for control in self.controls.values():
            control.observe(lambda change: self.stop(), "value")
        _OPEN.add(self)

    def redraw(self) -> None:
        """A whole run in the calling thread, with the controls as they stand; what it raises is raised."""
        self.stop()
        self._follow(*(control.value for control in self.controls.values()))

    def press(self) -> None:
        """What Go does: trains in a thread, from the beginning; a run that is under way ends first."""
        self.stop()
        chosen, threads = [control.value for control in self.controls.values()], torch.get_num_threads()
        halted = self._halted = threading.Event()

        def work():
            torch.set_num_threads(threads)
            try:
                self._follow(*chosen, halted)
            except Exception as error:  # whatever it is, the panel shows it and stays usable
                self.fail(error)

        self._thread = threading.Thread(target=work, name="kdlab missing class", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the run that is under way, and waits until its thread is gone."""
        self._halted.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(30)

    def close(self) -> None:
        """Ends the run and takes the panel away."""
        self.stop()
        _OPEN.discard(self)
        super().close()

    def _follow(self, missing: int, temperature: float, halted: threading.Event | None = None) -> None:
        """Draws on the way where it may be halted, and the last look in any case."""
        name, due, self.looks = self._classes[missing], 0.0, []
        self.say(f"training without any {name} …")
        for look in self._run(missing, temperature):
            self.looks.append(look)
            if halted is None:
                continue
            if halted.is_set():
                return self.say(f"stopped after step {look[0]:,}; Go begins anew")
            if (start := time.monotonic()) >= due:
                self.show(figure(self.looks, missing, self._classes, end=self._end))
                due = start + max(1 / FRAMES, 2 * (time.monotonic() - start))  # at least half of the time is the training's
        if not self.looks:
            raise ValueError("the function gave no look; it must yield (step, {name: recall of every class}) on the way")
        self._end = self.looks[-1][0]
        self.show(figure(self.looks, missing, self._classes))
        self.say(f"finished after step {self._end:,}; recognised of the class {name}: {_shares(self.looks[-1], missing)}")


def panel(
    run: Callable[[int, float], Iterator[Look]], classes: Sequence[str], *, missing: int = 0, temperature: float = 4.0
) -> Missing:
    """Leaves one class out of students' training images, and shows how much of it they recognise as they train.

    The panel opens on a finished run of the first choice, made in the calling thread, so that it is a picture where
    there is no front end. Opening a panel ends the runs of all earlier ones.

    Args:
        run: maps (class, temperature) to an iterator that trains students and yields, on the way and at the end,
            (step, name → recall for every class, in [0, 1], one name for each student).
        classes: names.
        missing: the class that is left out at first.
        temperature: where the slider starts, in [0.5, 32].

    Returns:
        A Missing, which shows itself.

    Raises:
        ValueError: there is no such class, or the first run yields nothing. Exception: whatever it raises.
    """
    if not 0 <= missing < len(classes):
        raise ValueError(f"missing must be in 0 .. {len(classes) - 1}, got {missing}")
    for other in list(_OPEN):
        other.stop()
    return Missing(run, classes, missing, temperature)


def figure(looks: Sequence[Look], missing: int, classes: Sequence[str], *, end: int = 0) -> Figure:
    """Recall of the missing class over the steps, beside the recall of every class at the last look.

    It sets no global style, because a thread draws it.

    Args:
        looks: at least one.
        missing: an index into classes.
        classes: names.
        end: a step up to which the axis reaches at least.

    Returns:
        A Figure.
    """
    steps, (last, found) = [step for step, _ in looks], looks[-1]
    picture = Figure(figsize=(10.6, 3.9))
    left, right = picture.subplots(1, 2, width_ratios=[1, 1.35])
    picture.subplots_adjust(left=0.07, right=0.99, bottom=0.15, top=0.79, wspace=0.16)
    picture.suptitle(f"No {classes[missing]} in training. Recognised of them after step {last:,}: {_shares(looks[-1], missing)}",
                     x=0.01, ha="left", fontsize=14)
    right.axvspan(missing - 0.5, missing + 0.5, color="#ececec")
    width = 0.8 / len(found)
    for i, (name, recall) in enumerate(found.items()):
        color, own = COLORS[i % 7], [seen[name][missing] for _, seen in looks]
        left.plot(steps, own, LINES[i % 4], color=color, marker=MARKERS[i % 7] if len(steps) <= 60 else None, markersize=5,
                  linewidth=2, label=name, clip_on=False)
        at = [c - 0.4 + width * (i + 0.5) for c in range(len(classes))]
        right.bar(at, recall, width, label=name, color=color, hatch=("", "//", "..", "xx")[i % 4], edgecolor="white")
    left.set(xlim=(0, max(end, last)), ylim=(0, 1))
    left.set_xlabel("step", fontsize=12)
    right.set(xlim=(-0.6, len(classes) - 0.4), ylim=(0, 1))
    right.set_xticks(range(len(classes)), classes, fontfamily="monospace")
    right.set_xlabel("class (grey: left out)", fontsize=12)
    for ax, title in ((left, f"share of the class {classes[missing]} recognised"), (right, "share of each class")):
        ax.set_title(title, loc="left", fontsize=13)
        ax.tick_params(labelsize=12)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
        ax.grid(axis="both" if ax is left else "y", color="#e4e4e4")
    left.legend(loc="center right", bbox_to_anchor=(1, 0.4), framealpha=0.8, edgecolor="none", fontsize=12)  # between 0 and the rise
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(found), frameon=False, fontsize=12, borderaxespad=0.2)
    return picture


def _shares(look: Look, missing: int) -> str:
    return ", ".join(f"{name} {100 * recall[missing]:.0f} %" for name, recall in look[1].items())


atexit.register(lambda: [panel.stop() for panel in list(_OPEN)])
