"""The logit bank: what goes in comes out, what does not belong is refused, and anyone can write one."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import safe_open, save_file
from torch import nn

from kdlab import bank as banks
from kdlab import data
from kdlab.data import Dataset, Recipe, Split

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def tiny() -> Dataset:
    """12 training and 6 test images, 2x4x4, three classes."""
    generator = torch.Generator().manual_seed(0)
    train, test = (
        Split(torch.randint(0, 256, (n, 2, 4, 4), dtype=torch.uint8, generator=generator), torch.arange(n) % 3)
        for n in (12, 6)
    )
    return Dataset("tiny", train, test, CLASSES)


RECIPE = Recipe(seed=3, pad=1, flip=True)


@pytest.fixture
def viewed(tiny) -> banks.Bank:
    """Two views of each training image."""
    logits = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(2))
    return banks.make(logits, tiny.augmented(RECIPE), producer="a test")


@pytest.fixture
def bank(tiny) -> banks.Bank:
    return banks.make(torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), tiny, producer="a test")


def reordered(dataset: Dataset) -> Dataset:
    return replace(dataset, train=dataset.train.subset(torch.arange(len(dataset.train)).flip(0)))


# what goes in comes out


def test_a_bank_comes_back_from_its_file_as_it_was(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "new" / "a.bank")
    back = banks.read(tmp_path / "new" / "a.bank", tiny)
    assert torch.equal(back.logits, bank.logits) and torch.equal(back.indices, bank.indices)
    for name in ("classes", "dataset", "split", "fingerprint", "producer", "recipe"):
        assert getattr(back, name) == getattr(bank, name)


def record(path):
    """A bank file's own description of itself."""
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["kdlab_bank"])


def test_a_bank_with_views_comes_back_with_them_and_their_recipe(tiny, viewed, tmp_path):
    banks.write(viewed, tmp_path / "a")
    back = banks.read(tmp_path / "a", tiny)
    assert torch.equal(back.logits, viewed.logits) and back.views == 2 and back.recipe == RECIPE
    assert record(tmp_path / "a")["views"] == {"count": 2, "seed": 3, "pad": 1, "flip": True}


def test_only_views_need_the_second_format(bank, viewed, tmp_path):
    for made, version in [(bank, 1), (viewed, 2)]:
        banks.write(made, tmp_path / "a")
        assert record(tmp_path / "a")["version"] == version and ("views" in record(tmp_path / "a")) == (version == 2)


def test_the_same_bank_gives_the_same_bytes_in_every_process(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "a")
    banks.write(replace(bank, fingerprint=dict(reversed(bank.fingerprint.items()))), tmp_path / "b")
    torch.save(vars(bank), tmp_path / "fields.pt")
    script = "import sys, torch; from kdlab import bank; bank.write(bank.Bank(**torch.load(sys.argv[1])), sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, tmp_path / "fields.pt", tmp_path / "c"], check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_filling_asks_the_teacher_in_eval_mode_and_leaves_its_mode(tiny):
    teacher = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(32, 3)).train()
    filled = banks.fill(teacher, tiny, split="test")
    expected = teacher.eval()(tiny.normalize(tiny.test.images))
    torch.testing.assert_close(filled.logits, expected.detach())
    assert filled.producer == f"torch {torch.__version__} Sequential" and filled.split == "test"
    banks.fill(teacher.train(), tiny)
    assert teacher.training


def test_filling_with_views_asks_the_teacher_about_the_same_images_that_augment_makes(tiny):
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(32, 3))
    filled = banks.fill(teacher, tiny.augmented(RECIPE), views=3)
    assert filled.logits.shape == (3, 12, 3) and filled.recipe == RECIPE
    some = torch.tensor([7, 2, 2])
    for view in range(3):
        moved = data.augment(tiny.train.images[some], RECIPE, indices=some, view=view)
        torch.testing.assert_close(filled.lookup(some, view), teacher(tiny.normalize(moved)).detach())
    assert not torch.equal(filled.logits[0], filled.logits[1])


def test_filling_in_parts_gives_each_image_its_own_view():
    digits = data.load("digits")  # 797 test and 1,000 training images
    many = replace(
        digits, train=Split(digits.train.images.repeat(3, 1, 1, 1)[:2500], digits.train.labels.repeat(3)[:2500])
    )
    whole = data.augment(many.train.images, RECIPE, indices=torch.arange(2500), view=0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    filled = banks.fill(teacher, many.augmented(RECIPE), views=1)
    torch.testing.assert_close(filled.logits[0], teacher(many.normalize(whole)).detach())


def test_the_views_are_the_usual_ones_of_the_data_set_where_none_are_named(tiny):
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(32, 3))
    assert banks.fill(teacher, tiny, views=1).recipe == tiny.augmented().recipe == Recipe(0, 0, False)
    assert banks.fill(teacher, tiny).recipe is None and banks.fill(teacher, tiny.augmented(RECIPE)).recipe is None
    with refused("views must be >= 0, got -1"):
        banks.fill(teacher, tiny, views=-1)


def test_the_bank_keeps_its_own_copy_without_gradients(tiny):
    logits = torch.zeros(12, 3, dtype=torch.float64, requires_grad=True)
    made = banks.make(logits, tiny, producer="x")
    assert made.logits.dtype == torch.float32 and not made.logits.requires_grad
    plain = torch.zeros(12, 3)
    made = banks.make(plain, tiny, producer="x")
    plain.fill_(1)
    assert made.logits.eq(0).all()


# looking up


def test_a_lookup_gives_each_image_its_own_row(tiny, bank):
    wanted = torch.tensor([7, 0, 7, 11])
    assert torch.equal(bank.lookup(wanted), bank.logits[wanted])
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    other = banks.make(bank.logits[shuffled], tiny, indices=shuffled, producer="x")
    assert torch.equal(other.lookup(wanted), bank.lookup(wanted))


@pytest.mark.parametrize("missing", [1, -1, -12, 12, 10**6])
def test_an_image_that_is_not_in_the_bank_is_refused(tiny, missing):
    part = banks.make(torch.zeros(3, 3), tiny, indices=torch.tensor([0, 5, 8]), producer="x")
    with pytest.raises(IndexError, match=f"image {missing} is not among the 3 of this train bank"):
        part.lookup(torch.tensor([0, missing]))


def test_an_empty_batch_gives_no_rows(bank):
    assert bank.lookup(torch.tensor([], dtype=torch.int64)).shape == (0, 3)


def test_a_lookup_with_a_view_gives_the_rows_of_that_view(tiny, viewed):
    wanted, order = torch.tensor([7, 0, 7, 11]), torch.arange(11, -1, -1)
    other = banks.make(viewed.logits[:, order], tiny.augmented(RECIPE), indices=order, producer="x")
    for view in (0, 1):
        assert torch.equal(viewed.lookup(wanted, view), viewed.logits[view, wanted])
        assert torch.equal(other.lookup(wanted, view), viewed.logits[view, wanted])


def test_a_view_must_be_named_where_there_are_views_and_nowhere_else(bank, viewed):
    with refused("a bank with 2 views must be asked for one of them, a plain bank for none, got None"):
        viewed.lookup(torch.tensor([0]))
    with refused("a bank with 0 views .* got 0"):
        bank.lookup(torch.tensor([0]), 0)
    for view in (-1, 2):
        with pytest.raises(IndexError, match=f"view {view} is not among the 2 of this bank"):
            viewed.lookup(torch.tensor([0]), view)
    with pytest.raises(IndexError, match="image 12 is not among the 12 of this train bank"):
        viewed.lookup(torch.tensor([12]), 1)


# what does not belong is refused


def refused(message: str):
    return pytest.raises(ValueError, match=message)


def test_other_images_are_refused(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "a")
    changed = tiny.train.images.clone()
    changed[3, 0, 0, 0] ^= 1
    with refused("does not fit the train split of tiny: it was made for other images or labels"):
        banks.read(tmp_path / "a", replace(tiny, train=Split(changed, tiny.train.labels)))


def test_the_digits_of_another_seed_are_refused(tmp_path):
    banks.write(banks.make(torch.zeros(1000, 10), data.load("digits", seed=0), producer="x"), tmp_path / "a")
    banks.read(tmp_path / "a", data.load("digits", seed=0))
    with refused("other images or labels .digits with another seed or another source."):
        banks.read(tmp_path / "a", data.load("digits", seed=1))


def test_the_same_images_in_another_order_are_refused_as_such(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "a")
    with refused("it was made for the same images in another order"):
        banks.read(tmp_path / "a", reordered(tiny))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat", "dog", "emu"), "it has other classes, cat, dog, owl in place of cat, dog, emu"),
        (("dog", "cat", "owl"), "it has the same classes in another order, cat, dog, owl in place of dog, cat, owl"),
        (("cat", "dog", "owl", "emu"), "it has other classes"),
    ],
)
def test_another_class_list_is_refused(tiny, bank, tmp_path, classes, message):
    banks.write(bank, tmp_path / "a")
    with refused(message):
        banks.read(tmp_path / "a", replace(tiny, classes=classes))


def test_another_split_is_refused(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "a")
    with refused("does not fit the test split of tiny: it holds the train split"):
        banks.read(tmp_path / "a", tiny, split="test")
    with refused("split must be 'train', 'val' or 'test', got 'validation'"):
        banks.read(tmp_path / "a", tiny, split="validation")
    with refused("split must be 'train', 'val' or 'test', got 'validation'"):
        banks.make(bank.logits, tiny, split="validation", producer="x")


@pytest.mark.parametrize(
    ("logits", "indices", "message"),
    [
        (torch.zeros(11, 3), None, "logits must be float32 .n, 3., indices int64"),
        (torch.zeros(12, 4), None, "logits must be float32 .n, 3., indices int64"),
        (torch.zeros(12), None, "logits must be float32"),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), "n >= 1"),
        (torch.zeros(2, 3), torch.tensor([0, 12]), "indices must be in 0 .. 11, got 0 .. 12"),
        (torch.zeros(2, 3), torch.tensor([-1, 3]), "indices must be in 0 .. 11, got -1 .. 3"),
        (torch.zeros(3, 3), torch.tensor([4, 2, 4]), "each image may have one row, got 3 rows for 2 images"),
        (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), "indices int64"),
        (torch.full((12, 3), torch.nan), None, "logits must be finite, and those of 12 images are not"),
        (torch.tensor([[0.0, 0, 0], [0, torch.inf, 0]]), torch.tensor([0, 1]), "and those of 1 images are not"),
    ],
)
def test_rows_that_do_not_fit_are_refused_when_made_and_when_loaded(tiny, bank, tmp_path, logits, indices, message):
    with refused("these logits do not fit the train split of tiny: .*" + message):
        banks.make(logits, tiny, indices=indices, producer="x")
    banks.write(replace(bank, logits=logits, indices=torch.arange(12) if indices is None else indices), tmp_path / "a")
    with refused("does not fit the train split of tiny: .*" + message):
        banks.read(tmp_path / "a", tiny)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(12, 3), r"logits must be float32 .views, n, 3."),
        (torch.zeros(2, 11, 3), r"logits must be float32 .views, n, 3."),
        (torch.zeros(0, 12, 3), r"logits must be float32 .views, n, 3."),
        (torch.full((2, 12, 3), torch.nan), "logits must be finite, and those of 12 images are not"),
    ],
)
def test_views_that_do_not_fit_are_refused_when_made_and_when_loaded(tiny, viewed, tmp_path, logits, message):
    if logits.dim() == 3:  # two dimensions are plain answers, whatever views the data set has
        with refused("these logits do not fit the train split of tiny: .*" + message):
            banks.make(logits, tiny.augmented(RECIPE), producer="x")
    banks.write(replace(viewed, logits=logits), tmp_path / "a")
    with refused("does not fit the train split of tiny: .*" + message):
        banks.read(tmp_path / "a", tiny)


def test_views_that_the_record_tells_otherwise_are_refused(tiny, viewed, tmp_path):
    banks.write(viewed, tmp_path / "a")
    about = record(tmp_path / "a")
    tensors = {"logits": viewed.logits, "indices": viewed.indices}
    for views, message in [
        (about["views"] | {"count": 3}, "it says that it holds 3 views, and holds 2"),
        ({"count": 2, "seed": 3, "pad": 1}, "damaged or foreign: .*flip"),
        ({}, "logits must be float32 .n, 3."),
    ]:
        save_file(tensors, tmp_path / "b", {"kdlab_bank": json.dumps(about | {"views": views})})
        with refused(message):
            banks.read(tmp_path / "b", tiny)
    del about["views"]
    save_file(tensors, tmp_path / "b", {"kdlab_bank": json.dumps(about)})
    with refused("damaged or foreign: .*views"):
        banks.read(tmp_path / "b", tiny)


def test_a_truncated_file_is_refused_wherever_it_ends(tiny, bank, tmp_path):
    banks.write(bank, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for length in {0, 1, 7, 8, 9, len(whole) // 4, len(whole) // 2, len(whole) - 1}:
        (tmp_path / "part").write_bytes(whole[:length])
        with refused("part is not a whole logit bank but damaged or foreign"):
            banks.read(tmp_path / "part", tiny)


def test_foreign_files_are_refused(tiny, tmp_path):
    (tmp_path / "text").write_text("not a bank")
    (tmp_path / "zeros").write_bytes(bytes(1000))
    save_file({"weight": torch.zeros(2)}, tmp_path / "checkpoint")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other", {"kdlab_bank": '{"version": 1}'})
    save_file({"weight": torch.zeros(2)}, tmp_path / "list", {"kdlab_bank": "[1]"})
    for name in ("text", "zeros", "checkpoint", "other", "list"):
        with refused(f"{name} is not a whole logit bank but damaged or foreign"):
            banks.read(tmp_path / name, tiny)
    with pytest.raises(FileNotFoundError, match="there is no bank .*missing; make one with kdlab.bank.fill"):
        banks.read(tmp_path / "missing", tiny)


def test_a_newer_format_is_refused_even_where_its_fields_have_changed(tiny, tmp_path):
    save_file({"compressed": torch.zeros(2)}, tmp_path / "a", {"kdlab_bank": json.dumps({"version": 3})})
    with refused("has format version 3, this kdlab reads up to 2; update kdlab"):
        banks.read(tmp_path / "a", tiny)


# nothing half-written


def test_a_failed_replacement_keeps_the_old_file_and_leaves_no_other(tiny, bank, tmp_path, monkeypatch):
    banks.write(bank, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="could not write the bank .*a: .*nothing was changed there"):
        banks.write(replace(bank, producer="another"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_disk_that_fills_up_while_writing_keeps_the_old_file(tiny, bank, tmp_path):
    resource = pytest.importorskip("resource")
    banks.write(bank, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))  # each write beyond it fails, for real
    try:
        with pytest.raises(OSError, match="could not write the bank"):
            banks.write(replace(bank, producer="another"), tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a"]


# anyone can write one

WRITER = '''
import hashlib, json, sys
import numpy as np
from safetensors.numpy import save_file

with np.load(sys.argv[1]) as split:
    images, labels = split["images"], split["labels"]  # uint8 (n, c, h, w), int64 (n,)
each = [hashlib.blake2b(i.tobytes(), digest_size=16, salt=int(l).to_bytes(8, "little")).digest()
        for i, l in zip(images, labels)]
start = str(tuple(images.shape[1:])).encode()
digest = lambda parts: hashlib.blake2b(start + b"".join(parts), digest_size=16).hexdigest()
about = dict(
    version=1, classes=json.loads(sys.argv[3]), dataset="digits", split="train", producer="nearest mean, numpy",
    fingerprint={"content": digest(sorted(each)), "order": digest(each)},
)
means = np.stack([images[labels == k].mean(0).ravel() for k in range(10)])  # (10, pixels)
logits = -((images.reshape(len(images), 1, -1) - means) ** 2).mean(2)  # (n, 10)
save_file(
    {"logits": logits.astype(np.float32), "indices": np.arange(len(images), dtype=np.int64)},
    sys.argv[2], {"kdlab_bank": json.dumps(about)},
)
assert not {"torch", "kdlab"} & set(sys.modules)
'''


def test_a_program_without_torch_and_kdlab_can_write_a_bank(tmp_path):
    np = pytest.importorskip("numpy")
    digits = data.load("digits")
    np.savez(tmp_path / "train.npz", images=digits.train.images.numpy(), labels=digits.train.labels.numpy())
    command = [sys.executable, "-c", WRITER, tmp_path / "train.npz", tmp_path / "a", json.dumps(digits.classes)]
    subprocess.run(command, check=True, cwd=tmp_path)
    back = banks.read(tmp_path / "a", digits)
    assert back.producer == "nearest mean, numpy"
    right = back.lookup(torch.arange(1000)).argmax(1) == digits.train.labels
    assert right.double().mean() > 0.85, "the rows do not belong to their images"


def test_a_program_without_torch_and_kdlab_can_read_a_bank(bank, tmp_path):
    banks.write(bank, tmp_path / "a")
    with safe_open(tmp_path / "a", "np") as file:
        about = json.loads(file.metadata()["kdlab_bank"])
        assert (file.get_tensor("logits") == bank.logits.numpy()).all()
    assert about["version"] == 1 and about["classes"] == list(CLASSES)
