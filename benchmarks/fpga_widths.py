"""Accuracy of a student in fixed-point numbers of many widths, as hls4ml's emulation of an FPGA computes it.

The digits' MLP student of notebook 16 and a small CNN, trained on all 1,000 digits' soft targets; no time is recorded,
since an emulation's seconds say nothing about a chip. About ten minutes, most of it g++.

    python benchmarks/fpga_widths.py
"""

import torch
from provenance import write

from kdlab import bank, data, models
from workbook.runtimes import fpga
from kdlab.evaluation import evaluate
from kdlab.training import Knobs, distil

SEED = 20
WIDTHS = [(6, 4), (8, 4), (10, 4), (12, 4), (8, 6), (10, 6), (12, 6), (14, 6), (16, 6), (12, 8), (16, 8), (32, 12)]
IMAGES = 400  # of the test split; a CNN's emulation takes tens of milliseconds for each


def student_of(name: str, digits: data.Dataset, teacher: bank.Bank | None, knobs: Knobs, **options):
    torch.manual_seed(SEED)
    model = models.build(name, digits.shape, 10)
    for _ in distil(model, digits, knobs, teacher=teacher, seed=SEED, **options):
        pass
    return model.eval()


def main() -> None:
    torch.set_num_threads(1)
    digits = data.load("digits", seed=SEED)
    recipe = dict(steps=200, batch_size=64, weight_decay=1e-2)
    asked = bank.fill(student_of("mlp-512-512", digits, None, Knobs(0.0, lr=3e-3), **recipe), digits)
    images, labels = digits.normalize(digits.test.images[:IMAGES]), digits.test.labels[:IMAGES]
    results = {}
    for name in ("mlp-32", "cnn-8-16"):
        student = student_of(name, digits, asked, Knobs(1.0, 4.0), steps=300)
        with torch.no_grad():
            logits = student(images)
        rows = [{"width": 0, "integer": 0, "accuracy": (logits.argmax(1) == labels).double().mean().item()}]  # float32
        for width, integer in WIDTHS:
            got = fpga.build(student, images[:1], width=width, integer=integer)(images)
            row = {"width": width, "integer": integer, "accuracy": (got.argmax(1) == labels).double().mean().item()}
            row["largest_difference"] = (got - logits).abs().max().item()
            rows.append(row)
            print(f"{name} <{width},{integer}>: {100 * row['accuracy']:.1f} % of {IMAGES}", flush=True)
        results[name] = {"largest_logit": logits.abs().max().item(), "rows": rows, "float_test": evaluate(student, digits).accuracy}
    print(write("fpga_widths", {"seed": SEED, "images": IMAGES, "students": results}))


if __name__ == "__main__":
    main()
