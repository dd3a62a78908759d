"""Folders of pictures as they come: what counts, in which part, in which order, and what is said of the rest."""

import errno
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from kdlab.data import Dataset
from workbook import task
from workbook.task import folders


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(one: Dataset, other: Dataset) -> bool:
    return one.classes == other.classes and all(
        one.fingerprint(split) == other.fingerprint(split) for split in ("train", "test")
    )


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


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
                save(place / split / name / f"{i}.png", (r + i, g, b), size=(40 + i, 32))
    return place


@pytest.fixture
def reads(monkeypatch):
    """The paths of the images that were decoded."""
    paths, read = [], folders._read_image

    def spy(path, size, ground):
        paths.append(path)
        return read(path, size, ground)

    monkeypatch.setattr(folders, "_read_image", spy)
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
    def interrupt(path, size, ground):
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "_read_image", interrupt)
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
