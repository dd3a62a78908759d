"""The file of decoded pictures: mapped or in memory the same, damaged ones rebuilt, and what memory there is."""

import gc
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
import tqdm.auto

from kdlab import data, evaluation, models, training
from workbook.task import store

SHAPE = (40, 3, 8, 8)
PICTURES = torch.randint(0, 256, SHAPE, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "cache.safetensors"


@pytest.fixture
def small_memory(monkeypatch):
    """So little that the pictures are more than their share: 7,680 bytes of 30,000."""
    monkeypatch.setattr(store, "memory", lambda: 30_000.0)


def read(i):
    return PICTURES[i]


def refuse(i):
    raise AssertionError("the cache is whole, and nothing must be read again")


# --- mapped and in memory


def test_below_the_share_the_images_are_in_memory_and_above_it_mapped(path, monkeypatch):
    for memory, expected in ((PICTURES.numel() / 0.25, False), (PICTURES.numel() / 0.25 - 4, True)):
        monkeypatch.setattr(store, "memory", lambda: memory)
        found, mapped = store.images(path, SHAPE, read)
        assert mapped is expected and torch.equal(found, PICTURES) and found.dtype == torch.uint8
    monkeypatch.setattr(store, "SHARE", 1.0)
    assert not store.images(path, SHAPE, refuse)[1]


def test_both_ways_write_the_same_file_and_safetensors_reads_it(path, tmp_path, monkeypatch):
    store.images(path, SHAPE, read)
    monkeypatch.setattr(store, "SHARE", 0)
    store.images(tmp_path / "mapped.safetensors", SHAPE, read)
    assert path.read_bytes() == (tmp_path / "mapped.safetensors").read_bytes()
    assert torch.equal(safetensors.torch.load_file(path)["images"], PICTURES)


@pytest.mark.parametrize("share", [0, 1])
def test_what_is_refused_once_all_are_read_is_not_kept(path, monkeypatch, share):
    monkeypatch.setattr(store, "SHARE", share)
    asked = []

    def check():
        assert sorted(asked) == list(range(SHAPE[0]))
        raise ValueError("not these")

    with pytest.raises(ValueError, match="^not these$"):
        store.images(path, SHAPE, lambda i: asked.append(i) or read(i), check)
    assert not path.exists()
    store.images(path, SHAPE, read, lambda: None)
    assert torch.equal(store.images(path, SHAPE, refuse, check)[0], PICTURES)  # what is kept was looked at


def test_the_cached_file_serves_both_ways_without_reading_again(path, monkeypatch):
    store.images(path, SHAPE, read)
    for share in (0, 1, 0):
        monkeypatch.setattr(store, "SHARE", share)
        found, mapped = store.images(path, SHAPE, refuse)
        assert mapped is (share == 0) and torch.equal(found, PICTURES)


def test_training_on_mapped_images_gives_the_same_weights_bit_for_bit(path, monkeypatch):
    weights, answers = [], []
    for share in (1, 0):
        monkeypatch.setattr(store, "SHARE", share)
        images, _ = store.images(path, SHAPE, read)
        parts = [data.Split(x, torch.arange(20) % 2) for x in images.split(20)]
        dataset = data.Dataset("pictures", *parts, ("a", "b")).augmented(1)
        model = models.build("cnn-4-8", dataset.shape, 2, seed=0)
        training.finish(training.train(model, dataset, steps=8, batch_size=6))
        weights.append(torch.cat([x.flatten() for x in model.state_dict().values()]))
        answers.append((evaluation.predict(model, dataset, "test"), dataset.fingerprint(), dataset.mean, dataset.std))
    assert torch.equal(*weights) and torch.equal(answers[0][0], answers[1][0]) and answers[0][1] == answers[1][1]
    assert torch.equal(answers[0][2], answers[1][2]) and torch.equal(answers[0][3], answers[1][3])


def test_what_is_written_into_a_mapped_tensor_never_reaches_the_file(path, small_memory):
    found, _ = store.images(path, SHAPE, read)
    before = path.read_bytes()
    found[0] = 7
    assert path.read_bytes() == before


def test_a_mapped_file_may_be_replaced_while_it_is_in_use(path, small_memory):
    found, _ = store.images(path, SHAPE, read)
    path.unlink()
    store.images(path, SHAPE, lambda i: 255 - PICTURES[i])
    assert torch.equal(found, PICTURES)


@pytest.mark.skipif(sys.platform != "linux", reason="sparse files, and Linux's way to refuse")
def test_a_file_larger_than_the_whole_memory_can_be_mapped(tmp_path):
    """A private mapping that reserves memory is refused beyond RAM and swap: Cannot allocate memory."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    shape = (4 * total // (3 * 1000 * 1000), 3, 1000, 1000)
    head = store._head(shape)
    with (tmp_path / "large").open("wb") as file:
        file.write(head)
        try:
            file.truncate(len(head) + math.prod(shape) + 16)
        except OSError:
            pytest.skip("no files of that size here")
    found = store._mapped(tmp_path / "large", head, shape)
    assert found.shape == shape and found[-1, 2, -1, -1] == 0


def threads():
    return {thread for thread in threading.enumerate() if thread.name == "mapped images"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no madvise")
def test_the_thread_that_gives_pages_back_ends_with_the_last_view(path, small_memory, monkeypatch):
    monkeypatch.setattr(store, "RELEASED", 0.01)
    others = threads()  # of other tests, which end when they like
    found, _ = store.images(path, SHAPE, read)
    [own] = threads() - others
    view = found.split(20)[1]
    del found
    gc.collect()
    time.sleep(0.1)
    assert own.is_alive() and torch.equal(view, PICTURES[20:])
    del view
    gc.collect()
    own.join(60)
    assert not own.is_alive()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the resident set")
def test_pages_that_were_read_leave_the_resident_set(tmp_path):
    """200 MB are read through, in a process of its own, and a moment later, a busy machine's, they do not count."""
    code = f"""
import sys, time, torch
from pathlib import Path
from workbook.task import store
def resident():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssFile"].split()[0]) / 1e3
store.SHARE = 0
one = torch.full((3, 1000, 1000), 7, dtype=torch.uint8)
found, _ = store.images(Path({str(tmp_path / "x")!r}), (67, 3, 1000, 1000), lambda i: one)
before = resident()
total = sum(int(image.sum()) for image in found)
end = time.monotonic() + 60
while resident() > before + 60 and time.monotonic() < end:
    time.sleep(0.05)
print(total == found.numel() * 7, before, resident())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    right, before, after = done.stdout.split()
    assert right == "True" and float(after) < float(before) + 60


# --- whole, damaged, foreign


def cut(raw):
    return raw[:-1]


def longer(raw):
    return raw + b"\0"


def flip_a_bit(raw):
    return raw[:-1000] + bytes([raw[-1000] ^ 1]) + raw[-999:]


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("damage", [cut, longer, flip_a_bit, lambda raw: b"", lambda raw: b"x" * 100])
def test_a_damaged_file_is_rebuilt_either_way(path, monkeypatch, share, damage):
    monkeypatch.setattr(store, "SHARE", share)
    store.images(path, SHAPE, read)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    found, _ = store.images(path, SHAPE, read)
    assert torch.equal(found, PICTURES) and path.read_bytes() == whole and len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("share", [0, 1])
def test_a_file_of_something_else_or_of_another_shape_is_rebuilt(path, monkeypatch, share):
    monkeypatch.setattr(store, "SHARE", share)
    path.parent.mkdir()
    for other in ({"logits": torch.zeros(3)}, {"images": PICTURES.view(40, 3, 4, 16)}, {"images": PICTURES}):
        safetensors.torch.save_file(other, path)
        assert torch.equal(store.images(path, SHAPE, read)[0], PICTURES)
        assert torch.equal(store.images(path, SHAPE, refuse)[0], PICTURES)


def test_a_full_disk_ends_a_load_that_must_be_mapped_and_leaves_nothing(path, small_memory, monkeypatch):
    def full(what, path, content):
        next(iter(content))
        raise OSError("No space left on device")

    monkeypatch.setattr(store, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        store.images(path, SHAPE, read)
    assert not path.exists()


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("error", [ValueError("picture 30"), KeyboardInterrupt()])
def test_what_a_reader_raises_comes_through_and_leaves_nothing(path, monkeypatch, share, error):
    def fails(i):
        if i == 30:
            raise error
        return PICTURES[i]

    monkeypatch.setattr(store, "SHARE", share)
    with pytest.raises(type(error)):
        store.images(path, SHAPE, fails)
    assert not path.parent.exists() or list(path.parent.iterdir()) == []


def test_all_cores_read_and_the_order_stays(monkeypatch):
    monkeypatch.setattr(store.devices, "cores", lambda: 4)
    names, gate = set(), threading.Barrier(4, timeout=60)

    def call(i):
        names.add(threading.current_thread().name)
        if i < 4:
            gate.wait()  # passes only where four are at work at once
        return i

    assert list(store.on_all_cores(1000, call, "counting")) == list(range(1000)) and len(names) == 4


# --- memory


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 8 GB available; files of control groups are written by the test."""
    (tmp_path / "meminfo").write_text("MemTotal:       16000000 kB\nMemFree:  100 kB\nMemAvailable:    8000000 kB\n")
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(store, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(store, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(store, "GROUPS", tmp_path / "groups")

    def write(own, **limits):
        (tmp_path / "own").write_text(own)
        for name, limit in limits.items():
            place = tmp_path / "groups" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{limit}\n")

    return write


AVAILABLE = 8_000_000 * 1024.0
VERSION_1 = "9:name=systemd:/\n4:memory:/docker/abc\n"


@pytest.mark.parametrize("own, limits, expected", [
    ("0::/\n", {}, AVAILABLE),
    ("0::/\n", {"memory.max": 10**9}, 1e9),  # a container sees its own group as the root
    ("0::/\n", {"memory.max": "max"}, AVAILABLE),
    ("0::/\n", {"memory.max": 10**12}, AVAILABLE),
    ("0::/user/job\n", {"user/job/memory.max": 10**9, "user/memory.max": "max"}, 1e9),
    ("0::/user/job\n", {"user/job/memory.max": "max", "user/memory.max": 2 * 10**9}, 2e9),  # the group around it
    ("0::/user/job\n", {"user/other/memory.max": 5}, AVAILABLE),
    (VERSION_1, {"memory/docker/abc/memory.limit_in_bytes": 10**9}, 1e9),
    (VERSION_1, {"memory/memory.limit_in_bytes": 10**9}, 1e9),
    (VERSION_1, {"memory/docker/abc/memory.limit_in_bytes": 9223372036854771712}, AVAILABLE),  # none
    ("", {"memory.max": 10**9}, 1e9),
    ("nonsense\n", {}, AVAILABLE),
])
def test_memory_is_what_is_available_or_a_containers_limit(machine, own, limits, expected):
    machine(own, **limits)
    assert store.memory() == expected


def test_memory_is_known_without_linux_files(monkeypatch, tmp_path):
    for name in ("MEMINFO", "OWN_GROUP", "GROUPS"):
        monkeypatch.setattr(store, name, tmp_path / "absent")
    assert store.memory() > 1e8


def test_memory_of_this_machine_is_a_number_that_can_be():
    assert 1e8 < store.memory() < 1e14


@pytest.mark.parametrize("said, quiet", [("", False), ("1", True)])
def test_the_bar_keeps_quiet_where_tqdm_is_told_to(monkeypatch, said, quiet):
    made = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *arguments, **options):
            made.append(options)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    monkeypatch.setenv("TQDM_DISABLE", said)
    assert list(store.on_all_cores(3, lambda i: 2 * i, "doubling")) == [0, 2, 4]
    assert [(bar["total"], bar["desc"], bar["disable"]) for bar in made] == [(3, "doubling", quiet)]
