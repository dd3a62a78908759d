"""The grid of students by alpha and temperature: a selected cell shows its student in an explorer beside the teacher's.

Training the students is the caller's; what an explorer shows is explorer.py's.
"""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from kdlab.losses import soft_targets
from workbook import plots
from workbook.panels.base import Pictured, classed
from workbook.panels.explorer import HIGH, LOW, Explorer


class Grid(anywidget.AnyWidget):
    """A table of buttons; `cell` is the row and the column of the selected one, and can be set."""

    _esm = Path(__file__).with_name("grid.js")
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    texts = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)  # (rows, columns)
    shades = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)  # (rows, columns), in [0, 1]
    cell = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)

    @traitlets.validate("cell")
    def _is_there(self, proposal):
        row, column = proposal["value"]
        rows, columns = len(self.rows), len(self.columns)
        if not (0 <= row < rows and 0 <= column < columns):
            raise traitlets.TraitError(f"cell must be within {rows} x {columns}, got {[row, column]}")
        return proposal["value"]


class MapPanel(Pictured, widgets.VBox):
    """A map of gains; the student of the selected cell, at first the largest gain's, beside its teacher.

    Its parts: `grid`, and the explorers `teacher` and `student`, which share image and temperature.

    Args:
        gains: (alphas, temperatures, 3), each a mean with the low and the high end of its interval, in points.
        alphas, temperatures: of the rows and the columns, numbers.
        teacher: (n, classes), the teacher's logits.
        students: (alphas, temperatures, n, classes), each student's logits for the same pictures.
        images: uint8 (n, channels, height, width).
        classes: names.

    Raises:
        ValueError: shapes that do not fit.
    """

    told = "a map of students with two explorers"

    def __init__(
        self, gains: Tensor, alphas: Sequence[float], temperatures: Sequence[float], *, teacher: Tensor,
        students: Tensor, images: Tensor, classes: Sequence[str],
    ):
        wanted = (len(alphas), len(temperatures))
        three, logits = (*wanted, 3), (*wanted, len(images), len(classes))
        if gains.shape != three or students.shape != logits:
            given = f"{tuple(gains.shape)} and {tuple(students.shape)}"
            raise ValueError(f"gains must be {three} and students {logits}, got {given}")
        means = gains[..., 0]
        low, high = min(0.0, means.min().item()), max(0.0, means.max().item())
        self.grid = Grid(
            rows=[f"{a:g}" for a in alphas],
            columns=[f"{t:g}" for t in temperatures],
            texts=[[plots.signed(*cell) for cell in row] for row in gains.tolist()],
            shades=((means - low) / max(high - low, 1e-9)).tolist(),
            cell=list(divmod(int(means.argmax()), len(temperatures))),
        )
        tensors = (teacher.float(), students.float(), images)
        self._teacher, self._students, self._images = (tensor.detach().cpu() for tensor in tensors)
        self.teacher, self.student = (Explorer(teacher, images, classes) for _ in range(2))
        self.said = widgets.HTML()
        for name in ("image", "temperature"):
            traitlets.link((self.teacher, name), (self.student, name))
        self.grid.observe(lambda change: self._load(), "cell")
        self._load()
        classed("kd-map", {"teacher": self.teacher, "student": self.student})
        sides = [[widgets.HTML("<b>The teacher</b>"), self.teacher], [self.said, self.student]]
        sides = [widgets.VBox(side, layout={"flex": "1 1 30rem", "min_width": "26rem"}) for side in sides]
        super().__init__([self.grid, widgets.HBox(sides, layout={"flex_flow": "row wrap"})])

    def _load(self) -> None:
        """Shows the student of the selected cell, both sides at the temperature that it was trained with."""
        row, column = self.grid.cell
        self.student.logits = []
        self.student.table = self._students[row, column].numpy().tobytes()
        self.teacher.temperature = min(max(float(self.grid.columns[column]), LOW), HIGH)
        self.said.value = f'<b role="status">{self.name()}</b>'

    def name(self) -> str:
        """The selected student in words."""
        row, column = self.grid.cell
        return f"The student of alpha = {self.grid.rows[row]}, T = {self.grid.columns[column]}"

    def figure(self) -> Figure:
        """The state as a static figure: both soft targets of the picture at the temperature chosen."""
        image, t, (row, column) = self.teacher.image, self.teacher.temperature, self.grid.cell
        both = {"teacher": self._teacher[image], "student": self._students[row, column, image]}
        shares = {name: soft_targets(logits, t).tolist() for name, logits in both.items()}
        title = f"{self.name()}: soft targets at T = {t:.3g}"
        return plots.bars(shares, self.teacher.classes, title=title, picture=self._images[image])
