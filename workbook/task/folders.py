"""Folders of pictures as a data set: which files count, and which part each belongs to.

The file that the decoded pictures are kept in, and its mapping, is store.py's; a single picture is pictures.py's.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from kdlab import data
from workbook.task import parts, store
from workbook.task.pictures import picture, sides

TEST = 0.15  # of the pictures, where class folders come without parts
CHOOSING = ("val", "valid", "validation")
SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "lost+found",
          "system volume information", "__pycache__", "icon\r"}
HEIF = (".heic", ".heif", ".hif")
NAMED_ONLY = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow knows these files, and cannot read them by itself

Listing = dict[str, list[Path]]  # the pictures of each class


def load(
    place: str | Path, *, size: int | tuple[int, int] = 32, seed: int = 0, val: float = 0.0, ground: str = "white"
) -> data.Dataset:
    """The pictures of a folder, 3 x height x width, each class a folder of its own; kept decoded in `data.cache_dir()`.

    PLACE/train/CLASS/* with PLACE/test/CLASS/*, and PLACE/val/CLASS/* (or valid, validation) for choosing where there
    is one; without test/, val/ is the test part. PLACE/CLASS/* alone is split, 15 % for testing. Hidden and system
    files and folders are passed over. One printed line tells what was left out, split, taken or mapped.

    Args:
        place: the folder. Classes have ImageFolder's order, that of their names as text: 0, 1, 10, 2.
        size: pixels a side, or (height, width): the shorter side is fitted, and the middle kept.
        seed: of what is split or taken.
        val: the share of train, up to 0.5, that is taken for choosing where the folder has no part of its own for it.
        ground: the colour behind what is transparent, in Pillow's words.

    Returns:
        A Dataset on the CPU; larger than a quarter of the memory, its images are mapped from the cached file and must
        not be written to.

    Raises:
        ValueError: a folder or picture that cannot be used; the message names it.
        FileNotFoundError: a folder that is not there, or has train/ without another part.
        OSError: the images must be mapped, and the disk has no room for them.
    """
    height, width = sides(size)
    if not 0 <= val <= 0.5:
        raise ValueError(f"val must be a share in 0 .. 0.5, got {val}")
    name, place, left = f"folder:{place}", Path(place).expanduser(), Counter()
    listings, said = _layout(place, left)
    classes = tuple(sorted(listings["train"]))
    found = {part: _labelled(listing, classes) for part, listing in listings.items()}
    for part, share in (("test", TEST), ("val", val)):
        if part not in found and share:
            paths, labels = found["train"]
            stay, taken = parts.split_off(labels, share, seed=seed)
            found["train"], found[part] = (([paths[i] for i in at.tolist()], labels[at]) for at in (stay, taken))
            said.append(f"{len(taken):,} pictures taken from train for {part} by seed {seed}, with each class's share")
            said += filter(None, [parts.alone(labels, classes)])
    order = [path for part in found for path in found[part][0]]
    key = hashlib.blake2b(f"kdlab folder 3, {height}x{width} pixels on {ground}\n".encode(), digest_size=16)
    contents = store.on_all_cores(len(order), lambda i: _digest(order[i]), "looking for changes")
    for path, digest in zip(order, contents):
        key.update(f"{path.relative_to(place).as_posix()}: {digest}\n".encode())
    cache = data.cache_dir() / "folders" / f"{key.hexdigest()}.safetensors"
    shape = (len(order), 3, height, width)
    images, mapped = store.images(cache, shape, lambda i: _read_image(order[i], (height, width), ground))
    if mapped:
        said.append(f"{images.numel() / 1e9:.1f} GB of images mapped from the cached file, to be read only")
    if left.total():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left.items()) if count)
        said.append(f"{left.total():,} file{'s' * (left.total() > 1)} left out: {reasons}")
    if said := list(dict.fromkeys(said)):
        print(f"{place.resolve().name}: {'; '.join(said)}")
    pieces = images.split([len(paths) for paths, _ in found.values()])
    split = {part: data.Split(piece, found[part][1]) for part, piece in zip(found, pieces)}
    return data.Dataset(name, split["train"], split["test"], classes, val=split.get("val"))


def _layout(place: Path, left: Counter) -> tuple[dict[str, Listing], list[str]]:
    """The pictures of each part, by class, and what there is to say of it."""
    wanted = f"expected images in {place / 'train'}/CLASS/*"
    if not place.is_dir():
        raise FileNotFoundError(f"{place} is not a folder; {wanted}")
    folders = [x for x in sorted(place.iterdir()) if x.is_dir() and not _hidden(x.name)]
    named = {x.name.lower(): x for x in folders}
    train, test = named.get("train"), named.get("test")
    val = next((named[x] for x in CHOOSING if x in named), None)
    if train and not test and not val and not any(x.is_dir() and not _hidden(x.name) for x in train.iterdir()):
        train = None  # a class of that name, such as the vehicle
    if not folders or (not train and (test or val)):
        raise FileNotFoundError(f"{place / 'train'} is not a folder; {wanted} or in {place}/CLASS/*")
    if not train:
        listing = _listing(place, left)
        for name, pictures in listing.items():
            if not pictures:
                raise ValueError(f"{place / name} holds no image; add some, or remove it")
        if len(listing) == 1:
            only = f"{place} holds one class folder, {folders[0].name}"
            raise ValueError(f"{only}; expected at least two, or train/ and test/")
        return {"train": listing}, ["no train/ and test/, so the class folders were split"]
    if not (test or val):
        raise FileNotFoundError(f"{place / 'test'} is not a folder; {wanted}, and in test/ or val/ beside it")
    said = [] if test else [f"{val.name}/ is the test part, as there is no test/"]
    found = {"train": train, "val": val, "test": test} if test and val else {"train": train, "test": test or val}
    listings = {part: _listing(folder, left) for part, folder in found.items()}
    for name, pictures in listings["train"].items():
        if not pictures:
            raise ValueError(f"{train / name} holds no image; add some, or remove it")
    for part, listing in listings.items():
        for name in listing:
            if name not in listings["train"]:
                raise ValueError(f"{found[part] / name} is a class that is not in train/; add it there, or remove it")
        if not any(listing.values()):
            raise ValueError(f"{found[part]} holds no image in any class folder; move some there from train/")
    for x in sorted(place.iterdir()):
        if x not in found.values():
            outside = _files(x)
            hidden = outside if _hidden(x.name) else [path for path in outside if _hidden(path.name)]
            left["hidden or of the system"] += len(hidden)
            left["outside the parts"] += len(outside) - len(hidden)
    return listings, said


def _listing(part: Path, left: Counter) -> Listing:
    found: Listing = {}
    for x in sorted(part.iterdir()):
        if _hidden(x.name):
            left["hidden or of the system"] += len(_files(x))
        elif x.is_dir():
            found[x.name] = _pictures(x, left)
        else:
            left["outside a class folder"] += 1
    if not found:
        raise ValueError(f"{part} holds no class folder; expected images in {part}/CLASS/*")
    return found


def _pictures(folder: Path, left: Counter) -> list[Path]:
    readable, found = _readable(), []
    walked = []
    for root, folders, files in os.walk(folder, followlinks=True):
        left["hidden or of the system"] += sum(len(_files(Path(root, x))) for x in folders if _hidden(x))
        here = Path(os.path.realpath(root))  # a link to a folder that holds it would be walked in a circle
        within = {str(here), *map(str, here.parents)}
        folders[:] = [x for x in folders if not _hidden(x) and os.path.realpath(Path(root, x)) not in within]
        walked.append((root, files))
    for root, files in sorted(walked):  # as torchvision's ImageFolder does
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if _hidden(name):
                left["hidden or of the system"] += 1
            elif suffix in readable:
                found.append(Path(root, name))
            elif suffix in HEIF:
                left[f"{suffix} (pip install pillow-heif, and they are read)"] += 1
            else:
                left[f"{suffix}, no picture" if suffix else "without an extension"] += 1
    return found


def _labelled(listing: Listing, classes: tuple[str, ...]) -> tuple[list[Path], Tensor]:
    pairs = [(path, classes.index(name)) for name, paths in listing.items() for path in paths]
    return [path for path, _ in pairs], torch.tensor([label for _, label in pairs], dtype=torch.int64)


def _files(place: Path) -> list[Path]:
    return [Path(root, name) for root, _, files in os.walk(place) for name in files] if place.is_dir() else [place]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def _readable() -> set[str]:
    from PIL import Image

    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    except ImportError:
        pass
    known = Image.registered_extensions()
    return {suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in NAMED_ONLY}


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes()).hexdigest()
    except OSError as error:  # a link to nowhere, or a file of somebody else
        raise ValueError(f"{path} cannot be read as an image ({error.strerror}); replace or remove it") from None


def _read_image(path: Path, size: tuple[int, int], ground: str) -> Tensor:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return picture(image, size, ground)
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise ValueError(f"{path} cannot be read as an image ({error}); replace or remove it") from None
