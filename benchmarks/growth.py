"""How cost grows: with the images, the classes, the batch, the students and the teacher; seconds beside memory.

Each point runs in a fresh process: a teacher's bank is filled, written and read again, then a student is distilled
for some steps. With more students, they learn at once from the first 50 digits, all of them in each step (against one
by one: many_students.py).

    python benchmarks/growth.py [--short]
    python -m workbook.plots.growth             draws the newest record: .github/growth.svg

Memory is how far the process's peak rises above what it had after the imports and a first step of one image: the images
are part of it.
Teacher cnn-16-32-64, student cnn-8-16-16, 3x32x32, random pixels (cost does not depend on what they show), one thread.
A teacher of another size is cnn-W-2W-4W. Students at once are mlp-32.
"""

import argparse
import contextlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
import torch._dynamo  # the first step of an optimizer imports it: 100 MB that are not the training's
from provenance import write
from turns import figure, show

from kdlab import bank, data, models
from kdlab.training import Knobs, distil
from workbook.labs import many

BASE = {"images": 2000, "classes": 10, "batch": 64, "teacher": 16}
AXES = {
    "images": (1000, 4000, 16_000),
    "classes": (10, 100, 1000),
    "batch": (1, 16, 256),
    "students": (1, 5, 25, 125),
    "teacher": (8, 16, 32, 64),
}
STEPS, BEFORE = 40, 5  # those that are timed, and those before them
COLUMNS = {  # of a row: title, factor, format
    "fill_seconds": ("fill s", 1, "9.2f"),
    "save_and_load_seconds": ("save+load s", 1, "13.3f"),
    "bank_bytes": ("bank MB", 1e-6, "9.2f"),
    "seconds_per_step": ("ms a step", 1e3, "11.2f"),
    "megabytes": ("MB", 1, "9.0f"),
}


def point(images: int, classes: int, batch: int, teacher: int) -> dict:
    """Seconds and bytes at one point; the teacher's size is its first layer's channels."""
    network = f"cnn-{teacher}-{2 * teacher}-{4 * teacher}"
    teacher, student = (models.build(name, (3, 32, 32), classes) for name in (network, "cnn-8-16-16"))
    work = models.cost(teacher, (3, 32, 32)).multiply_adds
    _one(10, classes, 1, teacher, student)  # brings the libraries' own pages into memory
    with _rise() as megabytes:
        found = _one(images, classes, batch, teacher, student)
    return {"teacher": network, "teacher_multiply_adds": work, "megabytes": megabytes[0]} | found


def _one(images: int, classes: int, batch: int, teacher, student) -> dict:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images + 10, 3, 32, 32), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, classes, (images + 10,), generator=draw)
    train, test = data.Split(pixels[:images], labels[:images]), data.Split(pixels[images:], labels[images:])
    dataset = data.Dataset("random", train, test, tuple(map(str, range(classes))))
    marks = [time.perf_counter()]
    answers = bank.fill(teacher, dataset)
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        bank.write(answers, path := Path(folder) / "bank.safetensors")
        size = path.stat().st_size
        answers = bank.read(path, dataset)
    marks.append(time.perf_counter())
    run = distil(student, dataset, Knobs(), teacher=answers, steps=STEPS + BEFORE, batch_size=batch)
    return {
        "fill_seconds": marks[1] - marks[0],
        "save_and_load_seconds": marks[2] - marks[1],
        "bank_bytes": size,
        "seconds_per_step": _a_step(run),
    }


def students(count: int) -> dict:
    """Seconds for a step of all, and bytes, where so many students learn at once."""
    digits = data.load("digits", seed=0)
    logits = torch.randn(len(digits.train), len(digits.classes), generator=torch.Generator().manual_seed(0))
    answers, few = bank.make(logits, digits, producer="random"), digits.only(torch.arange(50))
    for number in (1, count):  # the first brings the libraries' own pages into memory
        with _rise() as megabytes:
            several = [models.build("mlp-32", digits.shape, len(digits.classes), seed=i) for i in range(number)]
            run = many.distil(several, few, [Knobs()] * number, teacher=answers, steps=STEPS + BEFORE, way="at once")
            seconds = _a_step(run)
    return {"seconds_per_step": seconds, "megabytes": megabytes[0]}


def _a_step(run) -> float:
    """Seconds, the mean of STEPS; those before them find what they need in memory."""
    for _ in islice(run, BEFORE):
        pass
    start = time.perf_counter()
    for _ in islice(run, STEPS):
        pass
    return (time.perf_counter() - start) / STEPS


@contextlib.contextmanager
def _rise() -> Iterator[list[float]]:
    """Gives a list that holds, after its block, how many MB this process's peak rose above what it had before."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now; elsewhere it stays that of all before
    before, result = _peak(), []
    yield result
    result.append(_peak() - before)


def _peak() -> float:
    """Of this process's memory so far, in MB."""
    with contextlib.suppress(OSError):
        return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def ratios(rows: list[dict]) -> dict[str, dict]:
    """How many times as much the last value of each axis costs as its first, round by round."""
    figures = {}
    for axis, values in AXES.items():
        ends = values[0], values[-1]
        few, more = ([row for row in rows if (row["axis"], row["value"]) == (axis, value)] for value in ends)
        for name in ("fill_seconds", "seconds_per_step", "megabytes"):
            if name in few[0] and (axis, name) != ("students", "megabytes"):  # one student is the step before
                what = "width of the teacher" if axis == "teacher" else axis
                what = f"{values[-1] // values[0]} times the {what}: {name.replace('_', ' ')}"
                figures[what] = figure([b[name] / a[name] for a, b in zip(few, more)], "times")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one round in place of three")
    parser.add_argument("--point", help=argparse.SUPPRESS)  # what the fresh processes are given
    given = parser.parse_args()
    if given.point:
        torch.set_num_threads(1)
        asked = json.loads(given.point)
        print(json.dumps(students(asked["students"]) if "students" in asked else point(**asked)))
        return
    rows = []
    print(f"{'':15}" + "".join(f"{title:>{int(form.split('.')[0])}}" for title, _, form in COLUMNS.values()))
    for _ in range(1 if given.short else 3):
        for axis, values in AXES.items():
            for value in values:
                asked = json.dumps({axis: value} if axis == "students" else BASE | {axis: value})
                run = subprocess.run(
                    [sys.executable, __file__, "--point", asked], capture_output=True, text=True, check=True
                )
                rows.append({"axis": axis, "value": value} | json.loads(run.stdout.splitlines()[-1]))
                cells = ((rows[-1].get(name), factor, form) for name, (_, factor, form) in COLUMNS.items())
                print(f"{axis:8}{value:7,}" + "".join(
                    f"{'':{form.split('.')[0]}}" if found is None else f"{factor * found:{form}}"
                    for found, factor, form in cells), flush=True)
    show(figures := ratios(rows))
    print(write("growth", {"base": BASE, "steps": STEPS, "figures": figures, "rows": rows}))


if __name__ == "__main__":
    main()
