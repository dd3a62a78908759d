"""Folders of pictures as a data set: which files count, and which part each belongs to.

The file that the decoded pictures are kept in, and its mapping, is store.py's; a single picture, and what is seen in
many while they are read, is pictures.py's; the names of parts, and what is drawn, are parts.py's.
"""

import hashlib
import os
import warnings
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from kdlab import data
from workbook.task import parts, store
from workbook.task.pictures import Reading, sides

TEST = 0.15  # of the pictures, where class folders come without parts
SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "lost+found",
          "system volume information", "__pycache__", "icon\r"}
HEIF = (".heic", ".heif", ".hif")
NAMED_ONLY = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow knows these files, and cannot read them by itself

Listing = dict[str, list[Path]]  # the pictures of each class


def load(
    place: str | Path, *, size: int | tuple[int, int] = 32, seed: int = 0, val: float = 0.0, ground: str = "white"
) -> data.Dataset:
    """The pictures of a folder, 3 x height x width, each class a folder of its own; kept decoded in `data.cache_dir()`.

    PLACE/train/CLASS/* with PLACE/test/CLASS/*, and PLACE/val/CLASS/* for choosing where there is one, or by the other
    names in `parts.WORDS`; without test/, val/ is the test part. PLACE/CLASS/* alone is split, 15 % for testing. Hidden
    and system files and folders are passed over. One printed line tells what was left out, split, taken, mapped or
    looks wrong; what is seen in the pixels, of depth and megapixels, only where they are not cached yet.

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
    from PIL import Image

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
        elif part in found:
            said += filter(None, [parts.missing(part, found[part][1], classes)])
    order = [path for part in found for path in found[part][0]]
    key = hashlib.blake2b(f"kdlab folder 4, {height}x{width} pixels on {ground}\n".encode(), digest_size=16)
    reading = Reading(place, order)
    contents = list(store.on_all_cores(len(order), reading.digest, "looking for changes"))
    reading.check()
    for path, digest in zip(order, contents):
        key.update(f"{path.relative_to(place).as_posix()}: {digest}\n".encode())
    rest = iter(contents)
    digests = {part: [next(rest) for _ in paths] for part, (paths, _) in found.items()}
    said += parts.repeated(digests, {part: labels for part, (_, labels) in found.items()})
    cache = data.cache_dir() / "folders" / f"{key.hexdigest()}.safetensors"
    shape = (len(order), 3, height, width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is said in the line
        images, mapped = store.images(cache, shape, lambda i: reading.image(i, (height, width), ground), reading.check)
    said += reading.said()
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
    if place.is_file():
        raise ValueError(f"{place} is a file; unpack it, and give the folder")
    if not place.is_dir():
        tried = "" if place.is_absolute() else f" (tried {place.absolute()})"
        raise FileNotFoundError(f"{place} is not a folder{tried}; {wanted}")
    folders = _folders(place)
    found = parts.named(folders)
    if list(found) == ["train"] and not _folders(found["train"]):
        found = {}  # a class of that name, such as the vehicle
    if not found and not folders and (flat := len(_pictures(place, Counter()))):
        raise FileNotFoundError(f"{_flat(place, flat)}; put those of each class into a folder, {place}/CLASS/*")
    if not folders or (found and "train" not in found):
        why = f", as {next(iter(found.values())).name}/ is the name of a part" if found else f" or in {place}/CLASS/*"
        raise FileNotFoundError(f"{place / 'train'} is not a folder; {wanted}{why}")
    if not found:
        if len(folders) == 1:
            inner = f"; did you mean {place / folders[0].name}?" if _folders(folders[0]) else ""
            only = f"{place} holds one class folder, {folders[0].name}"
            raise ValueError(f"{only}; expected at least two, or train/ and test/{inner}")
        listing = _listing(place, left)
        _none_empty(place, listing)
        return {"train": listing}, ["no train/ and test/, so the class folders were split", *_deep({place: listing})]
    if len(found) == 1:
        raise FileNotFoundError(f"{place / 'test'} is not a folder; {wanted}, and in test/ or val/ beside it")
    said = [] if "test" in found else [f"{found['val'].name}/ is the test part, as there is no test/"]
    found.setdefault("test", found.get("val"))
    found = {part: found[part] for part in ("train", "val", "test") if part in found and (part != "val" or not said)}
    listings = {part: _listing(folder, left) for part, folder in found.items()}
    _none_empty(found["train"], listings["train"])
    for part, listing in listings.items():
        for name in listing:
            if name not in listings["train"]:
                where = f"{found['train'].name}/"
                raise ValueError(f"{found[part] / name} is a class that is not in {where}; add it there, or remove it")
        if not any(listing.values()):
            raise ValueError(f"{found[part]} holds no image in any class folder; move some there from train/")
    for x in sorted(place.iterdir()):
        if x not in found.values():
            outside = _files(x)
            hidden = outside if _hidden(x.name) else [path for path in outside if _hidden(path.name)]
            left["hidden or of the system"] += len(hidden)
            left["outside the parts"] += len(outside) - len(hidden)
    return listings, said + _deep({folder: listings[part] for part, folder in found.items()})


def _folders(place: Path) -> list[Path]:
    return [x for x in sorted(place.iterdir()) if x.is_dir() and not _hidden(x.name)]


def _flat(place: Path, count: int) -> str:
    return f"{place} holds {count:,} picture{'s' * (count > 1)} and no class folder"


def _none_empty(part: Path, listing: Listing) -> None:
    for name, pictures in listing.items():
        if not pictures:
            raise ValueError(f"{part / name} holds no image; add some, or remove it")


def _deep(listings: dict[Path, Listing]) -> list[str]:
    """Pictures that lie in folders within a class folder may be of other classes: they are counted."""
    deep = [path.parent.relative_to(part).as_posix() for part, listing in listings.items()
            for name, paths in listing.items() for path in paths if path.parent != part / name]
    come = "picture comes" if len(deep) == 1 else "pictures come"
    return [f"{len(deep):,} {come} from folders within class folders, such as {deep[0]}"] if deep else []


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
        flat = len(_pictures(part, Counter()))
        holds = _flat(part, flat) if flat else f"{part} holds no class folder"
        raise ValueError(f"{holds}; expected images in {part}/CLASS/*")
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
