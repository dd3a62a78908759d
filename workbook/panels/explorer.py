"""The explorer: a teacher's soft targets for a picture or for typed logits, while the temperature moves.

explorer.js computes and draws in the browser; here are its state and its static figure.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from kdlab.losses import soft_targets
from workbook import plots
from workbook.panels.base import Pictured

LOW, HIGH = 0.25, 32.0  # the temperature's ends


class Explorer(Pictured, anywidget.AnyWidget):
    """A teacher's soft targets for a chosen picture or typed logits, with entropy and ranking, as T moves.

    Its traits can be read and set: `image`; `temperature`; `logits`, those typed, empty while the picture's are shown.

    Args:
        logits: (n, classes), the teacher's.
        images: uint8 (n, channels, height, width), the pictures.
        classes: names.
        temperature: where the slider starts, in [0.25, 32]; a value beyond starts at the end.

    Raises:
        ValueError: logits that do not fit images or classes.
    """

    _esm = Path(__file__).with_name("explorer.js")
    told = "a panel with image, temperature, logits"
    image = traitlets.Int(0, min=0).tag(sync=True)
    temperature = traitlets.Float(4.0, min=LOW, max=HIGH).tag(sync=True)
    logits = traitlets.List(traitlets.Float()).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    table = traitlets.Bytes().tag(sync=True)  # float32 (n, classes)
    pictures = traitlets.Bytes().tag(sync=True)  # uint8 (n, channels, height, width)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # of the pictures
    bounds = traitlets.List([LOW, HIGH]).tag(sync=True)  # of the temperature

    def __init__(self, logits: Tensor, images: Tensor, classes: Sequence[str], *, temperature: float = 4.0):
        if logits.shape != (len(images), len(classes)):
            raise ValueError(f"logits must be {len(images), len(classes)} (images, classes), got {tuple(logits.shape)}")
        super().__init__(
            table=logits.detach().float().cpu().numpy().tobytes(),
            pictures=images.cpu().numpy().tobytes(),
            shape=list(images.shape),
            classes=list(classes),
            temperature=min(max(temperature, LOW), HIGH),
        )

    @traitlets.validate("image")
    def _is_there(self, proposal):
        if proposal["value"] >= self.shape[0]:
            raise traitlets.TraitError(f"image must be below {self.shape[0]}, got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("logits")
    def _fits(self, proposal):
        if len(given := proposal["value"]) not in (0, len(self.classes)) or not all(map(math.isfinite, given)):
            raise traitlets.TraitError(f"logits must be {len(self.classes)} finite numbers or none, got {given}")
        return given

    def figure(self) -> Figure:
        """The state as a static figure: bars at T = 1 and at the temperature chosen, and the entropy of both."""
        row = np.frombuffer(self.table, np.float32).reshape(-1, len(self.classes))[self.image]
        logits = torch.tensor(self.logits or row.tolist())  # (classes,)
        rows = {f"T = {t:g}": soft_targets(logits, t) for t in dict.fromkeys((1.0, round(self.temperature, 2)))}
        bits = [torch.special.entr(p).sum().item() / math.log(2) for p in rows.values()]
        title = "entropy " + ", ".join(f"{b:.2f} bits at {name}" for name, b in zip(rows, bits))
        pictures = torch.tensor(np.frombuffer(self.pictures, np.uint8)).reshape(*self.shape)
        picture = None if self.logits else pictures[self.image]
        return plots.bars({n: p.tolist() for n, p in rows.items()}, self.classes, title=title, picture=picture)
