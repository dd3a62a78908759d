"""Panels: sliders and buttons that compute and redraw. The one that steers a training is steer.py's.

Nothing below this module knows that widgets exist. Where no front end is there, a panel is its picture.
"""

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import torch
import traitlets
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
        self.picture.value = _png(figure)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        text = f"a panel with {', '.join(self.controls)}"
        return bundle | {"text/plain": text, "image/png": base64.b64encode(self.picture.value).decode()}


class Explorer(anywidget.AnyWidget):
    """What `explorer` returns. `explorer.js` computes and draws in the browser, and the kernel hears of each move.

    Its traits can be read and set: `image`; `temperature`; `logits`, those typed, empty while the picture's are shown.
    """

    _esm = Path(__file__).with_name("explorer.js")
    image = traitlets.Int(0, min=0).tag(sync=True)
    temperature = traitlets.Float(4.0, min=0.25, max=32.0).tag(sync=True)
    logits = traitlets.List(traitlets.Float()).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    table = traitlets.Bytes().tag(sync=True)  # float32 (n, classes)
    pictures = traitlets.Bytes().tag(sync=True)  # uint8 (n, channels, height, width)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # of the pictures
    bounds = traitlets.List([0.25, 32.0]).tag(sync=True)  # of the temperature

    @traitlets.validate("image")
    def _is_there(self, proposal):
        if proposal["value"] >= self.shape[0]:
            raise traitlets.TraitError(f"image must be below {self.shape[0]}, got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("logits")
    def _fits(self, proposal):
        if len(given := proposal["value"]) not in (0, len(self.classes)) or not all(map(math.isfinite, given)):
            raise traitlets.TraitError(f"logits must be {len(self.classes)} finite numbers or none, got {given}")
        return given

    def figure(self) -> Figure:
        """The state as a static figure: bars at T = 1 and at the temperature chosen, and the entropy of both."""
        row = np.frombuffer(self.table, np.float32).reshape(len(self.table) // 4 // len(self.classes), -1)[self.image]
        logits = torch.tensor(self.logits or row.tolist())  # (classes,)
        rows = {f"T = {t:g}": soft_targets(logits, t) for t in dict.fromkeys((1.0, round(self.temperature, 2)))}
        bits = [torch.special.entr(p).sum().item() / math.log(2) for p in rows.values()]
        title = "entropy " + ", ".join(f"{b:.2f} bits at {name}" for name, b in zip(rows, bits))
        pictures = torch.tensor(np.frombuffer(self.pictures, np.uint8)).reshape(*self.shape)
        picture = None if self.logits else pictures[self.image]
        return plots.bars({n: p.tolist() for n, p in rows.items()}, self.classes, title=title, picture=picture)

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        text = "a panel with image, temperature, logits"
        return bundle | {"text/plain": text, "image/png": base64.b64encode(_png(self.figure())).decode()}, metadata


def explorer(logits: Tensor, images: Tensor, classes: Sequence[str], *, temperature: float = 4.0) -> Explorer:
    """A teacher's soft targets for a chosen picture or typed logits, with entropy and ranking, as T moves.

    Args:
        logits: (n, classes), the teacher's.
        images: uint8 (n, channels, height, width), the pictures.
        classes: names.
        temperature: where the slider starts, in [0.25, 32]; a value beyond starts at the end.

    Returns:
        An Explorer.

    Raises:
        ValueError: logits that do not fit images or classes.
    """
    if logits.shape != (len(images), len(classes)):
        raise ValueError(f"logits must be {len(images), len(classes)} (images, classes), got {tuple(logits.shape)}")
    return Explorer(
        table=logits.detach().float().cpu().numpy().tobytes(),
        pictures=images.cpu().numpy().tobytes(),
        shape=list(images.shape),
        classes=list(classes),
        temperature=min(max(temperature, 0.25), 32.0),
    )


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


def _png(figure: Figure) -> bytes:
    figure.savefig(png := io.BytesIO(), format="png", dpi=90)
    return png.getvalue()
