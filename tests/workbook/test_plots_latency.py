"""Figures of latency: what they show is what they were given, names stay clear, and predicted is not measured."""

import itertools
import subprocess
import sys

import pytest
from matplotlib.text import Text

from workbook import plots
from workbook.plots import latency

BATCHES = (1, 16, 256)
CPU = {"teacher": {1: 4.0, 16: 50.0, 256: 1000.0}, "student": {1: 0.2, 16: 2.0, 256: 30.0}}
PREDICTED = {name: tuple({n: f * (0.1 + 0.01 * n) for n in BATCHES} for f in (0.5, 1, 2)) for name in CPU}
MS = {(name, n): {"eager": 2.0, "compile": 1.0, "bf16": 3.0} for name in CPU for n in (1, 64)}


def boxes(ax):
    ax.figure.draw_without_rendering()
    return [Text.get_window_extent(text) for text in ax.texts]  # of the letters, without a line to the point


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_speeds_are_milliseconds_for_one_image_and_operations_a_second():
    left, right = latency.speeds(CPU, {"teacher": {1: 40, 16: 70}, "student": {1: 15, 16: 14}}).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 4.0], [16, 50 / 16], [256, 1000 / 256]]
    assert list(right.lines[1].get_ydata()) == [15, 14]


def test_sizes_name_every_network_twice_and_no_name_covers_another_or_leaves_its_axes():
    crowd = {f"network-{i}": (1e5 * 1.1**i, 1e6 * 1.2**i, 1 + 0.02 * i) for i in range(6)} | {"far": (1e7, 1e9, 9.0)}
    figure = latency.sizes(crowd)
    for ax in figure.axes:
        assert {text.get_text() for text in ax.texts} == set(crowd)
        inside, found = ax.get_window_extent(), boxes(ax)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(found, 2))
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in found)


def test_a_name_keeps_off_dots_and_lines():
    figure, ax = plots.blank("t", "x", "y")
    line = ax.plot([0, 10], [5, 5])[0]
    ax.plot([5], [4.8], "o")
    latency.beside(ax, [(5, 4.8, "a name")])
    (box,) = boxes(ax)
    assert not line.get_window_extent().overlaps(box)


def test_relative_divides_by_eager_for_each_network_and_batch():
    axes = latency.relative(MS).axes
    for ax in axes:
        assert [bar.get_width() for bar in ax.patches] == [1.0, 0.5, 1.5] * 2
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["eager", "compile", "bf16"]


def test_relative_leaves_a_gap_where_a_setting_could_not_run():
    bars = latency.relative({("student", 1): {"eager": 1.0, "compile": 2.0}, ("student", 64): {"eager": 1.0}}).axes[0]
    widths = [bar.get_width() for bar in bars.patches]
    assert widths[:3] == [1.0, 2.0, 1.0] and widths[3] != widths[3]


def test_threads_are_dots_beside_no_gain_and_twice_as_fast():
    figure = latency.threads({key: {"eager": 1.1, "onnxruntime": 1.7} for key in MS})
    for ax in figure.axes:
        assert [list(line.get_xdata()) for line in ax.lines[2:]] == [[1.1, 1.7]] * 2
        assert {"no gain", "twice as fast"} == {text.get_text() for text in ax.texts}
    assert legend(figure) == ["batch 1", "batch 64"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_devices_draw_what_was_measured_over_what_is_predicted_and_say_which_is_which(count):
    gpus = {f"GPU {i}: recorded": {"teacher": {1: 0.1, 1024: 2.0}} for i in range(count)}
    figure = latency.devices(CPU, PREDICTED, name="NVIDIA T4", measured=gpus)
    teacher, student = figure.axes
    guess, cpu, *others = teacher.lines
    assert guess.get_linestyle() == "--" and "predicted from the data sheet, not measured" in guess.get_label()
    assert list(guess.get_ydata()) == [PREDICTED["teacher"][1][n] / n for n in BATCHES]
    assert list(cpu.get_ydata()) == [CPU["teacher"][n] / n for n in BATCHES] and "measured" in cpu.get_label()
    assert len(others) == count and len(student.lines) == 2 and all(line.get_linestyle() == "-" for line in others)
    assert legend(figure) == [guess.get_label(), cpu.get_label(), *gpus]
    assert len({line.get_color() for line in teacher.lines}) == 2 + count


def test_figures_leave_pyplot_alone():
    code = "import sys; import workbook.plots.latency; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_many_recorded_machines_leave_the_panels_their_height():
    cpu = {"the teacher": {1: 2.0, 64: 100.0}}
    heights = []
    for count in (1, 8):
        measured = {f"machine {i}: recorded": cpu for i in range(count)}
        figure = latency.devices(cpu, {"the teacher": (cpu["the teacher"],) * 3}, name="GPU", measured=measured)
        figure.canvas.draw()
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[1] > 0.9 * heights[0]
