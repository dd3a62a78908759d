"""The figure of lab 22: the chart of a ward, a small panel for each patient beside the healthy curve."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, styled


@styled
def ward(
    patients: Mapping[str, Sequence[float]], healthy: Sequence[float], *, title: str, xlabel: str, ylabel: str,
    columns: int = 5,
) -> Figure:
    """A panel for each patient: its curve as a line, and the healthy one, dashed and grey, behind it.

    Args:
        patients: name → values (n,), one for each position 1 … n.
        healthy: values (n,), the same in each panel.
        title, xlabel, ylabel: texts; the labels carry the units.
        columns: panels in a row.
    """
    rows = -(-len(patients) // columns)
    figure = Figure(figsize=(2 * columns, 0.7 + 1.45 * rows), dpi=72, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, (name, values) in zip(axes, patients.items()):
        at = range(1, len(values) + 1)
        ax.plot(range(1, len(healthy) + 1), healthy, color="#777777", linestyle="--", linewidth=2.5, label="healthy")
        ax.plot(at, values, color=COLORS[0], linewidth=1.6, label="patient")
        ax.set_title(name, fontsize=12)
        ax.tick_params(labelsize=10)
    for ax in axes[len(patients):]:
        ax.axis("off")
    place = dict(loc="lower right", bbox_to_anchor=(0.99, 0.1), fontsize=12)
    figure.legend(*axes[0].get_legend_handles_labels(), **place)
    figure.suptitle(title, fontsize=13)
    figure.supxlabel(xlabel, fontsize=12)
    figure.supylabel(ylabel, fontsize=12)
    return figure
