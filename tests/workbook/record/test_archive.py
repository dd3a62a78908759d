"""The archive's pictures are those of its files, as another reader sees them; a damaged one is named in a sentence."""

import io

import pytest
import torch
from archives import packed
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from workbook.record import archive
from workbook.record.sheet import LeftOut


def test_pictures_are_those_that_pillow_reads_and_keep_their_class(archive_path, files):
    found = archive.read(archive_path, train=400, test=200)
    assert found.classes == tuple(sorted({name.split("/")[2] for name in files}))
    for part in ("train", "test"):
        names = sorted((name for name in files if f"/{part}/" in name), key=lambda name: name.split("/")[2])
        assert len(found.part(part)) == len(names)
        for i in range(0, len(names), 37):
            mine, label = found.part(part).images[i], found.part(part).labels[i]
            theirs = pil_to_tensor(Image.open(io.BytesIO(files[names[i]])))
            assert torch.equal(mine, theirs)
            assert found.classes[label] == names[i].split("/")[2]


def test_of_each_class_the_same_number_is_taken(archive_path):
    found = archive.read(archive_path, train=100, test=30)
    assert torch.bincount(found.train.labels).tolist() == [10] * 10
    assert torch.bincount(found.test.labels).tolist() == [3] * 10


def damaged(kind, whole, files, folder):
    path = folder / "pictures.tar.xz"
    if kind == "missing":
        return path
    if kind == "cut":
        path.write_bytes(whole.read_bytes()[:-2000])
    if kind == "text":
        path.write_text("not an archive")
    if kind == "picture":
        packed(path, files | {next(iter(files)): b"\xff\xd8 no picture"})
    if kind == "other":
        packed(path, {"a/b.jpg": b"x"})
    if kind == "no test":
        packed(path, {name: content for name, content in files.items() if "/train/" in name})
    return path


@pytest.mark.parametrize("kind", ["missing", "cut", "text", "picture", "other", "no test"])
def test_an_archive_that_cannot_be_used_is_named(kind, archive_path, files, tmp_path):
    with pytest.raises(LeftOut, match="^pictures.tar.xz") as said:
        archive.read(damaged(kind, archive_path, files, tmp_path), train=400, test=200)
    assert "\n" not in str(said.value)
