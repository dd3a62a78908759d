"""The logit bank: a teacher's logits as a file that another machine or framework can make or use.

It keeps and checks logits; asking the teacher is done by evaluation.py, learning from the bank by training.py.

The file is a safetensors file. Any program may write it:
    logits    F32 (n, classes), before the softmax, at temperature 1; with views F32 (views, n, classes)
    indices   I64 (n,): the place in its split, from 0, of the image that each row belongs to; none twice
    metadata  one key, "kdlab_bank" (safetensors writes several keys in random order), whose value is a JSON object:
        version      1; with views 2
        classes      list of the class names, in the order of the logits
        dataset      the data set's name, for messages
        split        "train" or "test"
        fingerprint  {"content": …, "order": …} of the whole split, in hex
        producer     free text: who made the logits
        views        in version 2 alone, {"count": …, "seed": …, "pad": …, "flip": …}: the logits are those of views
                     0 .. count - 1 of each image, by `kdlab.data.augment`
The fingerprint is BLAKE2b with 16-byte digests. Each image gives one, over its uint8 bytes (channels, height, width,
row by row), with its label as 8 little-endian bytes for the salt. "order" is the digest of the shape as text, such
as "(3, 32, 32)", followed by all the images' digests; "content" is the same with these digests sorted as bytes.
"""

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab import devices
from kdlab.data import Dataset, Recipe, Split, augment
from kdlab.evaluation import predict
from kdlab.files import write_whole

VERSION = 2
_KEY = "kdlab_bank"
_TEXTS = ("classes", "dataset", "split", "fingerprint", "producer")


@dataclass(frozen=True, eq=False)
class Bank:
    """Logits float32 (n, classes), or with a `recipe` (views, n, classes), for the images at `indices` of one split.

    `views` is their number, 0 in a bank of the plain images.
    """

    logits: Tensor
    indices: Tensor
    classes: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: dict[str, str]
    producer: str
    recipe: Recipe | None = None

    views = property(lambda self: len(self.logits) if self.recipe else 0)

    def lookup(self, indices: Tensor, view: int | None = None) -> Tensor:
        """The logits of a batch of images, float32 (batch, classes), on the device of the indices.

        Args:
            indices: int64 (batch,) into the split, on any device.
            view: in 0 .. views - 1; None in a bank of the plain images.

        Raises:
            IndexError: an image or a view that is not in the bank. ValueError: a view of a bank without, or none.
        """
        if (view is None) != (self.recipe is None):
            asked = f"a bank with {self.views} views must be asked for one of them"
            raise ValueError(f"{asked}, a plain bank for none, got {view}")
        if view is not None and not 0 <= view < self.views:
            raise IndexError(f"view {view} is not among the {self.views} of this bank")
        wanted = indices.to(self.logits.device)
        rows = self._rows[wanted.clamp(-1, len(self._rows) - 1)]  # (batch,)
        if (rows < 0).any():
            absent = int(wanted[rows < 0][0])
            raise IndexError(f"image {absent} is not among the {len(self.indices)} of this {self.split} bank")
        return (self.logits if view is None else self.logits[view])[rows].to(indices.device)

    def answers(self, indices: Tensor, recipe: Recipe | None) -> Tensor:
        """What a training on these images learns from, (views or 1, batch, classes); ValueError: they are of others."""
        if self.split != "train":
            raise ValueError(f"a student trains on the training split, and this bank holds the {self.split} split")
        if recipe and not self.recipe:
            said = "a bank of the plain images cannot answer for augmented ones"
            raise ValueError(f"{said}; fill one with views, or pass the teacher itself")
        if self.recipe and not recipe:
            raise ValueError("this bank holds the logits of augmented views; train on dataset.augmented(bank.recipe)")
        if self.recipe != recipe:
            pairs = [(key, value, getattr(recipe, key)) for key, value in vars(self.recipe).items()]
            other = ", ".join(f"{key} {a} in place of {b}" for key, a, b in pairs if a != b)
            said = f"the bank's views were made with {other}"
            raise ValueError(f"{said}; train on dataset.augmented(bank.recipe), or fill it again")
        return torch.stack([self.lookup(indices, view) for view in (range(self.views) if recipe else [None])])

    @cached_property
    def _rows(self) -> Tensor:
        """The row of each image, or -1; the last place is -1 and stands for every image outside."""
        rows = self.indices.new_full((int(self.indices.max()) + 2,), -1)
        rows[self.indices] = torch.arange(len(self.indices), device=rows.device)
        return rows


def make(
    logits: Tensor, dataset: Dataset, *, split: str = "train", indices: Tensor | None = None, producer: str
) -> Bank:
    """A bank of logits that are at hand.

    Args:
        logits: float (n, classes), kept as float32; or (views, n, classes), of the views that `dataset.recipe` makes.
        dataset: the images that the logits belong to.
        split: "train" or "test".
        indices: int64 (n,), the images' places in the split, none twice; None for the whole split in its order.
        producer: who made the logits, such as "torch 2.15.0 mlp-512-512".

    Returns:
        Bank, on the logits' device.

    ValueError: logits or indices that do not fit the split; the message says what differs.
    """
    rows = torch.arange(len(dataset.part(split))) if indices is None else indices
    logits, rows = logits.detach().float().clone(), rows.to(logits.device, copy=True)
    recipe = dataset.recipe if logits.dim() == 3 else None
    known = (tuple(dataset.classes), dataset.name, split, dataset.fingerprint(split))
    bank = Bank(logits, rows, *known, producer, recipe)
    if wrong := _mismatch(bank, dataset, split):
        raise ValueError(f"these logits do not fit the {split} split of {dataset.name}: {wrong}")
    return bank


def fill(
    teacher: nn.Module, dataset: Dataset, *, split: str = "train", views: int = 0, producer: str | None = None,
    settings: devices.Settings | None = None,
) -> Bank:
    """Asks a teacher once about every image of a split, or about each of several views of every image.

    Args:
        teacher: on the data set's device; its mode is restored.
        dataset, split: as in `make`; the whole split is asked, whatever `dataset.only` names.
        views: >= 0 of each image, by the data set's recipe or that of `dataset.augmented(0)`; 0 for the plain image.
        producer: who made the logits; None writes torch's version and the teacher's class.
        settings: None asks `kdlab.devices.fast` how this hardware computes; `devices.Settings()` is all off.

    ValueError: logits that do not fit the data set, or are not finite; views < 0.
    """
    if views < 0:
        raise ValueError(f"views must be >= 0, got {views}")
    settings = settings or devices.fast(teacher, dataset.train.images.device)
    producer = producer or f"torch {torch.__version__} {type(teacher).__name__}"
    if not views:
        return make(predict(teacher, dataset, split, settings=settings), dataset, split=split, producer=producer)
    dataset, plain = dataset if dataset.recipe else dataset.augmented(), dataset.part(split)
    parts = torch.arange(len(plain), device=plain.images.device).split(1000)  # a view's index maps are larger than it

    def seen(at: Tensor, view: int) -> Tensor:  # part by part: a split may be larger than memory
        moved = augment(plain.images[at], dataset.recipe, indices=at, view=view)
        shown = replace(dataset, **{split: Split(moved, plain.labels[at])})
        return predict(teacher, shown, split, settings=settings)

    logits = torch.stack([torch.cat([seen(at, view) for at in parts]) for view in range(views)])
    return make(logits, dataset, split=split, producer=producer)


def write(bank: Bank, path: str | Path) -> None:
    """Writes a bank, in format version 1, or 2 where it has views; OSError: it cannot, and an older file stays.

    The same bank gives the same bytes.
    """
    from safetensors.torch import save as to_bytes

    record = {"version": 1} | {key: getattr(bank, key) for key in _TEXTS}
    if bank.recipe:
        record |= {"version": 2, "views": {"count": bank.views} | asdict(bank.recipe)}
    text = json.dumps(record, sort_keys=True)
    tensors = {"logits": bank.logits.cpu().contiguous(), "indices": bank.indices.cpu().contiguous()}
    write_whole("bank", path, to_bytes(tensors, {_KEY: text}))


def read(path: str | Path, dataset: Dataset, *, split: str = "train") -> Bank:
    """Reads a bank, to the CPU, and refuses one that does not belong to these images and classes.

    Args:
        path: the file.
        dataset, split: what the bank shall be used with.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, foreign or of a newer format, or belongs to other images, another order,
            other classes or another split; the message says what differs.
    """
    from safetensors import SafetensorError, safe_open

    dataset.part(split)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no bank {path}; make one with kdlab.bank.fill and kdlab.bank.write")
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})[_KEY])
            if (version := int(record["version"])) <= VERSION:
                tensors = [file.get_tensor(name).clone() for name in ("logits", "indices")]
                views = dict(record["views"]) if version == 2 else {}
                count, recipe = views.pop("count", 0), Recipe(**views) if views else None
                bank = Bank(*tensors, tuple(record["classes"]), *(record[key] for key in _TEXTS[1:]), recipe)
                wrong = _mismatch(bank, dataset, split)
                if not wrong and count != bank.views:
                    wrong = f"it says that it holds {count} views, and holds {bank.views}"
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a whole logit bank but damaged or foreign: {error!r}") from None
    if version > VERSION:
        raise ValueError(f"{path} has format version {version}, this kdlab reads up to {VERSION}; update kdlab")
    if wrong:
        raise ValueError(f"{path} does not fit the {split} split of {dataset.name}: {wrong}")
    return bank


def _mismatch(bank: Bank, dataset: Dataset, split: str) -> str:
    """What keeps a bank from being used with this split, or an empty text."""
    here, there = dataset.fingerprint(split), bank.fingerprint
    if bank.split != split:
        return f"it holds the {bank.split} split"
    if bank.classes != tuple(dataset.classes):
        how = "the same classes in another order" if set(bank.classes) == set(dataset.classes) else "other classes"
        return f"it has {how}, {', '.join(bank.classes)} in place of {', '.join(dataset.classes)}"
    if there["content"] != here["content"]:
        return f"it was made for other images or labels ({bank.dataset} with another seed or another source)"
    if there["order"] != here["order"]:
        return "it was made for the same images in another order; fill it again, or load them as its maker did"
    logits, rows, images, n = bank.logits, bank.indices, len(dataset.part(split)), bank.indices.numel()
    given, before = ((logits.dtype, *logits.shape), (rows.dtype, *rows.shape)), logits.shape[:1] if bank.recipe else ()
    if not logits.numel() or given != ((torch.float32, *before, n, len(dataset.classes)), (torch.int64, n)):
        shape = f"({'views, ' if bank.recipe else ''}n, {len(dataset.classes)})"
        return f"logits must be float32 {shape}, indices int64 (n,), n >= 1, got {given}"
    if int(rows.min()) < 0 or int(rows.max()) >= images:
        return f"indices must be in 0 .. {images - 1}, got {int(rows.min())} .. {int(rows.max())}"
    if len(rows.unique()) < n:
        return f"each image may have one row, got {n} rows for {len(rows.unique())} images"
    broken = int((~logits.isfinite().all(-1)).view(-1, n).any(0).sum())
    return f"logits must be finite, and those of {broken} images are not" if broken else ""
