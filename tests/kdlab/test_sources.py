"""The four sources: digits, glyphs, cifar10 from a server on this machine, folders of images made here."""

import errno
import hashlib
import io
import pickle
import shutil
import tarfile
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import tqdm.auto
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms import v2

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


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(one: Dataset, other: Dataset) -> bool:
    return one.classes == other.classes and all(
        one.fingerprint(split) == other.fingerprint(split) for split in ("train", "test")
    )


def rows(images):
    return [image.tobytes() for image in images.numpy()]


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


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


# --- cifar10


def archive():
    """CIFAR-10's layout with 4 images a batch: the archive's bytes, its files' checksums, and their contents."""
    draw, packed, sums = np.random.default_rng(0), io.BytesIO(), {}
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    contents = {
        name: {"data": draw.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": draw.integers(0, 10, 4).tolist()}
        for name in names
    }
    raw = {name: pickle.dumps(content) for name, content in contents.items()}
    raw["batches.meta"] = pickle.dumps({"label_names": [f"class {i}" for i in range(10)]})
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in raw.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
            sums[name] = hashlib.md5(content).hexdigest()
    return packed.getvalue(), sums, contents


@pytest.fixture
def server(monkeypatch):
    """CIFAR10 points at a server on this machine; server.manner says how it answers, server.asked counts."""
    packed, sums, contents = archive()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            if server.manner == "silent":
                server.closing.wait(10)
                return
            self.send_response(404 if server.manner == "absent" else 200)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            if server.manner == "drip":
                for _ in range(500):  # at 0.1 kB/s
                    self.wfile.write(b"x")
                    if server.closing.wait(0.01):
                        break
            elif server.manner == "broken off":
                self.wfile.write(packed[: len(packed) // 2])
            elif server.manner == "stalling":
                self.wfile.write(packed[: len(packed) // 2])
                self.wfile.flush()
                server.closing.wait(10)
            elif server.manner == "other file":
                self.wfile.write(packed[::-1])
            elif server.manner == "well":
                self.wfile.write(packed)

        def log_message(self, *arguments):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *arguments):  # the client hangs up on a drip, as it should
            pass

    server = Quiet(("127.0.0.1", 0), Answer)
    server.manner, server.asked, server.closing, server.contents = "well", 0, threading.Event(), contents
    server.packed = packed
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed).hexdigest())
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_cifar10_is_fetched_once_and_holds_what_the_archive_holds(server, cache):
    cifar = load("cifar10")
    assert cifar.mirrored
    assert (len(cifar.train), len(cifar.test), cifar.shape) == (20, 4, (3, 32, 32))
    assert cifar.classes == tuple(f"class {i}" for i in range(10))
    expected = [server.contents[f"data_batch_{i}"] for i in range(1, 6)]
    assert torch.equal(cifar.train.images.flatten(1), torch.from_numpy(np.vstack([b["data"] for b in expected])))
    assert cifar.train.labels.tolist() == [label for b in expected for label in b["labels"]]
    assert torch.equal(cifar.test.images.flatten(1), torch.from_numpy(server.contents["test_batch"]["data"]))
    assert cifar.train.images.is_contiguous()
    assert same(cifar, load("cifar10")) and server.asked == 1
    assert sorted(p.name for p in cache.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_cifar10_is_kept_where_root_says(server, cache, tmp_path):
    load("cifar10", root=tmp_path / "mine")
    assert (tmp_path / "mine" / "cifar-10-batches-py").is_dir() and not cache.exists()


def test_an_archive_put_there_by_hand_needs_no_network(server, cache):
    cache.mkdir()
    (cache / "cifar-10-python.tar.gz").write_bytes(server.packed)
    assert len(load("cifar10").train) == 20 and server.asked == 0


def test_a_damaged_batch_is_unpacked_anew(server, cache):
    first = load("cifar10")
    (cache / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"half")
    assert same(first, load("cifar10")) and server.asked == 1


def test_a_damaged_archive_is_fetched_anew(server, cache):
    cache.mkdir()
    (cache / "cifar-10-python.tar.gz").write_bytes(server.packed[:100])
    assert len(load("cifar10").train) == 20 and server.asked == 1


@pytest.mark.parametrize(
    "manner, cause",
    [
        ("absent", "404"),
        ("silent", "timed out"),
        ("stalling", "timed out"),
        ("drip", r"too slow, \d\.\d kB/s over [012] s"),
        ("broken off", r"wrong checksum of the \d+ bytes"),
        ("other file", r"wrong checksum of the \d+ bytes"),
    ],
)
def test_a_bad_network_is_named_with_the_choices_offline_and_leaves_nothing(server, cache, monkeypatch, manner, cause):
    monkeypatch.setattr(sources, "TIMEOUT", 0.5)
    monkeypatch.setattr(sources, "SPEED_GRACE", 0.2)
    server.manner = manner
    with pytest.raises(ConnectionError, match=cause) as caught:
        load("cifar10")
    message = str(caught.value)
    assert CIFAR10.url in message and str(cache / "cifar-10-python.tar.gz") in message and "\n" not in message
    assert message.endswith("digits, glyphs or folder:PATH")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert server.asked == 1 and files_in(cache) == []


def test_a_dead_server_is_named_and_leaves_nothing(server, cache, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # the discard port: nobody there
    with pytest.raises(ConnectionError, match="refused.*digits, glyphs or folder:PATH"):
        load("cifar10")
    assert files_in(cache) == []


def test_a_slow_start_is_forgiven(server, monkeypatch):
    monkeypatch.setattr(sources, "SPEED_FLOOR", 10**12)  # no network is that fast, but the time has not come
    assert len(load("cifar10").train) == 20


def test_an_interrupt_in_the_download_leaves_nothing_and_the_next_call_works(server, cache, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm.auto.tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load("cifar10")
    assert files_in(cache) == []
    assert len(load("cifar10").train) == 20


# --- folder


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
    paths, read = [], sources._read_image

    def spy(path, size):
        paths.append(path)
        return read(path, size)

    monkeypatch.setattr(sources, "_read_image", spy)
    return paths


def test_a_folder_becomes_square_images_with_the_labels_of_its_folders(folder):
    pictures = load(f"folder:{folder}", size=16)
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
    own = load(f"folder:{folder}", size=8).train
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
    tall, wide = load(f"folder:{tmp_path}", size=10).train.images
    assert torch.equal(wide, tall.transpose(1, 2))
    assert wide[0, :, :4].min() > 200 and wide[0, :, 6:].max() < 15
    assert wide[2, :, 6:].min() > 200 and wide[2, :, :4].max() < 15


def test_images_of_the_right_size_are_taken_over_pixel_by_pixel(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    for i, image in enumerate(noise):
        (tmp_path / ("train", "test")[i // 2] / "ab"[i % 2]).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / ("train", "test")[i // 2] / "ab"[i % 2] / "x.png")
    pictures = load(f"folder:{tmp_path}")
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
    images = load(f"folder:{folder}").train.images
    assert images[9:13].min() == 255
    assert images[13, :, :15].min() == 255 and images[13, :, 17:].max() == 0


def test_a_second_load_reads_the_cache_and_no_image(folder, cache, reads):
    first = load(f"folder:{folder}")
    assert len(reads) == 15 and [p.suffix for p in (cache / "folders").iterdir()] == [".safetensors"]
    second = load(f"folder:{folder}")
    assert len(reads) == 15 and same(first, second) and torch.equal(first.mean, second.mean)


def test_a_copy_of_the_folder_elsewhere_uses_the_same_cache(folder, tmp_path, reads):
    load(f"folder:{folder}")
    assert load(f"folder:{folder.rename(tmp_path / 'moved')}").shape == (3, 32, 32) and len(reads) == 15


@pytest.mark.parametrize("change", ["pixel", "name", "class", "new file", "size"])
def test_other_content_or_size_is_read_anew(folder, cache, reads, change):
    load(f"folder:{folder}")
    image = folder / "train" / "ant" / "0.png"
    if change == "pixel":
        save(image, (201, 30, 30))
    elif change == "name":
        image.rename(image.with_name("9.png"))
    elif change == "class":
        image.rename(folder / "train" / "bee" / "7.png")
    elif change == "new file":
        save(image.with_name("8.png"), (0, 0, 0))
    load(f"folder:{folder}", size=24 if change == "size" else 32)
    assert len(reads) == (31 if change == "new file" else 30) and len(files_in(cache / "folders")) == 2


def flip_a_bit(raw):
    return raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:]


def cut(raw):
    return raw[:-1]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda raw: b"", lambda raw: b"x" * 100])
def test_a_damaged_cache_file_is_rebuilt(folder, cache, reads, damage):
    first = load(f"folder:{folder}")
    (kept,) = (cache / "folders").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert same(first, load(f"folder:{folder}")) and len(reads) == 30
    assert kept.read_bytes() == whole and len(files_in(cache / "folders")) == 1


def test_a_cache_file_of_something_else_is_rebuilt(folder, cache, reads):
    first = load(f"folder:{folder}")
    (kept,) = (cache / "folders").iterdir()
    safetensors.torch.save_file({"logits": torch.zeros(3)}, kept)
    assert same(first, load(f"folder:{folder}")) and len(reads) == 30


def test_a_full_disk_costs_the_cache_and_not_the_images(folder, cache, monkeypatch):
    def full(path, content, write=Path.write_bytes):
        write(path, content[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="are loaded, but not cached at .*No space left.*reads them again"):
        pictures = load(f"folder:{folder}")
    assert len(pictures.train) == 9 and files_in(cache / "folders") == []


def test_an_interrupt_while_reading_leaves_nothing(folder, cache, monkeypatch):
    def interrupt(path, size):
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "_read_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load(f"folder:{folder}")
    assert not cache.exists()


def test_a_class_without_test_images_is_allowed(folder):
    for image in (folder / "test" / "bee").iterdir():
        image.unlink()
    labels = load(f"folder:{folder}").test.labels.tolist()
    (folder / "test" / "bee").rmdir()
    assert load(f"folder:{folder}").test.labels.tolist() == labels == [0, 0, 2, 2]


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
        load(f"folder:{folder}")
    assert str(caught.value).startswith(message.format(f=folder))
    assert "\n" not in str(caught.value) and not cache.exists()


def test_a_truncated_jpeg_is_named(folder):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = folder / "train" / "ant" / "photo.jpeg"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"photo\.jpeg cannot be read as an image \(.*truncated.*; replace or remove"):
        load(f"folder:{folder}")
