"""Other teachers than one large network: a peer, the student's own kind, an assistant, several; beside plain KD.

    python benchmarks/other_teachers.py          digits, some minutes

As on the digits in beyond_logits.py: three teachers, each of its own split, teach the students of every seed, a seed's
figure is the mean over the three, a student sees 50 images with their labels, and each way has a rate of its own from
a validation part. Every network of a way takes as many steps as the student alone, and the one that is judged starts
from the student's weights. The assistant stands between teacher and student in size, and sees the same 50 images.
"""

import argparse
import functools

import torch
from beyond_logits import DIGITS, LABELLED, VALIDATION, accuracy, compare, part_of, teachers

from kdlab import data, models
from kdlab.training import Knobs, distil, finish
from workbook import recipe
from workbook.labs import beyond
from workbook.methods.born_again import born_again
from workbook.methods.mutual_learning import mutual
from workbook.methods.several_teachers import Teachers
from workbook.methods.teacher_assistant import chain

ASSISTANT, PEER = "cnn-16-32", 10_000  # the number that is added to the seed of a peer's or a generation's weights
# how many networks are trained before a student stands there, without the large teachers
WAYS = {"alone": 1, "KD": 1, "mutual learning": 2, "born-again": 3, "teacher assistant": 2, "three teachers": 1}


def student(way: str, dataset: data.Dataset, several: list, places: torch.Tensor, *, lr: float, seed: int, steps: int):
    """One student, taught one way by one large teacher, by several, or by none."""
    build = functools.partial(models.build, shape=dataset.shape, classes=len(dataset.classes))
    model, seen = build(beyond.SMALL.student, seed=seed), dataset.only(places)
    knobs, common = Knobs(0.9, 4.0, lr), dict(steps=steps, seed=seed)
    if way == "mutual learning":
        peer = build(beyond.SMALL.student, seed=seed + PEER)
        finish(mutual([model, peer], seen, Knobs(0.5, 1.0, lr), **common), total=steps)
    elif way in ("alone", "born-again"):
        finish(distil(model, seen, Knobs(0.0, 1.0, lr), **common), total=steps)
        if way == "born-again":
            fresh = {1: seed + PEER, 2: seed}
            model = born_again(
                lambda number: build(beyond.SMALL.student, seed=fresh[number]), seen, knobs, teacher=model,
                generations=2, **common,
            )[-1]
    else:
        middle = [build(ASSISTANT, seed=seed + PEER)] if way == "teacher assistant" else []
        wise = Teachers(several, temperature=knobs.temperature) if way == "three teachers" else several[0]
        chain([*middle, model], seen, knobs, teacher=wise, **common)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="few steps, two seeds: does it run?")
    given = parser.parse_args()
    settings = DIGITS | (dict(steps=3, teachers=1, tuning_seeds=1) if given.short else {})
    given.seeds = 2 if given.short else given.seeds
    if given.seeds < 2:
        parser.error("an interval needs --seeds >= 2")
    torch.set_num_threads(1)
    shelf = teachers(settings["teachers"])
    several = [
        [teacher, *(recipe.teacher(split, number + further * 10, beyond.SMALL.teacher) for further in (1, 2))]
        for number, (split, teacher) in enumerate(shelf)
    ]  # of one split, from other weights

    def one(way, lr, run, on_validation=True):
        seed, number = run
        dataset = shelf[number][0]
        places, kept = part_of(dataset.train.labels, LABELLED, seed, VALIDATION)
        model = student(way, dataset, several[number], places, lr=lr, seed=seed, steps=settings["steps"])
        return accuracy(model, dataset, kept if on_validation else None)

    compare("other_teachers", WAYS, one, given.seeds, {
        "data": "digits", "student": beyond.SMALL.student, "assistant": ASSISTANT, "teacher": beyond.SMALL.teacher,
        "labelled": LABELLED, **settings, "networks": WAYS,
        "teacher_percent": [[accuracy(teacher, split) for teacher in each] for (split, _), each in zip(shelf, several)],
    })


if __name__ == "__main__":
    main()
