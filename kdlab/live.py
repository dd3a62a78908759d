"""Panels: sliders that redraw a figure, or retrain a student and redraw.

Nothing below this module knows that widgets exist. Where no front end is there, a panel is its picture.
"""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure
from torch import Tensor

from kdlab import plots
from kdlab.losses import soft_targets


class Panel(widgets.VBox):
    """Controls above a figure that is drawn anew after each move.

    Its picture is part of the notebook's output, so that a closed kernel, GitHub and nbconvert show it.

    Args:
        draw: called with the controls' values by name; returns a Figure.
        **controls: widgets with a `value`.
    """

    def __init__(self, draw: Callable[..., Figure], **controls: widgets.Widget):
        self._draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.message = widgets.HTML()
        for control in controls.values():
            control.style.description_width = "110px"
            control.layout.width = "460px"
            control.observe(lambda change: self.redraw(), "value")
        self.redraw()
        super().__init__([*controls.values(), self.message, self.picture])

    def redraw(self) -> None:
        """Draws with the values as they stand; an error is shown in the panel, which stays usable."""
        try:
            figure = self._draw(**{name: control.value for name, control in self.controls.items()})
        except Exception as error:
            self.message.value = f"<b>{type(error).__name__}:</b> {html.escape(str(error))}"
            return
        self.message.value = ""
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=90)
        self.picture.value = png.getvalue()

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        text = f"a panel with {', '.join(self.controls)}"
        return bundle | {"text/plain": text, "image/png": base64.b64encode(self.picture.value).decode()}


def explorer(logits: Tensor, images: Tensor, classes: Sequence[str], *, temperature: float = 4.0) -> Panel:
    """A teacher's soft targets for a chosen picture, with their entropy, as the temperature moves.

    Args:
        logits: (n, classes), the teacher's.
        images: uint8 (n, channels, height, width), the pictures.
        classes: names.
        temperature: where the slider starts, in [0.25, 32].

    Returns:
        A Panel.
    """

    def draw(image: int, temperature: float) -> Figure:
        rows = {f"T = {t:g}": soft_targets(logits[image], t) for t in dict.fromkeys((1.0, round(temperature, 2)))}
        bits = [-(p * p.clamp_min(1e-30).log2()).sum().item() for p in rows.values()]
        title = "entropy " + ", ".join(f"{b:.2f} bits at {name}" for name, b in zip(rows, bits))
        return plots.bars({n: p.tolist() for n, p in rows.items()}, classes, title=title, picture=images[image])

    return Panel(
        draw,
        image=widgets.IntSlider(0, 0, len(images) - 1, description="image"),
        temperature=widgets.FloatLogSlider(
            temperature, base=2, min=-2, max=5, step=0.25, readout_format=".2f", description="temperature T"
        ),
    )


def retrain(run: Callable[[float, float], float], *, alone: float, alpha: float = 1.0, temperature: float = 4.0) -> Panel:
    """Trains a student after each move of alpha or T, and adds it to a scatter of all runs so far.

    Args:
        run: maps (alpha, temperature) to a test accuracy in percent.
        alone: the accuracy in percent of the student without a teacher, drawn as a line.
        alpha, temperature: where the sliders start.

    Returns:
        A Panel; its attribute `runs` lists (alpha, temperature, accuracy) in the order they were made.
    """
    runs: list[tuple[float, float, float]] = []

    def draw(alpha: float, temperature: float) -> Figure:
        runs.append((alpha, temperature, run(alpha, temperature)))
        return plots.runs(runs, alone=alone)

    panel = Panel(
        draw,
        alpha=widgets.FloatSlider(alpha, min=0, max=1, step=0.05, description="alpha", continuous_update=False),
        temperature=_temperature_slider(temperature),
    )
    panel.runs = runs
    return panel


def missing_class(
    run: Callable[[int, float], Mapping[str, Sequence[float]]], classes: Sequence[str], *, missing: int = 3,
    temperature: float = 4.0,
) -> Panel:
    """Leaves one class out of a student's training images, and shows how much of each class it recognises.

    Args:
        run: maps (class, temperature) to name → recall for every class, in [0, 1], one name for each student.
        classes: names.
        missing: the class that is left out at first.
        temperature: where the slider starts, in [0.5, 32].

    Returns:
        A Panel.
    """

    def draw(missing: int, temperature: float) -> Figure:
        found = run(missing, temperature)
        shares = ", ".join(f"{name} {100 * recall[missing]:.0f} %" for name, recall in found.items())
        title = f"No {classes[missing]} in training. Recognised of them: {shares}"
        return plots.bars(found, classes, title=title, ylabel="share recognised")

    return Panel(
        draw,
        missing=widgets.Dropdown(
            options=[(name, i) for i, name in enumerate(classes)], value=missing, description="left out"
        ),
        temperature=_temperature_slider(temperature),
    )


def _temperature_slider(value: float) -> widgets.FloatLogSlider:
    """For panels that retrain: it reports where it is let go, not on the way."""
    return widgets.FloatLogSlider(
        value, base=2, min=-1, max=5, step=0.5, readout_format=".2f", description="temperature T",
        continuous_update=False,
    )
