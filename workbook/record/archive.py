"""CIFAR-10 out of its archive of JPEG files, without unpacking it: FOLDER/train/CLASS/NAME.jpg, FOLDER/test/…

Folders that lie unpacked are read by workbook.task.
"""

import io
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

from kdlab.data import Dataset, Split
from workbook.record.sheet import LeftOut, first_line


def read(path: str | Path, *, train: int, test: int) -> Dataset:
    """The archive's pictures as a data set on the CPU, the same number of each class.

    Args:
        path: a tar archive, packed or not, of JPEG files of one size.
        train, test: how many of each part to take at most, >= the number of classes.

    LeftOut: the archive is missing or damaged, or holds something else; the message names the file.
    """
    files: dict[tuple[str, str], list[bytes]] = {}
    try:
        with tarfile.open(path) as packed:
            for member in packed:
                parts = PurePosixPath(member.name).parts
                if member.isfile() and len(parts) >= 3 and parts[-3] in ("train", "test"):
                    files.setdefault(parts[-3:-1], []).append(packed.extractfile(member).read())
    except (OSError, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise LeftOut(f"{Path(path).name} cannot be read: {type(error).__name__}: {first_line(error)}") from None
    classes = sorted({kind for _, kind in files})
    if len(classes) < 2 or any((part, kind) not in files for part in ("train", "test") for kind in classes):
        raise LeftOut(f"{Path(path).name} does not hold train/CLASS/*.jpg and test/CLASS/*.jpg of the same classes")
    splits = []
    for part, most in (("train", train), ("test", test)):
        images, labels = [], []
        for label, kind in enumerate(classes):
            for content in files[part, kind][: most // len(classes)]:
                try:
                    picture = np.array(Image.open(io.BytesIO(content)).convert("RGB"))  # (height, width, 3)
                except (OSError, ValueError, SyntaxError) as error:  # Pillow's, for what is no picture
                    said = f"{type(error).__name__}: a picture in {part}/{kind} is damaged"
                    raise LeftOut(f"{Path(path).name} cannot be read: {said}") from None
                images.append(torch.from_numpy(picture).permute(2, 0, 1))
                labels.append(label)
        if len({image.shape for image in images}) > 1:
            raise LeftOut(f"{Path(path).name} holds pictures of several sizes in {part}")
        splits.append(Split(torch.stack(images), torch.tensor(labels)))
    return Dataset("CIFAR-10 (JPEG)", *splits, tuple(classes), mirrored=True)
