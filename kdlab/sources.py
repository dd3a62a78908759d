"""Where the data sets come from: scikit-learn's digits, glyphs drawn here, CIFAR-10, and folders of images.

Each function returns (images, labels) for training, the same for testing, and the class names; data.py does the rest.
"""

import hashlib
import math
import tempfile
import time
import warnings
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.files import write_whole

Part = tuple[Tensor, Tensor]  # images uint8 (n, channels, height, width), labels int64 (n,)

CHARACTERS = "O0QCGDIl1S"
# Those of matplotlib's fonts that draw all ten characters as ten different shapes, chosen by eye.
FONTS = """DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique DejaVuSansMono DejaVuSansMono-Bold
    DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic
    DejaVuSerif-BoldItalic STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta
    cmr10 cmb10 cmti10 cmss10 cmtt10""".split()
# Degrees to either side, share of half the picture in any direction, sizes, at most so many steps of 0..255. Tuned on
# seeds 0 to 4, so that a CNN of widths 16-32-64 on 6,000 glyphs and one of 8-16-16 on 200 stay apart; on seeds 10 to 14
# they reach 92.7 ± 0.6% and 57.6 ± 4.4%.
ROTATION, SHIFT, SCALE, NOISE = 15, 0.06, (0.8, 1.0), 85

# Seconds that a download may stay silent; bytes per second that it must reach on average once it has run for seconds.
TIMEOUT, SPEED_FLOOR, SPEED_GRACE = 15.0, 50_000, 20.0


def digits(seed: int) -> tuple[Part, Part, tuple[str, ...]]:
    """scikit-learn's 1,797 handwritten digits, 1x8x8, shuffled by the seed: 1,000 to train, 797 to test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()  # images: float (1797, 8, 8), 0..16
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(seed))
    images = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8)[order, None]  # (1797, 1, 8, 8)
    labels = torch.from_numpy(bunch.target).long()[order]
    return (images[:1000], labels[:1000]), (images[1000:], labels[1000:]), tuple("0123456789")


def glyphs(seed: int, train: int, test: int) -> tuple[Part, Part, tuple[str, ...]]:
    """Ten characters that are easily confused, 3x32x32, in many fonts, places, sizes, angles and colours, with noise.

    The counts of the ten characters differ by at most one. 10,000 pictures take about 1.5 s on one thread.
    """
    # Even seeds draw training splits and odd ones test splits, so that no two share a random stream.
    return _draw(train, 2 * seed), _draw(test, 2 * seed + 1), tuple(CHARACTERS)


def cifar10(root: Path) -> tuple[Part, Part, tuple[str, ...]]:
    """torchvision's CIFAR-10 (Krizhevsky 2009), 3x32x32, kept in root; fetched where it is not there yet.

    Raises:
        ConnectionError: it cannot be fetched; the message names the cause and the choices without a network.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    try:
        train = CIFAR10(root, train=True)
    except RuntimeError:  # not there, or not whole
        archive = root / CIFAR10.filename
        if not check_integrity(archive, CIFAR10.tgz_md5):
            _download(CIFAR10.url, archive, CIFAR10.tgz_md5)
        train = CIFAR10(root, train=True, download=True)  # finds the archive in place, so it only unpacks
    parts = (
        (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in (train, CIFAR10(root, train=False))
    )
    return *parts, tuple(train.classes)


def folder(place: Path, size: int, cache: Path) -> tuple[Part, Part, tuple[str, ...]]:
    """Images in train/CLASS/* and test/CLASS/*, as 3 x size x size; kept in one file in cache, named by the content.

    Raises:
        FileNotFoundError, ValueError: a folder that is not there, or not as `data.load` says; the message names it.
    """
    train, test = (_listing(place, split) for split in ("train", "test"))
    for label in set(range(len(train.classes))) - set(train.targets):
        raise ValueError(f"{place / 'train' / train.classes[label]} holds no image; add some, or remove it")
    for name in test.classes:
        if name not in train.classes:
            raise ValueError(f"{place / 'test' / name} is a class that is not in train/; add it there, or remove it")
    if not test.samples:
        raise ValueError(f"{place / 'test'} holds no image in any class folder; move some there from train/")
    paths = [Path(path) for path, _ in train.samples + test.samples]
    key = hashlib.blake2b(f"kdlab folder 1, {size} pixels\n".encode(), digest_size=16)
    for path in paths:
        content = path.read_bytes()
        key.update(f"{path.relative_to(place).as_posix()}, {len(content)} bytes\n".encode() + content)
    images = _cached_images(cache / f"{key.hexdigest()}.safetensors", paths, size)
    n, labels = len(train), [train.class_to_idx[test.classes[label]] for label in test.targets]
    return (images[:n], torch.tensor(train.targets)), (images[n:], torch.tensor(labels)), tuple(train.classes)


def _draw(n: int, seed: int) -> Part:
    generator = torch.Generator().manual_seed(seed)
    masks = _masks().double() / 255  # (fonts, characters, 64, 64), 0..1
    labels = torch.randperm(n, generator=generator) % len(CHARACTERS)
    return torch.cat([_pictures(masks, chunk, generator) for chunk in labels.split(500)]), labels


def _pictures(masks: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    # In float64, so that another processor's last bit vanishes in the rounding and fingerprints agree.
    n, (low, high) = len(labels), SCALE
    draws = torch.rand(n, 12, generator=generator, dtype=torch.float64)
    fonts = (draws[:, 0] * len(FONTS)).long()
    angle, scale = (2 * draws[:, 1] - 1) * math.radians(ROTATION), low + (high - low) * draws[:, 2]
    cos, sin = angle.cos() / scale, angle.sin() / scale
    turn = torch.stack([cos, -sin, sin, cos], dim=1).view(n, 2, 2)  # from the picture's coordinates to the mask's
    shift = turn @ (2 * draws[:, 3:5, None] - 1) * SHIFT  # (n, 2, 1)
    grid = F.affine_grid(torch.cat([turn, shift], dim=2), [n, 1, 32, 32], align_corners=False)
    shapes = F.grid_sample(masks[fonts, labels][:, None], grid, align_corners=False)  # (n, 1, 32, 32), 0..1
    dark, light = 0.4 * draws[:, 5:8], 1 - 0.4 * draws[:, 8:11]  # (n, 3): at least 0.2 apart in every channel
    light_ink = draws[:, 11:] < 0.5
    ink, paper = torch.where(light_ink, light, dark), torch.where(light_ink, dark, light)
    pictures = 255 * (paper[:, :, None, None] + (ink - paper)[:, :, None, None] * shapes)  # (n, 3, 32, 32)
    noise = torch.rand(2, *pictures.shape, generator=generator).sum(0) - 1  # between -1 and 1, mostly near 0
    return (pictures + NOISE * noise).round().clamp(0, 255).to(torch.uint8)


@lru_cache
def _masks() -> Tensor:
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    masks = []
    for name in FONTS:
        font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", 48)
        _, top, _, bottom = font.getbbox("O", anchor="ms")  # relative to the baseline, which all characters share
        for character in CHARACTERS:
            mask = Image.new("L", (64, 64))
            ImageDraw.Draw(mask).text((32, 32 - (top + bottom) / 2), character, font=font, fill=255, anchor="ms")
            masks.append(torch.from_numpy(np.array(mask)))
    return torch.stack(masks).view(len(FONTS), len(CHARACTERS), 64, 64)


def _download(url: str, path: Path, md5: str) -> None:
    # torchvision's own download has no time limit: with a silent server it would hang for ever.
    from tqdm.auto import tqdm

    digest, received, start = hashlib.md5(usedforsecurity=False), 0, time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch, urlopen(url, timeout=TIMEOUT) as response:
            partial = Path(scratch) / path.name
            bar = tqdm(total=response.length, unit="B", unit_scale=True, desc=path.name)
            with bar, partial.open("wb") as file:
                while chunk := response.read1(1 << 16):  # what has come so far; read would wait for all of it
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
                    received, seconds = received + len(chunk), time.monotonic() - start
                    if seconds > SPEED_GRACE and received < SPEED_FLOOR * seconds:
                        raise TimeoutError(f"too slow, {received / seconds / 1000:.1f} kB/s over {seconds:.0f} s")
            if digest.hexdigest() != md5:
                raise ConnectionError(f"wrong checksum of the {received} bytes received")
            partial.replace(path)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(
            f"{path.name} could not be fetched from {url} ({error}); try again, put the file at {path} yourself, "
            f"or use a data set that needs no network: digits, glyphs or folder:PATH"
        ) from None


def _listing(place: Path, split: str):
    from torchvision.datasets import ImageFolder

    for wanted in (place, place / split):
        if not wanted.is_dir():
            raise FileNotFoundError(f"{wanted} is not a folder; expected images in {place / split}/CLASS/*")
    if not any(x.is_dir() for x in wanted.iterdir()):
        raise ValueError(f"{wanted} holds no class folder; expected images in {wanted}/CLASS/*")
    return ImageFolder(wanted, allow_empty=True)


def _cached_images(cache: Path, paths: list[Path], size: int) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save
    from tqdm.auto import tqdm

    try:
        kept = load_file(cache)
        if torch.equal(kept["digest"], _digest(kept["images"])):
            return kept["images"]
    except (OSError, SafetensorError, KeyError):  # not there, or damaged
        pass
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)
    for i, path in enumerate(tqdm(paths, desc="reading images", delay=3, leave=False)):  # no bar for a small folder
        images[i] = _read_image(path, size)
    try:
        write_whole("cache", cache, save({"images": images, "digest": _digest(images)}))
    except (OSError, SafetensorError) as error:  # a full disk must not cost the images that are already read
        said = f"the images are loaded, but not cached at {cache} ({error}); the next load reads them again"
        warnings.warn(said, stacklevel=4)
    return images


def _digest(images: Tensor) -> Tensor:
    return torch.frombuffer(bytearray(hashlib.blake2b(images.numpy(), digest_size=16).digest()), dtype=torch.uint8)


def _read_image(path: Path, size: int) -> Tensor:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")  # as a camera was held
            square = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)  # shorter side, then the centre
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise ValueError(f"{path} cannot be read as an image ({error}); replace or remove it") from None
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)  # (3, size, size)
