"""The panels: a widget a file, opened by `panels.NAME(…)`.

What they share stands in base.py; the steered run of the training panel in session.py, its pictures in frames.py.
"""

from workbook.panels.conventions import Conventions as conventions
from workbook.panels.explorer import Explorer as explorer
from workbook.panels.grid import MapPanel as grid
from workbook.panels.latency import Latency as latency
from workbook.panels.missing_class import MissingClass as missing_class
from workbook.panels.prediction import Prediction as prediction
from workbook.panels.training import Run as training

__all__ = ["conventions", "explorer", "grid", "latency", "missing_class", "prediction", "training"]
