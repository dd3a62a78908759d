"""Any data set of pictures by one string, or from an object that holds pictures and labels.

Folders of files stand in folders.py; torchvision's sets are found and fetched in fetch.py.
"""

import difflib
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from kdlab import data
from kdlab.data import Dataset, Split
from workbook.task import fetch, folders, parts, store
from workbook.task.pictures import picture

MOST = 0.5  # of the memory that this process may use, for one part: taking a part from another copies it


def load(
    name: str, *, size: int | tuple[int, int] | None = None, val: float = 0.0, seed: int = 0, ground: str = "white",
    root: str | Path | None = None, **options,
) -> Dataset:
    """A data set by its name, on the CPU.

    Args:
        name: "folder:PATH" (see `folders.load`), "digits" or "glyphs" (see `kdlab.data.load`, which takes the options),
            or any set of torchvision with one label a picture: "cifar100", "fashion_mnist", "flowers102", …
        size: pixels a side, or (height, width); None for 32 of a folder, and for the pictures' own elsewhere.
        val: in 0 .. 0.5: the share of train that becomes the part val by the seed, where the set has none.
        seed: of the splits that are made here; the sets of torchvision come split, most of them.
        ground: the colour behind transparency, as in `pictures.picture`.
        root: where torchvision's sets are kept, and fetched to; None for `kdlab.data.cache_dir()`.

    Raises:
        ValueError: an unknown name, with the nearest; or a set that cannot be used. FileNotFoundError: no such folder.
        ConnectionError: a set is not here and cannot be fetched; the message names the choices without a network.
    """
    if not 0 <= val <= 0.5:
        raise ValueError(f"val must be a share in 0 .. 0.5, got {val}")
    name = str(name)
    if name.startswith("folder:") and name != "folder:":
        place = Path(name.removeprefix("folder:")).expanduser()
        return folders.load(place, size=32 if size is None else size, val=val, seed=seed, ground=ground)
    if name in ("digits", "glyphs"):
        return _with_val(data.load(name, seed=seed, **options), val, seed)
    theirs = {_plain(kind): kind for kind in fetch.PHOTOGRAPHS + fetch.OTHERS}
    if _plain(name) not in theirs:
        known = ["digits", "glyphs", *(_spelt(kind) for kind in theirs.values())]
        _is_a_place(name)
        near = difflib.get_close_matches(name.lower(), known, 1)
        asked = f", did you mean {near[0]}?" if near else ";"
        raise ValueError(f"unknown data set {name!r}{asked} there are folder:PATH, {', '.join(known)}")
    kind = theirs[_plain(name)]
    found = fetch.parts_of(kind, Path(root).expanduser() if root else data.cache_dir())
    classes = getattr(found["train"], "classes", None) or getattr(found["train"], "categories", None) or ()
    classes = [x if isinstance(x, str) else ", ".join(x) for x in classes]  # ImageNet's have several names each
    classes = [x if classes.index(x) == i else f"{x} ({i})" for i, x in enumerate(classes)]  # it has two of crane
    found = from_dataset(**found, name=name, classes=classes, size=size, seed=seed, ground=ground,
                         mirrored=kind in fetch.PHOTOGRAPHS)
    return _with_val(found, val, seed)


def from_dataset(
    train, test=None, *, name: str, val=None, classes=None, size: int | tuple[int, int] | None = None, seed: int = 0,
    ground: str = "white", mirrored: bool = False,
) -> Dataset:
    """A data set of any torch or Hugging Face data sets, whose pictures are read once and kept.

    Args:
        train, test, val: each with a length, and at i a pair (picture, label), or a row with "image" or "img" and
            "label"; pictures as `pictures.picture` takes them. Without test a fifth of train is taken, by the seed.
        name: for messages.
        classes: their names, in the labels' order; None for what train says of itself, else for the labels, sorted.
        size: pixels a side, or (height, width); None where all pictures have one size.
        seed: of the split.
        ground: see `pictures.picture`.
        mirrored: see Dataset.

    Returns:
        Dataset: of 1 channel where all pictures are grey, else of 3.

    Raises:
        ValueError: a part without a length and [i], empty, or larger than half of the memory; pictures of several
            sizes, something that is no picture, or a label that is no class; the message names the part. Or two classes
            have one name.
    """
    given = {part: each for part, each in (("train", train), ("test", test), ("val", val)) if each is not None}
    read = {part: _rows(part, each, size, ground) for part, each in given.items()}
    shapes = {tuple(images.shape[2:]) for images, _ in read.values()}
    if len(shapes) > 1:
        raise ValueError(f"the parts of {name} have pictures of {_sizes(shapes)} pixels; give size=")
    channels = max(images.shape[1] for images, _ in read.values())
    seen = {label for _, labels in read.values() for label in labels}
    known = list(classes or _told(train) or sorted(seen, key=lambda label: (isinstance(label, str), label)))
    if twice := [x for x, count in Counter(map(str, known)).items() if count > 1]:
        raise ValueError(f"two classes have the name {twice[0]!r}; each needs one of its own, give classes=")
    place = {label: i for i, label in enumerate(known)}
    splits = {}
    for part, (images, labels) in read.items():
        numbers = [place.get(label, label) for label in labels]
        if wrong := [x for x in numbers if not isinstance(x, int) or not 0 <= x < len(known)]:
            raise ValueError(f"{part} has the label {wrong[0]!r}, which is none of the {len(known)} classes")
        splits[part] = Split(images.expand(-1, channels, -1, -1).contiguous(), torch.tensor(numbers))
    classes = tuple(map(str, known))
    learnt, said = set(splits["train"].labels.tolist()), []
    for part, split in splits.items():
        if unseen := sorted(set(split.labels.tolist()) - learnt):
            said.append(f"train has no pictures of {parts.few([classes[x] for x in unseen])}, and {part} has")
    if test is None:
        splits["train"], splits["test"], alone = _taken(splits["train"], classes, 0.2, seed)
        said.insert(0, f"{name} has no test part: split by seed {seed}, class by class, "
                       f"into {len(splits['train']):,} train, {len(splits['test']):,} test{alone}")
    elif said:
        said[0] = f"{name}: {said[0]}"
    if said:
        print("; ".join(said))
    return Dataset(name, classes=classes, mirrored=mirrored, **splits)


def _with_val(dataset: Dataset, val: float, seed: int) -> Dataset:
    if dataset.val or not val:
        return dataset
    train, taken, alone = _taken(dataset.train, dataset.classes, val, seed)
    print(f"val: {len(taken):,} of the training pictures, class by class, by seed {seed}{alone}")
    return Dataset(dataset.name, train, dataset.test, dataset.classes, mirrored=dataset.mirrored, val=taken)


def _taken(split: Split, classes: tuple[str, ...], share: float, seed: int) -> tuple[Split, Split, str]:
    """What stays and what goes, both in their order; and which classes have a single picture, to be said."""
    stay, taken = parts.split_off(split.labels, share, seed=seed)
    said = parts.alone(split.labels, classes)
    return split.subset(stay), split.subset(taken), said and f"; {said}"


def _told(train) -> list[str] | None:
    """The classes that a data set names itself: Hugging Face's features, or torchvision's list."""
    features = getattr(train, "features", None)
    label = features.get("label") if isinstance(features, Mapping) else None
    return getattr(label, "names", None) or getattr(train, "classes", None)


def _rows(part: str, rows, size, ground: str) -> tuple[Tensor, list]:
    """Images uint8 (n, channels, height, width), and labels as they come."""
    if isinstance(rows, Mapping):
        kind = type(rows).__name__
        raise ValueError(f"{part} is a {kind} of {parts.few(list(map(str, rows)))}; pass its parts, one by one")
    if not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")):
        advice = "pass loader.dataset" if hasattr(rows, "dataset") else "make a list of it"
        raise ValueError(f"{part} must have a length and [i], got a {type(rows).__name__}; {advice}")
    if not len(rows):
        raise ValueError(f"{part} is empty; it must hold at least one picture")
    if size is None and (whole := fetch.array(rows)) is not None:
        return whole, fetch.labels(rows)

    def one(i: int) -> tuple[Tensor, object]:
        row = rows[i]
        try:
            pair = (row["image"] if "image" in row else row["img"], row["label"]) if isinstance(row, Mapping) else row
            image, label = pair
        except (KeyError, TypeError, ValueError):
            told = sorted(row) if isinstance(row, Mapping) else type(row).__name__
            said = f"must be (picture, label), or a row with image and label, got {told}{_renamed(row)}"
            raise ValueError(f"{part}[{i}] {said}") from None
        label = _label(part, label)
        try:
            return picture(image, size, ground, channels=None), label
        except Exception as error:
            raise ValueError(f"{part}[{i}] cannot be read as a picture: {error}") from None

    images, labels = None, []
    workers = None if fetch.is_torchvisions(rows) else 0  # another's object may not bear several threads
    for i, (image, label) in enumerate(store.on_all_cores(len(rows), one, f"reading {part}", workers)):
        if images is None:
            _has_room(part, len(rows) * image.numel())
            images = torch.empty((len(rows), *image.shape), dtype=torch.uint8)
        if image.shape[1:] != images.shape[2:]:
            sizes = _sizes({tuple(image.shape[1:]), tuple(images.shape[2:])})
            raise ValueError(f"the pictures of {part} have {sizes} pixels; give size=, to which all are brought")
        if len(image) > images.shape[1]:  # the first in colour
            images = images.repeat(1, len(image), 1, 1)
        images[i] = image
        labels.append(label)
    return images, labels


def _label(part: str, label) -> int | str:
    """A label as a plain number or name, where it is one."""
    if hasattr(label, "tolist"):
        label = label.item() if math.prod(label.shape) == 1 else label.tolist()  # of torch or NumPy
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int | str) and not isinstance(label, bool):
        return label
    said = repr(label) if len(repr(label)) < 60 else f"{repr(label)[:57]}..."
    advice = "; of a one-hot row give argmax" if isinstance(label, list | tuple) and len(label) > 1 else ""
    raise ValueError(f"{part} has the label {said}; a label must be a whole number or a name{advice}")


def _renamed(row) -> str:
    """What to do about the columns of a row that has others."""
    if not isinstance(row, Mapping):
        return ""
    wanted = "label" if "image" in row or "img" in row else "image"
    near = next((x for x in row if wanted in str(x)), "COLUMN")
    return f"; rename one, in Hugging Face's sets by .rename_column({near!r}, {wanted!r})"


def _is_a_place(name: str) -> None:
    """ValueError: an unknown name is a folder or file that is there."""
    place = os.path.expanduser(name)
    if name and os.path.isdir(place):
        raise ValueError(f"unknown data set {name!r}, did you mean folder:{name}?")
    if os.path.isfile(place):
        raise ValueError(f"{name} is a file; unpack it, and give folder:PATH of the folder")


def _has_room(part: str, size: int) -> None:
    if size > MOST * (memory := store.memory()):
        raise ValueError(
            f"the pictures of {part} take {size / 1e9:.1f} GB, over half of the {memory / 1e9:.1f} GB of memory here; "
            "give a smaller size=, or save them as files for folder:PATH, which may be larger than memory")


def _sizes(shapes: set) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:2])


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _spelt(kind: str) -> str:
    return {"FashionMNIST": "fashion_mnist", "OxfordIIITPet": "oxford_iiit_pet", "FGVCAircraft": "fgvc_aircraft",
            "RenderedSST2": "rendered_sst2", "StanfordCars": "stanford_cars"}.get(kind, kind.lower())
