"""Splits, batches and augmentation against brute force; the two sources have their own tests in test_sources.py."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdlab import data
from kdlab.data import Dataset, Recipe, Split, augment, batches, load

DEVICES = ["cpu"] + ([str(torch.accelerator.current_accelerator())] if torch.accelerator.is_available() else [])


def some_images(n=6, channels=3, height=8, width=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, channels, height, width), generator=generator, dtype=torch.uint8)


def some_split(n=6, classes=2, seed=0):
    return Split(some_images(n, seed=seed), torch.arange(n) % classes)


@pytest.fixture
def small():
    return Dataset("small", some_split(40, seed=1), some_split(7, seed=2), ("a", "b"))


# --- Split and Dataset


def test_a_subset_keeps_images_with_their_labels_in_the_asked_order():
    split = some_split()
    for indices in ([4, 0, 3], torch.tensor([4, 0, 3])):
        subset = split.subset(indices)
        assert len(subset) == 3
        for place, index in enumerate([4, 0, 3]):
            assert torch.equal(subset.images[place], split.images[index])
            assert subset.labels[place] == split.labels[index]
    assert torch.equal(split.subset(slice(2)).images, split.images[:2])


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (some_images().float(), torch.zeros(6).long(), "images must be uint8 .* got torch.float32"),
        (some_images()[0], torch.zeros(3).long(), r"images must be .* got torch.uint8 of \(3, 8, 10\)"),
        (some_images(), torch.zeros(6), "labels must be int64 .* got torch.float32"),
        (some_images(), torch.zeros(5).long(), r"labels must be int64 of shape \(6,\).* got torch.int64 of \(5,\)"),
        (some_images(), torch.zeros(6, 1).long(), r"got torch.int64 of \(6, 1\)"),
    ],
)
def test_a_split_refuses_images_and_labels_that_do_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        Split(images, labels)


@pytest.mark.parametrize("wrong", [2, -1])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_data_set_refuses_a_label_without_a_class(split, wrong):
    splits = {"train": some_split(), "test": some_split()}
    splits[split].labels[3] = wrong
    with pytest.raises(ValueError, match=rf"labels must be in 0 \.\. 1, got {wrong}$"):
        Dataset("wrong", **splits, classes=("a", "b"))


def test_a_data_set_refuses_test_images_of_another_shape():
    other = Split(some_images(height=9), torch.zeros(6).long())
    with pytest.raises(ValueError, match=r"shape \(3, 8, 10\), got \(3, 9, 10\)"):
        Dataset("wrong", some_split(), other, ("a", "b"))


def test_a_data_set_refuses_to_measure_an_empty_training_split():
    with pytest.raises(ValueError, match="at least one image"):
        Dataset("empty", some_split().subset([]), some_split(), ("a", "b"))


def test_mean_and_std_are_those_of_the_training_split(small):
    pixels = small.train.images.double().div(255).transpose(0, 1).flatten(1)  # (channels, pixels)
    torch.testing.assert_close(small.mean, pixels.mean(1).float(), rtol=0, atol=1e-7)
    torch.testing.assert_close(small.std, pixels.std(1, correction=0).float(), rtol=0, atol=1e-7)
    assert not torch.allclose(small.mean, small.test.images.double().div(255).mean((0, 2, 3)).float(), atol=1e-4)


def test_given_mean_and_std_are_kept():
    given = torch.tensor([0.1, 0.2, 0.3])
    assert Dataset("given", some_split(), some_split(), ("a", "b"), mean=given, std=2 * given).std[2] == 2 * given[2]


def test_normalized_training_images_have_mean_zero_and_std_one(small):
    normal = small.normalize(small.train.images)
    assert normal.dtype == torch.float32 and normal.shape == small.train.images.shape
    torch.testing.assert_close(normal.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(normal.std((0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-5)


def test_normalize_is_the_formula_and_leaves_its_input_alone(small):
    images = small.test.images.clone()
    mean, std = (x.double().view(1, 3, 1, 1) for x in (small.mean, small.std))
    expected = (images.double() / 255 - mean) / std
    torch.testing.assert_close(small.normalize(small.test.images).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(images, small.test.images)


def test_normalize_refuses_images_that_were_normalized_before(small):
    with pytest.raises(ValueError, match="must be uint8 in 0..255, got torch.float32"):
        small.normalize(small.normalize(small.test.images))


def test_a_channel_of_one_colour_is_normalized_to_zero():
    split = Split(torch.full((4, 1, 5, 5), 77, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    plain = Dataset("plain", split, split, ("a", "b"))
    assert plain.normalize(split.images).abs().max() < 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_moving_a_data_set_moves_every_tensor_and_changes_none(small, device):
    moved = small.to(device)
    for name in ("mean", "std"):
        assert getattr(moved, name).device.type == torch.device(device).type
        assert torch.equal(getattr(moved, name).cpu(), getattr(small, name))
    for before, after in ((small.train, moved.train), (small.test, moved.test)):
        assert after.images.device.type == after.labels.device.type == torch.device(device).type
        assert torch.equal(after.images.cpu(), before.images) and torch.equal(after.labels.cpu(), before.labels)
    assert (moved.name, moved.classes, moved.shape) == ("small", ("a", "b"), (3, 8, 10))
    assert moved.fingerprint() == small.fingerprint()
    normal = moved.normalize(moved.test.images)
    torch.testing.assert_close(normal.cpu(), small.normalize(small.test.images))


# --- fingerprint


def shuffled(dataset, order):
    return Dataset(dataset.name, dataset.train.subset(order), dataset.test, dataset.classes)


def test_the_fingerprint_tells_another_order_from_other_images(small):
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    own, moved = small.fingerprint(), shuffled(small, order).fingerprint()
    assert own["content"] == moved["content"] and own["order"] != moved["order"]
    assert small.fingerprint() == shuffled(small, torch.arange(40)).fingerprint()


def test_the_fingerprint_sees_one_grey_level_one_label_and_one_missing_image(small):
    brighter = small.train.images.clone()
    brighter[17, 1, 3, 4] ^= 1
    relabelled = small.train.labels.clone()
    relabelled[17] = 1 - relabelled[17]
    others = [
        Split(brighter, small.train.labels),
        Split(small.train.images, relabelled),
        small.train.subset(slice(39)),
        small.train.subset([*range(40), 39]),
    ]
    prints = [Dataset("x", split, small.test, small.classes).fingerprint() for split in [small.train, *others]]
    assert len({p["content"] for p in prints}) == len({p["order"] for p in prints}) == 5


def test_the_fingerprint_sees_labels_that_changed_places(small):
    labels = small.train.labels.clone()
    labels[[0, 1]] = labels[[1, 0]]
    assert labels[0] != small.train.labels[0]
    swapped = Dataset("x", Split(small.train.images, labels), small.test, small.classes)
    assert swapped.fingerprint()["content"] != small.fingerprint()["content"]


def test_the_fingerprint_sees_the_shape_of_the_same_bytes(small):
    flat, test = (Split(s.images.view(len(s), 3, 10, 8), s.labels) for s in (small.train, small.test))
    assert Dataset("x", flat, test, small.classes).fingerprint()["content"] != small.fingerprint()["content"]


def test_each_split_has_its_own_fingerprint(small):
    assert small.fingerprint("train")["content"] != small.fingerprint("test")["content"]
    with pytest.raises(ValueError, match="split must be 'train', 'val' or 'test', got 'valid'"):
        small.fingerprint("valid")


def test_the_fingerprint_is_what_the_bank_format_says(small):
    """Another program can make it: numpy and hashlib alone, as bank.py describes."""
    each = []
    for image, label in zip(small.train.images.numpy(), small.train.labels.numpy()):
        each.append(hashlib.blake2b(image.tobytes(), digest_size=16, salt=np.int64(label).tobytes()).digest())
    start = b"(3, 8, 10)"
    assert small.fingerprint() == {
        "content": hashlib.blake2b(start + b"".join(sorted(each)), digest_size=16).hexdigest(),
        "order": hashlib.blake2b(start + b"".join(each), digest_size=16).hexdigest(),
    }


def test_the_fingerprint_does_not_depend_on_the_layout_in_memory(small):
    last = Split(small.train.images.to(memory_format=torch.channels_last), small.train.labels)
    assert last.images.stride() != small.train.images.stride()
    assert Dataset("x", last, small.test, small.classes).fingerprint() == small.fingerprint()


# --- load


@pytest.mark.parametrize("name", ["mnist", "folder", "folder:x", "Digits", ""])
def test_an_unknown_name_is_answered_with_the_names_there_are_and_where_others_are(name):
    known = "there are digits and glyphs, others by workbook.task.load"
    with pytest.raises(ValueError, match=f"unknown data set '{name}'; {known}"):
        load(name)


@pytest.mark.parametrize("argument", ["train", "test"])
def test_a_number_below_one_is_refused_by_its_name(argument):
    with pytest.raises(ValueError, match=rf"train and test must be >= 1, got .*\b{argument}=0"):
        load("glyphs", **{argument: 0})


# --- val


@pytest.fixture
def three(small):
    return replace(small, val=some_split(5, seed=3))


def test_a_third_part_is_for_choosing(three, small):
    assert three.part("val") is three.val and len(three.val) == 5
    assert [three.part(name) for name in ("train", "test")] == [three.train, three.test]
    assert len({three.fingerprint(name)["content"] for name in ("train", "val", "test")}) == 3
    assert three.fingerprint() == small.fingerprint()


def test_a_data_set_without_that_part_says_how_to_load_one(small):
    with pytest.raises(ValueError, match=r"^small has no part val; load it with val=0\.1, for a tenth of train$"):
        small.part("val")


def test_the_third_part_must_fit_as_the_others_do(small):
    with pytest.raises(ValueError, match=r"val images must have the training images' shape \(3, 8, 10\)"):
        replace(small, val=Split(some_images(height=9), torch.zeros(6).long()))
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 1, got 2"):
        replace(small, val=some_split(6, classes=3))


@pytest.mark.parametrize("device", DEVICES)
def test_the_third_part_moves_with_the_others_and_stays_in_copies(three, device):
    moved = three.to(device).augmented(1).only(torch.tensor([3]))
    assert moved.val.images.device.type == torch.device(device).type
    for name in ("images", "labels"):
        assert torch.equal(getattr(moved.val, name).cpu(), getattr(three.val, name))


# --- stratified


@pytest.mark.parametrize("count", [10, 17, 50, 99, 100])
def test_every_class_keeps_its_share_of_a_part_to_less_than_one_and_a_half_images(count):
    order = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 15 + [3] * 5)[order]
    chosen = data.stratified(labels, count, seed=0)
    assert len(set(chosen.tolist())) == count
    found = torch.bincount(labels[chosen], minlength=4)
    assert (found - count * torch.tensor([0.5, 0.3, 0.15, 0.05])).abs().max() < 1.5, found


def test_a_class_with_one_image_is_in_every_part_that_has_room_for_all_classes():
    labels = torch.tensor([0] * 97 + [1, 2, 3])
    for seed in range(20):
        assert set(labels[data.stratified(labels, 4, seed=seed)].tolist()) == {0, 1, 2, 3}
        assert {97, 98, 99} <= set(data.stratified(labels, 10, seed=seed).tolist())


def test_the_seed_chooses_the_images_and_their_order():
    labels = torch.arange(200) % 4
    first = data.stratified(labels, 40, seed=1)
    torch.rand(3)
    assert torch.equal(first, data.stratified(labels, 40, seed=1))
    assert set(first.tolist()) != set(data.stratified(labels, 40, seed=2).tolist())
    assert first.tolist() != sorted(first.tolist())
    assert data.stratified(labels, 200, seed=1).sort().values.tolist() == list(range(200))


@pytest.mark.parametrize("count", [0, 7, -1])
def test_a_part_of_no_or_of_too_many_images_is_refused(count):
    with pytest.raises(ValueError, match=rf"count must be in 1 \.\. 6, the number of images, got {count}"):
        data.stratified(torch.zeros(6).long(), count, seed=0)


def test_the_cache_is_where_kdlab_cache_says(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "here"))
    assert data.cache_dir() == tmp_path / "here" and not data.cache_dir().exists()
    monkeypatch.setenv("KDLAB_CACHE", "~/there")
    assert "~" not in str(data.cache_dir())
    monkeypatch.delenv("KDLAB_CACHE")
    assert data.cache_dir().parts[-2:] == (".cache", "kdlab")


# --- batches


def take(n, *arguments, **options):
    stream = batches(*arguments, **options)
    return [next(stream) for _ in range(n)]


def test_an_epoch_holds_no_index_twice_and_drops_the_incomplete_batch():
    epochs = np.array([b.tolist() for b in take(12, 10, 3, seed=0, device="cpu")]).reshape(4, 9)  # 3 batches of 3
    for epoch in epochs:
        assert len(set(epoch)) == 9 and set(epoch) < set(range(10))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_no_index_is_left_out_for_ever():
    assert set(torch.cat(take(30, 10, 3, seed=0, device="cpu")).tolist()) == set(range(10))


def test_the_seed_fixes_the_order_whatever_else_draws_random_numbers():
    first = take(9, 50, 7, seed=5, device="cpu")
    torch.manual_seed(123)
    stream = batches(50, 7, seed=5, device="cpu")
    for batch in first:
        torch.rand(3)
        assert torch.equal(next(stream), batch)
    assert not torch.equal(take(1, 50, 7, seed=6, device="cpu")[0], first[0])


@pytest.mark.parametrize("device", DEVICES)
def test_the_order_is_the_same_on_every_device(device):
    here, there = take(9, 50, 7, seed=5, device="cpu"), take(9, 50, 7, seed=5, device=device)
    assert there[0].device.type == torch.device(device).type and there[0].dtype == torch.int64
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("batch_size", [None, 5, 6])
def test_a_batch_size_of_n_or_more_gives_all_images_every_time(batch_size):
    assert [b.tolist() for b in take(3, 5, batch_size, seed=0, device="cpu")] == [[0, 1, 2, 3, 4]] * 3


@pytest.mark.parametrize("n, batch_size", [(0, 4), (0, None), (5, 0), (5, -1)])
def test_batches_of_nothing_are_refused(n, batch_size):
    with pytest.raises(ValueError, match=f"n={n} and batch_size={batch_size}"):
        next(batches(n, batch_size, seed=0, device="cpu"))


# --- augment


def crops(image, pad, flip):
    """Every picture that augment may make of one image: each shift of its reflected padding, mirrored or not."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    found = {}
    for down in range(2 * pad + 1):
        for right in range(2 * pad + 1):
            crop = padded[:, down : down + height, right : right + width]
            found[crop.tobytes()] = (down, right, False)
            if flip:
                found[np.ascontiguousarray(crop[:, :, ::-1]).tobytes()] = (down, right, True)
    return found


def view(images, number=0, *, seed=0, pad=4, flip=True):
    """One view of images that are a whole split."""
    return augment(images, Recipe(seed, pad, flip), indices=torch.arange(len(images)), view=number)


def drawn(images, pad, flip, views=1):
    """(down, right, mirrored) of each image in each view, looked up among all that are possible."""
    possible = [crops(image, pad, flip) for image in images]
    return [
        possible[i][image.numpy().tobytes()]
        for number in range(views)
        for i, image in enumerate(view(images, number, pad=pad, flip=flip))
    ]


@pytest.mark.parametrize("pad, flip", [(2, True), (2, False), (0, True), (7, True)])
def test_every_augmented_image_is_a_crop_of_its_own_original(pad, flip):
    assert len(drawn(some_images(20), pad, flip)) == 20  # a picture that is no crop raises KeyError


def test_every_shift_and_both_sides_come_about_equally_often():
    found = drawn(some_images(50), pad=1, flip=True, views=100)
    counts = np.unique(np.array(found), axis=0, return_counts=True)[1]
    assert len(counts) == 3 * 3 * 2 and counts.min() > 0.8 * 5000 / 18 and counts.max() < 1.2 * 5000 / 18


def test_images_of_one_view_get_different_shifts_and_so_do_the_views_of_one_image():
    assert len(set(drawn(some_images(100), pad=4, flip=True))) > 50
    assert len(set(drawn(some_images(1), pad=4, flip=True, views=100))) > 50


def test_neither_neighbours_nor_views_nor_seeds_are_correlated():
    """Shifts and flips of 200 images in 50 views of 2 seeds; 4 standard errors of a correlation of independent ones."""
    column = torch.arange(32, dtype=torch.uint8).expand(200, 1, 32, 32)
    images = torch.cat([column, column.transpose(2, 3)], dim=1)  # the value of a pixel tells where it came from
    shown = torch.stack([torch.stack([view(images, v, seed=s) for v in range(50)]) for s in (0, 1)]).long()
    rows, columns = shown[..., 1, 16, 0], shown[..., 0, 0, 15:17]  # (seeds, views, images)
    mirrored = columns[..., 0] > columns[..., 1]
    right, down = torch.where(mirrored, columns[..., 1], columns[..., 0]) - 15, rows - 16
    for x in (right, down, mirrored.long()):
        x = (x.double() - x.double().mean()) / x.double().std()
        for a, b in [(x[:, :, 1:], x[:, :, :-1]), (x[:, 1:], x[:, :-1]), (x[1], x[0])]:
            assert abs((a * b).mean()) < 4 / a.numel() ** 0.5
    for a, b in [(right, down), (right, mirrored), (down, mirrored)]:
        both = torch.stack([a.flatten().double(), b.flatten().double()])
        assert abs(torch.corrcoef(both)[0, 1]) < 4 / right.numel() ** 0.5


def test_without_flip_and_pad_nothing_changes():
    images = some_images()
    assert torch.equal(view(images, pad=0, flip=False), images)
    assert not any(mirrored for *_, mirrored in drawn(some_images(50), pad=2, flip=False))


def test_augment_keeps_shape_type_and_its_input():
    images = some_images()
    before = images.clone()
    made = view(images)
    assert made.shape == images.shape and made.dtype == torch.uint8 and made.data_ptr() != images.data_ptr()
    assert torch.equal(images, before) and not torch.equal(made, images)


@pytest.mark.parametrize("device", DEVICES)
def test_a_view_follows_from_seed_view_and_index_alone(device):
    images = some_images(30)
    whole = view(images, 5, seed=3)
    torch.manual_seed(99), view(images, 1)  # neither the global state nor what was asked before has a part in it
    some = torch.tensor([17, 2, 17, 29])
    part = augment(images[some].to(device), Recipe(3, 4, True), indices=some.to(device), view=5)
    assert torch.equal(part.cpu(), whole[some])
    assert not torch.equal(whole, view(images, 6, seed=3)) and not torch.equal(whole, view(images, 5, seed=4))


@pytest.mark.parametrize("seed, number", [(0, 0), (7, 3), (2**40 + 1, 1000), (-1, 2**32)])
def test_the_views_are_those_that_the_docstring_describes(seed, number):
    """Written out image by image in Python's own integers, as another program would make them."""

    def mix(x):
        x %= 2**32
        x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
        x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    pad, images = 3, some_images(20)
    _, height, width = images.shape[1:]
    made = view(images, number, seed=seed, pad=pad)
    for index, image in enumerate(images.numpy()):
        h = mix(mix(mix(seed + 0x9E3779B9) + number) + index)
        down, right, mirrored = h % 7, h // 7 % 7, h // 49 % 2 == 1
        padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
        crop = padded[:, down : down + height, right : right + width]
        assert (made[index].numpy() == (crop[:, :, ::-1] if mirrored else crop)).all()


def test_mixing_is_the_same_for_tensors_and_integers_and_no_product_leaves_int64():
    from kdlab.data import _mix

    values = torch.tensor([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
    assert _mix(values).tolist() == [_mix(int(x)) for x in values]
    assert len({_mix(x) for x in range(10_000)}) == 10_000 and 0 <= _mix(values).min() and _mix(values).max() < 2**32
    extremes = [(2**32 - 1) * 0x7FEB352D, (2**32 - 1) * (0x846CA68B - 2**32)]
    assert all(-(2**63) <= x < 2**63 for x in extremes)


@pytest.mark.parametrize("pad", [-1, 8])
def test_a_shift_that_the_image_cannot_reflect_is_refused(pad):
    with pytest.raises(ValueError, match=rf"pad must be in 0 \.\. 7 for 8x10 images, got {pad}"):
        view(some_images(), pad=pad)


def test_an_image_without_its_index_is_refused():
    with pytest.raises(ValueError, match=r"indices must be \(3,\), one for each image, got \(4,\)"):
        augment(some_images(3), Recipe(0, 4, True), indices=torch.arange(4), view=0)


def test_only_data_whose_classes_are_the_same_in_a_mirror_are_mirrored():
    for name in ("digits", "glyphs"):
        loaded = load(name, train=10, test=10)
        assert not loaded.mirrored and not loaded.augmented(0).recipe.flip, name
    assert load("digits").augmented(3).recipe == Recipe(seed=3, pad=1, flip=False)
    photographs = replace(loaded, mirrored=True)
    assert photographs.augmented(3).recipe == Recipe(seed=3, pad=4, flip=True) and photographs.to("cpu").mirrored


def test_a_data_set_says_which_images_and_views_are_in_use_and_stays_the_same_otherwise(small):
    few, recipe = torch.tensor([3, 1]), Recipe(seed=2, pad=1, flip=True)
    used = small.only(few).augmented(recipe)
    assert torch.equal(used.indices, few) and used.recipe == recipe
    assert small.indices is None and small.recipe is None and used.only(None).indices is None
    assert torch.equal(used.in_use, few) and small.in_use.tolist() == list(range(len(small.train)))
    assert used.train is small.train and used.fingerprint() == small.fingerprint()
    assert torch.equal(used.mean, small.mean) and used.to("cpu").recipe == recipe
