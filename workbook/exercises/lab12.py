"""The checks of lab 12, one student on many runtimes; what a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch import nn

from workbook.exercises.base import NotAttempted, checks, expect


@checks("zero stays zero, the ends stay in, and no value inside is off by more than half a step")
def quantize(answer: Callable) -> None:  # 12, exercise 1
    """The answer maps a float tensor to (numbers 0 .. 255, scale, zero point), x ≈ scale · (numbers − zero point)."""
    cases = {
        "both signs": torch.linspace(-1.7, 3.1, 101),
        "positive values only": 5 + torch.rand(50),
        "negative values only": -5 - torch.rand(50),
    }
    for name, x in cases.items():
        kept = x.clone()
        numbers, scale, zero = answer(x)
        scale, zero = float(scale), float(zero)
        expect(torch.equal(x, kept), "the tensor that was handed in must stay as it was")
        expect(torch.is_tensor(numbers) and numbers.shape == x.shape, "return a tensor of the same shape first")
        numbers = numbers.double()
        expect(bool((numbers == numbers.round()).all()), "the numbers must be whole: round them")
        expect(numbers.min() >= 0 and numbers.max() <= 255, "the numbers must lie in 0 .. 255: clamp them")
        hint = f"{name}: the zero point is one of the numbers 0 .. 255, got {zero:g}"
        expect(zero == round(zero) and 0 <= zero <= 255, hint)
        low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
        step = (high - low) / 255
        error = (scale * (numbers - zero) - x.double()).abs().max().item()
        expect(scale > 0.99 * step, f"{name}: 255 steps must reach from {low:.2f} to {high:.2f}, with 0 inside")
        expect(scale < 1.02 * step, f"{name}: the step is larger than it need be: (high − low) / 255 with 0 inside")
        hint = f"{name}: the largest error is {error / step:.1f} steps: numbers = x / scale + zero point, rounded"
        expect(error <= 1.02 * step, hint)


@checks("16 images or fewer, and every range is reached to 95 % at both ends")
def choose_images(answer: Callable) -> None:  # 12, exercise 2
    """The answer maps layers and images (256, 3, 16, 16) to at most 16 places; any that span the ranges pass."""
    images = torch.randn(256, 3, 16, 16) * torch.rand(256, 1, 1, 1) + torch.randn(256, 3, 1, 1)  # noise and a tint
    images = images / images.flatten(1).std(1).view(-1, 1, 1, 1)  # of one contrast, which is no guide then
    sizes, layers = [(3, 8), (8, 16), (16, 16)], []
    for size in sizes:
        layers += [nn.Conv2d(*size, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers = [layer.requires_grad_(False) for layer in (*layers, nn.Flatten(), nn.Linear(64, 10))]
    kept = images.clone()
    places = torch.as_tensor(answer(layers, images))
    expect(torch.equal(images, kept), "the images that were handed in must stay as they were")
    expect(places.numel() > 0, "choose at least one image")
    whole = places.dim() == 1 and not places.is_floating_point() and places.dtype != torch.bool
    expect(whole, "return a list of places, whole numbers such as [3, 141], not images and not a mask")
    expect(len(places) <= 16, f"the board has room for 16 images, got {len(places)}")
    expect(0 <= places.min() and places.max() < 256, "the places must lie in 0 .. 255")
    wanted, found = ranges(layers, images), ranges(layers, images[places.long()])
    for number, (all_of, ours) in enumerate(zip(wanted, found, strict=True)):
        where = f"after layer {number} ({type(layers[number - 1]).__name__})" if number else "of the images themselves"
        for end, whole_end, part in zip(("smallest", "largest"), all_of, ours, strict=True):
            reached = abs(part / whole_end) if whole_end else 1
            hint = f"the {end} value {where} is reached to {100 * reached:.0f} % only: which image has it?"
            expect(reached >= 0.95, hint)


def ranges(layers: list[nn.Module], values: torch.Tensor) -> list[tuple[float, float]]:
    """The smallest and the largest value of the images and of each layer's output, with 0 inside."""
    outputs = [values] + [values := layer(values) for layer in layers]
    return [(min(x.min().item(), 0.0), max(x.max().item(), 0.0)) for x in outputs]


@checks("the fastest of those that keep the budget, and None where there is none")
def choose(answer: Callable) -> None:  # 12, exercise 3
    """The answer maps rows (dicts with name, ms, kb, accuracy), max_ms, max_kb and min_accuracy to a name or None."""
    rows = [
        {"name": "a", "ms": 2.0, "kb": 30, "accuracy": 0.90},
        {"name": "b", "ms": 0.5, "kb": 900, "accuracy": 0.90},
        {"name": "c", "ms": 1.0, "kb": 20, "accuracy": 0.85},
        {"name": "d", "ms": 1.5, "kb": 25, "accuracy": 0.89},
    ]

    def ask(*budget):
        try:
            return answer(rows, *budget)
        except NotAttempted:
            return None

    if ask(10.0, 1000, 0.0) is None:
        raise NotAttempted
    expect(ask(10.0, 1000, 0.0) == "b", "where all keep the budget the fastest wins")
    expect(ask(10.0, 100, 0.0) == "c", "a row with more kb than the budget is out")
    expect(ask(10.0, 100, 0.88) == "d", "a row below the accuracy that was asked for is out")
    expect(ask(1.2, 100, 0.88) is None, "where no row keeps all three, return None")
    expect(ask(1.0, 20, 0.85) == "c", "a row that meets its budget exactly keeps it")
