"""A reader's prediction: asked before a cell runs, come back to when its result is known.

Without a front end it is a variable with a `value`, which nobody has set.
"""

import ipywidgets as widgets

from workbook.panels.base import Keys, classed, shown


class Prediction(widgets.HBox):
    """Buttons for the choices of a question, or a line to write on. Its `value` may be read and set.

    Args:
        choices: their letters, such as "abc"; "" for a line to write on.
    """

    def __init__(self, choices: str = "abc"):
        if len(set(choices)) != len(choices) or not choices.isalpha() and choices:
            raise ValueError(f"choices must be different letters, such as 'abc', or '', got {choices!r}")
        self.choices = choices
        options, narrow = [(f"({letter})", letter) for letter in choices], {"button_width": "60px"}
        self._input = (
            widgets.ToggleButtons(options=options, value=None, style=narrow)
            if choices
            else widgets.Text(placeholder="in your own words", continuous_update=True)
        )
        label, keys = widgets.Label("Your prediction:"), Keys(layout={"display": "none"})
        classed("kd-prediction", {"choice": self._input})
        super().__init__([label, self._input, keys])
        self.add_class("kd-panel")

    @property
    def value(self) -> str | None:
        """The letter chosen, or the words written; None before that."""
        return self._input.value or None

    @value.setter
    def value(self, said: str | None):
        if self.choices and said is not None and said not in list(self.choices):
            raise ValueError(f"the choices are {', '.join(self.choices)}, got {said!r}")
        self._input.value = said if self.choices else said or ""

    def answer(self, right: str) -> None:
        """Prints what was predicted, where somebody did, and what it is: one of the letters, or words.

        A line that holds a space comes first: of outputs that are collapsed JupyterLab shows the first line.
        """
        if self.choices and right not in list(self.choices):
            raise ValueError(f"the answer must be one of {', '.join(self.choices)}, got {right!r}")
        said, right = (f"({text})" if self.choices else text for text in (self.value, right))
        before = f"You predicted {said}. " if self.value else ""
        print(" ", f"{before}It is {right}." if self.choices else f"{before}{right}", sep="\n")

    def _repr_mimebundle_(self, **kwargs):
        letters = " ".join(f"({letter})" for letter in self.choices)
        bundle, metadata = shown(self, super()._repr_mimebundle_(**kwargs))
        return bundle | {"text/plain": f"Your prediction: {letters or '…'}"}, metadata
