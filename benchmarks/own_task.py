"""A folder of real pictures and a teacher trained elsewhere, from files to a hand-over, with paired seeds.

    python benchmarks/foreign_teacher.py --data PATH --out teacher.pth --epochs 10 --size 48
    python benchmarks/own_task.py --data folder:PATH --teacher resnet18:teacher.pth --size 48

The teacher comes as many do: weights under `state_dict` with the prefix `module.`, trained on pictures of --size pixels
with ImageNet's mean and std, none of which the file says. It is read rightly first, then with one fact wrong at a time.
The student, a ResNet-8, sees 10,000 of the pictures; the way it learns is chosen on `val`, and told on `test`.
One thread; about half an hour on one core with bfloat16.
"""

import argparse
import functools
import statistics
import tempfile
import time

import torch
from provenance import write

from kdlab import bank, data, devices, models
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs, distil, finish
from workbook import task
from workbook.task import handover, teachers
from workbook.task.foreign import IMAGENET

WAYS = {"alone": 0.0, "both": 0.5, "teacher": 1.0}  # alpha, at T = 4
SEES, EPOCHS, BATCH, STUDENT = 10_000, 15, 128, "resnet8"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder:PATH")
    parser.add_argument("--teacher", required=True, help="NAME:FILE")
    parser.add_argument("--size", type=int, default=48, help="pixels a side that the teacher was trained on")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    devices.huge_pages()
    start = time.perf_counter()
    pictures = task.load(given.data, size=32, val=0.1)
    loaded, classes = time.perf_counter() - start, list(pictures.classes)
    right = IMAGENET | {"size": given.size, "classes": classes}
    ways = {
        "as it was trained": right,
        "another mean and std": right | {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
        "another size": right | {"size": 32},
        "another order of classes": right | {"classes": classes[1:] + classes[:1]},
    }
    read = {}
    for name, facts in ways.items():
        read[name] = 100 * evaluate(teachers.load(given.teacher, pictures, **facts), pictures).accuracy
        print(f"teacher, {name}: {read[name]:.2f} %", flush=True)
    teacher = teachers.load(given.teacher, pictures, **right)
    start = time.process_time()
    answers = bank.fill(teacher, pictures)
    filled, optimizer = time.process_time() - start, functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)
    optimizer = functools.partial(optimizer, weight_decay=5e-4)
    percent = {part: {way: [] for way in WAYS} for part in ("val", "test")}
    students: dict[tuple[str, int], torch.nn.Module] = {}
    for seed in range(given.seeds):
        some = pictures.only(data.stratified(pictures.train.labels, SEES, seed=seed))
        for way, alpha in WAYS.items():
            student = models.build(STUDENT, pictures.shape, len(classes), seed=seed)
            steps = EPOCHS * (SEES // BATCH)
            run = dict(steps=steps, batch_size=BATCH, seed=seed, optimizer=optimizer)
            finish(distil(student, some, Knobs(alpha, 4.0, 0.1), teacher=answers if alpha else None, **run))
            students[way, seed] = student
            for part, found in percent.items():
                found[way].append(100 * evaluate(student, pictures, split=part).accuracy)
            print(f"seed {seed}, {way}: {percent['val'][way][-1]:.2f} % of val", flush=True)
    best = max(("both", "teacher"), key=lambda way: statistics.fmean(percent["val"][way]))
    gains = {way: paired_difference(percent["test"][way], percent["test"]["alone"]) for way in ("both", "teacher")}
    seed = max(range(given.seeds), key=lambda i: percent["val"][best][i])
    with tempfile.TemporaryDirectory() as folder:
        facts = handover.Facts(name=STUDENT, teacher="resnet18", gains=gains, data="CIFAR-10 (JPEG)")
        report = handover.write(folder, students[best, seed], pictures, facts, teacher=teacher, timed=())
        exports = {export.file: 100 * export.judged.accuracy for export in report.exports}
    for way, gain in gains.items():
        print(f"{way}, points on test: {gain}")
    print(write("own_task", {
        "data": "CIFAR-10 (JPEG)", "images": [len(pictures.part(part)) for part in ("train", "val", "test")],
        "student": STUDENT, "sees": SEES, "epochs": EPOCHS, "threads": 1,
        "teacher": {"name": "resnet18", "size": given.size, "said_of_itself_percent": 100 * teacher.claimed,
                    "read_percent": read},
        "percent": percent, "chosen_on_val": best, "gains_points": {way: gain._asdict() for way, gain in gains.items()},
        "handed_over": {"seed": seed, "test_percent": percent["test"][best][seed], "exports_percent": exports,
                        "agreement": report.agreement},
        "seconds": {"load": loaded, "bank": filled},
    }))


if __name__ == "__main__":
    main()
