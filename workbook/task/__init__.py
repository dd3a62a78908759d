"""Your own task: pictures from files, a teacher from a file, and a student handed over as a folder.

What to train and how stands in kdlab; each step of the way is a module here, and nothing is imported until it is used.
"""

from importlib import import_module

_HOME = {"load": "sets", "from_dataset": "sets", "picture": "pictures"}
__all__ = [*_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"workbook.task has no {name!r}; there are {', '.join(__all__)}")
    return getattr(import_module(f"workbook.task.{_HOME[name]}"), name)
