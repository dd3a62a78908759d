"""The missing class: students that never see one class, and how much of it they recognise while they train.

The caller's function trains them; here its looks are followed, in a thread once Go is pressed, and drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure

from workbook.panels import base
from workbook.plots import COLORS, LINES, MARKERS, side_by_side

Look = tuple[int, Mapping[str, Sequence[float]]]  # step, and name → recall of every class


class MissingClass(base.Panel):
    """Leaves one class out of students' training images, and shows how much of it they recognise as they train.

    It opens on a finished run of the first choice, made in the calling thread, so that it is a picture where there is
    no front end; what that run raises is raised. Go trains in a daemon thread, Stop or another choice ends it. Opening
    a panel ends the runs of all earlier ones. `looks` is what the newest run has yielded so far.

    Args:
        run: maps (class, temperature) to an iterator that trains students and yields, on the way and at the end,
            (step, name → recall for every class, in [0, 1], one name for each student).
        classes: names.
        missing: the class that is left out at first.
        temperature: where the slider starts, in [0.5, 32].

    Raises:
        ValueError: no such class, or a first run that yields nothing.
    """

    def __init__(
        self, run: Callable[[int, float], Iterator[Look]], classes: Sequence[str], *, missing: int = 0,
        temperature: float = 4.0,
    ):
        self._run, self._classes, self.looks = run, list(classes), []
        self._work, self._end = base.Work(lambda: None, ""), 0
        if not 0 <= missing < len(classes):
            raise ValueError(f"missing must be in 0 .. {len(classes) - 1}, got {missing}")
        named = [(name, i) for i, name in enumerate(classes)]
        controls = {
            "missing": widgets.Dropdown(options=named, value=missing, description="left out"),
            "temperature": widgets.FloatLogSlider(
                value=temperature, base=2, min=-1, max=5, step=0.5, readout_format=".2f", description="temperature T",
                continuous_update=False),
        }
        super().__init__("missing", controls, {"Go": self.go, "Stop": self.stop})
        for control in self.controls.values():
            control.observe(lambda change: self.stop(), "value")
        base.alone(self)
        self.follow(**self.chosen)

    def go(self) -> None:
        """Trains in a thread, from the beginning; a run that is under way ends first."""
        self.stop()
        chosen = self.chosen

        def follow():
            try:
                self.follow(**chosen, work=work)
            except Exception as error:  # whatever it is, the panel shows it and stays usable
                self.fail(error)

        work = self._work = base.Work(follow, "missing class")
        work.start()

    def stop(self) -> None:
        """Ends the run that is under way, and waits until its thread is gone."""
        self._work.stop()

    def close(self) -> None:
        """Ends the run and takes the panel away."""
        self.stop()
        super().close()

    def follow(self, missing: int, temperature: float, work: base.Work | None = None) -> None:
        """A whole run in the calling thread; drawn on the way where it is the work that others may end."""
        name, pace, self.looks = self._classes[missing], base.Pace(8, 0.5), []
        self.say(f"training without any {name} …")
        for look in self._run(missing, temperature):
            self.looks.append(look)
            if work:
                if not work.allowed():
                    return self.say(f"stopped after step {look[0]:,}; Go begins anew")
                pace.draw(lambda: self.show(recalls(self.looks, missing, self._classes, end=self._end)))
        if not self.looks:
            wanted = "it must yield (step, {name: recall of every class}) on the way"
            raise ValueError(f"the function gave no look; {wanted}")
        self._end = look[0]
        self.show(recalls(self.looks, missing, self._classes))
        self.say(f"finished after step {self._end:,}; recognised of the class {name}: {_shares(look, missing)}")


def recalls(looks: Sequence[Look], missing: int, classes: Sequence[str], *, end: int = 0) -> Figure:
    """Recall of the missing class over the steps, up to `end` at least, beside that of every class at the last look.

    It sets no global style, because a thread draws it.
    """
    steps, (last, found) = [step for step, _ in looks], looks[-1]
    picture = Figure(figsize=(10.6, 3.9))
    left, right = picture.subplots(1, 2, width_ratios=[1, 1.35])
    picture.subplots_adjust(left=0.07, right=0.99, bottom=0.15, top=0.79, wspace=0.16)
    title = f"No {classes[missing]} in training. Recognised of them after step {last:,}: {_shares(looks[-1], missing)}"
    picture.suptitle(title, x=0.01, ha="left", fontsize=14)
    right.axvspan(missing - 0.5, missing + 0.5, color="#ececec")
    side_by_side(right, found, classes)
    for i, name in enumerate(found):
        color, own = COLORS[i % 7], [seen[name][missing] for _, seen in looks]
        style = dict(color=color, marker=MARKERS[i % 7] if len(steps) <= 60 else None, markersize=5, linewidth=2)
        left.plot(steps, own, LINES[i % 4], label=name, clip_on=False, **style)
    for ax, title, xlabel, xlim in (
        (left, f"share of the class {classes[missing]} recognised", "step", (0, max(end, last))),
        (right, "share of each class", "class (grey: left out)", (-0.6, len(classes) - 0.4)),
    ):
        ax.set(xlim=xlim, ylim=(0, 1))
        ax.set_xlabel(xlabel, fontsize=12)
        ax.set_title(title, loc="left", fontsize=13)
        ax.tick_params(labelsize=12)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
        ax.grid(axis="both" if ax is left else "y", color="#e4e4e4")
    legend = dict(fontsize=12, edgecolor="none", borderaxespad=0.2)
    left.legend(loc="center right", bbox_to_anchor=(1, 0.4), framealpha=0.8, **legend)  # between 0 and the rise
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(found), framealpha=0, **legend)
    return picture


def _shares(look: Look, missing: int) -> str:
    return ", ".join(f"{name} {100 * recall[missing]:.0f} %" for name, recall in look[1].items())
