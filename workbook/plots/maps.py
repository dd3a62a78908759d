"""The figures of lab 11: the map of alpha and temperature, the lead of a chosen cell, and whom a student follows."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from workbook.plots.base import styled
from workbook.plots.general import lines, matrix, pairs

_DPI = 84  # three maps in one notebook, each 640 pixels wide


def _smaller(figure: Figure) -> Figure:
    figure.set_dpi(_DPI)
    return figure


@styled
def gains(values: Tensor, alphas: Sequence[float], temperatures: Sequence[float], *, title: str) -> Figure:
    """A map of means with their intervals, in brackets where an interval holds zero.

    Args:
        values: (alphas, temperatures, 3), each a mean with the low and the high end of its interval.
        alphas, temperatures: of its rows and columns.
        title: what the figures are, with their unit.
    """
    rows, columns = ([f"{value:g}" for value in axis] for axis in (alphas, temperatures))
    return _smaller(matrix(values, rows, columns, title=title, xlabel="temperature T", ylabel="alpha"))


@styled
def lead(there: Sequence[float], fresh: Sequence[float], *, seeds: int) -> Figure:
    """What each seed's own choice has above the mean of the plateau: where it was chosen, and on fresh seeds."""
    ends, title = ("where it was chosen", f"on {seeds} fresh seeds"), "The lead of the cell that one seed chose"
    figure = pairs(there, fresh, ends, title=title, ylabel="points above the plateau's mean")
    figure.axes[0].axhline(0, color="black", linewidth=1)
    return _smaller(figure)


@styled
def follows(temperatures: Sequence[float], series: Mapping[str, Sequence[float]]) -> Figure:
    """The correlation of student and teacher over the wrong classes, against the temperature: name → values."""
    title, ylabel = "Wrong classes: does the student follow the teacher?", "mean correlation"
    figure = lines(temperatures, series, title=title, xlabel="temperature T", ylabel=ylabel, log="x")
    figure.axes[0].set_ylim(0, 1.05)
    return _smaller(figure)
