"""The checks of lab 12 accept right answers of any make, and answer each wrong one with its hint."""

import pytest
import torch

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
