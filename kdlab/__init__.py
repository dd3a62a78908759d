"""kdlab: the thin package behind the distillation workbook. It imports nothing until a module is asked for."""

__version__ = "0.1.0"
