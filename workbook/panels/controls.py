"""The training panel's sliders, dropdowns and buttons: each has a label, works by keyboard, and has a class kd-NAME.

What they do is steer.py's: a slider only sets a plain number, a button calls what it was given.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
import traitlets

from workbook.panels.session import Choice
from kdlab.training import Knobs

PRESSES = {
    "start": ("Start", "train a new student; a run under way ends first"),
    "pause": ("Pause", "hold before the next step, or go on"),
    "step": ("Step", "make one step and hold"),
    "stop": ("Stop", "end this run"),
    "reset": ("Reset", "end this run, put all controls back, forget the runs that are not pinned"),
    "pin": ("Pin", "keep the newest ended run in the pictures, under the name"),
    "export": ("Export", "write the newest run as NAME.json beside the notebook"),
}


class Keys(anywidget.AnyWidget):
    """Unseen in a box of class kd-panel, it keeps JupyterLab from taking the keys meant for the box's controls.

    Without it, an arrow key on a dropdown goes to the next cell, and the letter b inserts one. It also tells a screen
    reader what ipywidgets leaves out: the names of the sliders' handles, and `picture`, what the box's image shows.
    """

    _esm = Path(__file__).with_name("keys.js")
    picture = traitlets.Unicode().tag(sync=True)


def sliders(knobs: Knobs) -> dict[str, widgets.Widget]:
    """A slider for each knob; it starts at the knob's value and sets it, in whatever thread the move arrives.

    Args:
        knobs: a value beyond a slider's usual range widens that range.

    Returns:
        alpha, temperature and lr.
    """
    two, ten = math.log2(knobs.temperature), math.log10(knobs.lr)
    given = dict(style={"description_width": "initial"}, layout={"width": "276px"})
    made = {
        "alpha": widgets.FloatSlider(knobs.alpha, min=0, max=1, step=0.05, description="alpha", **given),
        "temperature": widgets.FloatLogSlider(
            knobs.temperature, base=2, min=min(-2, two), max=max(5, two), step=0.25, readout_format=".2f",
            description="temperature", **given),
        "lr": widgets.FloatLogSlider(
            knobs.lr, base=10, min=min(-4, ten), max=max(-0.5, ten), step=0.1, readout_format=".2g",
            description="learning rate", **given),
    }
    for name, slider in made.items():
        slider.observe(lambda change, name=name: setattr(knobs, name, change["new"]), "value")
    return _classed(made)


def choices(choice: Choice, students: Sequence[str], teachers: Iterable[str], images: int) -> dict[str, widgets.Widget]:
    """A dropdown for each field of a choice, with that choice selected.

    Args:
        choice: what is selected at first.
        students, teachers: their names.
        images: how many training images there are.
    """
    counts = sorted({n for n in (10, 25, 50, 100, 250, 1000) if n < images} | {choice.labelled, images})
    lengths = sorted({300, 3_000, 30_000, 300_000, choice.steps})
    options = {
        "student": list(dict.fromkeys([choice.student, *students])),
        "teacher": list(teachers),
        "labelled": [(f"{n:,}", n) for n in counts],
        "seed": list(range(choice.seed, choice.seed + 5)),
        "steps": [(f"{n:,}", n) for n in lengths],
    }
    return _classed({
        name: widgets.Dropdown(
            options=options[name], value=getattr(choice, name), description=text,
            style={"description_width": "initial"}, layout={"width": "max-content"})
        for name, text in zip(options, ("student", "teacher", "labelled images", "seed", "steps"))
    })


def buttons(presses: Mapping[str, Callable[[], None]]) -> tuple[dict[str, widgets.Button], widgets.Text]:
    """The buttons of PRESSES, and the field for a name.

    Args:
        presses: what each of them calls.
    """
    made = {
        name: widgets.Button(description=text, tooltip=tip, layout={"width": "80px"})
        for name, (text, tip) in PRESSES.items()
    }
    for name, button in made.items():
        button.on_click(lambda button, press=presses[name]: press())
    made["start"].button_style = "primary"
    field = widgets.Text(placeholder="for Pin, Export", description="name", style={"description_width": "initial"},
                         layout={"width": "200px"})
    _classed({"name": field})
    return _classed(made), field


def _classed(made: dict[str, widgets.Widget]) -> dict[str, widgets.Widget]:
    for name, widget in made.items():
        widget.add_class(f"kd-{name}")
    return made
