"""A student's start: the same answers where nothing is lost, the known error where something is, else a sentence."""

import pytest
import torch
from torch import nn

from workbook.labs import starts


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("count, k, wanted", [(6, 1, "abcdef"), (6, 2, "bdf"), (7, 3, "adg"), (6, 6, "f")])
def test_every_kth_counts_back_from_the_last(count, k, wanted):
    assert starts.every("abcdefg"[:count], k) == list(wanted)


@pytest.mark.parametrize("k", [0, 7])
def test_every_kth_wants_a_k_that_leaves_something(k):
    with pytest.raises(ValueError, match="k must be 1 .. 6, the number of layers"):
        starts.every("abcdef", k)


def test_all_layers_stacked_answer_as_the_network_and_share_nothing_with_it():
    layers = [nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)]
    student, x = starts.stacked(layers), torch.randn(5, 1, 2, 2)
    with torch.no_grad():
        assert torch.equal(student(x), layers[2](layers[1](layers[0](x.flatten(1)).relu()).relu()))
        student[1].weight.zero_()
    assert layers[0].weight.any()


def test_layers_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="layer 1 takes 9 numbers, and the one before it gives 8"):
        starts.stacked([nn.Linear(4, 8), nn.Linear(9, 3)])


def zeroed(answers, keep):
    """The same answers, with zeros in the channels that are not kept."""
    mask = torch.zeros(answers.shape[1]).index_fill(0, keep, 1.0)
    return answers * mask.view(1, -1, *[1] * (answers.dim() - 2))


@pytest.mark.parametrize("first, second, shape, norm", [
    (nn.Linear(5, 8), nn.Linear(8, 3), (5,), None),
    (nn.Linear(5, 8, bias=False), nn.Linear(8, 3, bias=False), (5,), None),
    (nn.Linear(5, 8), nn.Linear(8, 3), (5,), nn.BatchNorm1d(8)),
    (nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 4, 3, stride=2), (2, 6, 6), None),
    (nn.Conv2d(2, 8, 3, bias=False), nn.Conv2d(8, 4, 1), (2, 6, 6), nn.BatchNorm2d(8)),
    (nn.Conv2d(2, 8, 3), nn.Linear(8 * 16, 3), (2, 6, 6), None),
])  # fmt: skip
def test_a_slice_answers_as_the_large_pair_with_the_other_channels_at_zero(first, second, shape, norm):
    keep, x = torch.tensor([6, 0, 3]), torch.randn(4, *shape)
    if norm:
        with torch.no_grad():
            for numbers in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                numbers.uniform_(0.5, 2)
    between = norm.eval() if norm else nn.Identity()
    one, two, *thin = starts.sliced(first, second, keep, norm)

    def after(answers, layer):
        return layer(answers.relu().flatten(1) if isinstance(layer, nn.Linear) else answers.relu())

    with torch.no_grad():
        wanted = after(zeroed(between(first(x)), keep), second)
        torch.testing.assert_close(after((thin[0].eval() if thin else between)(one(x)), two), wanted)
    assert one.weight.shape[0] == 3 and second.weight.shape[1] > two.weight.shape[1]


def test_a_slice_knows_its_size_and_shares_no_memory():
    first, second = nn.Conv2d(2, 8, 3), nn.Conv2d(8, 4, 3)
    one, two = starts.sliced(first, second, torch.tensor([1, 2]))
    assert (one.out_channels, two.in_channels, two.out_channels) == (2, 2, 4)
    with torch.no_grad():
        one.weight.zero_(), two.bias.zero_()
    assert first.weight.any() and second.bias.any() and first.out_channels == 8


@pytest.mark.parametrize("keep", [[], [1, 1], [-1, 2], [8]])
def test_channels_that_are_not_there_or_twice_are_refused(keep):
    with pytest.raises(ValueError, match="keep must be different channels out of 0 .. 7"):
        starts.sliced(nn.Linear(5, 8), nn.Linear(8, 3), torch.tensor(keep, dtype=torch.int64))


def test_layers_that_cannot_follow_each_other_are_refused():
    keep = torch.tensor([0])
    with pytest.raises(ValueError, match="takes 9 numbers"):
        starts.sliced(nn.Linear(5, 8), nn.Linear(9, 3), keep)
    with pytest.raises(ValueError, match="grouped"):
        starts.sliced(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1), keep)


@pytest.mark.parametrize("into, out", [(12, 7), (7, 12)])
def test_two_thin_layers_are_the_layer_at_full_rank(into, out):
    layer, x = nn.Linear(into, out), torch.randn(20, into)
    with torch.no_grad():
        for inputs in (None, torch.randn(30, into)):
            torch.testing.assert_close(starts.factorised(layer, 7, inputs)(x), layer(x), atol=1e-5, rtol=1e-5)


def test_their_error_is_the_tail_of_the_singular_values():
    layer = nn.Linear(30, 20)
    values = torch.linalg.svdvals(layer.weight.detach())
    for rank in (1, 5, 19):
        down, up = starts.factorised(layer, rank)
        assert down.bias is None and (down.out_features, up.in_features) == (rank, rank)
        error = (up.weight @ down.weight - layer.weight).square().sum()
        torch.testing.assert_close(error, values[rank:].square().sum(), rtol=1e-4, atol=1e-5)


def test_nearest_in_the_answers_has_the_tail_of_the_answers_for_its_error():
    layer = nn.Linear(30, 20, bias=False)
    inputs = torch.randn(200, 30) * torch.linspace(0.1, 3, 30)  # the inputs differ in size
    with torch.no_grad():
        answers = layer(inputs)
        errors = [(starts.factorised(layer, 4, x)(inputs) - answers).square().sum() for x in (inputs, None)]
        torch.testing.assert_close(errors[0], torch.linalg.svdvals(answers)[4:].square().sum(), rtol=1e-3, atol=1e-3)
    assert errors[0] < errors[1]


@pytest.mark.parametrize("rank", [0, 4])
def test_a_rank_that_the_layer_cannot_have_is_refused(rank):
    with pytest.raises(ValueError, match="rank must be 1 .. 3 for a layer of 5 to 3 numbers"):
        starts.factorised(nn.Linear(5, 3), rank)
