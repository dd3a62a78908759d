"""The short recipe minimises what it says, and pictures that went through JPEG once more are the same pictures."""

import argparse
import dataclasses
import io
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, JpegImagePlugin
from torch.nn import functional as F

from kdlab import data, models
from kdlab.training import Batch, Knobs

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import time_to_accuracy  # noqa: E402


@pytest.fixture(scope="module")
def glyphs():
    torch.set_num_threads(1)
    return dataclasses.replace(data.load("glyphs", train=256, test=20), mirrored=True)


@pytest.fixture(scope="module")
def tables():
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG", quality=75)
    return Image.open(file).quantization


def network():
    return models.build("cnn-8-16", (3, 32, 32), 10, seed=0)


def changed(first, second):
    return (first.images.float() - second.images.float()).square().mean().sqrt().item()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.2])
def test_the_loss_is_cross_entropy_with_smoothed_labels(glyphs, smoothing):
    images, labels = glyphs.normalize(glyphs.train.images), glyphs.train.labels
    found = time_to_accuracy.smoothed(smoothing)(network(), Batch(images, labels, None), None, Knobs())["loss"]
    assert torch.allclose(found, F.cross_entropy(network()(images), labels, label_smoothing=smoothing))
    by_hand = F.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10
    assert torch.allclose(found, -(by_hand * network()(images).log_softmax(1)).sum(1).mean(), atol=1e-5)


def test_the_recipe_runs_its_epochs_under_a_rate_that_rises_and_falls(glyphs):
    recipe = dataclasses.replace(time_to_accuracy.SHORT, epochs=5, batch=64)
    stepper, count = time_to_accuracy.short(network(), glyphs, recipe, seed=0)
    history = list(stepper)
    assert len(history) == count == 5 * 256 // 64
    rates = [step.lr for step in history]
    assert max(rates) == pytest.approx(recipe.lr) and rates[-1] < rates[0] < max(rates)
    assert history[-1].loss < history[0].loss


def test_the_recipes_views_follow_from_the_seed(glyphs):
    recipe = dataclasses.replace(time_to_accuracy.SHORT, epochs=1, batch=64)
    losses = [[step.loss for step in time_to_accuracy.short(network(), glyphs, recipe, seed=seed)[0]]
              for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_jpeg_once_more_changes_pictures_and_keeps_labels_order_and_shape(glyphs, tables):
    found = time_to_accuracy.recompressed(glyphs.test, tables, sampling=2)
    assert found.images.shape == glyphs.test.images.shape and found.images.dtype == torch.uint8
    assert torch.equal(found.labels, glyphs.test.labels)
    assert 0 < changed(found, glyphs.test) < 40
    distances = torch.cdist(found.images.flatten(1).float(), glyphs.test.images.flatten(1).float())
    assert torch.equal(distances.argmin(1), torch.arange(20)), "each is nearest to itself"


def test_the_same_tables_find_little_left_to_round_unless_their_grid_is_moved(glyphs, tables):
    once = time_to_accuracy.recompressed(glyphs.test, tables, sampling=2)
    again, moved = (time_to_accuracy.recompressed(once, tables, sampling=2, moved=pixels) for pixels in (0, 4))
    assert 0 < 2 * changed(once, again) < changed(once, moved)


def test_coarser_tables_lose_more(glyphs, tables):
    lost = [changed(glyphs.test, time_to_accuracy.recompressed(
        glyphs.test, time_to_accuracy.coarser(tables, times), sampling=2)) for times in (1, 2, 4)]
    assert lost == sorted(lost) and lost[0] < lost[2]
    assert max(time_to_accuracy.coarser(tables, 100)[0]) == 255


def test_the_files_tables_are_those_that_were_written(glyphs, tables):
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG", qtables=time_to_accuracy.coarser(tables, 2), subsampling=2)
    read = Image.open(file)
    assert read.quantization == time_to_accuracy.coarser(tables, 2) and JpegImagePlugin.get_sampling(read) == 2


@pytest.fixture
def written(monkeypatch):
    found = {}
    monkeypatch.setattr(time_to_accuracy, "write", lambda name, record: found.update({name: json.dumps(record)}))
    build = models.build
    monkeypatch.setattr(models, "build", lambda name, *of, **how: build("cnn-8-16", *of, **how))
    return found


def test_the_race_tells_every_seed_and_both_clocks(glyphs, written):
    time_to_accuracy._race(glyphs, argparse.Namespace(data="folder:x", seeds=2, short=True))
    record = json.loads(written["time_to_accuracy"])
    assert record["data"] == "CIFAR-10 (JPEG)" and len(record["accuracy_percent"]) == len(record["cpu_seconds"]) == 2
    for clock, key in (("wall clock", "images_per_second"), ("CPU time", "images_per_cpu_second")):
        rates = record[key]
        assert [len(found) for found in rates.values()] == [3, 3], "one before the first training, one after each"
        times = [10 / record["recipe"]["epochs"] * ours / usual for ours, usual in zip(rates["short"], rates["usual"])]
        found = record["figures"][f"ten usual epochs / the recipe, {clock}, steps in turns"]
        assert found["lowest"] == pytest.approx(min(times)) and found["highest"] == pytest.approx(max(times))


def test_accuracy_after_jpeg_is_paired_with_that_of_the_files(glyphs, written, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "one.jpg", quality=75)
    time_to_accuracy._recompress(glyphs, argparse.Namespace(data=f"folder:{tmp_path}", seeds=2, short=True))
    record = json.loads(written["recompressed"])
    assert record["root_mean_square_of_255"]["as they are"] == 0 < record["root_mean_square_of_255"]["once more"]
    accuracy = record["accuracy_percent"]
    assert set(record["points_over_the_files"]) == set(accuracy) - {"as they are"}
    for name, move in record["points_over_the_files"].items():
        assert move["mean"] == pytest.approx((sum(accuracy[name]) - sum(accuracy["as they are"])) / 2)
