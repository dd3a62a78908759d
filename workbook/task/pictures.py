"""Any picture as a person sees it: upright, on a ground, in 8 bits; and files of them, with what is wrong in them.

Which files these are, and what is made of them, stands in folders.py and sets.py.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def picture(image, size=None, ground: str = "white", channels: int | None = 3) -> Tensor:
    """A picture as a person sees it: upright, transparency on a ground, every depth in 8 bits; then fitted to a size.

    Args:
        image: a PIL image of any mode; or an array or tensor, uint8, uint16 or float in 0..1, of shape (height, width),
            (height, width, channels) or (channels, height, width), where a 2nd or 4th channel is opacity.
        size: pixels a side, or (height, width): the shorter side is fitted and the middle kept. None leaves it.
        ground: the colour behind what is transparent, in Pillow's words, such as "white" or "#204080".
        channels: 1 or 3; None for 1 where the picture is grey, without transparency.

    Returns:
        uint8 (channels, height, width), 0..255. 16 bits are divided by 257, float is taken as 0..1, or of PIL
            as 0..255 where the maximum is 2 or more.

    Raises:
        ValueError: another type, shape or size; values that cannot be shown: nan, negative, over 65535 or, float, 255;
            PIL's floats with a maximum between 1 and 2, which may be of either range.
    """
    from PIL import Image, ImageCms, ImageOps

    image = image if isinstance(image, Image.Image) else Image.fromarray(_pixels(image))
    if 0 in image.size:
        raise ValueError(f"a picture must have pixels, got {image.width} x {image.height} of them")
    _scale_what_is_clear(image)
    image = ImageOps.exif_transpose(image)
    clear, depth = image.info.get("transparency"), image.mode[0] in "IF"
    grey = clear is None and (depth or image.mode in ("1", "L"))
    if depth:
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F" and 1 < values.max() < 2:
            top = str(np.float32(values.max()))
            raise ValueError(f"values up to {top}: floats are read as 0..1 or as 0..255; bring them into one of these")
        image = Image.fromarray(_bytes(values, 257 if image.mode[0] == "I" else 1 / 255 if values.max() <= 1 else 1))
        if clear is not None:
            image.putalpha(Image.fromarray(np.uint8(255 * (values != clear))))
    elif image.mode == "LAB":
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"),
                                          outputMode="RGB")
    image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        front = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", front.size, ground), front)
    image = image.convert("L" if channels == 1 or (grey and channels is None) else "RGB")
    if size is not None:
        height, width = sides(size)
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1).contiguous()


class Reading:
    """Reads the files of a folder, from several threads, and keeps what is to be said of them together.

    A file that cannot be read is black until `check`, which names the first of them by their paths.
    """

    def __init__(self, place: Path, order: list[Path]):
        self.place, self.order = place, order
        self.broken: dict[Path, str] = {}
        self.tops: dict[str, dict[Path, float]] = {"I": {}, "F": {}}  # the brightest of 16 bits, and of floats
        self.large: dict[Path, float] = {}  # in megapixels

    def digest(self, i: int) -> str:
        try:
            return hashlib.blake2b(self.order[i].read_bytes(), digest_size=16).hexdigest()
        except OSError as error:  # a link to nowhere, or a file of somebody else
            self.broken[self.order[i]] = _reason(self.order[i], error)
            return ""

    def image(self, i: int, size: tuple[int, int], ground: str) -> Tensor:
        from PIL import Image

        path = self.order[i]
        try:
            with Image.open(path) as image:
                made = picture(image, size, ground)
                if image.mode[0] in self.tops:
                    self.tops[image.mode[0]][path] = float(np.asarray(image).max())
                if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
                    self.large[path] = image.width * image.height / 1e6
                return made
        except Exception as error:  # Pillow raises many kinds for a damaged file
            self.broken[path] = _reason(path, error)
            return torch.zeros(3, *size, dtype=torch.uint8)

    def check(self) -> None:
        """ValueError: files that cannot be read, or floats up to 1 beside floats up to 255."""
        broken = sorted(self.broken.items())
        if len(broken) == 1:
            raise ValueError("{} cannot be read as an image ({}); replace or remove it".format(*broken[0]))
        if broken:
            named = ", ".join(f"{self._short(path)} ({why})" for path, why in broken[:3])
            more = f" and {len(self.broken) - 3:,} more" if len(self.broken) > 3 else ""
            raise ValueError(f"{len(self.broken):,} files in {self.place} cannot be read as images: {named}{more}; "
                             "replace or remove them")
        small, large = (sorted(path for path, top in self.tops["F"].items() if top and (top <= 1) is within)
                        for within in (True, False))  # what is black may be of either
        if small and large:
            raise ValueError(
                f"{self.place} holds float pictures of 0..1 ({len(small):,}, such as {self._short(small[0])}) and of "
                f"0..255 ({len(large):,}, such as {self._short(large[0])}); bring all into one of these")

    def said(self) -> list[str]:
        """What looks wrong, and can be used; nothing where no file was read."""
        said, top = [], max(self.tops["I"].values(), default=np.inf)
        if top < 65536 / 8:
            said.append(f"the brightest of the 16-bit pictures is {top:,.0f} of 65,535, so little contrast is left; "
                        "scale them to the whole range first")
        if self.large:
            path, most = max(self.large.items(), key=lambda item: (item[1], item[0]))
            rest = f", and {len(self.large) - 1:,} more are over Pillow's limit" if len(self.large) > 1 else ""
            said.append(f"{self._short(path)} has {most:.0f} megapixels{rest}; make {'them' if rest else 'it'} smaller")
        return said

    def _short(self, path: Path) -> str:
        return path.relative_to(self.place).as_posix()


def _reason(path: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError) and (pixels := re.search(r"\((\d+) pixels", str(error))):
        return f"{int(pixels[1]) / 1e6:.0f} megapixels; make it smaller"
    if isinstance(error, UnidentifiedImageError):
        return "its content is no picture that Pillow knows"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return said.replace(f" {str(path)!r}", "").replace(str(path), "it")


def sides(size) -> tuple[int, int]:
    """(height, width) of a size that is one number for both or a pair; ValueError for another, and below 1."""
    pair = tuple(size) if isinstance(size, list | tuple) else (size, size)
    if len(pair) != 2 or not all(isinstance(x, int) and not isinstance(x, bool) and x >= 1 for x in pair):
        raise ValueError(f"size must be a whole number >= 1, or two: (height, width), got {size!r}")
    return pair


def _scale_what_is_clear(image) -> None:
    # Of greys of 2 or 4 bits Pillow scales the pixels when it reads them, and not the one that is transparent.
    tile, clear = getattr(image, "tile", None), image.info.get("transparency")
    step = {"L;2": 85, "L;4": 17}.get(str(tile[0][3])) if tile else None
    if step and isinstance(clear, int):
        image.info["transparency"] = step * clear
        image.load()  # so that a second look does not scale it again


def _pixels(image) -> np.ndarray:
    array = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    if array.ndim == 3 and array.shape[0] <= 4 and (isinstance(image, Tensor) or array.shape[2] > 4):
        array = array.transpose(1, 2, 0)
    fits = array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4)
    if not fits or array.dtype.kind + str(array.dtype.itemsize) not in ("u1", "u2", "f2", "f4", "f8"):
        raise ValueError(f"a picture must be a PIL image, or uint8, uint16 or float of shape (height, width), (height, "
                         f"width, channels) or (channels, height, width), got {array.dtype} of {array.shape}")
    array = array if array.dtype == np.uint8 else _bytes(array, 257 if array.dtype.kind == "u" else 1 / 255)
    return np.ascontiguousarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _bytes(values: np.ndarray, unit: float) -> np.ndarray:
    top = 255 * unit
    if not ((values >= 0) & (values <= top)).all():
        advice = "; remove Normalize from the transform" if unit < 1 and values.min() < 0 else ""
        raise ValueError(
            f"a picture's values must be in 0 .. {top:g}, got {values.min():g} .. {values.max():g}{advice}")
    return np.rint(values / unit).astype(np.uint8)
