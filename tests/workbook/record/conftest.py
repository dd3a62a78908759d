"""A small archive of JPEG files like CIFAR-10's: glyphs, 40 and 20 of each class."""

import io

import pytest
from archives import packed
from torchvision.transforms.functional import to_pil_image

from kdlab import data


def jpeg(image):
    to_pil_image(image).save(into := io.BytesIO(), "jpeg", quality=95)
    return into.getvalue()


@pytest.fixture(scope="session")
def glyphs():
    return data.load("glyphs", train=400, test=200)


@pytest.fixture(scope="session")
def files(glyphs):
    return {
        f"glyphs/{part}/{glyphs.classes[label]}/{i:04}.jpg": jpeg(image)
        for part in ("train", "test")
        for i, (image, label) in enumerate(zip(glyphs.part(part).images, glyphs.part(part).labels.tolist()))
    }


@pytest.fixture(scope="session")
def archive_path(files, tmp_path_factory):
    return packed(tmp_path_factory.mktemp("archive") / "glyphs.tar.xz", files)
