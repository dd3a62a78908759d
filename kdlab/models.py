"""Teachers and students by name, for any image shape and number of classes, and what each of them costs.

Every model returns logits; the softmax belongs to the loss. Training and timing stand elsewhere.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def build(
    name: str, shape: tuple[int, int, int], classes: int, *, seed: int | None = None, pretrained: bool = False
) -> nn.Module:
    """A model by name.

    Args:
        name: "mlp-512-512" (any hidden widths), "cnn-16-32-64" (any widths: convolution, batch norm, pooling, ReLU),
            "article-teacher", "article-student": the pair of the article that the workbook starts from, mended,
            "tutorial-teacher", "tutorial-student": the pair of PyTorch's knowledge distillation tutorial,
            "resnet8" … "resnet110": those for 32x32 images, "resnet8x4" four times as wide,
            or any classifier of torchvision by its own name, such as "mobilenet_v3_small".
        shape: (channels, height, width) of one image.
        classes: number of logits, >= 2.
        seed: of the weights, as after torch.manual_seed(seed), but the global random state stays; None draws from that.
        pretrained: load torchvision's default weights (a download) and put a new last layer on them.

    Returns a model in training mode that maps float (batch, channels, height, width) to logits (batch, classes).
    ValueError: an unknown name, a shape too small for the model, classes < 2, or no pretrained weights for it.
    """
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(name, shape, classes, pretrained=pretrained)
    channels, height, width = shape
    if classes < 2:
        raise ValueError(f"classes must be >= 2, got {classes}")
    if pretrained:
        return _torchvision(name, shape, classes, pretrained=True)
    if match := re.fullmatch(r"mlp((-\d+)+)", name):
        return _mlp([channels * height * width, *_widths(match[1])], classes)
    if match := re.fullmatch(r"cnn((-\d+)+)", name):
        return _cnn(shape, _widths(match[1]), classes)
    if match := re.fullmatch(r"resnet(\d+)(?:x(\d+))?", name):
        ours = match[2] or match[1] not in ("50", "152")  # torchvision's have these depths, too
        if (int(match[1]) - 2) % 6 == 0 and int(match[1]) >= 8 and ours:
            return ResNet(channels, classes, depth=int(match[1]), widen=int(match[2] or 1))
    if name in _PAIRS:
        return _PAIRS[name](shape, classes)
    return _torchvision(name, shape, classes, pretrained=False)


@dataclass(frozen=True)
class Cost:
    """What a model costs for one image: parameters, multiply-adds, and bytes of its weights and buffers."""

    parameters: int
    multiply_adds: int
    bytes: int


def cost(model: nn.Module, shape: tuple[int, int, int]) -> Cost:
    """Counts a model's parameters, multiply-adds and bytes, those of parameters and buffers as they are stored now.

    A multiply-add is one multiplication with its addition: half of what torch.utils.flop_counter reports.
    Convolutions and matrix products count; activations, normalisation and pooling do not.

    Args:
        model: maps (1, *shape) to logits.
        shape: (channels, height, width) of one image.
    """
    from torch.utils.flop_counter import FlopCounterMode  # brings triton along where there is one: 0.14 s

    tensors = [*model.parameters(), *model.buffers()]
    image = torch.zeros(1, *shape, **{"device": tensors[0].device, "dtype": tensors[0].dtype} if tensors else {})
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    model.train(was_training)
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        bytes=sum(t.numel() * t.element_size() for t in tensors),
    )


class ResNet(nn.Module):
    """The residual networks for 32x32 images: n blocks per stage, depth 6n + 2, widths 16, 32, 64.

    The shortcut is parameter-free where the shape changes (option A: every second pixel, zeros for the new channels).

    Source: He, Zhang, Ren, Sun 2015, arXiv:1512.03385, section 4.2.
    """

    def __init__(self, channels: int, classes: int, *, depth: int, widen: int = 1):
        super().__init__()
        widths = [16 * widen, 32 * widen, 64 * widen]
        blocks, before = [], widths[0]
        for stage, after in enumerate(widths):
            for i in range((depth - 2) // 6):
                blocks.append(_Block(before, after, stride=2 if stage and not i else 1))
                before = after
        self.stem = nn.Sequential(_conv(channels, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        features = self.blocks(self.stem(images))  # (batch, 64·widen, height/4, width/4)
        return self.head(features.mean(dim=(2, 3)))  # (batch, classes)


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.stride, self.grow = stride, after - before
        self.conv1, self.norm1 = _conv(before, after, stride), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = _conv(after, after), nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.grow:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.grow))
        return F.relu(y + shortcut)


class _AnyChannels(nn.Module):
    """Repeats a grey image over the three channels that torchvision's models expect."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.expand(-1, 3, -1, -1))


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, padding=1, bias=False)


def _widths(text: str) -> list[int]:
    return [int(width) for width in text.strip("-").split("-")]


def _mlp(widths: list[int], classes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


def _cnn(shape: tuple[int, int, int], widths: list[int], classes: int) -> nn.Module:
    channels, height, width = shape
    if min(height, width) < 2 ** len(widths):
        raise ValueError(f"{len(widths)} poolings need images of {2 ** len(widths)} pixels, got {height}x{width}")
    layers: list[nn.Module] = []
    for after in widths:
        layers += [_conv(channels, after), nn.BatchNorm2d(after), nn.MaxPool2d(2), nn.ReLU()]
        channels, height, width = after, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, classes))


def _plain(shape: tuple[int, int, int], convs: list, hidden: int, dropout: float, classes: int) -> nn.Module:
    """3x3 convolutions (numbers) and two poolings ("pool"), then a hidden layer where hidden > 0.

    The ReLU comes after the pooling, as in `_cnn`: values and gradients are those of the published order, bit for bit,
    and it works on a quarter of the numbers.
    """
    channels, layers = shape[0], []
    for item in convs:
        if item == "pool":
            layers.insert(-1, nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    features = channels * (shape[1] // 4) * (shape[2] // 4)
    if features == 0:
        raise ValueError(f"two poolings need images of 4 pixels or more, got {shape[1]}x{shape[2]}")
    head = [nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout)] if hidden else []
    return nn.Sequential(*layers, nn.Flatten(), *head, nn.Linear(hidden or features, classes))


_PAIRS = {
    "article-teacher": lambda shape, classes: _plain(shape, [32, "pool", 64, "pool"], 0, 0.0, classes),
    "article-student": lambda shape, classes: _plain(shape, [16, "pool", 32, "pool"], 0, 0.0, classes),
    "tutorial-teacher": lambda shape, classes: _plain(shape, [128, 64, "pool", 64, 32, "pool"], 512, 0.1, classes),
    "tutorial-student": lambda shape, classes: _plain(shape, [16, "pool", 16, "pool"], 256, 0.1, classes),
}


def _torchvision(name: str, shape: tuple[int, int, int], classes: int, *, pretrained: bool) -> nn.Module:
    from torchvision import models

    if name not in models.list_models(module=models):
        own = ["mlp-W-W…", "cnn-W-W…", *_PAIRS, "resnet8, 20, 32, 44, 56, 110"]
        raise ValueError(f"no model is called {name!r}; there are {', '.join(own)} and torchvision's classifiers")
    if shape[0] not in (1, 3):
        raise ValueError(f"{name} takes images of 1 or 3 channels, got {shape[0]}")
    if pretrained:
        model = models.get_model(name, weights="DEFAULT")
        last, layer = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
        parent, _, child = last.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Linear(layer.in_features, classes))
    else:
        options = {"image_size": shape[1]} if name.startswith("vit_") else {}
        options |= {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = models.get_model(name, weights=None, num_classes=classes, **options)
    model = model if shape[0] == 3 else _AnyChannels(model)
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(f"{name} cannot take images of {shape[1]}x{shape[2]}: {error}") from None
    return model.train()
