"""The two sources that need no file: digits, and glyphs drawn here."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from kdlab import sources
from kdlab.data import Dataset, load

# Measured with torch 2.15.0 and Pillow 13.0.0; the fonts' masks are equal from Pillow 10.0.1 on.
DIGITS = {
    "content": "21b003a2b42a7dd4f6a68e33f091dfd4",
    "order": "e010c2536c47b4f77a587937497c1b9d",
}
GLYPHS = {
    "content": "a6960b179c92691550ff26e28f73933b",
    "order": "aeb950c10c7a634c2a229497d360f639",
}


def same(one: Dataset, other: Dataset) -> bool:
    return one.classes == other.classes and all(
        one.fingerprint(split) == other.fingerprint(split) for split in ("train", "test")
    )


def rows(images):
    return [image.tobytes() for image in images.numpy()]


# --- digits


def test_digits_are_the_1797_of_scikit_learn_split_1000_to_797():
    digits = load("digits")
    assert (len(digits.train), len(digits.test), digits.shape) == (1000, 797, (1, 8, 8))
    assert digits.classes == tuple("0123456789")
    both = torch.cat([digits.train.images, digits.test.images])
    labels = torch.cat([digits.train.labels, digits.test.labels]).tolist()
    original = load_digits()
    expected = [(np.rint(x * 255 / 16).astype(np.uint8).tobytes(), y) for x, y in zip(original.images, original.target)]
    assert sorted(zip(rows(both), labels)) == sorted(expected)


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_the_same_seed_gives_the_same_split_and_another_seed_another(name):
    numbers = dict(train=60, test=40)
    first = load(name, seed=3, **numbers)
    torch.rand(5)
    assert same(first, load(name, seed=3, **numbers))
    other = load(name, seed=4, **numbers)
    for split in ("train", "test"):
        assert first.fingerprint(split)["content"] != other.fingerprint(split)["content"]


# --- glyphs


def test_glyphs_come_in_any_number_with_classes_balanced_up_to_one():
    glyphs = load("glyphs", train=1043, test=7)
    assert glyphs.shape == (3, 32, 32) and glyphs.classes == tuple("O0QCGDIl1S")
    counts = torch.bincount(glyphs.train.labels, minlength=10)
    assert counts.sum() == 1043 and counts.max() - counts.min() == 1
    assert len(glyphs.test) == len(set(glyphs.test.labels.tolist())) == 7
    assert glyphs.train.labels.tolist() != sorted(glyphs.train.labels.tolist())


def test_no_glyph_is_drawn_twice_within_or_between_splits_and_seeds():
    sets = [load("glyphs", seed=seed, train=300, test=300) for seed in (-1, 0, 1)]
    pictures = [row for glyphs in sets for split in (glyphs.train, glyphs.test) for row in rows(split.images)]
    assert len(set(pictures)) == len(pictures) == 1800


def test_every_font_draws_ten_different_shapes():
    masks = sources._masks()
    assert masks.shape == (21, 10, 64, 64)
    assert len(set(rows(masks.flatten(0, 1)))) == 210
    assert masks.flatten(2).gt(127).sum(2).min() > 100  # none is empty
    assert masks[:, :, [0, -1]].max() == masks[:, :, :, [0, -1]].max() == 0  # none is cut off


def test_a_glyph_shows_the_character_of_its_label_upright(monkeypatch):
    """Without turn, shift, scale and noise each picture is one font's mask, in two colours."""
    monkeypatch.setattr(sources, "ROTATION", 0)
    monkeypatch.setattr(sources, "SHIFT", 0)
    monkeypatch.setattr(sources, "SCALE", (1, 1))
    monkeypatch.setattr(sources, "NOISE", 0)
    images, labels = sources._draw(200, seed=0)
    masks = F.avg_pool2d(sources._masks().double(), 2).flatten(0, 1).flatten(1)  # (210, 1024)
    shapes = (images - images[:, :, :1, :1].double()).abs().mean(1).flatten(1)  # (200, 1024): distance to the paper
    likeness = F.normalize(shapes, dim=1) @ F.normalize(masks, dim=1).T  # (200, 210)
    best, which = likeness.max(1)
    assert best.min() > 0.999
    assert torch.equal(which % 10, labels) and len(set((which // 10).tolist())) == 21


def test_ink_and_paper_keep_their_distance_in_every_channel(monkeypatch):
    monkeypatch.setattr(sources, "NOISE", 0)
    images, _ = sources._draw(500, seed=0)
    assert all(images.flatten(2).amax(2).sub(images.flatten(2).amin(2)).flatten() > 25)


def test_turn_shift_scale_and_noise_each_change_the_picture(monkeypatch):
    usual = sources._draw(20, seed=0)[0]
    for name, still in dict(ROTATION=0, SHIFT=0, SCALE=(1, 1), NOISE=0).items():
        with monkeypatch.context() as patch:
            patch.setattr(sources, name, still)
            assert not torch.equal(sources._draw(20, seed=0)[0], usual), name


def test_glyphs_and_digits_are_the_same_on_every_machine():
    """A bank made elsewhere must fit: if this fails after an update, banks made before it no longer do."""
    assert load("digits").fingerprint() == DIGITS
    assert load("glyphs", train=100, test=10).fingerprint() == GLYPHS
