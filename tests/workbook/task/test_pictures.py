"""Any picture as a person sees it, against values worked out by hand: modes, depths, transparency, orientation."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workbook import task

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def pixels(image, **options):
    """The rows of pixels, each a tuple of its channels."""
    return [[tuple(pixel) for pixel in row] for row in task.picture(image, **options).permute(1, 2, 0).tolist()]


def through(image, kind, **options):
    """The image as a file of this kind gives it back."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))




def image_of(mode, *values):
    made = Image.new(mode, (len(values), 1))
    made.putdata(values)
    return made


# --- modes and depths


SHOWN = [
    ("1", (0, 255), (BLACK, WHITE)),
    ("L", (0, 7, 255), (BLACK, (7, 7, 7), WHITE)),
    ("RGB", ((1, 2, 3), (200, 100, 50)), ((1, 2, 3), (200, 100, 50))),
    ("RGBX", ((1, 2, 3, 0), (200, 100, 50, 9)), ((1, 2, 3), (200, 100, 50))),  # the fourth is padding, not opacity
    ("RGBA", ((0, 0, 0, 255), (0, 0, 0, 0), (200, 100, 0, 51)), (BLACK, WHITE, (244, 224, 204))),  # 0.2 and 0.8 white
    ("RGBa", ((0, 0, 0, 255), (0, 0, 0, 0), (40, 20, 0, 51)), (BLACK, WHITE, (244, 224, 204))),  # the same, multiplied
    ("LA", ((0, 255), (0, 0), (100, 51)), (BLACK, WHITE, (224, 224, 224))),
    ("La", ((0, 255), (0, 0), (20, 51)), (BLACK, WHITE, (224, 224, 224))),
    ("CMYK", ((0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 0)), (WHITE, BLACK, (0, 255, 255))),
    ("YCbCr", ((255, 128, 128), (0, 128, 128), (77, 128, 128)), (WHITE, BLACK, (77, 77, 77))),
    ("HSV", ((0, 0, 255), (0, 255, 255), (0, 0, 0)), (WHITE, (255, 0, 0), BLACK)),
    ("I;16", (0, 257, 65535, 25700), (BLACK, (1, 1, 1), WHITE, (100, 100, 100))),
    ("I", (0, 257, 65535, 25700), (BLACK, (1, 1, 1), WHITE, (100, 100, 100))),
    ("F", (0.0, 1.0, 0.2), (BLACK, WHITE, (51, 51, 51))),
    ("F", (0.0, 255.0, 51.4), (BLACK, WHITE, (51, 51, 51))),
    ("F", (0.0, 2.0, 1.2), (BLACK, (2, 2, 2), (1, 1, 1))),  # 2 is of the range to 255
]


@pytest.mark.parametrize("mode, values, expected", SHOWN, ids=[f"{mode}-{i}" for i, (mode, *_) in enumerate(SHOWN)])
def test_every_mode_has_the_values_that_a_person_sees(mode, values, expected):
    assert pixels(image_of(mode, *values)) == [list(expected)]


@pytest.mark.parametrize("order", ["I;16", "I;16L", "I;16B"])
def test_sixteen_bits_are_scaled_whatever_the_order_of_their_bytes(order):
    kind = ">u2" if order.endswith("B") else "<u2"
    values = np.array([[0, 257, 514, 25700, 65535]], kind)
    if order not in Image.MODES and not hasattr(Image, "frombytes"):
        pytest.skip("an older Pillow")
    try:
        image = Image.frombytes(order, (5, 1), values.tobytes())
    except ValueError:
        pytest.skip(f"this Pillow has no {order}")
    assert [pixel[0] for pixel in pixels(image)[0]] == [0, 1, 2, 100, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_file_of_sixteen_bits_is_not_white(kind):
    """pytorch/vision#2218: a conversion clips all above 255."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    made = task.picture(through(Image.fromarray(ramp), kind))
    expected = np.rint(ramp / 257)
    assert made.shape == (3, 16, 16) and all((channel.numpy() == expected).all() for channel in made)


def test_white_in_lab_is_white_and_a_dark_red_is_red():
    white, red = pixels(image_of("LAB", (255, 128, 128), (100, 188, 168)))[0]  # Pillow's grey is 128
    assert min(white) >= 254 and red[0] > red[1] + 60 and red[0] > red[2] + 60


def test_a_palette_shows_its_colours():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200])
    image.putdata([0, 1, 2])
    assert pixels(image) == [[(10, 20, 30), (200, 0, 0), (0, 0, 200)]]
    assert pixels(through(image, "PNG")) == pixels(through(image, "GIF")) == pixels(image)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palettes_transparent_colour_shows_the_ground(kind):
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putdata([0, 1])
    assert pixels(through(image, kind, transparency=0)) == [[WHITE, (200, 0, 0)]]


def test_a_palettes_table_of_opacities_is_blended():
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 200, 100, 0, 9, 9, 9])
    image.putdata([0, 1, 2])
    assert pixels(through(image, "PNG", transparency=bytes([0, 51, 255]))) == [[WHITE, (244, 224, 204), (9, 9, 9)]]


def test_a_transparent_colour_of_grey_rgb_and_sixteen_bits_shows_the_ground():
    assert pixels(through(image_of("L", 0, 9), "PNG", transparency=0)) == [[WHITE, (9, 9, 9)]]
    assert pixels(through(image_of("1", 0, 255), "PNG", transparency=0), ground="#204080") == [[(32, 64, 128), WHITE]]
    seen = through(image_of("RGB", (1, 2, 3), (1, 2, 4)), "PNG", transparency=(1, 2, 3))
    assert pixels(seen) == [[WHITE, (1, 2, 4)]]
    deep = through(Image.fromarray(np.array([[257, 25700]], np.uint16)), "PNG")
    deep.info["transparency"] = 257
    assert pixels(deep) == [[WHITE, (100, 100, 100)]]


def test_a_black_drawing_on_a_transparent_ground_is_not_all_black():
    drawing = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (8, 0, 12, 20))
    made = task.picture(through(drawing, "PNG"))
    assert made[:, :, 8:12].max() == 0 and made[:, :, :8].min() == made[:, :, 12:].min() == 255


def test_the_ground_is_the_one_that_was_asked_for():
    clear = Image.new("RGBA", (1, 1), (9, 9, 9, 0))
    for ground, seen in (("white", WHITE), ("black", BLACK), ("#204080", (32, 64, 128)), ("red", (255, 0, 0))):
        assert pixels(clear, ground=ground) == [[seen]]


def test_an_animation_shows_its_first_picture():
    file = io.BytesIO()
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    first.save(file, "GIF", save_all=True, append_images=[second])
    assert pixels(Image.open(file))[0][0] == (200, 0, 0)


def png(depth, colour, samples, *chunks):
    """One row of a PNG as its specification says it; Pillow cannot write most of them."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bits = "".join(f"{x:0{depth}b}" for x in samples)
    row = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    width = len(samples) // {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_any_depth_in_a_png_spans_black_to_white(depth):
    top = 2**depth - 1
    samples = [0, top, top // 3]
    assert [pixel[0] for pixel in pixels(png(depth, 0, samples))[0]] == [round(255 * x / top) for x in samples]


def test_sixteen_bits_a_colour_in_a_png_keep_their_colours_within_a_step():
    samples = [0, 257 * 100, 65535, 65535, 257 * 7, 0]
    assert pixels(png(16, 2, samples)) == [[(0, 100, 255), (255, 7, 0)]]
    assert pixels(png(16, 6, [0, 0, 0, 65535, 0, 0, 0, 0])) == [[BLACK, WHITE]]
    assert pixels(png(16, 4, [257 * 9, 65535, 0, 0])) == [[(9, 9, 9), WHITE]]


def test_the_white_of_one_bit_may_be_the_transparent_one():
    assert pixels(png(1, 0, [0, 1], (b"tRNS", b"\0\1")), ground="#204080") == [[BLACK, (32, 64, 128)]]
    assert pixels(png(1, 0, [0, 1], (b"tRNS", b"\0\0")), ground="#204080") == [[(32, 64, 128), WHITE]]


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
@pytest.mark.parametrize("which", [0, 1])
def test_the_transparent_grey_of_any_depth_shows_the_ground(depth, which):
    top = 2**depth - 1
    samples, seen = [0, top // 3, top], [BLACK, (85, 85, 85), WHITE]
    opened = png(depth, 0, samples, (b"tRNS", samples[which].to_bytes(2, "big")))
    seen[which] = (32, 64, 128)
    assert pixels(opened, ground="#204080") == pixels(opened, ground="#204080") == [seen]  # it may be looked at twice


def test_a_print_shops_jpeg_is_not_a_negative():
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    made = task.picture(through(flat, "JPEG", quality=95)).float()
    assert (made - torch.tensor([0, 255, 255])[:, None, None]).abs().max() <= 3


# --- orientation


CORNERS = [[(10, 0, 0), (20, 0, 0), (30, 0, 0)], [(40, 0, 0), (50, 0, 0), (60, 0, 0)]]
STORED = {  # rows of the file, by what EXIF says of its first row and first column
    1: [[10, 20, 30], [40, 50, 60]],  # top, left
    2: [[30, 20, 10], [60, 50, 40]],  # top, right
    3: [[60, 50, 40], [30, 20, 10]],  # bottom, right
    4: [[40, 50, 60], [10, 20, 30]],  # bottom, left
    5: [[10, 40], [20, 50], [30, 60]],  # left, top
    6: [[30, 60], [20, 50], [10, 40]],  # right, top: its first row is the right side
    7: [[60, 30], [50, 20], [40, 10]],  # right, bottom
    8: [[40, 10], [50, 20], [60, 30]],  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
def test_all_eight_orientations_come_out_upright(orientation):
    rows = np.array(STORED[orientation], np.uint8)
    stored = Image.fromarray(np.stack([rows, 0 * rows, 0 * rows], 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert pixels(through(stored, "PNG", exif=exif)) == CORNERS
    assert pixels(through(stored, "TIFF", exif=exif)) == CORNERS


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "CMYK", "I;16", "F"])
def test_a_turned_picture_of_any_mode_is_upright(mode):
    image = Image.new("RGB", (4, 2), "white").convert("L" if mode in ("I;16", "F") else mode)
    image = Image.fromarray(np.full((2, 4), 65535, np.uint16)) if mode == "I;16" else image.convert(mode)
    image.getexif()[0x0112] = 6
    made = task.picture(image)
    assert made.shape == (3, 4, 2) and made.min() == 255


# --- arrays and tensors


@pytest.mark.parametrize("dtype, values", [
    (np.uint8, [0, 51, 255]), (np.uint16, [0, 51 * 257, 65535]), (np.float16, [0, 0.2, 1]), (np.float32, [0, 0.2, 1]),
    (np.float64, [0, 0.2, 1]),
])
def test_an_array_of_each_type_and_order_is_the_same_picture(dtype, values):
    rows = np.array([values, values[::-1]], dtype)  # (2, 3)
    expected = torch.tensor([[0, 51, 255], [255, 51, 0]], dtype=torch.uint8).expand(3, 2, 3)
    wide = np.tile(rows, (1, 3))  # (2, 9): no side can be taken for channels
    full = expected.repeat(1, 1, 3)
    for given_ in (rows, rows[:, :, None]):
        assert torch.equal(task.picture(given_), expected)
    for given_ in (np.stack([wide] * 3), np.stack([wide] * 3, 2), wide[None], torch.from_numpy(np.stack([wide] * 3))):
        assert torch.equal(task.picture(given_), full)
    assert torch.equal(task.picture(torch.from_numpy(rows)), expected)


def test_the_fourth_channel_of_an_array_is_opacity_and_so_is_the_second():
    array = np.zeros((2, 9, 4), np.uint8)
    array[:, :4, 3] = 255
    made = task.picture(array)
    assert made[:, :, :4].max() == 0 and made[:, :, 4:].min() == 255
    assert torch.equal(task.picture(array[:, :, 2:]), made)
    assert torch.equal(task.picture(torch.from_numpy(array).permute(2, 0, 1)), made)


def test_a_tensor_that_was_not_upright_in_memory_or_is_part_of_a_graph_is_taken_as_well():
    image = torch.rand(3, 8, 9)
    expected = image.mul(255).round().byte()
    assert torch.equal(task.picture(image.requires_grad_()), expected)
    assert torch.equal(task.picture(image.detach().to(memory_format=torch.preserve_format).flip(2)), expected.flip(2))


# --- size and channels


@pytest.mark.parametrize("size, shape", [(16, (16, 16)), ((8, 24), (8, 24)), (None, (20, 40)), ((20, 40), (20, 40))])
def test_a_size_is_a_number_or_height_and_width(size, shape):
    image = Image.new("RGB", (40, 20), (1, 2, 3))
    assert task.picture(image, size).shape == (3, *shape)


@pytest.mark.parametrize("size", [0, -1, (0, 8), (8,), (1, 2, 3), 8.5, "8", True])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match=r"size must be a whole number >= 1, or two: \(height, width\), got "):
        task.picture(Image.new("L", (4, 4)), size)


def test_the_shorter_side_is_fitted_and_the_middle_is_kept():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 255
    assert task.picture(image, 10).min() > 200
    high = task.picture(image, (20, 30))  # 15 columns are cut on either side
    assert high[:, :, 6:24].min() == 255 and high[:, :, :4].max() == high[:, :, 26:].max() == 0


def test_channels_are_three_one_or_those_of_the_picture():
    colour, plain = Image.new("RGB", (2, 2), (30, 30, 30)), Image.new("L", (2, 2), 30)
    deep, bits = Image.fromarray(np.full((2, 2), 30 * 257, np.uint16)), Image.new("1", (2, 2))
    clear = Image.new("LA", (2, 2), (30, 0))
    assert [len(task.picture(x, channels=None)) for x in (colour, plain, deep, bits, clear)] == [3, 1, 1, 1, 3]
    for image in (colour, plain, deep):
        assert task.picture(image, channels=1).tolist() == [[[30, 30], [30, 30]]]
        assert torch.equal(task.picture(image), task.picture(image, channels=1).expand(3, 2, 2))


# --- drawn


@given(st.sampled_from(sorted({mode for mode, *_ in SHOWN} - {"I", "F", "I;16"}) + ["P", "PA", "LAB"]),
       st.integers(1, 40), st.integers(1, 40), st.one_of(st.none(), st.integers(1, 40)), st.integers(0, 2**32))
@settings(max_examples=150)
def test_any_picture_of_eight_bits_has_the_asked_shape_and_type(mode, width, height, size, seed):
    draw = np.random.default_rng(seed)
    count = {"1": 1, "L": 1, "P": 1}.get(mode, len(Image.new(mode, (1, 1)).getbands()))
    image = Image.new(mode, (width, height))
    if mode in ("P", "PA"):
        image.putpalette(draw.integers(0, 256, 768).tolist())
    drawn = draw.integers(0, 256, (height * width, count)).tolist()
    image.putdata([x[0] if count == 1 else tuple(x) for x in drawn])
    before = image.tobytes()
    made = task.picture(image, size)
    assert made.dtype == torch.uint8 and made.is_contiguous() and image.tobytes() == before
    assert made.shape == ((3, height, width) if size is None else (3, size, size))
    if mode in ("L", "RGB") and size is None:
        shown = np.array(drawn).reshape(height, width, count).transpose(2, 0, 1)
        assert (made.numpy() == shown).all()


@given(st.sampled_from(["uint8", "uint16", "float32", "I", "F", "PNG", "TIFF"]), st.integers(1, 30),
       st.integers(1, 30), st.integers(0, 2**32))
@settings(max_examples=150)
def test_any_depth_is_the_nearest_of_the_256_steps(kind, width, height, seed):
    levels = np.random.default_rng(seed).random((height, width))
    deep = np.rint(levels * 65535).astype(np.uint16)
    image = {
        "uint8": lambda: np.rint(levels * 255).astype(np.uint8), "uint16": lambda: deep,
        "float32": lambda: levels.astype(np.float32), "I": lambda: Image.fromarray(deep.astype(np.int32)),
        "F": lambda: Image.fromarray(levels.astype(np.float32)), "PNG": lambda: through(Image.fromarray(deep), "PNG"),
        "TIFF": lambda: through(Image.fromarray(deep), "TIFF"),
    }[kind]()
    made = task.picture(image, channels=1)[0].numpy()
    assert made.shape == (height, width) and np.abs(made / 255 - levels).max() <= 0.5 / 255 + 1e-4


# --- refusals


WRONG = {
    "integers": (np.zeros((4, 9), np.int64), "uint8, uint16 or float"),
    "five channels": (np.zeros((9, 9, 5), np.uint8), r"got uint8 of \(9, 9, 5\)"),
    "a batch": (torch.zeros(2, 3, 9, 9), r"got float32 of \(2, 3, 9, 9\)"),
    "a row": (np.zeros(9, np.uint8), r"got uint8 of \(9,\)"),
    "words": ("a.png", "a picture must be"),
    "nothing": (None, "a picture must be"),
    "no pixels": (np.zeros((0, 5), np.uint8), "must have pixels"),
    "no pixels of floats": (np.zeros((0, 5), np.float32), "must have pixels"),
    "no pixels in depth": (Image.new("F", (0, 5)), "must have pixels"),
    "nan": (np.full((4, 9), np.nan, np.float32), r"must be in 0 \.\. 1, got nan"),
    "negative floats": (np.full((4, 9), -0.1), r"must be in 0 \.\. 1, got -0\.1"),
    "floats to 255": (np.full((4, 9), 255.0), r"must be in 0 \.\. 1, got 255"),
    "negative depth": (Image.fromarray(np.full((4, 9), -3, np.int32)), r"must be in 0 \.\. 65535, got -3"),
    "too deep": (Image.fromarray(np.full((4, 9), 70_000, np.int32)), r"must be in 0 \.\. 65535, got 70000"),
    "too bright": (Image.fromarray(np.full((4, 9), 256, np.float32)), r"must be in 0 \.\. 255, got 256"),
    "nan of pillow": (Image.fromarray(np.full((4, 9), np.nan, np.float32)), "got nan"),
    "just over one": (Image.fromarray(np.float32([[0, 0.5], [0.9, 1.01]])),
                      r"^values up to 1\.01: floats are read as 0\.\.1 or as 0\.\.255; bring them into one of these$"),
    "just below two": (Image.fromarray(np.full((4, 9), 1.99, np.float32)), r"^values up to 1\.99: floats"),
    "normalised": (torch.linspace(-2.1, 2.6, 108).view(3, 4, 9),
                   r"must be in 0 \.\. 1, got -2\.1 \.\. 2\.6; remove Normalize from the transform$"),
    "infinite": (Image.fromarray(np.full((4, 9), np.inf, np.float32)), "got inf"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_shown_is_refused_in_one_sentence(name):
    image, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as caught:
        task.picture(image)
    assert "\n" not in str(caught.value)


def test_a_ground_that_is_no_colour_is_refused_by_its_name():
    with pytest.raises(ValueError, match="whyte"):
        task.picture(Image.new("RGBA", (1, 1)), ground="whyte")
