"""How cost grows: with the images, the classes and the batch; seconds beside memory.

Each point runs in a fresh process: a teacher's bank is filled, written and read again, then a student is distilled
for some steps. The students of the alpha-temperature map have a benchmark of their own, many_students.py.

    python benchmarks/growth.py [--short]

Memory is how far the process's peak rises above what it was after the imports: the images are part of it.
Teacher cnn-16-32-64, student cnn-8-16-16, 3x32x32, random pixels (cost does not depend on what they show), one thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from provenance import write
from turns import figure, show

from kdlab import bank, data, models
from kdlab.training import Knobs, distil

BASE = {"images": 2000, "classes": 10, "batch": 64}
AXES = {"images": (1000, 4000, 16_000), "classes": (10, 100, 1000), "batch": (1, 16, 256)}
STEPS = 40


def point(images: int, classes: int, batch: int) -> dict:
    """Seconds and bytes at one point."""
    imported = _peak()
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images + 10, 3, 32, 32), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, classes, (images + 10,), generator=draw)
    train, test = data.Split(pixels[:images], labels[:images]), data.Split(pixels[images:], labels[images:])
    dataset = data.Dataset("random", train, test, tuple(map(str, range(classes))))
    teacher, student = (models.build(name, dataset.shape, classes) for name in ("cnn-16-32-64", "cnn-8-16-16"))
    marks = [time.perf_counter()]
    answers = bank.fill(teacher, dataset)
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        bank.write(answers, path := Path(folder) / "bank.safetensors")
        size = path.stat().st_size
        answers = bank.read(path, dataset)
    marks.append(time.perf_counter())
    run = distil(student, dataset, Knobs(), teacher=answers, steps=STEPS + 5, batch_size=batch)
    for _ in range(5):
        next(run)
    marks.append(time.perf_counter())
    for _ in range(STEPS):
        next(run)
    marks.append(time.perf_counter())
    fill, keep, _, steps = (b - a for a, b in zip(marks, marks[1:]))
    return {
        "fill_seconds": fill, "save_and_load_seconds": keep, "bank_bytes": size, "seconds_per_step": steps / STEPS,
        "megabytes": _peak() - imported,
    }


def _peak() -> float:
    """Of this process's memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one round in place of three")
    parser.add_argument("--point", help=argparse.SUPPRESS)  # what the fresh processes are given
    given = parser.parse_args()
    if given.point:
        print(json.dumps(point(**json.loads(given.point))))
        return
    rows = []
    print(f"{'':15}{'fill s':>9}{'save+load s':>13}{'bank MB':>9}{'ms a step':>11}{'MB':>9}")
    for _ in range(1 if given.short else 3):
        for axis, values in AXES.items():
            for value in values:
                asked = json.dumps(BASE | {axis: value})
                run = subprocess.run(
                    [sys.executable, __file__, "--point", asked], capture_output=True, text=True, check=True
                )
                rows.append({"axis": axis, "value": value} | json.loads(run.stdout.splitlines()[-1]))
                row = rows[-1]
                print(
                    f"{axis:8}{value:7,}{row['fill_seconds']:9.2f}{row['save_and_load_seconds']:13.3f}"
                    f"{row['bank_bytes'] / 1e6:9.2f}{1e3 * row['seconds_per_step']:11.2f}{row['megabytes']:9.0f}",
                    flush=True,
                )
    figures = {}
    for axis, values in AXES.items():
        few, many = (
            [row for row in rows if (row["axis"], row["value"]) == (axis, value)] for value in (values[0], values[-1])
        )
        for name in ("fill_seconds", "seconds_per_step", "megabytes"):
            what = f"{values[-1] // values[0]} times the {axis}: {name.replace('_', ' ')}"
            figures[what] = figure([b[name] / a[name] for a, b in zip(few, many)], "times")
    show(figures)
    print(write("growth", {"base": BASE, "steps": STEPS, "figures": figures, "rows": rows}))


if __name__ == "__main__":
    main()
