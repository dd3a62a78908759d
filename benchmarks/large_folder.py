"""What a folder larger than its share of the memory costs: peak resident memory and seconds, first and second load.

20,000 JPEGs of 224 x 224 pixels, 3 GB decoded, are made in a temporary folder. A fresh process loads them, trains a
small network on them and evaluates it; another one loads them again from the cached file and does the same.

    python benchmarks/large_folder.py [--short]

`store.SHARE` is set to 0 in these processes, so that the images are mapped on a machine of any memory. Peaks are the
process's whole resident set, Python and torch included (VmHWM; ru_maxrss where there is none).
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from provenance import ROOT, write
from turns import figure, show

SIDE, CLASSES, STEPS, BATCH, MODEL = 224, 10, 60, 64, "cnn-8-16-16"
GOAL = 1.5  # GB, of every peak


def make(place: Path, part: str, count: int, seed: int) -> None:
    """So many pictures of a part, class by class in turn: noise of 14 x 14 pixels, enlarged, a tint for each class."""
    draw = np.random.default_rng(seed)
    for i in range(count):
        label, small = i % CLASSES, draw.integers(0, 200, (14, 14, 3), dtype=np.uint8)
        small[:, :, label % 3] += 5 * label
        image, file = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC), io.BytesIO()
        image.save(file, "JPEG", quality=85)
        (place / part / f"class {label}" / f"{seed}-{i}.jpg").write_bytes(file.getvalue())


def work(place: str) -> dict:
    """Loads, trains and evaluates in this process: seconds of each, and the peak of memory after it in GB."""
    from kdlab import evaluation, models, training
    from workbook import task
    from workbook.task import store

    torch.set_num_threads(2)
    store.SHARE = 0
    found, start = {"imported": {"peak": peak()}}, time.perf_counter()

    def mark(name: str) -> None:
        nonlocal start
        found[name] = {"peak": peak(), "seconds": time.perf_counter() - start}
        start = time.perf_counter()

    dataset = task.load(f"folder:{place}", size=SIDE, val=0.1)
    mark("loaded")
    model = models.build(MODEL, dataset.shape, CLASSES, seed=0)
    training.finish(training.train(model, dataset, steps=STEPS, batch_size=BATCH))
    mark("trained")
    accuracy = evaluation.evaluate(model, dataset).accuracy
    mark("evaluated")
    sizes = {part: len(dataset.part(part)) for part in ("train", "val", "test")}
    return {"after": found, "pictures": sizes, "accuracy": accuracy}


def peak() -> float:
    """Of this process's resident set so far, in GB."""
    try:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) * 1024 / 1e9
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the pictures")
    parser.add_argument("--work", help=argparse.SUPPRESS)  # what the fresh processes are given
    given = parser.parse_args()
    if given.work:
        print(json.dumps(work(given.work)))
        return
    count = 2000 if given.short else 20_000
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "pictures"
        for part in ("train", "test"):
            for label in range(CLASSES):
                (place / part / f"class {label}").mkdir(parents=True)
        pieces = [("test" if i % 10 == 0 else "train", count // 20, i) for i in range(20)]  # a tenth for testing
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(make, [place] * len(pieces), *zip(*pieces)))
        command = [sys.executable, __file__, "--work", str(place)]
        environment = os.environ | {"KDLAB_CACHE": f"{scratch}/cache", "TQDM_DISABLE": "1"}
        loads = {}
        for name in ("first", "second"):
            done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            loads[name] = json.loads(done.stdout.splitlines()[-1])
    figures = {}
    for name, load in loads.items():
        for after, found in load["after"].items():
            figures[f"{name} load, {after}: peak"] = figure([found["peak"]], "GB, at most", GOAL)
            if "seconds" in found:
                figures[f"{name} load, {after}"] = figure([found["seconds"]], "seconds")
    show(figures)
    decoded = sum(loads["first"]["pictures"].values()) * 3 * SIDE**2 / 1e9
    record = {"pictures": loads["first"]["pictures"], "decoded_gigabytes": decoded, "model": MODEL, "steps": STEPS,
              "batch": BATCH, "accuracy": {name: load["accuracy"] for name, load in loads.items()}, "figures": figures}
    print(write("large_folder", record))


if __name__ == "__main__":
    main()
