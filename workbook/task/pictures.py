"""Any picture as a person sees it: upright, on a ground, in 8 bits.

What is made of many of them stands in folders.py and sets.py.
"""

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
