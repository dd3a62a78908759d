"""Data sets, each split one uint8 tensor in memory or mapped from a file, with batches and views as tensor work.

Where pictures come from is told in sources.py and, for files, in the workbook; there is no DataLoader and no worker.
"""

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kdlab import sources


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels: uint8 (n, channels, height, width) in 0..255, and int64 (n,)."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = (f"{x.dtype} of {tuple(x.shape)}" for x in (self.images, self.labels))
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise ValueError(f"images must be uint8 of shape (n, channels, height, width), got {images}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels must be int64 of shape ({len(self.images)},), one per image, got {labels}")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices) -> "Split":
        """The images and labels at these indices (a tensor, a list or a slice), in this order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Recipe:
    """How views of images are drawn: shifts of up to `pad` pixels each way; with `flip`, every other one mirrored."""

    seed: int
    pad: int
    flip: bool


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training split, a test split, the names of the classes, and how a training uses them.

    mean and std, float32 (channels,) in 0..1 units, are measured on the training split where they are left out.
    `mirrored` says that an image in the mirror still shows its class: true of most photographs, not of letters.
    `only` sets `indices`: `in_use`, int64 (n,) on the CPU, are these or all. `augmented` sets `recipe`, for views.
    `val` is a third part, to choose on, or None.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor | None = None
    std: Tensor | None = None
    mirrored: bool = False
    indices: Tensor | None = None
    recipe: Recipe | None = None
    val: Split | None = None

    in_use = property(lambda self: torch.arange(len(self.train)) if self.indices is None else self.indices.cpu())

    def __post_init__(self) -> None:
        for name in ("test", "val") if self.val else ("test",):
            if (given := tuple(self.part(name).images.shape[1:])) != self.shape:
                raise ValueError(f"{name} images must have the training images' shape {self.shape}, got {given}")
        for split in filter(None, (self.train, self.test, self.val)):
            if len(wrong := split.labels[(split.labels < 0) | (split.labels >= len(self.classes))]):
                raise ValueError(f"labels must be in 0 .. {len(self.classes) - 1}, got {int(wrong[0])}")
        if self.mean is None or self.std is None:
            if not len(self.train):
                raise ValueError("the training split must hold at least one image to measure mean and std, got none")
            for name, value in zip(("mean", "std"), _mean_and_std(self.train.images)):
                object.__setattr__(self, name, value)

    def part(self, split: str) -> Split:
        """The split of that name, "train", "test" or, where there is one, "val"; ValueError for another."""
        if split not in ("train", "test", "val"):
            raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
        if (part := getattr(self, split)) is None:
            raise ValueError(f"{self.name} has no part val; load it with val=0.1, for a tenth of train")
        return part

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return tuple(self.train.images.shape[1:])

    def normalize(self, images: Tensor) -> Tensor:
        """(images / 255 - mean) / std with the training split's figures, in float32, on the device of the images.

        Args:
            images: uint8 (n, channels, height, width); ValueError for others, such as images normalized before.
        """
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 in 0..255, got {images.dtype}; normalize takes raw images, once")
        mean, std = (255 * x.to(images.device).view(1, -1, 1, 1) for x in (self.mean, self.std))
        return images.float().sub_(mean).div_(std)

    def only(self, indices: Tensor | None) -> "Dataset":
        """The same data set, of which a training uses the images at `indices`, int64 (n,); None for all."""
        return replace(self, indices=indices)

    def augmented(self, recipe: int | Recipe = 0) -> "Dataset":
        """The same data set, whose training images are shown in views made by a recipe.

        Args:
            recipe: a Recipe; or a seed for the usual one: shifts up to an eighth of the image, flips where `mirrored`.
        """
        usual = Recipe(recipe, min(self.shape[1:]) // 8, self.mirrored) if isinstance(recipe, int) else recipe
        return replace(self, recipe=usual)

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data set with its images, labels, mean and std on a device."""
        parts = {name: getattr(self, name) for name in ("train", "test", "val") if getattr(self, name)}
        parts = {name: Split(part.images.to(device), part.labels.to(device)) for name, part in parts.items()}
        return replace(self, **parts, mean=self.mean.to(device), std=self.std.to(device))

    def fingerprint(self, split: str = "train") -> dict[str, str]:
        """Two digests of a split's images and labels, 32 hex digits: "content" whatever their order, and "order"."""
        digest, part = functools.partial(hashlib.blake2b, digest_size=16), self.part(split)
        pairs = zip(part.images.cpu().numpy(), part.labels.tolist())
        each = [digest(image.tobytes(), salt=label.to_bytes(8, "little")).digest() for image, label in pairs]
        start = repr(self.shape).encode()
        return {"content": digest(start + b"".join(sorted(each))).hexdigest(),
                "order": digest(start + b"".join(each)).hexdigest()}


def load(name: str, *, seed: int = 0, train: int = 6000, test: int = 2000) -> Dataset:
    """A data set that needs no file, on the CPU; the same arguments give the same tensors.

    Args:
        name: "digits" (scikit-learn's 1,797, 1x8x8) or "glyphs" (ten confusable characters, drawn here, 3x32x32).
        seed: splits the digits and draws the glyphs.
        train, test: numbers of glyphs, >= 1; ValueError for others, and for an unknown name.
    """
    if min(train, test) < 1:
        raise ValueError(f"train and test must be >= 1, got train={train} and test={test}")
    if name not in ("digits", "glyphs"):
        raise ValueError(f"unknown data set {name!r}; there are digits and glyphs, others by workbook.task.load")
    parts = sources.digits(seed) if name == "digits" else sources.glyphs(seed, train, test)
    return Dataset(name, Split(*parts[0]), Split(*parts[1]), parts[2])


def cache_dir() -> Path:
    """Where downloads and decoded folders are kept: KDLAB_CACHE, or ~/.cache/kdlab. It may not exist yet."""
    return Path(os.environ.get("KDLAB_CACHE") or "~/.cache/kdlab").expanduser()


def stratified(labels: Tensor, count: int, *, seed: int) -> Tensor:
    """Indices of so many images, int64 (count,) in random order: every class keeps its share, and one image if it can.

    Args:
        labels: int64 (n,), of all images.
        count: 1 .. n; ValueError for another.
        seed: which images, and their order.
    """
    if not 1 <= count <= len(labels):
        raise ValueError(f"count must be in 1 .. {len(labels)}, the number of images, got {count}")
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled = labels.cpu()[order]
    counts, by_class = torch.bincount(shuffled), shuffled.argsort(stable=True)
    before = (counts.cumsum(0) - counts)[shuffled[by_class]]
    rank = torch.empty_like(order).index_copy_(0, by_class, torch.arange(len(order)) - before)  # within its class
    place = torch.where(rank == 0, -1.0, (rank + 0.5) / counts[shuffled])  # of each class so much, up to a place
    return order[place.argsort(stable=True)[:count].sort().values]


def batches(n: int, batch_size: int | None, *, seed: int, device: str | torch.device) -> Iterator[Tensor]:
    """Endless index selections, reshuffled every epoch; the incomplete batch at an epoch's end is dropped.

    Args:
        n: number of images, >= 1.
        batch_size: >= 1; None, or n and more, means all n in their own order every time.
        seed: of the shuffle, drawn on the CPU so that the order is the same on every device.
        device: where the indices shall lie.

    Yields int64 (batch,), each in 0 .. n - 1; ValueError for n or batch_size below 1.
    """
    if n < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(f"n and batch_size must be >= 1, got n={n} and batch_size={batch_size}")
    generator = torch.Generator().manual_seed(seed)
    everything = torch.arange(n, device=device)
    while batch_size is None or batch_size >= n:
        yield everything
    while True:
        order = torch.randperm(n, generator=generator).to(device)
        for start in range(0, n - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def augment(images: Tensor, recipe: Recipe, *, indices: Tensor, view: int) -> Tensor:
    """One view of each image: a crop of it, reflected at its borders, and mirrored or not.

    It follows from seed, view and index alone, whatever the batch, its order or the device, so that a bank's views can
    be made again: the numbers are a hash of the three (C. Wellons 2018, "lowbias32").

    Args:
        images: uint8 (n, channels, height, width), with height and width > recipe.pad >= 0.
        indices: int64 (n,), the places of the images in their split.
        view: the number of the view, >= 0.

    Returns uint8 (n, channels, height, width), newly made; ValueError for a pad out of its range.
    """
    n, channels, height, width = images.shape
    pad, span = recipe.pad, 2 * recipe.pad + 1
    if not 0 <= pad < min(height, width):
        raise ValueError(f"pad must be in 0 .. {min(height, width) - 1} for {height}x{width} images, got {pad}")
    if indices.shape != (n,):
        raise ValueError(f"indices must be ({n},), one for each image, got {tuple(indices.shape)}")
    start = _mix(_mix(recipe.seed + 0x9E3779B9) + view)
    drawn = _mix(indices.to(images.device)[:, None] + start)  # (n, 1)
    down, right = drawn % span - pad, drawn // span % span - pad
    rows = _reflect(torch.arange(height, device=images.device) + down, height)  # (n, height): where rows come from
    columns = _reflect(torch.arange(width, device=images.device) + right, width)  # (n, width)
    if recipe.flip:
        columns = torch.where(drawn // span**2 % 2 == 1, columns.flip(1), columns)
    source = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1)  # (n, 1, height * width)
    return images.flatten(2).gather(2, source.expand(-1, channels, -1)).view(images.shape)


def _mix(x: int | Tensor) -> int | Tensor:
    # The second factor is written as a negative number, so that no product leaves the range of int64.
    x = x & 0xFFFFFFFF
    x = (x ^ x >> 16) * 0x7FEB352D & 0xFFFFFFFF
    x = (x ^ x >> 15) * (0x846CA68B - 2**32) & 0xFFFFFFFF
    return x ^ x >> 16


def _reflect(index: Tensor, length: int) -> Tensor:
    return length - 1 - (length - 1 - index.abs()).abs()


def _mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    # From exact counts of the 256 values: the same figures on every device and with any number of threads.
    parts = ([torch.bincount(x.flatten(), minlength=256) for x in part.cpu().unbind(1)] for part in images.split(1000))
    counts = sum(map(torch.stack, parts)).double()  # part by part: the images may be larger than memory
    shares, values = counts / counts.sum(1, keepdim=True), torch.arange(256, dtype=torch.float64) / 255
    mean = shares @ values  # (channels,)
    std = (shares * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return mean.float(), std.clamp_min(1 / 255).float()  # a channel of a single value must not divide by zero
