"""PyTorch's knowledge distillation tutorial with more than one seed: all four of its students.

    python benchmarks/tutorial_students.py --data folder:PATH            images in PATH/train/CLASS/*, PATH/test/CLASS/*

The students are trained as published (Adam, a constant 1e-3, batches of 128, ten epochs, no augmentation, T = 2, labels
and teacher weighed 0.75 to 0.25): on labels alone, on soft targets, by the cosine of the flattened maps, and through a
regressor. Each seed's four start from the same weights and see the same batches.

The teacher is the tutorial's network, trained by the short recipe of time_to_accuracy.py in fewer epochs than there:
ten epochs of the usual loop would take more than an hour. It answers once about every training image, logits and maps.
One thread; the record is written anew after each seed from the second on.
"""

import argparse
import dataclasses
import time

import torch
from cifar10 import RECIPES, kind, load
from provenance import write
from time_to_accuracy import SHORT, short
from turns import BATCH

from kdlab import data, devices, losses, models
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs, distil, finish
from workbook.labs.beyond import Known, asked
from workbook.record.trainings import PUBLISHED, Cosine, Regressor, maps_of

# what the tutorial has printed, percent: first its present text, then that of version 2.2.1
TEXTS = {"alone": [PUBLISHED["alone"], 70.41], "soft targets": [PUBLISHED["soft targets"], 70.19]}


class Both(torch.nn.Module):
    """The tutorial's teacher, that answers with its last maps beside its logits."""

    def __init__(self, model: torch.nn.Sequential):
        super().__init__()
        self.body = maps_of(model)
        self.head = model[len(self.body) :]

    def forward(self, images):
        maps = self.body(images)
        return {"maps": maps, "logits": self.head(maps)}


def methods(answers: dict, places: torch.Tensor, seed: int) -> dict:
    """The four students: what each minimises, by name; None for labels alone."""
    return {
        "alone": None,
        "soft targets": Known(losses.logits, answers["logits"], places),
        "cosine": Known(Cosine(), answers["maps"], places),
        "regressor": Known(Regressor(seed, torch.device("cpu")), answers["maps"], places),
    }


def student(cifar: data.Dataset, method, *, seed: int, epochs: int):
    """One student, trained as the tutorial does."""
    model = models.build("tutorial-student", cifar.shape, len(cifar.classes), seed=seed)
    used = Knobs(0.0 if method is None else 0.25, 2.0, 1e-3)
    steps = epochs * (len(cifar.in_use) // BATCH)
    finish(distil(
        model, cifar, lambda step: used, steps=steps, batch_size=BATCH, seed=seed, method=method or losses.logits,
        optimizer=RECIPES["tutorial"].optimizer,
    ), total=steps)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="cifar10 or folder:PATH")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of each student")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="2,000 pictures and one epoch: does it run?")
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("an interval needs --seeds >= 2")
    torch.set_num_threads(1)
    devices.huge_pages()
    cifar = load(given.data, (2000, 500) if given.short else None)
    if given.short:
        given.epochs = given.teacher_epochs = 1
    recipe = dataclasses.replace(SHORT, epochs=given.teacher_epochs)
    start = time.process_time()
    teacher = models.build("tutorial-teacher", cifar.shape, len(cifar.classes), seed=0)
    stepper, count = short(teacher, cifar, recipe, seed=0)
    finish(stepper, total=count)
    judged, seconds = evaluate(teacher, cifar), {"teacher": time.process_time() - start}
    print(f"teacher {judged.accuracy:.2%} in {seconds['teacher']:.0f} CPU-seconds", flush=True)
    start, places = time.process_time(), cifar.in_use
    answers = asked(Both(teacher), cifar, places)
    seconds["answers"] = time.process_time() - start
    print(f"its answers in {seconds['answers']:.0f} CPU-seconds", flush=True)
    accuracy: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        for name, method in methods(answers, places, seed).items():
            start = time.process_time()
            model = student(cifar, method, seed=seed, epochs=given.epochs)
            seconds.setdefault(name, []).append(time.process_time() - start)
            accuracy.setdefault(name, []).append(100 * evaluate(model, cifar).accuracy)
            print(f"seed {seed} {name}: {accuracy[name][-1]:.2f} % in {seconds[name][-1]:.0f} CPU-seconds", flush=True)
        if seed:
            control, *others = accuracy
            gains = {name: paired_difference(accuracy[name], accuracy[control]) for name in others}
            for name, gain in gains.items():
                print(f"{name}, points: {gain}", flush=True)
            print(write("tutorial_students", {
                "data": kind(given.data),
                "images": [len(cifar.train), len(cifar.test)], "threads": 1, "epochs": given.epochs,
                "teacher_recipe": dataclasses.asdict(recipe), "teacher_percent": 100 * judged.accuracy,
                "accuracy_percent": accuracy, "gains_points": {name: gain._asdict() for name, gain in gains.items()},
                "published_percent": TEXTS, "cpu_seconds": seconds,
            }), flush=True)


if __name__ == "__main__":
    main()
