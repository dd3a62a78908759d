"""The panels: a widget a file, and one function that opens it, `panels.NAME(…)`.

What they share stands in base.py; the steered run of the training panel in session.py, its pictures in frames.py.
"""

from workbook.panels.explorer import explorer
from workbook.panels.grid import grid
from workbook.panels.latency import latency
from workbook.panels.missing_class import missing_class
from workbook.panels.training import training

__all__ = ["explorer", "grid", "latency", "missing_class", "training"]
