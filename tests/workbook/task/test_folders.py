"""Folders of pictures as they come: what counts, in which part, in which order, and what is said of the rest."""

import errno
import os
import shutil
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from kept import files_in, same
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from workbook import task
from workbook.task import pictures, store

COLOURS = {"ant": (200, 30, 30), "bee": (30, 200, 30), "cat": (30, 30, 200)}


def save(path, colour, size=(40, 32), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Three classes of one colour each, 3 images to train and 2 to test."""
    place = tmp_path / "pictures"
    for name, (r, g, b) in COLOURS.items():
        for split, n in (("train", 3), ("test", 2)):
            for i in range(n):
                save(place / split / name / f"{i}.png", (r + i, g, b), size=((40 if split == "train" else 50) + i, 32))
    return place


@pytest.fixture
def reads(monkeypatch):
    """The paths of the images that were decoded."""
    paths, read = [], pictures.picture

    def spy(image, size, ground):
        paths.append(image.filename)
        return read(image, size, ground)

    monkeypatch.setattr(pictures, "picture", spy)
    return paths


def test_a_folder_becomes_square_images_with_the_labels_of_its_folders(folder):
    pictures = task.load(f"folder:{folder}", size=16)
    assert pictures.shape == (3, 16, 16) and pictures.classes == ("ant", "bee", "cat")
    assert pictures.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert pictures.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    for split in (pictures.train, pictures.test):
        for i, (image, label) in enumerate(zip(split.images, split.labels)):
            r, g, b = list(COLOURS.values())[label]
            colour = torch.tensor([r + i % (len(split) // 3), g, b], dtype=torch.uint8)
            assert torch.equal(image, colour.view(3, 1, 1).expand(3, 16, 16))


def test_the_order_is_that_of_torchvision(folder):
    save(folder / "train" / "bee" / "deep" / "down" / "x.JPG", (1, 2, 3))
    save(folder / "train" / "bee" / "10.webp", (4, 5, 6))
    (folder / "train" / "bee" / "notes.txt").write_text("no image")
    own = task.load(f"folder:{folder}", size=8).train
    theirs = ImageFolder(folder / "train", transform=v2.Compose([v2.PILToTensor(), v2.Resize(8), v2.CenterCrop(8)]))
    assert own.labels.tolist() == theirs.targets and len(own) == 11
    assert (own.images.float() - torch.stack([image for image, _ in theirs]).float()).abs().max() <= 1


def test_the_shorter_side_is_fitted_and_the_middle_is_kept(tmp_path):
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, 30:40, 0], wide[:, 40:50, 2] = 255, 255  # the middle square: left half red, right half blue
    for split in ("train", "test"):
        for name in ("wide", "tall"):
            (tmp_path / split / name).mkdir(parents=True)
            image = Image.fromarray(wide if name == "wide" else wide.transpose(1, 0, 2))
            image.save(tmp_path / split / name / "x.png")
    tall, wide = task.load(f"folder:{tmp_path}", size=10).train.images
    assert torch.equal(wide, tall.transpose(1, 2))
    assert wide[0, :, :4].min() > 200 and wide[0, :, 6:].max() < 15
    assert wide[2, :, 6:].min() > 200 and wide[2, :, :4].max() < 15


def test_images_of_the_right_size_are_taken_over_pixel_by_pixel(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    for i, image in enumerate(noise):
        (tmp_path / ("train", "test")[i // 2] / "ab"[i % 2]).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / ("train", "test")[i // 2] / "ab"[i % 2] / "x.png")
    pictures = task.load(f"folder:{tmp_path}")
    images = torch.cat([pictures.train.images, pictures.test.images])
    assert torch.equal(images, torch.from_numpy(noise).permute(0, 3, 1, 2))


def test_grey_transparent_and_indexed_images_become_rgb_and_turned_photos_upright(folder):
    for i, mode in enumerate(("L", "RGBA", "P", "1")):
        save(folder / "train" / "dog" / f"{i}.png", (255, 255, 255), mode=mode)
    sideways = Image.new("RGB", (32, 32))
    sideways.paste((255, 255, 255), (0, 0, 16, 32))  # white on the left as stored, on top as it was seen
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    sideways.save(folder / "train" / "eel.png", exif=exif)
    (folder / "train" / "eel").mkdir()
    (folder / "train" / "eel.png").rename(folder / "train" / "eel" / "0.png")
    images = task.load(f"folder:{folder}").train.images
    assert images[9:13].min() == 255
    assert images[13, :, :15].min() == 255 and images[13, :, 17:].max() == 0


def test_a_second_load_reads_the_cache_and_no_image(folder, cache, reads):
    first = task.load(f"folder:{folder}")
    assert len(reads) == 15 and [p.suffix for p in (cache / "folders").iterdir()] == [".safetensors"]
    second = task.load(f"folder:{folder}")
    assert len(reads) == 15 and same(first, second) and torch.equal(first.mean, second.mean)


def test_a_copy_of_the_folder_elsewhere_uses_the_same_cache(folder, tmp_path, reads):
    task.load(f"folder:{folder}")
    assert task.load(f"folder:{folder.rename(tmp_path / 'moved')}").shape == (3, 32, 32) and len(reads) == 15


@pytest.mark.parametrize("change", ["pixel", "name", "class", "new file", "size"])
def test_other_content_or_size_is_read_anew(folder, cache, reads, change):
    task.load(f"folder:{folder}")
    image = folder / "train" / "ant" / "0.png"
    if change == "pixel":
        save(image, (201, 30, 30))
    elif change == "name":
        image.rename(image.with_name("9.png"))
    elif change == "class":
        image.rename(folder / "train" / "bee" / "7.png")
    elif change == "new file":
        save(image.with_name("8.png"), (0, 0, 0))
    task.load(f"folder:{folder}", size=24 if change == "size" else 32)
    assert len(reads) == (31 if change == "new file" else 30) and len(files_in(cache / "folders")) == 2


def flip_a_bit(raw):
    return raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:]


def cut(raw):
    return raw[:-1]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda raw: b"", lambda raw: b"x" * 100])
def test_a_damaged_cache_file_is_rebuilt(folder, cache, reads, damage):
    first = task.load(f"folder:{folder}")
    (kept,) = (cache / "folders").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert same(first, task.load(f"folder:{folder}")) and len(reads) == 30
    assert kept.read_bytes() == whole and len(files_in(cache / "folders")) == 1


def test_a_cache_file_of_something_else_is_rebuilt(folder, cache, reads):
    first = task.load(f"folder:{folder}")
    (kept,) = (cache / "folders").iterdir()
    safetensors.torch.save_file({"logits": torch.zeros(3)}, kept)
    assert same(first, task.load(f"folder:{folder}")) and len(reads) == 30


class Full:
    """A file on a disk that has room for the first piece alone."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def writelines(self, parts):
        self.file.write(next(iter(parts)))
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_the_cache_and_not_the_images(folder, cache, monkeypatch):
    def full(self, mode="r", open=Path.open, **options):
        file = open(self, mode, **options)
        return Full(file) if "w" in mode else file

    monkeypatch.setattr(Path, "open", full)
    with pytest.warns(UserWarning, match="are loaded, but not cached at .*No space left.*reads them again"):
        pictures = task.load(f"folder:{folder}")
    assert len(pictures.train) == 9 and files_in(cache / "folders") == []


def test_an_interrupt_while_reading_leaves_nothing(folder, cache, monkeypatch):
    def interrupt(image, size, ground):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "picture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        task.load(f"folder:{folder}")
    assert not cache.exists()


def test_a_class_without_test_images_is_allowed(folder):
    for image in (folder / "test" / "bee").iterdir():
        image.unlink()
    labels = task.load(f"folder:{folder}").test.labels.tolist()
    (folder / "test" / "bee").rmdir()
    assert task.load(f"folder:{folder}").test.labels.tolist() == labels == [0, 0, 2, 2]


def empty(place):
    for image in place.rglob("*.png"):
        image.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def remove(place):
    shutil.rmtree(place)


@pytest.mark.parametrize(
    "mistake, kind, message",
    [
        (remove, FileNotFoundError, "{f} is not a folder; expected images in {f}/train/CLASS/*"),
        (lambda f: remove(f / "train"), FileNotFoundError, "{f}/train is not a folder; expected images in"),
        (lambda f: remove(f / "test"), FileNotFoundError, "{f}/test is not a folder; expected images in"),
        (lambda f: [remove(c) for c in (f / "train").iterdir()], ValueError, "{f}/train holds no class"),
        (lambda f: empty(f / "train" / "bee"), ValueError, "{f}/train/bee holds no image; add some, or remove it"),
        (lambda f: empty(f / "test"), ValueError, "{f}/test holds no image in any class folder"),
        (lambda f: (f / "test" / "dog").mkdir(), ValueError, "{f}/test/dog is a class that is not in train/; add it"),
        (lambda f: truncate(f / "test" / "cat" / "1.png"), ValueError, "{f}/test/cat/1.png cannot be read as an image"),
        (lambda f: (f / "train/ant/x.jpg").write_text("hi"), ValueError, "{f}/train/ant/x.jpg cannot be read as an"),
        (lambda f: (f / "train/ant/x.jpg").touch(), ValueError, "{f}/train/ant/x.jpg cannot be read as an image"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_sentence(folder, cache, mistake, kind, message):
    mistake(folder)
    with warnings.catch_warnings(), pytest.raises(kind) as caught:
        warnings.simplefilter("error")
        task.load(f"folder:{folder}")
    assert str(caught.value).startswith(message.format(f=folder))
    assert "\n" not in str(caught.value) and not cache.exists()


def test_a_truncated_jpeg_is_named(folder):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = folder / "train" / "ant" / "photo.jpeg"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"photo\.jpeg cannot be read as an image \(.*truncated.*; replace or remove"):
        task.load(f"folder:{folder}")


# --- what is passed over


def line_of(capsys):
    """What was printed, which is one line or none."""
    said = capsys.readouterr().out.splitlines()
    assert len(said) <= 1
    return said[0] if said else ""


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


@pytest.mark.parametrize("name", [
    "train/.ipynb_checkpoints", "train/ant/.ipynb_checkpoints", "train/ant/deep/.ipynb_checkpoints", "__MACOSX/train",
    "train/__MACOSX", "train/@eaDir", "test/.git", "train/ant/__pycache__", "test/bee/$RECYCLE.BIN", ".cache/x",
])
def test_hidden_and_system_folders_are_no_classes_and_their_pictures_do_not_count(folder, capsys, name):
    """pytorch/vision#2831: .ipynb_checkpoints was a class, and inside of a class its pictures were counted twice."""
    before = task.load(f"folder:{folder}")
    copy(folder / "train" / "ant" / "0.png", folder / name / "0-checkpoint.png")
    copy(folder / "train" / "ant" / "1.png", folder / name / "deeper" / "1-checkpoint.png")
    capsys.readouterr()
    assert same(before, task.load(f"folder:{folder}"))
    assert line_of(capsys) == "pictures: 2 files left out: 2 hidden or of the system"


def test_each_file_left_out_is_counted_by_its_reason_in_one_line(folder, capsys):
    before = task.load(f"folder:{folder}")
    for name in ("train/ant/._0.png", "train/ant/.DS_Store", "test/Thumbs.db", "train/desktop.ini", ".DS_Store"):
        (folder / name).write_text("x")
    for name in ("train/ant/notes.txt", "test/cat/notes.TXT", "train/bee/film.mp4", "train/bee/LICENSE"):
        (folder / name).write_text("x")
    for name in ("README.md", "old/a.png", "train/stray.png", "old/.hidden"):
        copy(folder / "train" / "ant" / "0.png", folder / name)
    capsys.readouterr()
    assert same(before, task.load(f"folder:{folder}"))
    assert line_of(capsys) == (
        "pictures: 13 files left out: 1 .mp4, no picture, 2 .txt, no picture, 6 hidden or of the system, "
        "1 outside a class folder, 2 outside the parts, 1 without an extension"
    )


def test_nothing_is_said_where_nothing_is_left_out(folder, capsys):
    task.load(f"folder:{folder}")
    assert line_of(capsys) == ""


def test_without_parts_what_lies_beside_the_classes_is_counted_too(folder, capsys):
    for name in ("labels.csv", ".DS_Store"):
        (folder / "train" / name).write_text("x")
    copy(folder / "train" / "ant" / "0.png", folder / "train" / "__MACOSX" / "ant" / "._0.png")
    pictures = task.load(f"folder:{folder / 'train'}")
    assert pictures.classes == ("ant", "bee", "cat") and len(pictures.train) + len(pictures.test) == 9
    assert "3 files left out: 2 hidden or of the system, 1 outside a class folder" in line_of(capsys)


@pytest.mark.parametrize("suffix", [".gif", ".GIF", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".JPEG", ".ppm", ".ico"])
def test_every_kind_of_file_that_pillow_reads_is_taken(folder, suffix):
    save(folder / "train" / "ant" / f"z{suffix}", (200, 30, 30), size=(32, 32))
    pictures = task.load(f"folder:{folder}")
    assert len(pictures.train) == 10 and (pictures.train.images[3].float().mean((1, 2)) - torch.tensor(
        [200.0, 30, 30])).abs().max() < 6


@pytest.mark.parametrize("suffix", [".heic", ".HEIF"])
def test_a_phones_files_are_counted_with_what_to_install(folder, capsys, monkeypatch, suffix):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (folder / "train" / "ant" / f"photo{suffix}").write_bytes(b"ftypheic")
    assert len(task.load(f"folder:{folder}").train) == 9
    expected = f"1 file left out: 1 {suffix.lower()} (pip install pillow-heif, and they are read)"
    assert line_of(capsys) == f"pictures: {expected}"


def test_a_phones_files_are_read_where_pillow_heif_is_installed(folder, capsys, monkeypatch):
    fake = types.ModuleType("pillow_heif")
    extensions = dict(Image.registered_extensions())
    monkeypatch.setattr(Image, "EXTENSION", extensions)
    fake.register_heif_opener = lambda: Image.register_extension("PNG", ".heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    copy(folder / "train" / "ant" / "0.png", folder / "train" / "ant" / "photo.heic")
    pictures = task.load(f"folder:{folder}")
    assert len(pictures.train) == 10 and torch.equal(pictures.train.images[3], pictures.train.images[0])
    assert line_of(capsys) == ""


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_linked_file_and_a_linked_folder_count_as_the_pictures_they_are(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    save(elsewhere / "a.png", (1, 2, 3))
    (folder / "train" / "ant" / "x.png").symlink_to(elsewhere / "a.png")
    (folder / "train" / "bee" / "more").symlink_to(elsewhere)
    pictures = task.load(f"folder:{folder}")
    assert pictures.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 3
    assert pictures.train.images[3].flatten(1).unique(dim=1).flatten().tolist() == [1, 2, 3]
    assert torch.equal(pictures.train.images[3], pictures.train.images[7])


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_in_a_circle_ends_and_a_dead_link_is_named(folder):
    (folder / "train" / "ant" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match=r"train/ant/gone\.png cannot be read as an image \(.*; replace or remove it"):
        task.load(f"folder:{folder}")
    (folder / "train" / "ant" / "gone.png").unlink()
    (folder / "train" / "ant" / "round").symlink_to(folder / "train" / "ant")
    assert len(task.load(f"folder:{folder}").train) == 9


# --- pictures in files


def test_depth_transparency_and_orientation_are_seen_in_files_too(folder):
    deep = np.full((32, 32), 257 * 77, np.uint16)
    drawing = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (0, 0, 32, 16))
    Image.fromarray(deep).save(folder / "train" / "ant" / "7.png")
    Image.fromarray(deep).save(folder / "train" / "ant" / "8.tif")
    drawing.save(folder / "train" / "ant" / "9.png")
    images = task.load(f"folder:{folder}").train.images
    assert (images[3:5] == 77).all() and images[5, :, :16].max() == 0 and images[5, :, 16:].min() == 255
    on_blue = task.load(f"folder:{folder}", ground="#204080").train.images
    assert on_blue[5, :, 20, 20].tolist() == [32, 64, 128]


@pytest.mark.parametrize("size, shape", [(24, (24, 24)), ((16, 40), (16, 40)), ([16, 40], (16, 40))])
def test_a_size_is_a_number_or_height_and_width(folder, size, shape):
    assert task.load(f"folder:{folder}", size=size).shape == (3, *shape)


@pytest.mark.parametrize("size", [0, (0, 8), (8, -1), (8,), (8, 8, 8), 8.5, "8", True])
def test_a_size_that_is_none_is_refused(folder, size):
    with pytest.raises(ValueError, match="size must be .*got ") as caught:
        task.load(f"folder:{folder}", size=size)
    assert "\n" not in str(caught.value)


# --- names and order


def test_names_in_any_script_are_kept_and_the_order_is_torchvisions(tmp_path):
    names = ["0", "1", "10", "2", "猫", "狗", "قطة", "كلب", "Ärger", "ant", "Zebra", "кот", "has space", "e\u0301"]
    for i, name in enumerate(names):
        for part in ("train", "test"):
            save(tmp_path / part / name / "x.png", (i, i, i))
    pictures = task.load(f"folder:{tmp_path}")
    theirs = ImageFolder(tmp_path / "train")
    assert list(pictures.classes) == theirs.classes and set(pictures.classes) == set(names)
    assert [x for x in pictures.classes if x.isascii() and x.isdigit()] == ["0", "1", "10", "2"]
    assert [names[image[0, 0, 0]] for image in pictures.train.images] == theirs.classes
    assert pictures.train.labels.tolist() == theirs.targets


def test_nested_folders_keep_imagefolders_order_with_hidden_ones_left_out(folder):
    for i, name in enumerate(["b/1.png", "b/a/2.png", "b0/3.png", "a/z/4.png", "Z/5.png", "b/.h/6.png", "b-1/7.png"]):
        save(folder / "train" / "ant" / name, (100 + i, 0, 0), size=(8, 8))
    own = task.load(f"folder:{folder}", size=8).train
    shutil.rmtree(folder / "train" / "ant" / "b" / ".h")
    theirs = ImageFolder(folder / "train", transform=v2.Compose([v2.PILToTensor(), v2.Resize(8), v2.CenterCrop(8)]))
    assert own.labels.tolist() == theirs.targets
    assert (own.images.float() - torch.stack([image for image, _ in theirs]).float()).abs().max() <= 1


# --- parts


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test", "VAL"])
def test_another_name_for_the_test_part_is_taken_and_said(folder, capsys, name):
    before = task.load(f"folder:{folder}")
    capsys.readouterr()
    (folder / "test").rename(folder / name)
    assert same(before, after := task.load(f"folder:{folder}")) and after.val is None
    expected = "" if name == "Test" else f"pictures: {name}/ is the test part, as there is no test/"
    assert line_of(capsys) == expected


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_third_folder_is_for_choosing(folder, capsys, name):
    for kind, colour in COLOURS.items():
        save(folder / name / kind / "v.png", colour, size=(32, 32))
    pictures = task.load(f"folder:{folder}", val=0.3)  # nothing is taken where there is one
    assert [len(pictures.part(x)) for x in ("train", "val", "test")] == [9, 3, 6]
    assert pictures.val.labels.tolist() == [0, 1, 2]
    assert pictures.val.images[:, :, 0, 0].tolist() == [list(x) for x in COLOURS.values()]
    assert line_of(capsys) == ""


@pytest.fixture
def many(tmp_path):
    """Class folders alone: 40 ants, 20 bees, 1 cat, each picture of its own colour."""
    place, number = tmp_path / "many", 0
    for name, count in (("ant", 40), ("bee", 20), ("cat", 1)):
        for i in range(count):
            save(place / name / f"{i:02}.png", (number, 0, 0), size=(8, 8))
            number += 1
    return place


def numbers(split):
    return split.images[:, 0, 0, 0].tolist()


def test_class_folders_alone_are_split_class_by_class_by_the_seed_and_it_is_said(many, capsys):
    pictures = task.load(f"folder:{many}", size=8, seed=3)
    assert torch.bincount(pictures.test.labels, minlength=3).tolist() == [6, 3, 0]  # 15 % of 40 and 20
    assert torch.bincount(pictures.train.labels, minlength=3).tolist() == [34, 17, 1]
    assert sorted(numbers(pictures.train) + numbers(pictures.test)) == list(range(61))
    for split in (pictures.train, pictures.test):
        assert [0 if x < 40 else 1 if x < 60 else 2 for x in numbers(split)] == split.labels.tolist()
    assert line_of(capsys) == (
        "many: no train/ and test/, so the class folders were split; 9 pictures taken from train for test by seed 3, "
        "with each class's share; a single picture, kept in train, of cat"
    )
    assert same(pictures, task.load(f"folder:{many}", size=8, seed=3))
    assert numbers(task.load(f"folder:{many}", size=8, seed=4).test) != numbers(pictures.test)


def test_a_part_for_choosing_is_taken_from_train_by_the_seed_and_test_stays(many, capsys):
    without, pictures = (task.load(f"folder:{many}", size=8, val=val) for val in (0, 0.2))
    assert numbers(pictures.test) == numbers(without.test)
    assert torch.bincount(pictures.val.labels, minlength=3).tolist() == [7, 3, 0]  # of 34 and 17
    assert sorted(numbers(pictures.train) + numbers(pictures.val)) == sorted(numbers(without.train))
    said = capsys.readouterr().out.splitlines()
    assert "10 pictures taken from train for val by seed 0" in said[1] and said[1].count("a single picture") == 1


def test_a_part_for_choosing_is_taken_beside_a_folder_for_testing(folder, capsys):
    pictures = task.load(f"folder:{folder}", val=0.2)
    assert [len(pictures.part(x)) for x in ("train", "val", "test")] == [6, 3, 6]
    assert sorted(pictures.val.labels.tolist()) == [0, 1, 2]  # each class has one, though a fifth of 9 is 2
    assert line_of(capsys) == "pictures: 3 pictures taken from train for val by seed 0, with each class's share"


@pytest.mark.parametrize("val", [-0.1, 0.6, 1, float("nan")])
def test_a_share_out_of_its_range_is_refused(folder, val):
    with pytest.raises(ValueError, match=rf"val must be a share in 0 \.\. 0\.5, got {val}"):
        task.load(f"folder:{folder}", val=val)


def test_classes_of_one_picture_each_cannot_be_split(tmp_path):
    for name in "ab":
        save(tmp_path / name / "x.png", (1, 2, 3))
    with pytest.raises(ValueError, match="no class has two pictures"):
        task.load(f"folder:{tmp_path}")


@pytest.mark.parametrize("make, kind, message", [
    (lambda f: save(f / "only" / "x.png", (1, 2, 3)), ValueError, "{f} holds one class folder, only; expected at"),
    (lambda f: [save(f / "a" / "x.png", (1, 2, 3)), (f / "b").mkdir()], ValueError, "{f}/b holds no image; add some"),
    (lambda f: f.mkdir(), FileNotFoundError, "{f}/train is not a folder; expected images in {f}/train/CLASS/*"),
    (lambda f: [save(f / f"{i}.png", (1, 2, 3)) for i in range(3)], FileNotFoundError,
     "{f} holds 3 pictures and no class folder; put those of each class into a folder, {f}/CLASS/*"),
    (lambda f: [save(f / "train" / "x.png", (1, 2, 3)), save(f / "test" / "a" / "x.png", (1, 2, 3))], ValueError,
     "{f}/train holds 1 picture and no class folder; expected images in {f}/train/CLASS/*"),
    (lambda f: save(f / "val" / "a" / "x.png", (1, 2, 3)), FileNotFoundError,
     "{f}/train is not a folder; expected images in {f}/train/CLASS/*, as val/ is the name of a part"),
    (lambda f: [save(f / x / "a" / "x.png", (1, 2, 3)) for x in ("Testing", "cat", "dog")], FileNotFoundError,
     "{f}/train is not a folder; expected images in {f}/train/CLASS/*, as Testing/ is the name of a part"),
    (lambda f: [save(f / x / "a" / "x.png", (1, 2, 3)) for x in ("Training", "train")], ValueError,
     "{f}/Training and train/ beside it are both the train part; keep one"),
    (lambda f: [save(f / "in" / x / "x.png", (1, 2, 3)) for x in "ab"], ValueError,
     "{f} holds one class folder, in; expected at least two, or train/ and test/; did you mean {f}/in?"),
    (lambda f: f.write_bytes(b"PK"), ValueError, "{f} is a file; unpack it, and give the folder"),
])
def test_other_layouts_are_told_in_one_sentence(tmp_path, cache, make, kind, message):
    place = tmp_path / "place"
    make(place)
    with pytest.raises(kind) as caught:
        task.load(f"folder:{place}")
    assert str(caught.value).startswith(message.format(f=place)) and "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_relative_folder_that_is_not_there_is_told_with_the_place_that_was_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        task.load("folder:data/mine")
    assert str(caught.value) == (f"data/mine is not a folder (tried {tmp_path}/data/mine); "
                                 "expected images in data/mine/train/CLASS/*")


@pytest.mark.parametrize("train, test", [("Training", "Testing"), ("train_images", "test_images"), ("Train", "TEST"),
                                         ("TRAIN", "test-images")])
@pytest.mark.parametrize("val", ["dev", "Validation", "VALID", None])
def test_the_usual_names_of_parts_are_taken_in_any_case(folder, capsys, train, test, val):
    expected = task.load(f"folder:{folder}")
    for old, new in (("train", train), ("test", test)):
        (folder / old).rename(folder / new)
    if val:
        for kind, colour in COLOURS.items():
            save(folder / val / kind / "v.png", colour, size=(32, 32))
    pictures = task.load(f"folder:{folder}")
    assert same(expected, pictures) and (pictures.val is not None) == bool(val)
    assert line_of(capsys) == ""


def test_training_and_validation_are_no_classes(folder, capsys):
    expected = task.load(f"folder:{folder}")
    (folder / "train").rename(folder / "training")
    (folder / "test").rename(folder / "validation")
    assert same(expected, task.load(f"folder:{folder}"))
    assert line_of(capsys) == "pictures: validation/ is the test part, as there is no test/"


def test_pictures_from_folders_within_class_folders_are_counted(tmp_path, capsys):
    for i, name in enumerate(["animals/ant/0.png", "animals/ant/1.png", "animals/bee/0.png", "labels/0.png",
                              "labels/1.png"]):
        save(tmp_path / "wrap" / name, (i, 0, 0))
    assert task.load(f"folder:{tmp_path / 'wrap'}").classes == ("animals", "labels")
    said = "; 3 pictures come from folders within class folders, such as animals/ant; "
    assert line_of(capsys).startswith(f"wrap: no train/ and test/, so the class folders were split{said}")


# --- what overlaps, is missing, or looks wrong


@pytest.mark.parametrize("part", ["test", "val"])
@pytest.mark.parametrize("count, said", [(1, "1 of the {} pictures is also in train"),
                                         (3, "3 of the {} pictures are also in train")])
def test_pictures_of_another_part_that_are_also_in_train_are_counted(folder, capsys, part, count, said):
    for kind in COLOURS if part == "val" else ():
        save(folder / "val" / kind / "v.png", (7, 7, len(kind)), size=(33, 32 + ord(kind[0])))
    for i in range(count):
        copy(folder / "train" / "ant" / f"{i}.png", folder / part / "ant" / f"again {i}.png")
    task.load(f"folder:{folder}")
    assert line_of(capsys) == f"pictures: {said.format(part)}"


def test_pictures_in_several_classes_are_counted_once_each(folder, capsys):
    for name in ("bee", "cat"):
        copy(folder / "train" / "ant" / "0.png", folder / "train" / name / "7.png")
    copy(folder / "train" / "bee" / "1.png", folder / "train" / "ant" / "8.png")
    task.load(f"folder:{folder}")
    assert line_of(capsys) == "pictures: 2 files appear in more than one class"


def test_classes_that_a_part_lacks_are_named_up_to_five(folder, capsys):
    for name in ["bee"]:
        remove(folder / "test" / name)
    task.load(f"folder:{folder}")
    assert line_of(capsys) == "pictures: no test pictures of bee"
    for i in range(6):
        save(folder / "train" / f"x{i}" / "0.png", (i, i, i))
    task.load(f"folder:{folder}")
    assert line_of(capsys) == "pictures: no test pictures of bee, x0, x1, x2, x3 and 2 more"


@pytest.mark.parametrize("share", [0, 1])
def test_broken_files_are_counted_and_the_first_three_named_in_order(folder, cache, monkeypatch, share):
    monkeypatch.setattr(store, "SHARE", share)
    for name in ("train/cat/x.jpg", "train/ant/x.jpg", "train/bee/x.jpg", "test/bee/y.jpg", "train/ant/a.jpg"):
        (folder / name).write_text("no picture")
    why = "(its content is no picture that Pillow knows)"
    with pytest.raises(ValueError) as caught:
        task.load(f"folder:{folder}")
    assert str(caught.value) == (
        f"5 files in {folder} cannot be read as images: test/bee/y.jpg {why}, train/ant/a.jpg {why}, "
        f"train/ant/x.jpg {why} and 2 more; replace or remove them")
    assert not list(cache.rglob("*.safetensors"))


def test_a_broken_file_is_named_once(folder):
    path = folder / "train" / "ant" / "x.jpg"
    path.write_text("no picture")
    with pytest.raises(ValueError) as caught:
        task.load(f"folder:{folder}")
    assert str(caught.value).count(str(path)) == str(caught.value).count("x.jpg") == 1


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_dead_links_are_counted_too(folder):
    for name in ("a", "b"):
        (folder / "train" / "ant" / f"{name}.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match=r"^2 files in .*: train/ant/a\.png \(No such file or directory\), tra"):
        task.load(f"folder:{folder}")


def floats(path, *tops):
    for i, top in enumerate(tops):
        Image.fromarray(np.linspace(0, top, 1024, dtype=np.float32).reshape(32, 32)).save(path / f"f{i}.tif")


def test_float_pictures_of_both_ranges_in_one_folder_are_refused(folder, cache):
    floats(folder / "train" / "ant", 0, 1, 0.4)
    assert task.load(f"folder:{folder}").train.images[3:6].amax((1, 2, 3)).tolist() == [0, 255, 102]  # 0.4 of 255
    floats(folder / "train" / "cat", 200)
    kept = files_in(cache)
    with pytest.raises(ValueError) as caught:
        task.load(f"folder:{folder}")
    assert str(caught.value) == (
        f"{folder} holds float pictures of 0..1 (2, such as train/ant/f1.tif) and of 0..255 (1, such as "
        "train/cat/f0.tif); bring all into one of these")
    assert files_in(cache) == kept


@pytest.mark.parametrize("top, dark", [(4099, True), (8191, True), (8192, False), (65535, False)])
def test_sixteen_bits_of_which_little_is_used_are_told(folder, capsys, top, dark):
    for i, brightest in enumerate((top // 2, top)):
        Image.fromarray(np.array([[0, 7], [9, brightest]], np.uint16)).save(folder / "train" / "ant" / f"d{i}.png")
    task.load(f"folder:{folder}")
    expected = (f"pictures: the brightest of the 16-bit pictures is {top:,} of 65,535, so little contrast is left; "
                "scale them to the whole range first")
    assert line_of(capsys) == (expected if dark else "")
    task.load(f"folder:{folder}")  # from the cache, whose pixels are not looked at
    assert line_of(capsys) == ""


def test_a_picture_over_pillows_limit_is_told_in_megapixels(folder, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_500_000)
    save(folder / "train" / "ant" / "big.png", (200, 30, 30), size=(2000, 1000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(task.load(f"folder:{folder}").train) == 10
    assert line_of(capsys) == "pictures: train/ant/big.png has 2 megapixels; make it smaller"
    save(folder / "train" / "ant" / "huge.png", (200, 30, 30), size=(2000, 2000))
    with pytest.raises(ValueError) as caught:
        task.load(f"folder:{folder}")
    assert str(caught.value) == (f"{folder}/train/ant/huge.png cannot be read as an image (4 megapixels; make it "
                                 "smaller); replace or remove it")


def test_a_class_may_be_called_train_or_test(tmp_path):
    for name in ("train", "tram"):
        for i in range(4):
            save(tmp_path / name / f"{i}.png", (i, 0, 0))
    assert task.load(f"folder:{tmp_path}").classes == ("train", "tram")


def test_another_ground_size_or_place_of_the_same_bytes_is_another_cache(folder, cache, reads):
    task.load(f"folder:{folder}")
    task.load(f"folder:{folder}", ground="black")
    task.load(f"folder:{folder}", size=(32, 31))
    assert len(reads) == 45 and len(files_in(cache / "folders")) == 3


def test_a_place_may_start_at_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert task.load("folder:~/pictures").classes == ("ant", "bee", "cat")
