"""The checks of lab 12 accept right answers of any make, and answer each wrong one with its hint."""

import pytest
import torch
from torch import nn

from workbook.exercises import lab12 as check


def says(capsys, run, answer):
    run(answer)
    return capsys.readouterr().out


def quantize(x, levels=255, zero_inside=True, whole=True, clamp=True):
    low, high = x.min().item(), x.max().item()
    if zero_inside:
        low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / levels
    zero = -low / scale
    numbers = x / scale + (round(zero) if whole else zero)
    numbers = numbers.round()
    return (numbers.clamp(0, 255) if clamp else numbers), scale, (round(zero) if whole else zero)


def test_a_right_quantization_passes_in_any_type(capsys):
    assert says(capsys, check.quantize, quantize).startswith("✓")

    def uint8(x):
        numbers, scale, zero = quantize(x)
        return numbers.to(torch.uint8), torch.tensor(scale), torch.tensor(zero)

    assert says(capsys, check.quantize, uint8).startswith("✓")


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (lambda x: quantize(x, zero_inside=False), "zero point is one of the numbers"),
        (lambda x: quantize(x, levels=127), "larger than it need be"),
        (lambda x: quantize(x, levels=300), "255 steps must reach"),
        (lambda x: quantize(x, whole=False), "zero point is one of the numbers"),
        (lambda x: (x / quantize(x)[1] + quantize(x)[2], *quantize(x)[1:]), "must be whole"),
        (lambda x: (quantize(x)[0] * 0, *quantize(x)[1:]), "largest error"),
        (lambda x: (quantize(x.mul_(2))[0], *quantize(x)[1:]), "must stay as it was"),
        (lambda x: 1 / 0, "raised ZeroDivisionError"),
        (lambda x: ..., "not attempted"),
    ],
)
def test_a_wrong_quantization_gets_its_hint(capsys, wrong, hint):
    said = says(capsys, check.quantize, wrong)
    assert hint in said and not said.startswith("✓")


def choose(rows, max_ms, max_kb, least, key="ms", strict=False):
    kept = [r for r in rows if r["ms"] <= max_ms and r["kb"] <= max_kb and r["accuracy"] >= least]
    kept = [r for r in kept if r["ms"] < max_ms] if strict else kept
    return min(kept, key=lambda r: r[key])["name"] if kept else None


def test_a_right_choice_passes(capsys):
    assert says(capsys, check.choose, choose).startswith("✓")


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (lambda rows, *budget: choose(rows, *budget, key="kb"), "the fastest wins"),
        (lambda rows, ms, kb, least: choose(rows, ms, 1e9, least), "more kb than the budget"),
        (lambda rows, ms, kb, least: choose(rows, ms, kb, 0), "below the accuracy"),
        (lambda rows, ms, kb, least: choose(rows, 1e9, kb, least), "return None"),
        (lambda rows, *budget: choose(rows, *budget, strict=True), "exactly"),
        (lambda rows, *budget: None, "not attempted"),
    ],
)
def test_a_wrong_choice_gets_its_hint(capsys, wrong, hint):
    assert hint in says(capsys, check.choose, wrong)


def extremes(layers, images, places=None):
    """The images with the largest and the smallest value, of themselves and behind each layer."""
    chosen, values = set(), images
    for layer in [nn.Identity(), *layers][:places]:
        each = (values := layer(values)).flatten(1)
        chosen.add(int(each.amax(1).argmax()))
        if each.min() < 0:
            chosen.add(int(each.amin(1).argmin()))
    return sorted(chosen)


@pytest.mark.parametrize("make", [list, tuple, torch.tensor, lambda found: found + [0]])
def test_a_right_choice_of_images_passes_in_any_form(capsys, make):
    assert says(capsys, check.choose_images, lambda *given: make(extremes(*given))).startswith("✓")


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (lambda layers, images: range(16), "which image has it"),
        (lambda layers, images: images.flatten(1).amax(1).topk(16).indices, "which image has it"),
        (lambda layers, images: images.flatten(1).mean(1).topk(16).indices, "which image has it"),
        (lambda layers, images: extremes(layers, images, places=1), "the largest value after layer"),
        (lambda layers, images: range(256), "room for 16 images, got 256"),
        (lambda layers, images: [], "at least one image"),
        (lambda layers, images: [3, 256], "0 .. 255"),
        (lambda layers, images: images[:16], "not images and not a mask"),
        (lambda layers, images: torch.arange(256) < 16, "not images and not a mask"),
        (lambda layers, images: extremes(layers, images.mul_(2)), "must stay as they were"),
        (lambda layers, images: 1 / 0, "raised ZeroDivisionError"),
        (lambda layers, images: None, "not attempted"),
    ],
)
def test_a_wrong_choice_of_images_gets_its_hint(capsys, wrong, hint):
    assert hint in says(capsys, check.choose_images, wrong)
