"""Published methods of distillation on one student: paired seeds, equal steps, each with a learning rate of its own.

    python benchmarks/beyond_logits.py                                   digits, some minutes
    python benchmarks/beyond_logits.py --data folder:PATH                CIFAR-10: ResNet-20 teaches ResNet-8

Controls: the student alone, label smoothing, and a teacher whose answers are those of other images of the same class.
The weights of the methods are those of workbook.labs.beyond. Each method's learning rate is that of the highest mean
accuracy on a validation part, training images which no student and no test sees, over seeds of their own.

Three teachers teach the students of every seed; a seed's figure is the mean over the three, so that an interval is one
over seeds. On the digits each teacher has its own split of the images, and a student sees 50 images with their labels.
On CIFAR-10 the teachers are ResNet-20, trained with crops and flips; ResNet-8 sees 10,000 images as they are.
A teacher answers once, logits and features. One thread; the record is written anew after each seed from the second on.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Iterable

import torch
from cifar10 import RECIPES, SGD, kind, load
from provenance import write
from turns import BATCH

from kdlab import data, devices, models
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs, distil, finish
from workbook import recipe
from workbook.labs import beyond

LABELLED, VALIDATION, FIRST_TUNING = 50, 200, 1000  # images, images, the number of the first tuning seed
DIGITS = dict(steps=150, teachers=3, tuning_seeds=9, rates=(0.003, 0.01, 0.03))
CIFAR = dict(images=10_000, validation=5_000, epochs=2, teachers=3, tuning_seeds=0, rates=(0.1,))


def part_of(labels: torch.Tensor, count: int, seed: int, kept: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Places of the images that the students of a seed see, and of the `kept` that none sees, the same for all seeds.

    Both are drawn at random: the images of a folder lie class by class.
    """
    fixed, drawn = (torch.Generator().manual_seed(number) for number in (0, seed))
    order = torch.randperm(len(labels), generator=fixed)
    rest = order[: len(labels) - kept]
    return rest[torch.randperm(len(rest), generator=drawn)[:count]], order[len(rest) :]


def accuracy(model, dataset: data.Dataset, places: torch.Tensor | None = None) -> float:
    """In percent: on the test images, or on some of the training images."""
    if places is not None:
        dataset = dataclasses.replace(dataset, test=dataset.train.subset(places))
    return 100 * evaluate(model, dataset).accuracy


def tuned(names, rates, runs, one) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The rate of the highest mean validation accuracy for each name, and the means; one(name, lr, run) → percent."""
    means = {
        name: {str(lr): statistics.fmean(one(name, lr, run) for run in runs) for lr in rates} for name in names
    } if len(rates) > 1 else {}
    best = {name: float(max(found, key=found.get)) for name, found in means.items()}
    return best or dict.fromkeys(names, rates[0]), means


def record(name: str, found: dict[str, list[float]], known: dict) -> None:
    """Writes what there is, with the paired differences to the student alone and to KD."""
    gains = {
        f"minus_{control}": {
            other: paired_difference(values, found[control])._asdict()
            for other, values in found.items() if other != control
        } for control in ("alone", "KD")
    }
    for other, gain in gains["minus_alone"].items():
        print(f"{other:22} {gain['mean']:+6.2f} [{gain['low']:+6.2f}, {gain['high']:+6.2f}]")
    print(write(name, {**known, "seeds": len(found["alone"]), "accuracy_percent": found, "points": gains}), flush=True)


def compare(name: str, ways: Iterable[str], one, seeds: int, known: dict) -> None:
    """Tunes each way's rate where there are several, then trains each with every teacher in every seed.

    one(way, lr, (seed, number of the teacher), on the validation part?) → percent.
    """
    started, teachers = time.process_time(), range(known["teachers"])
    runs = [(FIRST_TUNING + i, i % len(teachers)) for i in range(known["tuning_seeds"])]
    rates, means = tuned(ways, known["rates"], runs, one)
    print(rates, flush=True)
    known = {**known, "rate": rates, "validation_percent": means}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(seeds):
        for way, values in found.items():
            values.append(statistics.fmean(one(way, rates[way], (seed, number), False) for number in teachers))
        print(f"seed {seed}", {way: round(values[-1], 2) for way, values in found.items()}, flush=True)
        if seed:
            record(name, found, {**known, "cpu_seconds": time.process_time() - started})


def about(pair: beyond.Pair, shelf: list) -> dict:
    """What a record says of the networks and of a step's work."""
    shape, classes = shelf[0][0].shape, len(shelf[0][0].classes)
    return {
        "student": pair.student, "teacher": pair.teacher,
        "teacher_percent": [accuracy(teacher, dataset) for dataset, teacher in shelf],
        "work": {way: beyond.work(way, pair, shape, classes) for way in beyond.WAYS},
    }


def trained(shelf: list, pair: beyond.Pair, images: int, validation: int, **options):
    """`one` of `compare`: a student taught one way by one of the shelf's (data set, teacher)."""
    asked, found = {}, {}

    def one(way, lr, run, on_validation=True):
        seed, number = run
        dataset, teacher = shelf[number]
        by = id(dataset) if beyond.WAYS[way].teacher == "none" else number
        if (same := (way, lr, seed, on_validation, by)) in found:
            return found[same]
        places, kept = part_of(dataset.train.labels, images, seed, validation)
        if run not in asked:
            if any(other != seed for other, _ in asked):
                asked.clear()  # on CIFAR-10 the maps of one seed and teacher take a gigabyte
            asked[run] = beyond.answers(pair, teacher, dataset, places)
        model = beyond.student(way, pair, teacher, asked[run], dataset, places, lr=lr, seed=seed, **options)
        found[same] = accuracy(model, dataset, kept if on_validation else None)
        print(f"seed {seed} teacher {number} {way} at {lr}: {found[same]:.2f} %", flush=True)
        return found[same]

    return one


def teachers(count: int) -> list:
    """The digits' shelf: (data set, teacher), each of its own split."""
    splits = [data.load("digits", seed=number) for number in range(count)]
    return [(split, recipe.teacher(split, number, beyond.SMALL.teacher)) for number, split in enumerate(splits)]


def digits(seeds: int, settings: dict) -> None:
    shelf = teachers(settings["teachers"])
    one = trained(shelf, beyond.SMALL, LABELLED, VALIDATION, steps=settings["steps"])
    known = {"data": "digits", "labelled": LABELLED, **settings, **about(beyond.SMALL, shelf)}
    compare("beyond_logits", beyond.WAYS, one, seeds, known)


def cifar(given: argparse.Namespace, settings: dict) -> None:
    started, pair, way = time.process_time(), beyond.RESNETS, RECIPES["resnet"]
    dataset = load(given.data, (1000, 200) if given.short else None)
    common = dict(batch_size=BATCH, optimizer=functools.partial(SGD, weight_decay=way.weight_decay))
    count, shelf = given.teacher_epochs * (len(dataset.train) // BATCH), []
    for seed in range(settings["teachers"]):
        teacher = models.build(pair.teacher, dataset.shape, len(dataset.classes), seed=seed)
        steps = distil(teacher, dataset.augmented(seed), Knobs(0.0, 1.0, way.lr), steps=count, seed=seed, **common)
        finish(steps, total=count)
        shelf.append((dataset, teacher))
        print(f"teacher {seed}: {accuracy(teacher, dataset):.2f} %", flush=True)
    spent = time.process_time() - started
    steps = settings["epochs"] * (settings["images"] // BATCH)
    one = trained(shelf, pair, settings["images"], settings["validation"], steps=steps, **common)
    known = {"data": kind(given.data), **settings, "teacher_epochs": given.teacher_epochs, "teacher_cpu_seconds": spent}
    compare("beyond_logits_cifar10", beyond.WAYS, one, given.seeds, known | about(pair, shelf))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="cifar10 or folder:PATH; without it the digits")
    parser.add_argument("--seeds", type=int, help="10 on the digits, 3 on CIFAR-10")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=CIFAR["epochs"], help="of a student on CIFAR-10")
    parser.add_argument("--tune", action="store_true", help="on CIFAR-10, too: 0.03 and 0.1, one seed")
    parser.add_argument("--short", action="store_true", help="few steps, two seeds: does it run?")
    given = parser.parse_args()
    given.seeds = 2 if given.short else given.seeds or (3 if given.data else 10)
    if given.seeds < 2:
        parser.error("an interval needs --seeds >= 2")
    torch.set_num_threads(1)
    devices.huge_pages()
    if not given.data:
        digits(given.seeds, DIGITS | (dict(steps=3, teachers=1, tuning_seeds=1) if given.short else {}))
        return
    settings = CIFAR | {"epochs": given.epochs} | (dict(tuning_seeds=1, rates=(0.03, 0.1)) if given.tune else {})
    cifar(given, settings | (dict(images=256, validation=100, epochs=1, teachers=2) if given.short else {}))


if __name__ == "__main__":
    main()
