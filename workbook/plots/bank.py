"""The figures of lab 10: what a bank costs and reaches, wrong rows, teachers of other kinds, and what storage loses."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workbook.plots.base import CLEAR, COLORS, LINES, MARKERS, plain_ticks, styled
from workbook.plots.general import intervals

_DPI = 80
Interval = tuple[float, float, float]  # a mean, the low and the high end of its interval; more may follow


@styled
def paid(gaps: Mapping[str, Interval], asked: Mapping[str, int], *, seeds: int) -> Figure:
    """How far each student stays behind the live teacher's, beside the pictures that its teacher looked at.

    Args:
        gaps: name → points of accuracy against the live teacher's student, as an interval.
        asked: name → pictures, from the least; one name more than in gaps, that of the live teacher.
        seeds: how many pairs there are.
    """
    figure, (left, right) = _two(0.9 + 0.42 * len(asked), widths=(1.5, 1))
    for i, name in enumerate(asked):
        if name in gaps:
            _interval(left, gaps[name], i, COLORS[0])
        right.barh(i, asked[name], 0.6, color=COLORS[0])
        right.annotate(f"{asked[name]:,}", (asked[name], i), (4, 0), textcoords="offset points", va="center")
    left.axvline(0, color="black", linewidth=1)
    left.set(title=f"Against the live teacher, {seeds} paired seeds", xlabel="points of accuracy, 95% interval")
    left.set_yticks(range(len(asked)), asked)
    left.set_ylim(len(asked) - 0.5, -0.5)
    right.set(title="Asked of the teacher", xlabel="pictures for one student", ylim=left.get_ylim())
    right.set_xlim(0, 1.25 * max(asked.values()))
    right.set_yticks([])
    left.grid(axis="y", visible=False)
    return figure


@styled
def misaligned(losses: Mapping[str, Sequence[float]], accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """What a training shows, its soft loss in each step, beside what the test pictures show.

    Args:
        losses: name → nats, one for each step.
        accuracies: name → %, one for each seed.
    """
    figure, (left, right) = _two(1.2 + 0.42 * len(accuracies))
    for i, (name, values) in enumerate(losses.items()):
        left.plot(range(1, len(values) + 1), values, label=name, color=COLORS[i], linestyle=LINES[i])
    left.set(title="What the training shows", xlabel="step", ylabel="soft loss, nats", ylim=(0, None))
    left.legend()
    for i, values in enumerate(accuracies.values()):
        right.plot(values, [i] * len(values), "o", color=COLORS[0], alpha=0.45, markeredgewidth=0)
        right.plot(sum(values) / len(values), i, "|", color="black", markersize=20, markeredgewidth=2)
    right.set(title="What the test shows", xlabel="accuracy, %: each seed, and the mean")
    right.set_xlim(0, None)
    right.set_yticks(range(len(accuracies)), accuracies)
    right.set_ylim(len(accuracies) - 0.5, -0.5)
    return figure


@styled
def against(gains: Mapping[tuple[str, str], Interval]) -> Figure:
    """Pairs of runs, compared: (the one, the other) → points of accuracy that the one is better, as an interval."""
    named = {f"{one}\nagainst {other}": gain for (one, other), gain in gains.items()}
    figure = intervals(named, title="Compared seed by seed", xlabel="points of accuracy, mean and 95% interval")
    figure.set_dpi(_DPI)
    return figure


@styled
def lessons(gains: Mapping[tuple[str, float], Interval], accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """What the students of several teachers gain at several temperatures, the teachers in order of their accuracy.

    Args:
        gains: (teacher, temperature) → points over the labels alone, as an interval.
        accuracies: teacher → its own, %, one for each seed.
    """
    figure = Figure(figsize=(8, 3.9), dpi=_DPI, layout="constrained")
    ax, means = figure.subplots(), {name: sum(values) / len(values) for name, values in accuracies.items()}
    teachers, temperatures = sorted(means, key=means.get), sorted({temperature for _, temperature in gains})
    for i, temperature in enumerate(temperatures):
        for place, name in enumerate(teachers):
            at = place + 0.16 * (i - (len(temperatures) - 1) / 2)
            _interval(ax, gains[name, temperature], at, COLORS[i], marker=MARKERS[i], upright=True)
        ax.plot([], [], color=COLORS[i], marker=MARKERS[i], label=f"T = {temperature:g}")
    ax.axhline(0, color="black", linewidth=1)
    ax.set_xticks(range(len(teachers)), [f"{name}\nis right on {means[name]:.1f} %" for name in teachers])
    ax.set(title="What its student gains over the labels alone", ylabel="points of accuracy, 95% interval")
    ax.set_xlim(-0.5, len(teachers) - 0.5)
    ax.tick_params(labelsize=12)
    ax.grid(axis="x", visible=False)
    ax.legend()
    return figure


@styled
def storage(sizes: Mapping[str, float], errors: Mapping[str, float], gains: Mapping[str, Interval]) -> Figure:
    """What ways to store logits keep of them, against the bytes that they take: the error, and what a student gains.

    Args:
        sizes: name → bytes a picture.
        errors: name → nats, at the temperature of the lesson; what is exact is left out.
        gains: name → points over the labels alone, as an interval.
    """
    figure, (left, right) = _two(3.9)
    for name, size in sizes.items():
        if errors[name] > 1e-12:
            left.plot(size, errors[name], "o", color=COLORS[0], markersize=8)
            left.annotate(name, (size, errors[name]), (7, 5), textcoords="offset points", fontsize=11, bbox=CLEAR)
        _interval(right, gains[name], size, COLORS[0], upright=True)
        above = dict(xytext=(0, 4), textcoords="offset points", ha="center", fontsize=11)
        right.annotate(name, (size, gains[name][2]), **above)
    left.set(title="The error of what is kept", ylabel="KL from the true soft targets, nats", yscale="log")
    right.set(title="What the student gains", ylabel="points, 95% interval")
    right.axhline(0, color="black", linewidth=1)
    for ax in (left, right):
        ax.set(xlabel="bytes a picture", xscale="log", xlim=(0.75 * min(sizes.values()), 1.9 * max(sizes.values())))
        plain_ticks(ax.xaxis)
        ax.margins(y=0.12)
    return figure


def _two(height: float, widths: tuple[float, float] = (1, 1)) -> tuple[Figure, Sequence]:
    figure = Figure(figsize=(10, height), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=widths)
    for ax in axes:
        ax.tick_params(labelsize=12)
    return figure, axes


def _interval(ax, interval: Interval, at: float, color: str, *, marker: str = "o", upright: bool = False) -> None:
    """A mean with its interval across the axis on which `at` lies: hollow where the interval holds zero."""
    mean, low, high, *_ = interval
    ends, middle = ([at, at], [low, high]), ([at], [mean])
    ax.plot(*(ends if upright else ends[::-1]), color=color, solid_capstyle="butt")
    style = dict(marker=marker, color=color, markerfacecolor="white" if low <= 0 <= high else color)
    ax.plot(*(middle if upright else middle[::-1]), markersize=8, markeredgewidth=2, **style)
