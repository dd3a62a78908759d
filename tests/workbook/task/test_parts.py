"""Parts taken from the training pictures: nothing lost, nothing twice, every class's share, the seed's choice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbook.task import parts


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(lambda counts: max(counts) > 1),
       st.floats(0.01, 0.5), st.integers(0, 2**32))
def test_each_class_of_two_or_more_is_in_both_parts_with_its_share_and_one_alone_stays(counts, share, seed):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    stay, taken = parts.split_off(labels, share, seed=seed)
    assert sorted(stay.tolist() + taken.tolist()) == list(range(len(labels)))
    assert stay.tolist() == sorted(stay.tolist()) and taken.tolist() == sorted(taken.tolist())
    found = labels[taken].bincount(minlength=len(counts)).tolist()
    for count, number in zip(counts, found):
        assert number == 0 if count < 2 else 1 <= number < count
        assert number <= max(1, share * count + 1.5)


def test_the_seed_says_which():
    labels = torch.arange(100) % 5
    first, again, other = (parts.split_off(labels, 0.2, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other and len(first) == 20


@pytest.mark.parametrize("share", [0, -0.1, 0.51, float("nan")])
def test_a_share_out_of_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"must be > 0 and <= 0\.5, got"):
        parts.split_off(torch.zeros(4).long(), share, seed=0)


def test_classes_of_one_picture_are_named_up_to_five():
    assert parts.alone(torch.tensor([0, 0, 1, 2, 2]), ("ant", "猫", "cat")) == "a single picture, kept in train, of 猫"
    assert parts.alone(torch.tensor([0, 0, 1, 1]), ("ant", "bee")) == ""
    assert parts.alone(torch.arange(7), tuple("abcdefg")).endswith("of a, b, c, d, e and 2 more")


def test_contents_of_another_part_that_are_in_train_are_counted_by_part():
    labels = {"train": torch.tensor([0, 0, 1]), "test": torch.tensor([0, 1]), "val": torch.tensor([1, 1])}
    said = parts.repeated({"train": ["a", "b", "c"], "test": ["a", "x"], "val": ["c", "c"]}, labels)
    assert said == ["1 of the test pictures is also in train", "2 of the val pictures are also in train"]
    said = parts.repeated({"train": ["a", "b", "a"], "test": ["y", "x"], "val": ["z", "z"]}, labels)
    assert said == ["1 file appears in more than one class"]


def test_classes_without_a_picture_are_named():
    assert parts.missing("val", torch.tensor([0, 2]), ("ant", "猫", "cat", "dog")) == "no val pictures of 猫, dog"
    assert parts.missing("val", torch.tensor([0, 1]), ("ant", "猫")) == ""
