"""Data sets by name through torchvision's own readers, from a server on this machine, and any data set's pictures."""

import bz2
import hashlib
import inspect
import io
import pickle
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
import tqdm.auto
from kept import files_in, same
from PIL import Image
from scipy.io import savemat
from torchvision import datasets
from torchvision.datasets import CIFAR10, CIFAR100, SVHN, FakeData

from workbook import task
from workbook.task import fetch, sets


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
                server.closing.wait()
                return
            self.send_response(404 if server.manner == "absent" else 200)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            if server.manner == "drip":
                while not server.closing.wait(0.01):  # at 0.1 kB/s
                    self.wfile.write(b"x")
            elif server.manner == "broken off":
                self.wfile.write(packed[: len(packed) // 2])
            elif server.manner == "stalling":
                self.wfile.write(packed[: len(packed) // 2])
                self.wfile.flush()
                server.closing.wait()
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
    cifar = task.load("cifar10")
    assert cifar.mirrored
    assert (len(cifar.train), len(cifar.test), cifar.shape) == (20, 4, (3, 32, 32))
    assert cifar.classes == tuple(f"class {i}" for i in range(10))
    expected = [server.contents[f"data_batch_{i}"] for i in range(1, 6)]
    assert torch.equal(cifar.train.images.flatten(1), torch.from_numpy(np.vstack([b["data"] for b in expected])))
    assert cifar.train.labels.tolist() == [label for b in expected for label in b["labels"]]
    assert torch.equal(cifar.test.images.flatten(1), torch.from_numpy(server.contents["test_batch"]["data"]))
    assert cifar.train.images.is_contiguous()
    assert same(cifar, task.load("cifar10")) and server.asked == 1
    assert sorted(p.name for p in cache.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_cifar10_is_kept_where_root_says(server, cache, tmp_path):
    task.load("cifar10", root=tmp_path / "mine")
    assert (tmp_path / "mine" / "cifar-10-batches-py").is_dir() and not cache.exists()


def test_an_archive_put_there_by_hand_needs_no_network(server, cache):
    cache.mkdir()
    (cache / "cifar-10-python.tar.gz").write_bytes(server.packed)
    assert len(task.load("cifar10").train) == 20 and server.asked == 0


def test_a_damaged_batch_is_unpacked_anew(server, cache):
    first = task.load("cifar10")
    (cache / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"half")
    assert same(first, task.load("cifar10")) and server.asked == 1


def test_a_damaged_archive_is_fetched_anew(server, cache):
    cache.mkdir()
    (cache / "cifar-10-python.tar.gz").write_bytes(server.packed[:100])
    assert len(task.load("cifar10").train) == 20 and server.asked == 1


@pytest.mark.parametrize(
    "manner, cause",
    [
        ("absent", "404"),
        ("silent", "timed out"),
        ("stalling", "timed out"),
        ("drip", r"too slow, \d\.\d kB/s over \d+ s"),
        ("broken off", r"wrong checksum of the \d+ bytes"),
        ("other file", r"wrong checksum of the \d+ bytes"),
    ],
)
def test_a_bad_network_is_named_with_the_choices_offline_and_leaves_nothing(server, cache, monkeypatch, manner, cause):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.5 if cause == "timed out" else 120)
    monkeypatch.setattr(fetch, "SPEED_GRACE", 0.2 if manner == "drip" else 120)
    server.manner = manner
    with pytest.raises(ConnectionError, match=cause) as caught:
        task.load("cifar10")
    message = str(caught.value)
    assert CIFAR10.url in message and str(cache / "cifar-10-python.tar.gz") in message and "\n" not in message
    assert message.endswith("digits, glyphs or folder:PATH")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert server.asked == 1 and files_in(cache) == []


def test_a_dead_server_is_named_and_leaves_nothing(server, cache, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # the discard port: nobody there
    with pytest.raises(ConnectionError, match="refused.*digits, glyphs or folder:PATH"):
        task.load("cifar10")
    assert files_in(cache) == []


def test_a_slow_start_is_forgiven(server, monkeypatch):
    monkeypatch.setattr(fetch, "SPEED_GRACE", 120)
    monkeypatch.setattr(fetch, "SPEED_FLOOR", 10**12)  # no network is that fast, but the time has not come
    assert len(task.load("cifar10").train) == 20


def test_an_interrupt_in_the_download_leaves_nothing_and_the_next_call_works(server, cache, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm.auto.tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            task.load("cifar10")
    assert files_in(cache) == []
    assert len(task.load("cifar10").train) == 20


# --- names


@pytest.mark.parametrize("kind", fetch.PHOTOGRAPHS + fetch.OTHERS)
def test_every_name_is_a_class_of_torchvision_that_is_made_as_is_expected(kind):
    takes = inspect.signature(getattr(datasets, kind).__init__).parameters
    assert list(takes)[:2] == ["self", "root"] and all(
        takes[name].default is not inspect.Parameter.empty for name in list(takes)[2:]
        if takes[name].kind is not inspect.Parameter.VAR_KEYWORD
    )


@pytest.mark.parametrize("name, near", [
    ("cifar_100s", "cifar100"), ("minst", "mnist"), ("fashion-mnits", "fashion_mnist"), ("flower102", "flowers102"),
    ("digit", "digits"), ("glyph", "glyphs"), ("shvn", "svhn"), ("oxford_pets", "oxford_iiit_pet"),
    ("Digits", "digits"),
])
def test_a_misspelt_name_is_answered_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"^unknown data set '{name}', did you mean {near}[?] there are ") as caught:
        task.load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "zzzzzz", "folder:", "folder"])
def test_a_name_that_is_near_to_none_is_answered_with_all(name):
    there = "there are folder:PATH, digits, .*oxford_iiit_pet"
    with pytest.raises(ValueError, match=f"^unknown data set '{name}'.* {there}"):
        task.load(name)


def test_names_are_taken_in_any_spelling(monkeypatch):
    asked = []
    monkeypatch.setattr(fetch, "parts_of", lambda kind, root: asked.append(kind) or {"train": tiny(8)})
    for name in ("FashionMNIST", "fashion_mnist", "fashion-mnist", "FASHION mnist"):
        task.load(name)
    assert asked == ["FashionMNIST"] * 4


def test_digits_and_glyphs_are_kdlabs_and_may_have_a_part_for_choosing(capsys):
    plain, chosen = task.load("glyphs", train=100, test=20), task.load("glyphs", train=100, test=20, val=0.2)
    assert plain.val is None and capsys.readouterr().out.count("\n") == 1
    assert [len(chosen.part(x)) for x in ("train", "val", "test")] == [80, 20, 20]
    assert torch.bincount(chosen.val.labels).tolist() == [2] * 10
    assert plain.fingerprint("test") == chosen.fingerprint("test")
    both = torch.cat([chosen.train.images, chosen.val.images])
    assert sorted(x.numpy().tobytes() for x in both) == sorted(x.numpy().tobytes() for x in plain.train.images)


@pytest.mark.parametrize("val", [-0.1, 0.6])
def test_a_share_out_of_its_range_is_refused(val):
    with pytest.raises(ValueError, match=r"val must be a share in 0 \.\. 0\.5"):
        task.load("digits", val=val)


# --- torchvision's own readers, without a network


DRAW = np.random.default_rng(0)


def idx(array):
    """An array as MNIST's files hold it: two zeros, the type, the number of sides, the sides, the values."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(x.to_bytes(4, "big") for x in array.shape) + array.tobytes()


@pytest.mark.parametrize("name, kind", [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_sets_in_the_format_of_mnist_are_read_and_stay_grey(cache, name, kind):
    raw = cache / kind / "raw"
    raw.mkdir(parents=True)
    images, labels = {}, {}
    for part, n in (("train", 20), ("t10k", 10)):
        images[part] = DRAW.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels[part] = np.arange(n, dtype=np.uint8) % 10
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images[part]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels[part]))
    found = task.load(name)
    assert found.shape == (1, 28, 28) and len(found.classes) == 10 and not found.mirrored and found.val is None
    for part, split in (("train", found.train), ("t10k", found.test)):
        assert (split.images[:, 0].numpy() == images[part]).all() and split.labels.tolist() == labels[part].tolist()
    assert task.load(name, size=14).shape == (1, 14, 14)
    assert len(task.load(name, val=0.5).val) == 10  # each of ten classes has at least one


def test_svhns_matlab_files_are_read_in_colour_without_a_mirror(cache, monkeypatch):
    cache.mkdir()
    pictures, listed = {}, {}
    for part, n in (("train", 12), ("test", 10)):
        pictures[part] = DRAW.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        savemat(cache / f"{part}_32x32.mat", {"X": pictures[part], "y": np.arange(1, n + 1)[:, None] % 10 + 1})
        digest = hashlib.md5((cache / f"{part}_32x32.mat").read_bytes()).hexdigest()
        listed[part] = [f"http://127.0.0.1:9/{part}_32x32.mat", f"{part}_32x32.mat", digest]
    monkeypatch.setattr(SVHN, "split_list", listed)
    found = task.load("svhn")
    assert found.shape == (3, 32, 32) and not found.mirrored and found.classes == tuple("0123456789")
    for part, split in (("train", found.train), ("test", found.test)):
        assert (split.images.numpy() == pictures[part].transpose(3, 2, 0, 1)).all()
        n = pictures[part].shape[3]
        assert split.labels.tolist() == [(i % 10 + 1) % 10 for i in range(1, n + 1)]  # 10 stands for the zero


def test_cifar100_is_read_from_its_own_files_and_keeps_its_names(cache, monkeypatch):
    place, sums, contents = cache / "cifar-100-python", {}, {}
    place.mkdir(parents=True)
    for part, n in (("train", 120), ("test", 100)):
        contents[part] = {"data": DRAW.integers(0, 256, (n, 3072), dtype=np.uint8),
                          "fine_labels": [i % 100 for i in range(n)]}
    contents["meta"] = {"fine_label_names": [f"kind {i}" for i in range(100)]}
    for name, content in contents.items():
        (place / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((place / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": sums["meta"]})
    found = task.load("cifar100")
    assert found.mirrored and found.classes[:2] == ("kind 0", "kind 1") and len(found.classes) == 100
    assert (found.train.images.flatten(1).numpy() == contents["train"]["data"]).all()
    assert found.test.labels.tolist() == list(range(100))


def test_usps_is_read_from_its_packed_text(cache):
    cache.mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        rows = [f"{label + 1} " + " ".join(f"{i + 1}:{2 * (i % 2) - 1}" for i in range(256)) for label in range(10)]
        (cache / name).write_bytes(bz2.compress("\n".join(rows).encode()))
    found = task.load("usps")
    assert found.shape == (1, 16, 16) and found.train.labels.tolist() == list(range(10)) and not found.mirrored
    assert found.train.images[0, 0, 0].tolist() == [0, 255] * 8


def test_a_set_of_photographs_of_several_sizes_asks_for_one(cache, monkeypatch):
    """As flowers102 is made: split=, with a part for choosing."""
    monkeypatch.setattr(datasets, "Flowers102", Flowers)
    with pytest.raises(ValueError, match=r"the pictures of train have 20x30 and 21x30 pixels; give size="):
        task.load("flowers102")
    found = task.load("flowers102", size=(10, 12))
    assert found.shape == (3, 10, 12) and found.mirrored
    assert [len(found.part(x)) for x in ("train", "val", "test")] == [4, 3, 5]
    assert Flowers.asked[0] == ("train", True) and {root for root, *_ in Flowers.roots} == {cache}


class Flowers:
    asked, roots = [], []

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        if split not in ("train", "val", "test"):
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are ('train', 'val', 'test').")
        Flowers.asked.append((split, download))
        Flowers.roots.append((root,))
        self.classes, self.n = ["rose", "tulip"], {"train": 4, "val": 3, "test": 5}[split]

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return Image.new("RGB", (30, 20 + i), (i, 0, 0)), i % 2

def test_a_set_that_torchvision_cannot_fetch_says_where_it_is_looked_for(cache):
    with pytest.raises(ValueError, match=f"^ImageNet is not in {cache}, and torchvision cannot fetch it") as caught:
        task.load("imagenet", size=8)
    assert "\n" not in str(caught.value)


# --- from_dataset


def tiny(n, classes=2, mode="RGB", size=(6, 5)):
    """A list of (picture, label); picture i is of one grey."""
    return [(Image.new("RGB", size, (i, i, i)).convert(mode), i % classes) for i in range(n)]


def test_a_list_of_pictures_and_labels_is_a_data_set():
    found = task.from_dataset(tiny(6), tiny(4), name="mine", classes=["a", "b"], mirrored=True)
    assert (found.name, found.classes, found.shape, found.mirrored) == ("mine", ("a", "b"), (3, 5, 6), True)
    assert found.train.images[:, 0, 0, 0].tolist() == list(range(6)) and found.test.labels.tolist() == [0, 1, 0, 1]


def test_fakedata_of_torchvision_is_read_picture_by_picture():
    train = FakeData(12, (3, 9, 8), 4, random_offset=1)
    found = task.from_dataset(train, FakeData(8, (3, 9, 8), 4), name="fake")
    assert found.shape == (3, 9, 8) and len(found.train) == 12
    assert torch.equal(found.train.images[5], torch.from_numpy(np.array(train[5][0])).permute(2, 0, 1))
    assert found.train.labels.tolist() == [int(label) for _, label in train]


def test_tensors_with_tensor_labels_are_taken():
    images, labels = torch.rand(8, 1, 7, 7), torch.arange(8) % 2
    found = task.from_dataset(torch.utils.data.TensorDataset(images, labels), tiny(2, size=(7, 7)), name="tensors")
    assert torch.equal(found.train.images[:, :1], images.mul(255).round().byte())
    assert found.shape == (3, 7, 7) and found.train.labels.tolist() == labels.tolist()  # grey beside colour: colour


class HuggingFace:
    """What is used of a Hugging Face data set: rows by number, and features with the names of the labels."""

    def __init__(self, n, key="image"):
        self.rows = [{key: image, "label": label, "more": "text"} for image, label in tiny(n, mode="L")]
        self.features = {key: object(), "label": type("ClassLabel", (), {"names": ["cat", "dog"]})()}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


@pytest.mark.parametrize("key", ["image", "img"])
def test_rows_of_hugging_face_bring_their_names_and_stay_grey(key):
    found = task.from_dataset(HuggingFace(6, key), HuggingFace(4, key), name="hub", val=HuggingFace(2, key))
    assert found.classes == ("cat", "dog") and found.shape == (1, 5, 6)
    assert found.train.labels.tolist() == [0, 1] * 3 and len(found.val) == 2


def test_labels_may_be_names():
    named = [(image, ["猫", "dog", "قطة"][label]) for image, label in tiny(6, classes=3)]
    found = task.from_dataset(named, named[:3], name="named")
    assert found.classes == tuple(sorted(["猫", "dog", "قطة"]))
    assert [found.classes[x] for x in found.train.labels] == [label for _, label in named]
    ordered = task.from_dataset(named, named, name="named", classes=["قطة", "dog", "猫"])
    assert ordered.train.labels[:3].tolist() == [2, 1, 0]


def test_numbers_that_are_not_from_zero_up_are_named_by_themselves():
    shifted = [(image, 10 * label + 3) for image, label in tiny(4)]
    found = task.from_dataset(shifted, shifted, name="shifted")
    assert found.classes == ("3", "13") and found.train.labels.tolist() == [0, 1, 0, 1]


def test_without_a_test_part_a_fifth_is_taken_class_by_class_and_said(capsys):
    found = task.from_dataset(tiny(20), name="mine", seed=5)
    assert (len(found.train), len(found.test)) == (16, 4) and torch.bincount(found.test.labels).tolist() == [2, 2]
    assert capsys.readouterr().out == (
        "mine has no test part: split by seed 5, class by class, into 16 train, 4 test\n")
    assert same(found, task.from_dataset(tiny(20), name="mine", seed=5))


@pytest.mark.parametrize("label, said", [(2, "2"), (-1, "-1"), ("x", "'x'")])
def test_a_label_that_is_no_class_is_refused_with_its_part(label, said):
    wrong = [*tiny(3), (Image.new("RGB", (6, 5)), label)]
    with pytest.raises(ValueError, match=rf"^test has the label {said}, which is none of the 2 classes$"):
        task.from_dataset(tiny(4), wrong, name="mine", classes=["a", "b"])


@pytest.mark.parametrize("classes", [None, ["a", "b"]])
@pytest.mark.parametrize("label, said", [(True, "True"), (None, "None"), (0.5, "0.5"), ([1], r"\[1\]"),
                                         (torch.tensor(True), "True"), (float("nan"), "nan"), (b"a", "b'a'")])
def test_a_label_that_is_neither_a_number_nor_a_name_is_refused(label, said, classes):
    wrong = [*tiny(3), (Image.new("RGB", (6, 5)), label)]
    with pytest.raises(ValueError, match=f"^train has the label {said}; a label must be a whole number or a name$"):
        task.from_dataset(wrong, tiny(3), name="mine", classes=classes)


@pytest.mark.parametrize("label, said", [
    ([0, 1], r"\[0, 1\]"), (torch.tensor([0.0, 1.0]), r"\[0\.0, 1\.0\]"), (np.eye(3)[1], r"\[0\.0, 1\.0, 0\.0\]"),
    (np.zeros(1000), r"\[0\.0, [0., ]{50,60}\.\.\."),
])
def test_a_one_hot_label_is_named_and_not_its_picture(label, said):
    with pytest.raises(ValueError) as caught:
        task.from_dataset([*tiny(3), (Image.new("RGB", (6, 5)), label)], tiny(3), name="mine")
    rest = "; a label must be a whole number or a name; of a one-hot row give argmax"
    assert re.fullmatch(f"train has the label {said}{rest}", str(caught.value))


@pytest.mark.parametrize("kind", [torch.tensor, np.float32, float, lambda x: torch.tensor([x])])
def test_floats_that_are_whole_numbers_are_labels(kind):
    rows = [(image, kind(float(label))) for image, label in tiny(4)]
    found = task.from_dataset(rows, rows, name="floats")
    assert found.classes == ("0", "1") and found.train.labels.tolist() == [0, 1, 0, 1]


def test_a_class_that_train_lacks_is_named(capsys):
    task.from_dataset(tiny(4), tiny(4, classes=3), name="mine", val=tiny(4, classes=4), classes=list("abcd"))
    assert capsys.readouterr().out == ("mine: train has no pictures of c, and test has; "
                                       "train has no pictures of c, d, and val has\n")
    task.from_dataset(tiny(10), name="mine", val=tiny(3, classes=3))
    assert capsys.readouterr().out == ("mine has no test part: split by seed 0, class by class, into 8 train, 2 test; "
                                       "train has no pictures of 2, and val has\n")
    task.from_dataset(tiny(4), tiny(4), name="mine")
    assert capsys.readouterr().out == ""


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="^two classes have the name 'a'; each needs one of its own, give classes=$"):
        task.from_dataset(tiny(4), tiny(4), name="mine", classes=["a", "b", "a"])


@pytest.mark.parametrize("make, said", [
    (lambda rows: torch.utils.data.DataLoader(rows), "train must have a length and [i], got a DataLoader; pass loader."
                                                     "dataset"),
    (lambda rows: (row for row in rows), "train must have a length and [i], got a generator; make a list of it"),
    (lambda rows: {"train": rows, "test": rows}, "train is a dict of train, test; pass its parts, one by one"),
])
def test_what_cannot_be_asked_by_number_is_told_with_what_to_pass(make, said):
    with pytest.raises(ValueError) as caught:
        task.from_dataset(make(tiny(4)), tiny(4), name="mine")
    assert str(caught.value) == said


@pytest.mark.parametrize("columns, advice", [
    (("img", "fine_label"), ".rename_column('fine_label', 'label')"),
    (("image", "breed"), ".rename_column('COLUMN', 'label')"), (("image_file", "label"), "'image_file', 'image')"),
])
def test_rows_with_other_columns_are_told_with_what_to_rename(columns, advice):
    rows = [dict(zip(columns, pair)) for pair in tiny(4)]
    with pytest.raises(ValueError) as caught:
        task.from_dataset(rows, rows, name="mine")
    begin = f"train[0] must be (picture, label), or a row with image and label, got {sorted(columns)}; rename one"
    assert str(caught.value).startswith(begin) and str(caught.value).endswith(advice)


def test_a_normalised_tensor_is_told_to_lose_its_normalize():
    rows = [(torch.full((3, 4, 4), -1.5), 0)] * 2
    with pytest.raises(ValueError, match=r"^train\[0\] .* got -1\.5 \.\. -1\.5; remove Normalize from the transf"):
        task.from_dataset(rows, rows, name="mine")


def test_torchvisions_two_classes_of_one_name_are_told_apart(monkeypatch):
    """ImageNet has two of crane: a bird, and a machine."""
    rows = type("Rows", (list,), {"classes": [("crane",), ("tench", "fish"), ("crane",)]})(tiny(6, classes=3))
    monkeypatch.setattr(fetch, "parts_of", lambda kind, root: {"train": rows, "test": rows})
    found = task.load("imagenet")
    assert found.classes == ("crane", "tench, fish", "crane (2)") and found.test.labels.tolist() == [0, 1, 2] * 2


def test_a_folder_or_file_without_its_word_is_told(tmp_path):
    with pytest.raises(ValueError) as caught:
        task.load(str(tmp_path))
    assert str(caught.value) == f"unknown data set {str(tmp_path)!r}, did you mean folder:{tmp_path}?"
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(ValueError) as caught:
        task.load(tmp_path / "a.zip")
    assert str(caught.value) == f"{tmp_path}/a.zip is a file; unpack it, and give folder:PATH of the folder"


def test_a_class_with_one_picture_is_named_where_a_part_is_taken(capsys):
    task.from_dataset([*tiny(10), (Image.new("RGB", (6, 5)), 2)], name="mine", classes=["a", "b", "猫"])
    assert capsys.readouterr().out.endswith("9 train, 2 test; a single picture, kept in train, of 猫\n")


@pytest.mark.parametrize("train, message", [
    ([], "train is empty; it must hold at least one picture"),
    ([(Image.new("L", (4, 4)), 0), (Image.new("L", (5, 4)), 1)], "the pictures of train have 4x4 and 4x5 pixels; gi"),
    ([(Image.new("L", (4, 4)), 0), 7], r"train\[1\] must be \(picture, label\), or a row with image and label, got i"),
    ([{"label": 0, "text": "x"}], r"train\[0\] must be .*, got \['label', 'text'\]"),
    ([(Image.new("L", (4, 4)), 0, 1)], r"train\[0\] must be \(picture, label\).*, got tuple"),
    ([("a.png", 0)], r"train\[0\] cannot be read as a picture: a picture must be a PIL image"),
    ([(torch.zeros(3, 4, 4).long(), 0)], r"train\[0\] cannot be read as a picture: .*int64"),
])
def test_what_is_no_picture_with_its_label_is_told_with_its_place(train, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        task.from_dataset(train, tiny(2), name="mine")
    assert "\n" not in str(caught.value)


def test_parts_of_different_sizes_are_told():
    with pytest.raises(ValueError, match="the parts of mine have pictures of 5x6 and 8x6 pixels; give size="):
        task.from_dataset(tiny(2), tiny(2, size=(6, 8)), name="mine")
    assert task.from_dataset(tiny(2), tiny(2, size=(6, 8)), name="mine", size=5).shape == (3, 5, 5)


def test_pictures_of_other_sizes_are_told_at_the_first_one():
    class Endless(list):
        def __getitem__(self, i):
            assert i < 2, "it was known at 1"
            return Image.new("L", (4 + i, 4)), 0

    with pytest.raises(ValueError, match="have 4x4 and 4x5 pixels; give size="):
        task.from_dataset(Endless([0] * 10**6), name="endless")


def test_pictures_that_memory_cannot_hold_are_told_before_they_are_read(monkeypatch):
    monkeypatch.setattr(sets.store, "memory", lambda: 2e9)
    photographs = [(Image.new("RGB", (1000, 1000)), 0)] * 400
    with pytest.raises(ValueError, match=r"^the pictures of train take 1\.2 GB, over half of the 2\.0 GB .*folder:"):
        task.from_dataset(photographs, tiny(2), name="mine")
    assert len(task.from_dataset(photographs[:2], photographs[:2], name="mine", size=9).train) == 2


def test_grey_before_colour_becomes_colour_and_keeps_its_values():
    found = task.from_dataset([*tiny(3, mode="L"), *tiny(2)], tiny(2, mode="L"), name="mine")
    assert found.shape == (3, 5, 6)
    assert found.train.images.flatten(1).tolist() == [[x] * 90 for x in (0, 1, 2, 0, 1)]


def test_random_transforms_of_torchvisions_sets_are_drawn_in_their_order():
    found = [task.from_dataset(FakeData(20, (3, 9, 8), 4), FakeData(8, (3, 9, 8), 4), name="fake") for _ in "12"]
    assert same(*found)


def test_anothers_object_is_asked_in_this_thread_alone():
    class Own(list):
        def __getitem__(self, i):
            assert threading.current_thread() is threading.main_thread()
            return super().__getitem__(i)

    assert len(task.from_dataset(Own(tiny(6)), tiny(2), name="own").train) == 6
