"""Accuracy of a student in fixed-point numbers of many widths, as hls4ml's emulation of an FPGA computes it.

The digits' MLP student of notebook 16 and a small CNN, trained on all 1,000 digits' soft targets; no time is recorded,
since an emulation's seconds say nothing about a chip. About ten minutes, most of it g++.

    python benchmarks/fpga_widths.py
"""

import torch
from provenance import write

from kdlab import bank, data
from kdlab.evaluation import evaluate
from workbook import recipe
from workbook.runtimes import fpga

SEED = 20
WIDTHS = [(6, 4), (8, 4), (10, 4), (12, 4), (8, 6), (10, 6), (12, 6), (14, 6), (16, 6), (12, 8), (16, 8), (32, 12)]
IMAGES = 400  # of the test split; a CNN's emulation takes tens of milliseconds for each


def main() -> None:
    torch.set_num_threads(1)
    digits = data.load("digits", seed=SEED)
    asked = bank.fill(recipe.teacher(digits, SEED), digits)
    images, labels = digits.normalize(digits.test.images[:IMAGES]), digits.test.labels[:IMAGES]
    results = {}
    for name in ("mlp-32", "cnn-8-16"):
        student = recipe.student(digits, SEED, asked, name=name)
        with torch.no_grad():
            logits = student(images)
        rows = [{"width": 0, "integer": 0, "accuracy": (logits.argmax(1) == labels).double().mean().item()}]  # float32
        for width, integer in WIDTHS:
            got = fpga.build(student, images[:1], width=width, integer=integer)(images)
            row = {"width": width, "integer": integer, "accuracy": (got.argmax(1) == labels).double().mean().item()}
            row["largest_difference"] = (got - logits).abs().max().item()
            rows.append(row)
            print(f"{name} <{width},{integer}>: {100 * row['accuracy']:.1f} % of {IMAGES}", flush=True)
        right = evaluate(student, digits).accuracy
        results[name] = {"largest_logit": logits.abs().max().item(), "rows": rows, "float_test": right}
    print(write("fpga_widths", {"seed": SEED, "images": IMAGES, "students": results}))


if __name__ == "__main__":
    main()
