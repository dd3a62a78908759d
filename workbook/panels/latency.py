"""The latency panel: a press measures what is chosen, and all measurements so far stay in the picture.

The timer is kdlab.latency's, and what can be timed is handed in.
"""

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure
from torch import nn

from kdlab import devices
from kdlab.latency import Row, Unavailable, sweep
from workbook import plots
from workbook.panels.base import Panel

NEWEST = 16  # rows with a bar of their own


class Latency(Panel):
    """Measures the chosen runtime at each press of its button, and draws all measurements so far; opens with one made.

    The measurement runs in the button's callback; a cell that computes at the same time disturbs it. `rows` lists every
    measured Row in the order they were made.

    Args:
        models: name → model.
        shape: (channels, height, width) of one image.
        runtimes: name → what makes a call from model, example and calibration; see `kdlab.latency.sweep`.
        batches: images per call to choose from, each >= 1.
        recorded: machine → model → batch → milliseconds for the whole batch, measured elsewhere: thin lines among
            the curves, for each model that has been measured here.
        min_seconds: how long each choice is timed at least.
    """

    def __init__(
        self, models: Mapping[str, nn.Module], shape: tuple[int, int, int], *, runtimes: Mapping[str, Callable],
        batches: Sequence[int] = (1, 4, 16, 64, 256), min_seconds: float = 0.2,
        recorded: Mapping[str, Mapping[str, Mapping[int, float]]] | None = None,
    ):
        self._models, self._shape, self._runtimes, self._seconds = models, shape, runtimes, min_seconds
        self.rows: list[Row] = []
        self._recorded = recorded or {}
        cores = devices.cores()
        options = {
            "model": ("model", list(models)),
            "batch": ("batch", [*((str(n), (n,)) for n in batches), ("all of them", tuple(batches))]),
            "device": ("device", devices.available()),
            "threads": ("CPU threads", sorted({1, *(n for n in (2, 4, 8, 16, 32) if n < cores), cores})),
            "runtime": ("runtime", list(runtimes)),
        }
        controls = {n: widgets.Dropdown(options=all_, description=text) for n, (text, all_) in options.items()}
        super().__init__("latency", controls, {"Measure": self.measure})
        self.said = widgets.HTML()
        self.said.add_class("kd-latency-said")
        self.children = (*self.children, self.said)
        self.measure()

    def measure(self) -> None:
        """Times what is chosen, in the calling thread; an error is shown in the panel, which stays usable."""
        button, (model, batch, device, threads, runtime) = self.buttons["measure"], self.chosen.values()
        button.disabled = True
        try:
            found = sweep(
                {model: self._models[model]}, self._shape, batches=batch, devices=[device], threads=[threads],
                variants={runtime: self._runtimes[runtime]}, min_seconds=self._seconds, min_runs=9)
            if not any(row.timing for row in found):
                raise Unavailable(found[0].skipped)
            self.rows.extend(row for row in found if row.timing)
            told = "<br>".join(html.escape(_in_words(row)) for row in found)
            self.said.value = f'<div role="status">{told}</div>'
            self.show(_bars_and_curves(self.rows, self._recorded))
            self.message.value = ""
        except Exception as error:
            self.fail(error)
        finally:
            button.disabled = False


def _setting(row: Row) -> str:
    where = row.device if row.threads is None else f"{row.device}, {row.threads} thread{'s' * (row.threads > 1)}"
    return f"{row.model}, {where}, {row.variant}"


def _in_words(row: Row) -> str:
    text = f"{_setting(row)}, batch {row.batch}: "
    if row.timing is None:
        return text + row.skipped
    return text + f"{row.milliseconds:.3g} ms (p5 {1e3 * row.timing.p5:.3g}, p95 {1e3 * row.timing.p95:.3g})"


@plots.styled
def _bars_and_curves(rows: Sequence[Row], recorded: Mapping[str, Mapping[str, Mapping[int, float]]]) -> Figure:
    """A bar with p5 to p95 for each of the newest rows, over milliseconds per image against batch for all of them."""
    kinds = list(dict.fromkeys(map(_setting, rows)))
    last = rows[-NEWEST:]
    elsewhere = [(machine, model, ms) for machine, models in recorded.items() for model, ms in models.items()
                 if any(row.model == model for row in rows)]
    height = 5.2 + 0.36 * len(last) + 0.25 * len(elsewhere)
    figure = Figure(figsize=(10, height), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[1.2 + 0.36 * len(last), 4])
    for i, row in enumerate(last):
        kind, ends = kinds.index(_setting(row)), (1e3 * row.timing.p5, 1e3 * row.timing.p95)
        style = dict(color=plots.COLORS[kind % 7], hatch=plots.HATCHES[kind % 4], edgecolor="white")
        top.barh(i, row.milliseconds, 0.7, **style)
        top.plot(ends, [i, i], color="black", linewidth=1.5, marker="|", markersize=10)
        top.annotate(f"{row.milliseconds:.3g}", (ends[1], i), (8, 0), textcoords="offset points", va="center")
    top.set_yticks(range(len(last)), [f"{_setting(row)}, batch {row.batch}" for row in last])
    top.set(title="Milliseconds per call: median, p5 to p95", xlabel="milliseconds", xscale="log")
    top.invert_yaxis()
    top.grid(False)
    low, high = 1e3 * min(row.timing.p5 for row in last), 1e3 * max(row.timing.p95 for row in last)
    top.set_xlim(low / 2, high * (high / low) ** 0.12 * 1.2)  # room for the figures
    for kind, name in enumerate(kinds):
        curve = sorted({row.batch: row.milliseconds / row.batch for row in rows if _setting(row) == name}.items())
        style = dict(color=plots.COLORS[kind % 7], marker=plots.MARKERS[kind % 7], linestyle=plots.LINES[kind % 4])
        bottom.plot(*zip(*curve), label=name, markersize=8, **style)
    for i, (machine, model, ms) in enumerate(elsewhere):
        curve = [(batch, ms[batch] / batch) for batch in sorted(ms)]
        style = dict(color="0.45", linewidth=1.2, linestyle=plots.LINES[i % 4], marker=".")
        bottom.plot(*zip(*curve), label=f"{model}, {machine}", **style)
    bottom.set(title="Where curves cross, the choice changes", xlabel="batch size", ylabel="milliseconds per image")
    bottom.set_yscale("log")
    bottom.set_xscale("log", base=2)
    ticks = sorted({row.batch for row in rows}.union(*(ms for _, _, ms in elsewhere)))
    bottom.set_xticks(ticks, [str(tick) for tick in ticks])
    for ax, axis in ((top, top.xaxis), (bottom, bottom.yaxis)):  # 1, 2, 5 in each decade, 1 alone where there are many
        low, high = axis.get_view_interval()
        plots.plain_ticks(axis, subs=(1, 2, 5) if high < 500 * low else (1,))
        ax.tick_params(labelsize=12)
    figure.legend(loc="outside lower right")  # curves may fill the axes
    return figure
