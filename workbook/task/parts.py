"""The parts of a data set: named by their folders, drawn from train by a seed, and what to say where they overlap.

How many of a class are drawn stands in kdlab's `data.stratified`; which files are pictures, in folders.py.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from kdlab import data

WORDS = {  # what people call the folders of each part, in any case
    "train": ("train", "training", "train_images", "training_images"),
    "test": ("test", "testing", "test_images", "testing_images"),
    "val": ("val", "valid", "validation", "dev", "val_images", "validation_images"),
}


def named(folders: Iterable[Path]) -> dict[str, Path]:
    """The folders that are parts by their names; ValueError where two are the same part."""
    found: dict[str, Path] = {}
    for folder in folders:
        word = folder.name.lower().replace("-", "_").replace(" ", "_")
        for part in (part for part, words in WORDS.items() if word in words):
            if part in found:
                raise ValueError(f"{found[part]} and {folder.name}/ beside it are both the {part} part; keep one")
            found[part] = folder
    return found


def split_off(labels: Tensor, share: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """The indices that stay and those that are taken for another part.

    Args:
        labels: int64 (n,), of all pictures.
        share: how much is taken, > 0 and <= 0.5.
        seed: which pictures.

    Returns:
        Two of int64, ascending. Each class of at least two pictures is in both; a class of one stays.

    Raises:
        ValueError: a share out of its range, or no class has two pictures.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"the share of the pictures to split off must be > 0 and <= 0.5, got {share}")
    counts = labels.bincount()
    several = (counts[labels] > 1).nonzero()[:, 0]
    if not len(several):
        raise ValueError("no class has two pictures, one for each part; add some, or bring the parts in folders")
    count = max(round(share * len(several)), int((counts > 1).sum()))
    taken = torch.zeros(len(labels), dtype=torch.bool)
    taken[several[data.stratified(labels[several], count, seed=seed)]] = True
    return (~taken).nonzero()[:, 0], taken.nonzero()[:, 0]


def alone(labels: Tensor, classes: tuple[str, ...]) -> str:
    """Which classes have a single picture, which stays in train, as half a sentence; "" where none has."""
    single = [classes[label] for label in (labels.bincount() == 1).nonzero()[:, 0].tolist()]
    return f"a single picture, kept in train, of {few(single)}" if single else ""


def missing(part: str, labels: Tensor, classes: tuple[str, ...]) -> str:
    """Which classes have no picture in a part, as half a sentence; "" where each has one."""
    absent = (labels.bincount(minlength=len(classes)) == 0).nonzero()[:, 0].tolist()
    return f"no {part} pictures of {few([classes[label] for label in absent])}" if absent else ""


def repeated(digests: dict[str, list[str]], labels: dict[str, Tensor]) -> list[str]:
    """How many pictures of another part are also in train, and how many contents have several classes, in words.

    Args:
        digests: of each part, its pictures' contents in short.
        labels: of each part, int64 (n,).
    """
    train, said = set(digests["train"]), []
    first: dict[str, int] = {}
    several = set()
    for part, contents in digests.items():
        if part != "train" and (count := sum(digest in train for digest in contents)):
            said.append(f"{count:,} of the {part} pictures {'is' if count == 1 else 'are'} also in train")
        for digest, label in zip(contents, labels[part].tolist()):
            if first.setdefault(digest, label) != label:
                several.add(digest)
    if count := len(several):
        said.append(f"{count:,} {'file appears' if count == 1 else 'files appear'} in more than one class")
    return said


def few(names: list[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
