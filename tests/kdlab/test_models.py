"""Models by name: published parameter counts, shapes, and costs counted by hand."""

import copy

import pytest
import torch
from torch import nn

from kdlab import models

CIFAR = (3, 32, 32)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tutorial-teacher", 1_186_986),  # printed in PyTorch's knowledge distillation tutorial
        ("tutorial-student", 267_738),
        ("resnet20", 269_722),  # 0.27M in He et al. 2015, table 6; counts as in akamaster/pytorch_resnet_cifar10
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet50", 23_528_522),  # torchvision's, though 50 is of the form 6n + 2
        ("resnet18", 11_181_642),  # torchvision's own, with ten classes
    ],
)
def test_parameter_counts_are_the_published_ones(name, parameters):
    assert models.cost(models.build(name, CIFAR, 10), CIFAR).parameters == parameters


def test_the_articles_pair_has_the_shapes_that_its_text_describes():
    teacher, student = (models.build(f"article-{role}", CIFAR, 10) for role in ("teacher", "student"))
    assert [m.out_channels for m in teacher.modules() if isinstance(m, nn.Conv2d)] == [32, 64]
    assert [m.out_channels for m in student.modules() if isinstance(m, nn.Conv2d)] == [16, 32]
    assert student[-1].in_features == 32 * 8 * 8


def test_multiply_adds_equal_a_count_by_hand():
    student = models.build("article-student", CIFAR, 10)
    by_hand = 32 * 32 * 27 * 16 + 16 * 16 * (16 * 9) * 32 + 32 * 8 * 8 * 10
    assert models.cost(student, CIFAR) == models.Cost(25_578, by_hand, 4 * 25_578)
    assert models.cost(models.build("mlp-32", (1, 8, 8), 10), (1, 8, 8)).multiply_adds == 64 * 32 + 32 * 10


def test_the_tutorials_pair_has_72_7_times_fewer_multiply_adds():
    teacher, student = (models.cost(models.build(f"tutorial-{r}", CIFAR, 10), CIFAR) for r in ("teacher", "student"))
    assert round(teacher.multiply_adds / student.multiply_adds, 1) == 72.7
    assert round(teacher.parameters / student.parameters, 1) == 4.4


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 20, 28)])
@pytest.mark.parametrize("classes", [2, 10, 37])
@pytest.mark.parametrize(
    "name",
    ["mlp-512-512", "mlp-32", "cnn-8-16-16", "article-teacher", "article-student", "tutorial-student", "resnet8"],
)
def test_any_shape_and_class_count(name, shape, classes):
    model = models.build(name, shape, classes)
    assert model.training
    assert model(torch.zeros(2, *shape)).shape == (2, classes)


LARGE = pytest.param("vit_b_16", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", LARGE, "googlenet"])
def test_a_torchvision_classifier_takes_grey_images_too(name):
    model = models.build(name, (1, 32, 32), 7)
    assert model.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
    assert models.build(name, (3, 32, 32), 7).eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_models_return_logits_not_probabilities():
    torch.manual_seed(0)
    for name in ("mlp-32", "cnn-8-16-16", "article-student", "tutorial-student", "resnet8"):
        model = models.build(name, CIFAR, 10)
        assert not any(isinstance(m, (nn.Softmax, nn.LogSoftmax)) for m in model.modules())
        assert (model(torch.randn(4, *CIFAR)) < 0).any()


def test_the_resnet_shortcut_carries_the_image_where_the_blocks_add_nothing():
    block = models.ResNet(3, 10, depth=8).blocks[1].eval()  # 16 → 32 channels, half the size
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(1, 16, 8, 8)
    y = block(x)
    assert y.shape == (1, 32, 4, 4)
    torch.testing.assert_close(y[:, :16], x[:, :, ::2, ::2])
    assert (y[:, 16:] == 0).all()


def test_the_same_seed_builds_the_same_weights():
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(models.build("resnet8", CIFAR, 10).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(built[0].values(), built[1].values()))


def test_counting_the_cost_leaves_the_model_as_it_was():
    model = models.build("cnn-8-16-16", CIFAR, 10).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    models.cost(model, CIFAR)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "shape", "classes", "words"),
    [
        ("resnet21", CIFAR, 10, "resnet21.*tutorial-teacher"),
        ("nothing", CIFAR, 10, "no model is called 'nothing'"),
        ("cnn-8-16-16", (1, 4, 4), 10, "images of 8 pixels, got 4x4"),
        ("article-student", (1, 3, 3), 10, "got 3x3"),
        ("inception_v3", CIFAR, 10, "inception_v3 cannot take images of 32x32"),
        ("resnet18", (4, 32, 32), 10, "1 or 3 channels, got 4"),
        ("mlp-32", CIFAR, 1, "classes must be >= 2, got 1"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(name, shape, classes, words):
    with pytest.raises(ValueError, match=words) as caught:
        models.build(name, shape, classes)
    assert "\n" not in str(caught.value)


def test_a_network_without_weights_costs_nothing():
    assert models.cost(nn.Flatten(), (1, 8, 8)) == models.Cost(parameters=0, multiply_adds=0, bytes=0)


def published(model):
    """The same weights in the order in which papers and tutorials print the layers: ReLU, then pooling."""
    layers = list(copy.deepcopy(model))
    for i in (i for i, layer in enumerate(model) if isinstance(layer, nn.MaxPool2d)):
        layers[i : i + 2] = layers[i + 1], layers[i]
    assert any(isinstance(a, nn.ReLU) and isinstance(b, nn.MaxPool2d) for a, b in zip(layers, layers[1:]))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ["tutorial-student", "tutorial-teacher", "article-student", "cnn-8-16"])
def test_pooling_before_relu_trains_as_the_published_order_does_bit_for_bit(name, form):
    torch.manual_seed(0)
    images, labels = torch.randn(32, *CIFAR).contiguous(memory_format=form), torch.randint(10, (32,))
    images[:8] = 0.0  # equal values in every window: which of them is the largest?
    ours = models.build(name, CIFAR, 10, seed=0).to(memory_format=form)
    pair, logits = (ours, published(ours)), []
    for model in pair:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        torch.manual_seed(1)  # of the dropout
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        logits.append(model.eval()(images))
    mine, theirs = (model.state_dict() for model in pair)
    assert list(mine) == list(theirs)  # so that files of weights fit both
    assert all(torch.equal(mine[key], theirs[key]) for key in mine) and torch.equal(*logits)
