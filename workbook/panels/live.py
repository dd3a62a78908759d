"""Panels: sliders and buttons that compute and redraw. The one that steers a training is steer.py's.

Nothing below this module knows that widgets exist. Where no front end is there, a panel is its picture.
"""

import base64
import html
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from torch import Tensor, nn

from kdlab import devices, latency
from workbook import plots, runtimes
from workbook.panels.controls import Keys
from kdlab.losses import soft_targets


class Panel(widgets.VBox):
    """Controls above a figure that is drawn anew after each move.

    Its picture is part of the notebook's output, so that a closed kernel, GitHub and nbconvert show it.

    Args:
        draw: called with the controls' values by name; returns a Figure.
        name: its parts have the CSS classes kd-NAME-message, kd-NAME-picture and one kd-NAME-… for each control.
        button: a text; where there is one, moves wait until a button with this text is pressed.
        **controls: widgets with a `value`.
    """

    def __init__(self, draw: Callable[..., Figure], *, name: str = "panel", button: str = "", **controls: widgets.Widget):
        self._draw, self.controls = draw, controls
        self.button = widgets.Button(description=button, button_style="primary")
        self.picture = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.message, self._keys = widgets.HTML(), Keys(layout={"display": "none"})
        for control in controls.values():
            control.style.description_width = "110px"
            control.layout.width = "460px"
            if not button:
                control.observe(lambda change: self.redraw(), "value")
        self.button.on_click(lambda _: self.press())
        parts = {**controls, **({button.lower(): self.button} if button else {})}
        parts |= {"message": self.message, "picture": self.picture}
        for part, widget in parts.items():
            widget.add_class(f"kd-{name}-{part}")
        self.redraw()
        super().__init__([*parts.values(), self._keys])
        self.add_class("kd-panel")

    def press(self) -> None:
        """What the button does."""
        self.redraw()

    def redraw(self) -> None:
        """Draws with the values as they stand; an error is shown in the panel, which stays usable."""
        self.button.disabled = True
        try:
            self.show(self._draw(**{name: control.value for name, control in self.controls.items()}))
            self.message.value = ""
        except Exception as error:
            self.fail(error)
        finally:
            self.button.disabled = False

    def show(self, figure: Figure) -> None:
        """Puts a figure into the panel; its titles are what a screen reader says of it."""
        titles = [figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)]
        self.picture.value, self._keys.picture = _png(figure), "figure. " + ". ".join(filter(None, titles))

    def say(self, sentence: str) -> None:
        """Shows a sentence above the figure, and has a screen reader speak it."""
        self.message.value = f'<div role="status">{html.escape(sentence)}</div>'

    def fail(self, error: Exception) -> None:
        """Shows what went wrong in place of the sentence."""
        self.message.value = f'<b role="alert">⚠ {type(error).__name__}: {html.escape(str(error))}</b>'

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


def latency_panel(
    models: Mapping[str, nn.Module], shape: tuple[int, int, int], *, batches: Sequence[int] = (1, 4, 16, 64, 256),
    min_seconds: float = 0.2,
) -> Panel:
    """Measures the chosen setting at each press of its button, and draws all measurements so far.

    The measurement runs in the button's callback; a cell that computes at the same time disturbs it.

    Args:
        models: name → model.
        shape: (channels, height, width) of one image.
        batches: images per call to choose from, each >= 1.
        min_seconds: how long each setting is timed at least.

    Returns:
        A Panel with one measurement made; its attribute `rows` lists every latency.Row in the order they were made.
    """
    rows: list[latency.Row] = []
    said = widgets.HTML()
    said.add_class("kd-latency-said")

    def draw(model: str, batch: Sequence[int], device: str, threads: int, setting: str) -> Figure:
        found = latency.sweep(
            {model: models[model]}, shape, batches=batch, devices=[device], threads=[threads], variants=[setting],
            min_seconds=min_seconds, min_runs=9,
        )
        if not any(row.timing for row in found):
            raise latency.Unavailable(found[0].skipped)
        rows.extend(row for row in found if row.timing)
        said.value = '<div role="status">' + "<br>".join(html.escape(_in_words(row)) for row in found) + "</div>"
        return _latencies(rows)

    here = [runtimes.at_hand(device) for device in devices.available()]
    settings = [name for name in runtimes.RUNTIMES if any(not reasons[name] for reasons in here)]
    counts = sorted({1, *(n for n in (2, 4, 8, 16, 32) if n < (os.cpu_count() or 1)), os.cpu_count() or 1})
    panel = Panel(
        draw,
        name="latency",
        button="Measure",
        model=widgets.Dropdown(options=list(models), description="model"),
        batch=widgets.Dropdown(
            options=[*((str(n), (n,)) for n in batches), ("all of them", tuple(batches))], description="batch"
        ),
        device=widgets.Dropdown(options=devices.available(), value="cpu", description="device"),
        threads=widgets.Dropdown(options=counts, description="CPU threads"),
        setting=widgets.Dropdown(options=settings, description="setting"),
    )
    panel.children = (*panel.children, said)
    panel.rows = rows
    return panel


def _in_words(row: latency.Row) -> str:
    where = row.device if row.threads is None else f"{row.device}, {row.threads} thread{'s' * (row.threads > 1)}"
    text = f"{row.model}, {where}, {row.variant}, batch {row.batch}: "
    if row.timing is None:
        return text + row.skipped
    return text + f"{row.milliseconds:.3g} ms (p5 {1e3 * row.timing.p5:.3g}, p95 {1e3 * row.timing.p95:.3g})"


@matplotlib.rc_context({"font.size": 12, "axes.titlesize": 13, "axes.titlelocation": "left", "axes.axisbelow": True})
def _latencies(rows: Sequence[latency.Row]) -> Figure:
    """A bar with p5 to p95 for each of the last 16 rows, over milliseconds per image against batch for all of them."""
    named = [_in_words(row).split(": ")[0].rsplit(", batch ", 1) for row in rows]  # (setting, batch)
    settings = list(dict.fromkeys(setting for setting, _ in named))
    last = range(max(0, len(rows) - 16), len(rows))
    figure = Figure(figsize=(10, 5.2 + 0.36 * len(last)), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[1.2 + 0.36 * len(last), 4])
    for i in last:
        row, kind = rows[i], settings.index(named[i][0])
        low, high = 1e3 * row.timing.p5, 1e3 * row.timing.p95
        top.barh(i, row.milliseconds, 0.7, color=plots.COLORS[kind % 7], hatch=("", "//", "..", "xx")[kind % 4], edgecolor="white")
        top.plot([low, high], [i, i], color="black", marker="|", markersize=10)
        top.annotate(f"{row.milliseconds:.3g}", (high, i), (8, 0), textcoords="offset points", va="center")
    top.set_yticks(last, [f"{named[i][0]}, batch {named[i][1]}" for i in last])
    top.set(title="Milliseconds per call: median, p5 to p95", xlabel="milliseconds", xscale="log")
    top.invert_yaxis()
    lows, highs = zip(*((1e3 * rows[i].timing.p5, 1e3 * rows[i].timing.p95) for i in last))
    top.set_xlim(min(lows) / 2, max(highs) * (max(highs) / min(lows)) ** 0.12 * 1.2)  # room for the figures
    for kind, setting in enumerate(settings):
        curve = sorted({row.batch: row.milliseconds / row.batch for row, (s, _) in zip(rows, named) if s == setting}.items())
        style = dict(color=plots.COLORS[kind % 7], marker=plots.MARKERS[kind % 7], linestyle=plots.LINES[kind % 4])
        bottom.plot(*zip(*curve), label=setting, linewidth=2, markersize=8, **style)
    bottom.set(title="Where curves cross, the choice changes", xlabel="batch size",
               ylabel="milliseconds per image", yscale="log")
    bottom.set_xscale("log", base=2)
    bottom.set_xticks(ticks := sorted({row.batch for row in rows}), [str(tick) for tick in ticks])
    for axis in (top.xaxis, bottom.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    bottom.grid(color="#e4e4e4")
    figure.legend(loc="outside lower right", frameon=False)  # curves may fill the axes
    return figure


def _png(figure: Figure) -> bytes:
    figure.savefig(png := io.BytesIO(), format="png", dpi=90)
    return png.getvalue()
