"""Data sets by name through torchvision's own readers, from a server on this machine, and any data set's pictures."""

import hashlib
import io
import pickle
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
import tqdm.auto
from torchvision.datasets import CIFAR10

from kdlab.data import Dataset
from workbook import task
from workbook.task import sets


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
        ("drip", r"too slow, \d\.\d kB/s over [012] s"),
        ("broken off", r"wrong checksum of the \d+ bytes"),
        ("other file", r"wrong checksum of the \d+ bytes"),
    ],
)
def test_a_bad_network_is_named_with_the_choices_offline_and_leaves_nothing(server, cache, monkeypatch, manner, cause):
    monkeypatch.setattr(sets, "TIMEOUT", 0.5)
    monkeypatch.setattr(sets, "SPEED_GRACE", 0.2)
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
    monkeypatch.setattr(sets, "SPEED_FLOOR", 10**12)  # no network is that fast, but the time has not come
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
