"""Sets of pictures as torchvision's own classes hold them, found on the disk or fetched with a time limit.

Which names there are, and what becomes of the pictures, stands in sets.py.
"""

import contextlib
import hashlib
import inspect
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from unittest import mock
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch
from torch import Tensor

from workbook.task.store import progress

# torchvision's sets of pictures with one label each; photographs still show their class in the mirror.
PHOTOGRAPHS = """Caltech101 Caltech256 CIFAR10 CIFAR100 Country211 DTD EuroSAT FGVCAircraft Flowers102 Food101
    Imagenette ImageNet OxfordIIITPet Places365 StanfordCars STL10 SUN397""".split()
OTHERS = "FashionMNIST FER2013 GTSRB KMNIST MNIST PCAM QMNIST RenderedSST2 SEMEION SVHN USPS".split()

SPLITS = {"train": ("train", "trainval", "train-standard"), "val": ("val", "valid"), "test": ("test", "val", "valid")}

# Seconds that a download may stay silent; bytes per second that it must reach on average once it has run for seconds.
TIMEOUT, SPEED_FLOOR, SPEED_GRACE = 15.0, 50_000, 20.0


def parts_of(kind: str, root: Path) -> dict:
    """The parts of a set by their names, "train", "test" and "val", those that there are: torchvision's own objects.

    ValueError: it is not in root, and torchvision cannot fetch it. ConnectionError: fetching it has failed.
    """
    from torchvision import datasets

    make, found = getattr(datasets, kind), {}
    takes = inspect.signature(make.__init__).parameters
    options = {"download": True} if "download" in takes or kind == "QMNIST" else {}  # QMNIST hands it on to MNIST
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _fetching(kind):
            if "train" in takes:
                return {part: make(root, train=part == "train", **options) for part in ("train", "test")}
            if "split" not in takes:
                return {"train": make(root, **options)}
            for part, names in SPLITS.items():
                for name in (name for name in names if name not in {x for x, _ in found.values()}):
                    with contextlib.suppress(_NoSplit):
                        found.setdefault(part, (name, _one(make, root, name, options)))
    except (URLError, HTTPException, RuntimeError, OSError) as error:
        if isinstance(error, FileNotFoundError) or not options:
            raise ValueError(f"{kind} is not in {root}, and torchvision cannot fetch it: {error}") from None
        said = getattr(error, "reason", error)
        raise ConnectionError(
            f"{said}; try again, or use a data set that needs no network: digits, glyphs or folder:PATH"
        ) from None
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    return {part: each for part, (_, each) in found.items()}


class _NoSplit(ValueError):
    pass


def _one(make, root: Path, name: str, options: dict):
    try:
        return make(root, split=name, **options)
    except ValueError as error:
        if "Unknown value" in str(error):  # torchvision's verify_str_arg
            raise _NoSplit(str(error)) from None
        raise


@contextlib.contextmanager
def _fetching(kind: str) -> Iterator[None]:
    """torchvision's own downloads have no time limit: with a silent server they would hang for ever."""
    from torchvision.datasets import utils

    def fetched(url: str, root, filename=None, md5: str | None = None, max_redirect_hops: int = 3) -> None:
        path = Path(root).expanduser() / (filename or os.path.basename(url))
        if not utils.check_integrity(path, md5):
            _download(url, path, md5)

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # for what torchvision asks besides
    try:
        retrieve = mock.patch.object(utils, "_urlretrieve", lambda url, path, *_: _download(url, Path(path), None))
        with mock.patch.object(utils, "download_url", fetched), retrieve:
            yield
    finally:
        socket.setdefaulttimeout(before)


def _download(url: str, path: Path, md5: str | None) -> None:
    digest, received, start = hashlib.md5(usedforsecurity=False), 0, time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        request = Request(url, headers={"User-Agent": "kdlab"})  # some servers refuse Python's own
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch, urlopen(request, timeout=TIMEOUT) as response:
            partial = Path(scratch) / path.name
            bar = progress(total=response.length, unit="B", unit_scale=True, desc=path.name)
            with bar, partial.open("wb") as file:
                while chunk := response.read1(1 << 16):  # what has come so far; read would wait for all of it
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
                    received, seconds = received + len(chunk), time.monotonic() - start
                    if seconds > SPEED_GRACE and received < SPEED_FLOOR * seconds:
                        raise TimeoutError(f"too slow, {received / seconds / 1000:.1f} kB/s over {seconds:.0f} s")
            if md5 and digest.hexdigest() != md5:
                raise ConnectionError(f"wrong checksum of the {received} bytes received")
            partial.replace(path)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        said = f"{path.name} could not be fetched from {url} ({error})"
        raise URLError(f"{said}; put the file at {path} yourself") from None


def is_torchvisions(rows) -> bool:
    """One of torchvision's sets as it lies on the disk: its pictures may be asked for in any order, from any thread."""
    own = [getattr(rows, name, None) for name in ("transform", "target_transform")]
    named = type(rows).__module__.startswith("torchvision.datasets") and type(rows).__name__ in PHOTOGRAPHS + OTHERS
    return named and own == [None, None]


def array(rows) -> Tensor | None:
    """All images of a set of torchvision's that holds them in one array: much faster than one by one."""
    found = getattr(rows, "data", None) if is_torchvisions(rows) else None
    if found is None or not hasattr(found, "ndim") or found.ndim not in (3, 4):
        return None
    images = torch.as_tensor(found)
    if images.dtype != torch.uint8 or labels(rows) is None:
        return None
    if images.dim() == 3:
        return images[:, None].contiguous()  # (n, 1, height, width)
    return (images if images.shape[1] == 3 else images.permute(0, 3, 1, 2)).contiguous()


def labels(rows) -> list | None:
    """All labels of such a set, without a look at its pictures."""
    found = getattr(rows, "targets", getattr(rows, "labels", None))
    if found is None:
        return None
    found = torch.as_tensor(found)
    return (found if found.dim() == 1 else found[:, 0]).tolist()  # QMNIST keeps more beside the class
