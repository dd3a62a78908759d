"""What the panels share: controls above a picture, keys that JupyterLab leaves alone, work in a thread that others end.

What a panel computes, and how that looks, stands in its own file. Where no front end is, a panel is its picture.
"""

import atexit
import base64
import html
import io
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

import anywidget
import ipywidgets as widgets
import torch
import traitlets
from matplotlib.figure import Figure

_OPEN: "weakref.WeakSet[widgets.Widget]" = weakref.WeakSet()


class Keys(anywidget.AnyWidget):
    """Unseen in a box of class kd-panel, it keeps JupyterLab from taking the keys meant for the box's controls.

    Without it, an arrow key on a dropdown goes to the next cell, and the letter b inserts one. It also tells a screen
    reader what ipywidgets leaves out: the names of the sliders' handles, and `picture`, what the box's image shows.
    """

    _esm = Path(__file__).with_name("keys.js")
    picture = traitlets.Unicode().tag(sync=True)


class Pictured:
    """A widget whose `figure()` is part of the notebook's output: a closed kernel, GitHub and nbconvert show it.

    `told` is the output's text; it does not vary.
    """

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = shown(self, super()._repr_mimebundle_(**kwargs))
        picture = base64.b64encode(png(self.figure(), 72)).decode()
        return bundle | {"text/plain": self.told, "image/png": picture}, metadata


class Panel(Pictured, widgets.VBox):
    """Controls and buttons above a sentence and a figure. It does nothing by itself: a button calls what it was given.

    Args:
        name: its parts have the CSS classes kd-NAME-message, kd-NAME-picture and one kd-NAME-… a control and button.
        controls: widgets with a `value`, by name.
        presses: what the buttons call, by their text; the first one stands out.
    """

    def __init__(self, name: str, controls: Mapping[str, widgets.Widget], presses: Mapping[str, Callable[[], None]]):
        self.controls, self.buttons, self._figure = dict(controls), {}, Figure((1, 1))
        self.message, self._keys = widgets.HTML(), Keys(layout={"display": "none"})
        self.picture = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        for control in self.controls.values():
            control.style.description_width = "110px"
            control.layout.width = "460px"
        for text, press in presses.items():
            button = widgets.Button(description=text, button_style="" if self.buttons else "primary")
            button.on_click(lambda _, press=press: press())
            self.buttons[text.lower()] = button
        classed(f"kd-{name}", self.controls | self.buttons | {"message": self.message, "picture": self.picture})
        row = widgets.HBox([*self.buttons.values()])
        super().__init__([*self.controls.values(), row, self.message, self.picture, self._keys])
        self.add_class("kd-panel")
        self.told = f"a panel with {', '.join(self.controls)}"

    @property
    def chosen(self) -> dict:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def figure(self) -> Figure:
        """The figure that is shown."""
        return self._figure

    def show(self, figure: Figure) -> None:
        """Puts a figure into the panel; its titles are what a screen reader says of it."""
        titles = [figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)]
        self._figure, self.picture.value = figure, png(figure)
        self._keys.picture = "figure. " + ". ".join(filter(None, titles))

    def say(self, sentence: str) -> None:
        """Shows a sentence above the figure, and has a screen reader speak it."""
        self.message.value = f'<div role="status">{html.escape(sentence)}</div>'

    def fail(self, error: Exception) -> None:
        """Shows what went wrong in place of the sentence."""
        self.message.value = f'<b role="alert">⚠ {type(error).__name__}: {html.escape(str(error))}</b>'


class Work:
    """Work in a daemon thread, piece by piece. Its methods may be called from any thread; all but `join` are quick.

    Args:
        do: the work, which asks `allowed` before each piece.
        name: the thread is called "kdlab NAME".
    """

    def __init__(self, do: Callable[[], None], name: str):
        self._do, self._name, self._thread, self._change = do, name, None, threading.Condition()
        self.held, self.stopped, self._singles = False, False, 0

    def start(self, *, held: bool = False) -> None:
        """Begins, with this thread's number of arithmetic threads; or waits before the first piece."""
        self.held, threads = held, torch.get_num_threads()

        def work():
            torch.set_num_threads(threads)
            self._do()

        self._thread = threading.Thread(target=work, name=f"kdlab {self._name}", daemon=True)
        self._thread.start()

    def hold(self, held: bool = True, *, after: int = 0) -> None:
        """Waits before the next piece, or once so many more are done; goes on where `held` is False."""
        with self._change:
            self.held, self._singles = held, self._singles + after if held else 0
            self._change.notify_all()

    def stop(self) -> None:
        """Ends after the piece that is under way, and waits for that."""
        with self._change:
            self.stopped = True
            self._change.notify_all()
        if self._thread is not threading.current_thread():
            self.join(30)

    def join(self, timeout: float | None = None) -> None:
        """Waits for the thread, so many seconds at most."""
        if self._thread:
            self._thread.join(timeout)

    def allowed(self, waiting: Callable[[], None] = lambda: None) -> bool:
        """Whether the next piece may come; while it is held, it calls `waiting` and waits."""
        if self.held and not self._singles and not self.stopped:
            waiting()
            with self._change:
                self._change.wait_for(lambda: not self.held or self._singles or self.stopped)
        with self._change:
            self._singles = max(0, self._singles - 1)
        return not self.stopped


class Pace:
    """Lets pictures be drawn no faster than `rate` a second, and in no more than this share of the time."""

    def __init__(self, rate: float, share: float):
        self.rate, self.share, self._due = rate, share, 0.0

    def draw(self, draw: Callable[[], None], *, now: bool = False) -> None:
        """Draws where a picture is due, or `now`."""
        start = time.monotonic()
        if now or start >= self._due:
            draw()
            self._due = start + max(1 / self.rate, (time.monotonic() - start) / self.share)


def png(figure: Figure, dpi: int = 90) -> bytes:
    """A figure as a file; the one that a notebook keeps has fewer dots."""
    figure.savefig(file := io.BytesIO(), format="png", dpi=dpi)
    return file.getvalue()


def shown(panel: widgets.Widget, made: dict | tuple[dict, dict]) -> tuple[dict, dict]:
    """A panel's output and its metadata, which in Colab name the manager that has anywidget's widgets.

    anywidget switches that manager on, and names it in the outputs of its own widgets; a box has it from one it holds.
    """
    if isinstance(made, tuple):
        return made
    return made, next(part for part in panel.children if isinstance(part, anywidget.AnyWidget))._repr_mimebundle_()[1]


def classed(prefix: str, parts: dict[str, widgets.Widget]) -> dict[str, widgets.Widget]:
    """The parts, each with the CSS class PREFIX-NAME."""
    for name, part in parts.items():
        part.add_class(f"{prefix}-{name}")
    return parts


def alone(panel: widgets.Widget) -> None:
    """Ends what earlier panels of this one's kind run; what it runs itself will end before Python does."""
    for other in list(_OPEN):
        if type(other) is type(panel):
            other.stop()
    _OPEN.add(panel)


atexit.register(lambda: [panel.stop() for panel in list(_OPEN)])
