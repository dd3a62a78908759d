"""Any data set of pictures by one string, or from an object that holds pictures and labels.

Folders of files stand in folders.py; torchvision's sets are found and fetched in fetch.py.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from kdlab import data
from kdlab.data import Dataset, Split
from workbook.task import fetch, folders, parts, store
from workbook.task.pictures import picture

# torchvision's sets of pictures with one label each; photographs still show their class in the mirror.
PHOTOGRAPHS = """Caltech101 Caltech256 CIFAR10 CIFAR100 Country211 DTD EuroSAT FGVCAircraft Flowers102 Food101
    Imagenette ImageNet OxfordIIITPet Places365 StanfordCars STL10 SUN397""".split()
OTHERS = "FashionMNIST FER2013 GTSRB KMNIST MNIST PCAM QMNIST RenderedSST2 SEMEION SVHN USPS".split()

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
    if name.startswith("folder:") and name != "folder:":
        place = Path(name.removeprefix("folder:")).expanduser()
        return folders.load(place, size=32 if size is None else size, val=val, seed=seed, ground=ground)
    if name in ("digits", "glyphs"):
        return _with_val(data.load(name, seed=seed, **options), val, seed)
    theirs = {_plain(kind): kind for kind in PHOTOGRAPHS + OTHERS}
    if _plain(name) not in theirs:
        known = ["digits", "glyphs", *(_spelt(kind) for kind in theirs.values())]
        near = difflib.get_close_matches(name.lower(), known, 1)
        asked = f", did you mean {near[0]}?" if near else ";"
        raise ValueError(f"unknown data set {name!r}{asked} there are folder:PATH, {', '.join(known)}")
    kind = theirs[_plain(name)]
    found = fetch.parts_of(kind, Path(root).expanduser() if root else data.cache_dir())
    classes = getattr(found["train"], "classes", None) or getattr(found["train"], "categories", None) or ()
    classes = [x if isinstance(x, str) else ", ".join(x) for x in classes]  # ImageNet's have several names each
    found = from_dataset(**found, name=name, classes=classes, size=size, seed=seed, ground=ground,
                         mirrored=kind in PHOTOGRAPHS)
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
        ValueError: a part that is empty or larger than half of the memory, pictures of several sizes, something that is
            no picture, or a label that is no class; the message names the part.
    """
    given = {part: each for part, each in (("train", train), ("test", test), ("val", val)) if each is not None}
    read = {part: _rows(part, each, size, ground) for part, each in given.items()}
    shapes = {tuple(images.shape[2:]) for images, _ in read.values()}
    if len(shapes) > 1:
        raise ValueError(f"the parts of {name} have pictures of {_sizes(shapes)} pixels; give size=")
    channels = max(images.shape[1] for images, _ in read.values())
    for part, (_, labels) in read.items():
        for label in labels:
            if not isinstance(label, int | str) or isinstance(label, bool):
                raise ValueError(f"{part} has the label {label!r}; a label must be a whole number or a name")
    seen = {label for _, labels in read.values() for label in labels}
    known = list(classes or _told(train) or sorted(seen, key=lambda label: (isinstance(label, str), label)))
    place = {label: i for i, label in enumerate(known)}
    splits = {}
    for part, (images, labels) in read.items():
        numbers = [place.get(label, label) for label in labels]
        if wrong := [x for x in numbers if not isinstance(x, int) or not 0 <= x < len(known)]:
            raise ValueError(f"{part} has the label {wrong[0]!r}, which is none of the {len(known)} classes")
        splits[part] = Split(images.expand(-1, channels, -1, -1).contiguous(), torch.tensor(numbers))
    classes = tuple(map(str, known))
    if test is None:
        splits["train"], splits["test"], alone = _taken(splits["train"], classes, 0.2, seed)
        print(f"{name} has no test part: split by seed {seed}, class by class, "
              f"into {len(splits['train']):,} train, {len(splits['test']):,} test{alone}")
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
    if not len(rows):
        raise ValueError(f"{part} is empty; it must hold at least one picture")
    if size is None and (whole := _array(rows)) is not None:
        return whole, _labels(rows)
    def one(i: int) -> tuple[Tensor, object]:
        row = rows[i]
        try:
            pair = (row["image"] if "image" in row else row["img"], row["label"]) if isinstance(row, Mapping) else row
            image, label = pair
        except (KeyError, TypeError, ValueError):
            told = sorted(row) if isinstance(row, Mapping) else type(row).__name__
            said = "must be (picture, label), or a row with image and label"
            raise ValueError(f"{part}[{i}] {said}, got {told}") from None
        try:
            return picture(image, size, ground, channels=None), label.item() if hasattr(label, "item") else label
        except Exception as error:
            raise ValueError(f"{part}[{i}] cannot be read as a picture: {error}") from None

    images, labels = None, []
    workers = None if _theirs(rows) else 0  # another's object may not bear several threads
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


def _has_room(part: str, size: int) -> None:
    if size > MOST * (memory := store.memory()):
        raise ValueError(
            f"the pictures of {part} take {size / 1e9:.1f} GB, over half of the {memory / 1e9:.1f} GB of memory here; "
            "give a smaller size=, or save them as files for folder:PATH, which may be larger than memory")


def _theirs(rows) -> bool:
    """One of torchvision's sets as it lies on the disk: its pictures may be asked for in any order, from any thread."""
    own = [getattr(rows, name, None) for name in ("transform", "target_transform")]
    named = type(rows).__module__.startswith("torchvision.datasets") and type(rows).__name__ in PHOTOGRAPHS + OTHERS
    return named and own == [None, None]


def _sizes(shapes: set) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:2])


def _array(rows) -> Tensor | None:
    """All images of a set of torchvision's that holds them in one array: much faster than one by one."""
    array = getattr(rows, "data", None) if _theirs(rows) else None
    if array is None or not hasattr(array, "ndim") or array.ndim not in (3, 4):
        return None
    images = torch.as_tensor(array)
    if images.dtype != torch.uint8 or _labels(rows) is None:
        return None
    if images.dim() == 3:
        return images[:, None].contiguous()  # (n, 1, height, width)
    return (images if images.shape[1] == 3 else images.permute(0, 3, 1, 2)).contiguous()


def _labels(rows) -> list | None:
    labels = getattr(rows, "targets", getattr(rows, "labels", None))
    if labels is None:
        return None
    labels = torch.as_tensor(labels)
    return (labels if labels.dim() == 1 else labels[:, 0]).tolist()  # QMNIST keeps more beside the class


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _spelt(kind: str) -> str:
    return {"FashionMNIST": "fashion_mnist", "OxfordIIITPet": "oxford_iiit_pet", "FGVCAircraft": "fgvc_aircraft",
            "RenderedSST2": "rendered_sst2", "StanfordCars": "stanford_cars"}.get(kind, kind.lower())
