"""The roofline: bytes are counted as they can be by hand, and the roof is where its definition puts it."""

import itertools

import pytest
import torch
from matplotlib.text import Text
from torch import nn

from kdlab import models
from workbook.labs import roofline
from workbook.labs.roofline import Peaks, traffic
from workbook.plots.roofline import draw


def test_a_linear_layer_moves_its_weights_once_and_its_images_and_answers_once_each():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    for batch in (1, 7):
        assert traffic(model, (3, 8, 8), batch) == 4 * (192 * 5 + 5 + batch * (192 + 5))


def test_an_activation_is_read_and_written_and_a_view_is_free():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    assert traffic(nn.Sequential(plain, nn.ReLU()), (3, 8, 8), 2) == traffic(plain, (3, 8, 8), 2) + 4 * 2 * 2 * 5
    assert traffic(nn.Flatten(), (3, 8, 8), 2) == 0


def test_a_larger_batch_raises_the_operations_per_byte_towards_a_limit():
    model, shape = models.build("tutorial-teacher", (3, 32, 32), 10), (3, 32, 32)
    per_byte = [models.cost(model, shape).multiply_adds * 2 * n / traffic(model, shape, n) for n in (1, 4, 64, 128)]
    assert per_byte == sorted(per_byte) and per_byte[3] / per_byte[2] < per_byte[1] / per_byte[0]


def test_counting_leaves_the_model_as_it_was():
    model = models.build("cnn-4", (3, 8, 8), 5).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    traffic(model, (3, 8, 8), 3)
    assert model.training and all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_roof_is_copying_up_to_the_ridge_and_arithmetic_beyond():
    peaks = Peaks(gflops=80.0, memory=10.0, cache=40.0)
    assert [peaks.roof(x, cached=False) for x in (1, 8, 100)] == [10.0, 80.0, 80.0]
    assert [peaks.roof(x) for x in (1, 2, 8, 100)] == [40.0, 80.0, 80.0, 80.0]


def test_peaks_count_operations_and_bytes_over_the_measured_time(monkeypatch):
    monkeypatch.setattr(roofline, "measure", lambda call, **options: type("T", (), {"median": 0.5}))
    found = roofline.peaks()
    assert found.gflops == pytest.approx(2 * 1024**3 / 0.5 / 1e9)  # the largest product of the three
    assert found.memory == pytest.approx(2 * 128e6 / 0.5 / 1e9)  # read and written
    assert found.cache == pytest.approx(2 * 128e3 / 0.5 / 1e9)


def test_this_machine_has_peaks_above_zero_and_threads_are_put_back():
    before = torch.get_num_threads()
    found = roofline.peaks(threads=before + 1, seconds=0.01)
    assert found.gflops > 0 and min(found.memory, found.cache) > 0 and torch.get_num_threads() == before


def test_the_figure_shows_every_point_under_its_name_and_the_roof():
    groups = {"batch 1": [(0.5, 2.0, "a"), (4.0, 9.0, "b")], "batch 64": [(20.0, 60.0, "c")]}
    (ax,) = draw(Peaks(80.0, 10.0, 40.0), groups, title="t").axes
    cache, memory, *points = ax.lines
    assert [line.get_label() for line in points] == list(groups)
    assert [line.get_xydata().tolist() for line in points] == [[[0.5, 2.0], [4.0, 9.0]], [[20.0, 60.0]]]
    for roof, slope in ((cache, 40.0), (memory, 10.0)):
        x, y = roof.get_data()
        assert y.max() == 80.0 and y[0] == pytest.approx(slope * x[0])
    assert "10 GB/s" in memory.get_label() and "40 GB/s" in cache.get_label()
    assert {"a", "b", "c", "80 GFLOP/s"} <= {text.get_text() for text in ax.texts}


def test_the_figures_names_cover_neither_each_other_nor_a_roof():
    near = [(1.0, 10.0, "on the slope"), (1.3, 9.0, "beside it")]
    groups = {"batch 1": near, "batch 64": [(20.0, 70.0, "near the top")]}
    figure = draw(Peaks(80.0, 10.0, 40.0), groups, title="t")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    _, *names = [Text.get_window_extent(text) for text in ax.texts]  # without a line to the point
    assert not any(a.overlaps(b) for a, b in itertools.combinations(names, 2))
    for roof in ax.lines[:2]:
        path = roof.get_transform().transform(roof.get_xydata())
        assert not any(box.contains(*place) for box in names for place in path)


def test_launches_are_operations_without_views():
    assert roofline.launches(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU()), (3, 8, 8)) == 2
    pair = (models.build(f"tutorial-{role}", (3, 32, 32), 10) for role in ("teacher", "student"))
    assert [roofline.launches(model, (3, 32, 32)) for model in pair] == [13, 9]
