"""kdlab: a teacher's knowledge into a smaller student, on the hardware at hand. This is its face; nothing is imported
until it is asked for: `import kdlab; kdlab.distil(…)`, or `from kdlab import data, distil, Knobs`.
"""

from importlib import import_module

__version__ = "0.1.0"
_ROOMS = ("bank", "data", "devices", "evaluation", "files", "latency", "losses", "models", "sources", "training")
_HOME = dict.fromkeys(("Knobs", "Step", "distil", "train", "finish"), "training")
_HOME |= dict.fromkeys(("evaluate", "predict", "paired_difference"), "evaluation")
_HOME |= {"distillation_loss": "losses", "soft_targets": "losses", "Bank": "bank", "build": "models", "cost": "models"}
__all__ = [*_ROOMS, *_HOME]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"kdlab has no {name!r}; there are {', '.join(__all__)}")
    room = import_module(f"kdlab.{_HOME.get(name, name)}")
    return getattr(room, name) if name in _HOME else room
