"""Latencies of machines beside each other, as records tell them."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from workbook.plots.base import COLORS, MARKERS, plain_ticks, styled


@styled
def draw(lines: Mapping[str, Mapping[str, Mapping[int, float]]]) -> Figure:
    """Milliseconds for one image over the batch, a panel for each network.

    Args:
        lines: "MACHINE, eager" or "MACHINE, SETTING" → network → batch → milliseconds for the whole batch. A machine
            has a colour; what is not eager is dashed.
    """
    networks = list(dict.fromkeys(network for times in lines.values() for network in times))
    machines = list(dict.fromkeys(name.rpartition(", ")[0] for name in lines))
    figure = Figure(figsize=(8.6, 3.4 + 0.24 * len(lines)), dpi=80, layout="constrained")
    for ax, network in zip(figure.subplots(1, len(networks), sharey=True, squeeze=False)[0], networks, strict=True):
        for name, times in lines.items():
            machine, _, setting = name.rpartition(", ")
            i, ms = machines.index(machine), times.get(network, {})
            line = "-" if setting == "eager" else "--"
            style = dict(color=COLORS[i % len(COLORS)], marker=MARKERS[i % len(MARKERS)], linestyle=line, label=name)
            ax.plot(list(ms), [ms[batch] / batch for batch in ms], **style)
        batches = sorted({batch for times in lines.values() for batch in times.get(network, {})})
        ax.set(title=network, xlabel="images at once", xscale="log", yscale="log")
        ax.set_xticks(batches, [f"{batch:,}" for batch in batches])
        ax.minorticks_off()
        plain_ticks(ax.yaxis, subs=(1,))
    figure.axes[0].set_ylabel("milliseconds for one image")
    handles = {label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center")
    return figure
