"""Pictures that need no file: scikit-learn's digits, and glyphs drawn here.

data.py makes data sets of them; folders of files, torchvision's sets and others are read by the workbook's `task`.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
