"""CIFAR-10 from end to end: a teacher, the student alone, and the student distilled, with paired seeds.

    python benchmarks/cifar10.py --data folder:PATH                     images in PATH/train/CLASS/*, PATH/test/CLASS/*
    python benchmarks/cifar10.py --data cifar10 --recipe tutorial       the original arrays; downloads 170 MB once

The recipes:
    article   the pair of the article that the workbook starts from, six epochs; about ten minutes on one core
    tutorial  PyTorch's knowledge distillation tutorial as published (Adam, a constant 1e-3, batches of 128, ten
              epochs, no augmentation); an hour and a half on one core without bfloat16
    resnet    ResNet-20, trained with crops and flips on all images, teaches ResNet-8, which sees 10,000 of them;
              an hour on one core without bfloat16
One thread; `cpu_seconds` count the processor's time, which other work on the machine does not lengthen much.
The teacher is asked once, through the bank.

    python benchmarks/cifar10.py --data folder:PATH --recipe tutorial --usual 20

times three turns of 20 steps of kdlab's loop and of the usual one (both as in training_speed.py) for each of the three,
on the same images and by the same clock, and computes what the whole experiment takes if the rest goes as fast; for an
idle machine, since the usual loop has two more processes.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable

import torch
from provenance import write
from training_speed import elsewhere, ours, steps, usual
from turns import BATCH, in_turns, ratio, show

from kdlab import bank, data, devices, models
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs, distil, finish
from workbook import task


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A pair, how each of the two is trained, and the (alpha, temperature) of each distilled run."""

    teacher: str
    student: str
    epochs: int
    lr: float
    distilled: dict[str, tuple[float, float]]
    images: int | None = None  # that the student sees; None for all
    student_epochs: int | None = None  # over those images; None for `epochs`
    teacher_augmented: bool = False
    optimizer: Callable = torch.optim.AdamW
    weight_decay: float = 0.0
    constant: bool = False  # the learning rate, in place of a rise and a cosine


SGD = functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)
RECIPES = {
    "article": Recipe(
        "article-teacher", "article-student", 6, 1e-3, {"alpha=0.25 T=2": (0.25, 2.0), "alpha=0.9 T=4": (0.9, 4.0)}
    ),
    "tutorial": Recipe(
        "tutorial-teacher",
        "tutorial-student",
        10,
        1e-3,
        {"alpha=0.25 T=2": (0.25, 2.0)},
        optimizer=torch.optim.Adam,
        constant=True,
    ),
    "resnet": Recipe(
        "resnet20",
        "resnet8",
        7,
        0.1,
        {"alpha=0.9 T=4": (0.9, 4.0)},
        images=10_000,
        student_epochs=15,
        teacher_augmented=True,
        optimizer=SGD,
        weight_decay=5e-4,
    ),
}


def load(name: str, few: tuple[int, int] | None = None) -> data.Dataset:
    """CIFAR-10 from `cifar10` or `folder:PATH`, or so many training and test pictures of it."""
    cifar = dataclasses.replace(task.load(name), mirrored=True)  # photographs may be flipped
    if few is None:
        return cifar
    parts = ((split, cifar.part(split), count) for split, count in zip(("train", "test"), few))
    return dataclasses.replace(
        cifar, **{split: part.subset(data.stratified(part.labels, count, seed=0)) for split, part, count in parts}
    )


def kind(name: str) -> str:
    """What a record calls those pictures."""
    return "CIFAR-10" if name == "cifar10" else "CIFAR-10 (JPEG)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="cifar10 or folder:PATH")
    parser.add_argument("--recipe", default="article", choices=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--usual", type=int, metavar="STEPS", help="instead: time both loops in turns, this many steps a turn"
    )
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("an interval needs --seeds >= 2")
    recipe = RECIPES[given.recipe]
    torch.set_num_threads(1)
    devices.huge_pages()
    start = time.process_time()
    cifar = load(given.data)
    if given.usual:
        print(_against_the_usual_loop(cifar, given))
        return
    seconds: dict[str, float | list[float]] = {"load": time.process_time() - start}

    def run(name: str, seed: int, epochs: int, pictures: data.Dataset, alpha: float, temperature: float, teacher=None):
        model = models.build(name, cifar.shape, len(cifar.classes), seed=seed)
        count, knobs = epochs * (len(pictures.in_use) // BATCH), Knobs(alpha, temperature, recipe.lr)
        start = time.process_time()
        finish(
            distil(
                model,
                pictures,
                (lambda step: knobs) if recipe.constant else knobs,
                teacher=teacher,
                steps=count,
                seed=seed,
                batch_size=BATCH,
                optimizer=functools.partial(recipe.optimizer, weight_decay=recipe.weight_decay),
            ),
            total=count,
        )
        return model, time.process_time() - start

    everything = len(cifar.train)
    shown = cifar.augmented(0) if recipe.teacher_augmented else cifar
    teacher, seconds["teacher"] = run(recipe.teacher, 0, recipe.epochs, shown, 0.0, 1.0)
    judged = evaluate(teacher, cifar)
    print(f"teacher {judged.accuracy:.2%} in {seconds['teacher']:.0f} CPU-seconds", flush=True)
    start = time.process_time()
    answers = bank.fill(teacher, cifar)
    seconds["bank"] = time.process_time() - start
    accuracy: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        seen = torch.randperm(everything, generator=torch.Generator().manual_seed(seed))[: recipe.images]
        for name, knobs in ({"alone": (0.0, 1.0)} | recipe.distilled).items():
            student, spent = run(
                recipe.student, seed, recipe.student_epochs or recipe.epochs, cifar.only(seen), *knobs,
                teacher=None if name == "alone" else answers,
            )
            seconds.setdefault(name, []).append(spent)
            accuracy.setdefault(name, []).append(100 * evaluate(student, cifar).accuracy)
            print(f"seed {seed} {name}: {accuracy[name][-1]:.2f} % in {spent:.0f} CPU-seconds", flush=True)
    gains = {name: paired_difference(found, accuracy["alone"]) for name, found in accuracy.items() if name != "alone"}
    for name, gain in gains.items():
        print(f"{name}, points: {gain}")
    said = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in ("optimizer", "constant")}
    print(write(f"cifar10-{given.recipe}", {
        "data": kind(given.data), "images": [everything, len(cifar.test)], "recipe": said, "threads": 1,
        "settings": {role: str(devices.fast(models.build(getattr(recipe, role), cifar.shape, 10), "cpu")).splitlines()
                     for role in ("teacher", "student")},
        "teacher_percent": 100 * judged.accuracy, "teacher_ece": judged.ece, "accuracy_percent": accuracy,
        "gains_points": {name: gain._asdict() for name, gain in gains.items()},
        "cpu_seconds": seconds,
    }))


def _against_the_usual_loop(cifar: data.Dataset, given: argparse.Namespace):
    """Writes how fast both loops go through some steps, in turns, and what the whole experiment takes at that."""
    recipe, rounds = RECIPES[given.recipe], 3
    build = functools.partial(models.build, shape=cifar.shape, classes=len(cifar.classes))
    teacher = build(recipe.teacher).eval()
    answers = bank.make(
        torch.randn(len(cifar.train), len(cifar.classes)), cifar, producer="chance"
    )  # what they say takes no time
    part = dataclasses.replace(cifar, train=cifar.train.subset(slice(20 * given.usual)))
    loops = {}
    for way, loop, asked in (("usual", functools.partial(elsewhere, usual), teacher), ("kdlab", ours, answers)):
        loops |= {
            f"{way}, teacher": loop(build(recipe.teacher), cifar, None),
            f"{way}, alone": loop(build(recipe.student), cifar, None),
            f"{way}, distilled": loop(build(recipe.student), cifar, asked),
        }
    contenders = {name: functools.partial(steps, loop, given.usual) for name, loop in loops.items()}
    rates = in_turns(contenders | {"kdlab, bank": lambda: len(bank.fill(teacher, part).logits)}, rounds)
    for loop in loops.values():
        loop.close()
    images = dict.fromkeys(
        ("alone", "distilled"), (recipe.student_epochs or recipe.epochs) * (recipe.images or len(cifar.train))
    )
    images |= {"teacher": recipe.epochs * len(cifar.train), "bank": len(cifar.train)}
    seconds = {name: [images[name.split(", ")[1]] / rate for rate in found] for name, found in rates.items()}
    distilled = [sum(round) for round in zip(seconds["kdlab, bank"], seconds["kdlab, distilled"])]
    whole = {
        way: [sum(round) for round in zip(*(s for name, s in seconds.items() if name.startswith(way)))]
        for way in ("usual", "kdlab")
    }
    figures = {
        f"{task}: kdlab / usual": ratio(rates[f"kdlab, {task}"], rates[f"usual, {task}"])
        for task in ("teacher", "alone")
    }
    figures["distilled, the bank's filling counted: kdlab / usual"] = ratio(seconds["usual, distilled"], distilled)
    figures["the whole experiment: kdlab / usual"] = ratio(whole["usual"], whole["kdlab"])
    show(figures)
    return write(
        f"cifar10_usual-{given.recipe}",
        {
            "images_of_each": images,
            "steps_timed": rounds * given.usual,
            "threads": 1,
            "workers": 2,
            "figures": figures,
            "images_per_second": rates,
            "computed_seconds": {name: statistics.median(found) for name, found in seconds.items()},
            "computed_seconds_of_the_whole": {way: statistics.median(found) for way, found in whole.items()},
        },
    )


if __name__ == "__main__":
    main()
