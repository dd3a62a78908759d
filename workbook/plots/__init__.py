"""Static figures from plain results: they take numbers and return a matplotlib Figure.

They never train, never show and never touch pyplot, so threads and callbacks may call them. base.py holds the style,
general.py the figures for any results; what one notebook alone draws stands in a file of its own, by its subject.
"""

from workbook.plots.base import (
    CLEAR,
    COLORS,
    HATCHES,
    LETTERS,
    LINES,
    MARKERS,
    blank,
    plain_ticks,
    readable,
    side_by_side,
    styled,
)
from workbook.plots.general import bars, images, intervals, lines, matrix, pairs, points, signed

__all__ = ["CLEAR", "COLORS", "HATCHES", "LETTERS", "LINES", "MARKERS", "bars", "blank", "images", "intervals", "lines"]
__all__ += ["matrix", "pairs", "plain_ticks", "points", "readable", "side_by_side", "signed", "styled"]
