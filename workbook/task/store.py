"""Decoded pictures in one file: read into memory, or mapped from the file where they are a large share of the memory.

Which pictures these are, and how one is read, is told by folders.py.
"""

import hashlib
import json
import math
import mmap
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from kdlab import devices
from kdlab.files import write_whole

SHARE = 0.25  # of the memory that this process may use: images beyond it are mapped from their file
RELEASED = 0.1  # seconds after which the pages of a mapped file leave the resident set; the system keeps them cached
PIECE = 1 << 24  # bytes that are read or written at once
NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux's number, which Python names from 3.13 on

MEMINFO, OWN_GROUP, GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


T = TypeVar("T")


def memory() -> float:
    """Bytes that this process may use: what the system has available, or its container's limit where that is less.

    Limits are those of cgroup v2 (memory.max) and v1 (memory.limit_in_bytes); inf where nothing is known.
    """
    try:
        lines = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        found = [1024.0 * int(lines["MemAvailable"].split()[0])]
    except (OSError, KeyError, ValueError):  # not Linux
        names = getattr(os, "sysconf_names", {})
        known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
        found = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if known else math.inf]
    try:
        own = [line.split(":", 2)[2].strip("/") for line in OWN_GROUP.read_text().splitlines()]
    except (OSError, IndexError):
        own = []
    for group in {"", *(str(place) for path in own for place in (Path(path), *Path(path).parents))}:
        for limit in (GROUPS / group / "memory.max", GROUPS / "memory" / group / "memory.limit_in_bytes"):
            try:
                found.append(float(limit.read_text()))
            except (OSError, ValueError):  # not there, or "max"
                pass
    return min(found)


def images(
    path: Path, shape: tuple[int, int, int, int], read: Callable[[int], Tensor],
    check: Callable[[], None] = lambda: None,
) -> tuple[Tensor, bool]:
    """The images of a file where it is whole, otherwise read one by one on all cores and written to that file.

    Args:
        path: a safetensors file with "images" and their digest, made where it is missing or damaged.
        shape: (n, channels, height, width) of all images.
        read: gives image i, uint8 (channels, height, width); it is called from several threads.
        check: is called once all are read, before they are kept, and may refuse them; not where the file serves.

    Returns:
        uint8 of that shape on the CPU, and whether it is mapped: it is where it is larger than SHARE of `memory()`.
        A mapped tensor is to be read only: what is written into it stays in this process and may be lost any time.

    Raises:
        OSError: the images must be mapped, and the file cannot be written. Elsewhere that is a warning.
    """
    size, head = math.prod(shape), _head(shape)
    if size > SHARE * memory():
        if not _whole(path, head, size):
            write_whole("cache", path, _content(head, _checked(shape[0], read, check)))
        return _mapped(path, head, shape), True
    found = torch.empty(shape, dtype=torch.uint8)
    if _whole(path, head, size, into=found):
        return found, False
    for i, image in enumerate(_checked(shape[0], read, check)):
        found[i] = image
    try:
        write_whole("cache", path, _content(head, found.split(max(1, PIECE // max(1, math.prod(shape[1:]))))))
    except OSError as error:  # a full disk must not cost the images that are already read
        said = f"the images are loaded, but not cached at {path} ({error}); the next load reads them again"
        warnings.warn(said, stacklevel=4)
    return found, False


def on_all_cores(n: int, call: Callable[[int], T], what: str, workers: int | None = None) -> Iterator[T]:
    """What a call gives for 0 .. n - 1, in this order, by a thread a core; a bar with its estimate after 3 seconds.

    With workers=0 the calls are made in this thread.
    """
    workers = devices.cores() if workers is None else workers
    with ThreadPoolExecutor(workers or 1) as pool, progress(total=n, desc=what, delay=3, leave=False) as bar:
        many = 64 * max(1, workers)  # so many results are held at most
        for start in range(0, n, many):
            for found in (pool.map if workers else map)(call, range(start, min(n, start + many))):
                yield found
                bar.update()


def progress(**options):
    """tqdm's bar with these options, quiet where TQDM_DISABLE says so: its notebook bar does not read that itself."""
    from tqdm.auto import tqdm

    return tqdm(disable=bool(os.environ.get("TQDM_DISABLE")), **options)


def _checked(n: int, read: Callable[[int], Tensor], check: Callable[[], None]) -> Iterator[Tensor]:
    yield from on_all_cores(n, read, "reading images")
    check()


def _head(shape: tuple[int, ...]) -> bytes:
    size = math.prod(shape)
    said = json.dumps({
        "images": {"dtype": "U8", "shape": list(shape), "data_offsets": [0, size]},
        "digest": {"dtype": "U8", "shape": [16], "data_offsets": [size, size + 16]},
    }).encode()
    said += b" " * (-len(said) % 8)
    return len(said).to_bytes(8, "little") + said


def _content(head: bytes, parts) -> Iterator[bytes]:
    digest = hashlib.blake2b(digest_size=16)
    yield head
    for part in parts:
        digest.update(raw := part.contiguous().numpy())
        yield raw.tobytes()
    yield digest.digest()


def _whole(path: Path, head: bytes, size: int, into: Tensor | None = None) -> bool:
    digest, piece = hashlib.blake2b(digest_size=16), memoryview(bytearray(min(PIECE, size)))
    target = None if into is None else memoryview(into.numpy()).cast("B")
    try:
        with path.open("rb") as file:
            if file.read(len(head)) != head:
                return False
            for start in range(0, size, len(piece)):
                part = (piece if target is None else target[start:])[: min(len(piece), size - start)]
                if file.readinto(part) != len(part):
                    return False
                digest.update(part)
            return file.read() == digest.digest()
    except OSError:  # not there
        return False


def _mapped(path: Path, head: bytes, shape: tuple[int, ...]) -> Tensor:
    how = {"access": mmap.ACCESS_COPY}  # the file itself can never be changed through it
    if sys.platform == "linux":  # the same without memory set aside, which is refused where the file is larger than it
        how = {"flags": mmap.MAP_PRIVATE | NORESERVE, "prot": mmap.PROT_READ | mmap.PROT_WRITE}
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, **how)
    if hasattr(pages, "madvise"):
        threading.Thread(target=_release, args=(weakref.ref(pages),), daemon=True, name="mapped images").start()
    return torch.frombuffer(pages, dtype=torch.uint8, count=math.prod(shape), offset=len(head)).view(shape)


def _release(pages: weakref.ref) -> None:
    # Pages of a mapped file count as this process's memory until they are given back: read again, they come from
    # the system's cache. The thread ends with the last tensor that looks into the file.
    while (found := pages()) is not None:
        found.madvise(mmap.MADV_DONTNEED)
        del found
        time.sleep(RELEASED)
