"""Figures of latency: curves over the batch, settings against each other, threads, a GPU beside the CPU.

Times are milliseconds; what is predicted is dashed, hollow and named so, what was measured is solid.
"""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from workbook.plots.base import CLEAR, COLORS, LINES, MARKERS, plain_ticks, styled

Times = Mapping[int, float]  # batch → milliseconds for the whole batch


def beside(ax: Axes, entries: Iterable[tuple[float, float, str]], *, size: float = 10) -> None:
    """Writes a name beside each point (x, y, name), where it meets the fewest dots, lines and other names.

    A name that must stand further away has a thin line to its point. The last thing to do to a figure: what is drawn
    by then is looked at.
    """
    entries = list(entries)
    ax.figure.draw_without_rendering()  # settles the layout, so that places on the page are known
    dots = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in ax.transData.transform([e[:2] for e in entries])]
    taken, inside = dots + [text.get_window_extent() for text in ax.texts], ax.get_window_extent()
    taken += [part for line in ax.lines for part in _along(ax, line)]
    for x, y, name in entries:
        tried = []
        for cost, (dx, dy, side) in enumerate(_PLACES):
            far = dict(arrowprops=dict(arrowstyle="-", color="#666666", linewidth=0.8)) if cost >= _NEAR else {}
            where = dict(textcoords="offset points", ha=side, va="center", fontsize=size)
            text = ax.annotate(name, (x, y), (dx, dy), **where, **far)
            text.get_window_extent()  # puts the text in its place
            box = Text.get_window_extent(text)  # of the letters alone, without the line
            out = not (inside.x0 < box.x0 and box.x1 < inside.x1 and inside.y0 < box.y0 and box.y1 < inside.y1)
            tried.append((100 * out + sum(box.overlaps(other) for other in taken), cost, text, box))
        _, _, kept, box = min(tried, key=lambda one: one[:2])
        for _, _, text, _ in tried:
            if text is not kept:
                text.remove()
        kept.set(bbox=CLEAR, in_layout=False)
        taken.append(box)


_PLACES = [(9, 0, "left"), (-9, 0, "right"), (0, 11, "center"), (0, -11, "center")]
_PLACES += [(7, 9, "left"), (-7, 9, "right"), (7, -9, "left"), (-7, -9, "right")]
_NEAR = len(_PLACES)
_SIDES = ((0, "center"), (14, "left"), (-14, "right"))
_PLACES += [(dx, dy, side) for dy in (22, -22, 34, -34, 46, -46) for dx, side in _SIDES]


def _along(ax: Axes, line) -> list[Bbox]:
    """Small boxes along a line's path on the page; none for a line that only has markers."""
    if line.get_linestyle() == "None":
        return []
    path = line.get_transform().transform(line.get_xydata())
    steps = [(a + (b - a) * i / 20) for a, b in zip(path[:-1], path[1:], strict=True) for i in range(20)]
    return [Bbox.from_bounds(x - 1, y - 1, 2, 2) for x, y in steps[:: max(1, len(steps) // 400)]]


@styled
def speeds(milliseconds: Mapping[str, Times], gflops: Mapping[str, Times]) -> Figure:
    """Networks over the batch, two panels: milliseconds for one image, and 1e9 operations per second."""
    figure, axes = _panels(2, height=3.3, sharey=False)
    for ax, series in zip(axes, (_each(milliseconds), gflops), strict=True):
        for i, (name, values) in enumerate(series.items()):
            style = dict(color=COLORS[i], marker=MARKERS[i], linestyle=LINES[i % 4], label=name)
            ax.plot(list(values), list(values.values()), **style)
        _batches(ax, [*next(iter(series.values()))])
    axes[0].set(title="time for one image", ylabel="milliseconds", yscale="log")
    axes[1].set(title="arithmetic", ylabel="GFLOP/s", ylim=(0, None))
    plain_ticks(axes[0].yaxis)
    _legend(figure, axes[0])
    return figure


@styled
def sizes(networks: Mapping[str, tuple[float, float, float]]) -> Figure:
    """Networks, name → (parameters, multiply-adds, milliseconds), over the one and over the other."""
    figure, axes = _panels(2, height=3.8)
    axes[0].set_ylabel("milliseconds for one picture")
    for i, (ax, what) in enumerate(zip(axes, ("parameters", "multiply-adds"), strict=True)):
        points = [(values[i], values[2], name) for name, values in networks.items()]
        style = dict(color=COLORS[i], marker=MARKERS[i], linestyle="none", markersize=9)
        ax.plot([x for x, _, _ in points], [y for _, y, _ in points], **style)
        ax.set(xscale="log", yscale="log", xlabel=what, title=f"time over {what}")
        ax.margins(0.16)
        plain_ticks(ax.yaxis)
    for i, ax in enumerate(axes):
        beside(ax, [(values[i], values[2], name) for name, values in networks.items()])
    return figure


@styled
def relative(milliseconds: Mapping[tuple[str, int], Mapping[str, float]]) -> Figure:
    """Bars of time relative to eager: (network, batch) → setting → milliseconds; a panel for each network."""
    networks = list(dict.fromkeys(network for network, _ in milliseconds))
    names = list(dict.fromkeys(name for times in milliseconds.values() for name in times))
    figure, axes = _panels(len(networks), height=1.3 + 0.34 * len(names))
    for ax, network in zip(axes, networks, strict=True):
        at = {batch: times for (name, batch), times in milliseconds.items() if name == network}
        for i, (batch, times) in enumerate(at.items()):
            shares = [times.get(name, float("nan")) / times["eager"] for name in names]
            places = [j + 0.4 * (i - (len(at) - 1) / 2) for j in range(len(names))]
            ax.barh(places, shares, 0.38, color=COLORS[i], label=f"batch {batch}")
        ax.axvline(1, color="black", linewidth=1)
        ax.set(title=f"the {network}", xlabel="time relative to eager: less is faster")
        _names(ax, names)
    _legend(figure, axes[0])
    return figure


@styled
def threads(gains: Mapping[tuple[str, int], Mapping[str, float]]) -> Figure:
    """What a second thread brings: (network, batch) → setting → one thread's time over that of two."""
    networks = list(dict.fromkeys(network for network, _ in gains))
    names = list(dict.fromkeys(name for found in gains.values() for name in found))
    figure, axes = _panels(len(networks), height=1.5 + 0.36 * len(names))
    top = max([2.0, *(gain for found in gains.values() for gain in found.values())])
    for ax, network in zip(axes, networks, strict=True):
        for level, text in ((1, "no gain"), (2, "twice as fast")):
            ax.axvline(level, color="black", linewidth=1, linestyle="-" if level == 1 else "--")
            ax.annotate(text, (level, -0.75), (-3, 0), textcoords="offset points", ha="right", va="center", fontsize=10)
        for i, batch in enumerate(batch for name, batch in gains if name == network):
            found = gains[network, batch]
            style = dict(color=COLORS[i], marker=MARKERS[i], linestyle="none", markersize=9, label=f"batch {batch}")
            ax.plot([found.get(name, float("nan")) for name in names], range(len(names)), **style)
        ax.set(title=f"the {network}", xlabel="two threads: times as fast as one", xlim=(0, 1.08 * top))
        _names(ax, names, top=-1.1)
    _legend(figure, axes[0])
    return figure


@styled
def devices(
    cpu: Mapping[str, Times], predicted: Mapping[str, tuple[Times, Times, Times]], *, name: str,
    measured: Mapping[str, Mapping[str, Times]] | None = None,
) -> Figure:
    """Milliseconds for one image over the batch, on the CPU and on GPUs; a panel for each network.

    Args:
        cpu: network → times, measured.
        predicted: network → times of the GPU `name` from its data sheet: with the hopeful assumptions, with those in
            between, with the cautious ones. A dashed line in a band, and the legend says that nobody measured it.
        name: of the GPU that is predicted.
        measured: name of a GPU → network → times: drawn over it, solid; networks that a GPU lacks are left out.
    """
    known = {"this CPU, one thread: measured": cpu} | dict(measured or {})
    figure, axes = _panels(len(cpu), height=2.9 + 0.25 * (1 + len(known)))  # a line of the legend each
    for ax, network in zip(axes, cpu, strict=True):
        low, middle, high = (_each({network: times})[network] for times in predicted[network])
        label = f"{name}: predicted from the data sheet, not measured"
        ax.fill_between(list(low), list(low.values()), list(high.values()), color=COLORS[1], alpha=0.18, linewidth=0)
        style = dict(color=COLORS[1], marker=MARKERS[1], markerfacecolor="white", linestyle="--", label=label)
        ax.plot(list(middle), list(middle.values()), **style)
        for i, (label, times) in enumerate(known.items()):
            if network in times:
                values, k = _each(times)[network], 0 if i == 0 else 2 + (i - 1) % 5
                ax.plot(list(values), list(values.values()), color=COLORS[k], marker=MARKERS[k], label=label)
        ax.set(title=f"the {network}", yscale="log")
        _batches(ax, sorted({batch for line in ax.lines for batch in line.get_xdata()}))
        plain_ticks(ax.yaxis, subs=(1,))
    axes[0].set_ylabel("milliseconds for one image")
    _legend(figure, *axes, columns=1)
    return figure


@styled
def machines(lines: Mapping[tuple[str, str], Mapping[str, Times]]) -> Figure:
    """Milliseconds for one image over the batch, as records of machines tell them; a panel for each network.

    Args:
        lines: (machine, setting) → network → times. A machine has a colour; settings that are not "eager" are dashed.
    """
    names = list(dict.fromkeys(machine for machine, _ in lines))
    networks = list(dict.fromkeys(network for times in lines.values() for network in times))
    figure, axes = _panels(len(networks), height=3.4 + 0.24 * len(lines))
    for ax, network in zip(axes, networks, strict=True):
        for (machine, setting), times in lines.items():
            values, i = _each({network: times.get(network, {})})[network], names.index(machine)
            style = dict(color=COLORS[i % len(COLORS)], marker=MARKERS[i % len(MARKERS)], label=f"{machine}, {setting}")
            ax.plot(list(values), list(values.values()), linestyle="-" if setting == "eager" else "--", **style)
        ax.set(title=network, yscale="log")
        _batches(ax, sorted({batch for line in ax.lines for batch in line.get_xdata()}))
        plain_ticks(ax.yaxis, subs=(1,))
    axes[0].set_ylabel("milliseconds for one image")
    _legend(figure, *axes, columns=1)
    return figure


def _each(times: Mapping[str, Times]) -> dict[str, dict[int, float]]:
    """Milliseconds for one image, out of those for whole batches, by rising batch."""
    return {name: {n: found[n] / n for n in sorted(found)} for name, found in times.items()}


def _panels(count: int, *, height: float, sharey: bool = True) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(8.6, height), dpi=70, layout="constrained")
    axes = figure.subplots(1, count, sharey=sharey, squeeze=False)[0]
    for ax in axes:
        ax.tick_params(labelsize=12)
    return figure, axes


def _batches(ax: Axes, batches: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(batches, [f"{batch:g}" for batch in batches])
    ax.minorticks_off()
    ax.set_xlabel("batch size")


def _names(ax: Axes, names: Sequence[str], *, top: float = -0.6) -> None:
    """Names down the side, the first at the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, top)
    ax.grid(axis="y", visible=False)


def _legend(figure: Figure, *axes: Axes, columns: int = 2) -> None:
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)
