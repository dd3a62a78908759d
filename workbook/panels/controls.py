"""The training panel's sliders and dropdowns: each has a label, works by keyboard, and has a class kd-NAME.

What a move does is training.py's.
"""

import math
from collections.abc import Iterable, Sequence

import ipywidgets as widgets

from kdlab.training import Knobs
from workbook.panels.base import classed
from workbook.panels.session import Choice

PLAIN = {"style": {"description_width": "initial"}}


def sliders(knobs: Knobs) -> dict[str, widgets.Widget]:
    """A slider for each knob, which starts at the knob's value; one beyond the usual range widens that range."""
    two, ten, looks = math.log2(knobs.temperature), math.log10(knobs.lr), PLAIN | {"layout": {"width": "276px"}}
    return classed("kd", {
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
    return classed("kd", {
        name: widgets.Dropdown(options=given, value=getattr(choice, name), description=text, **looks)
        for name, (text, given) in options.items()
    })
