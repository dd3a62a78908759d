"""The translator of conventions: one library's settings in all others' words, and what an unchanged copy would do.

conventions.js computes and draws in the browser; here are its state and its static figure. It is handed the translator.
"""

import contextlib
from pathlib import Path

import anywidget
import traitlets
from matplotlib.figure import Figure

from workbook.panels.base import Pictured
from workbook.plots.conventions import copies


class Conventions(Pictured, anywidget.AnyWidget):
    """A convention with its settings, the equal settings of all others, and what copying the numbers would do.

    Its traits can be read and set: `source`, a convention's name; `settings`, its numbers by name; `classes`.
    Another source begins as published where its numbers have other names.

    Args:
        translator: what workbook.labs.conventions is: `CONVENTIONS`, `find` and `times`.
        source: the convention to begin with.
        settings: its numbers; those left out are as published.
        classes: how many, 2 or more.

    Raises:
        ValueError: a convention that is not there or does not translate, or settings that it cannot take.
    """

    _esm = Path(__file__).with_name("conventions.js")
    told = "a panel with convention, settings, classes"
    source = traitlets.Unicode().tag(sync=True)
    settings = traitlets.Dict(key_trait=traitlets.Unicode()).tag(sync=True)
    classes = traitlets.Int(10, min=2).tag(sync=True)
    conventions = traitlets.List().tag(sync=True)  # what `facts` says of each

    def __init__(self, translator, *, source: str = "kdlab", settings: dict | None = None, classes: int = 10):
        if not isinstance(classes, int) or classes < 2:
            raise ValueError(f"classes must be a whole number >= 2, got {classes}")
        self._translator = translator
        translator.find(source).pull(settings or {}, classes)  # a sentence where it cannot be translated
        super().__init__(
            conventions=[convention.facts() for convention in translator.CONVENTIONS.values()], source=source,
            settings=translator.find(source).complete(settings or {}), classes=classes,
        )

    @traitlets.validate("source")
    def _is_there(self, proposal):
        try:
            if not self._translator.find(proposal["value"]).translatable:
                raise ValueError(f"{proposal['value']} has another loss, which no setting of a KL translates")
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal["value"]

    @traitlets.validate("settings")
    def _fits(self, proposal):
        start, given = self._translator.find(self.source).start, proposal["value"]
        if set(given) != set(start) or not all(isinstance(value, int | float) for value in given.values()):
            raise traitlets.TraitError(f"settings of {self.source} must be numbers for {', '.join(start)}, got {given}")
        return given

    @traitlets.observe("source")
    def _begin(self, change):
        start = self._translator.find(self.source).start
        if set(self.settings) != set(start):
            self.settings = dict(start)

    def figure(self) -> Figure:
        """The state as a static figure: by how many times the teacher counts too little or too much, copied."""
        one, found = self._translator.find(self.source), {}
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.settings.items())
        for name, convention in self._translator.CONVENTIONS.items():
            if convention.translatable and convention is not one:
                with contextlib.suppress(ValueError):  # a number that the other does not take
                    found[name] = self._translator.times(self.settings, self.source, name, self.classes)
        return copies(found, title=f"{self.source}, {numbers}, copied unchanged; {self.classes} classes")
