"""One loop in one process and in two: how much faster, and what the exchange of gradients takes of a step.

    python benchmarks/many_processes.py [--short]

torchrun starts two processes, one thread each. In turns, within one run: the first process alone trains on the whole
batch, both train on half of it each (workbook/scale/ddp.py), and both sum as many numbers as the gradient has, with
nothing else to do. The last is what the exchange would take by itself: DistributedDataParallel begins it while the
backward pass still runs, so a step may hide a part of it. For an idle machine with two cores or more.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from provenance import ROOT, write
from torch import distributed
from turns import figure, show

from kdlab import bank, models
from kdlab.data import Dataset, Split
from kdlab.training import Knobs, distil
from workbook.scale import ddp

# network → (shape of an image, images in a joint batch, steps of a turn)
NETWORKS = {
    "mlp-32": ((1, 8, 8), 64, 400),
    "mlp-512-512": ((1, 8, 8), 64, 200),
    "resnet8": ((3, 32, 32), 64, 15),
    "tutorial-student": ((3, 32, 32), 128, 15),
    "resnet20": ((3, 32, 32), 128, 6),
}
SIZES = (4, 2**16, 2**20, 2**24)  # bytes of one sum


def pictures(shape: tuple[int, int, int], count: int) -> Dataset:
    """Random images with random labels: the time of a step does not depend on what they show."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, *shape), generator=draw, dtype=torch.uint8)
    split = Split(images, torch.randint(10, (count,), generator=draw))
    return Dataset("random", split, split, tuple("0123456789"))


def seconds(stepper, steps: int) -> float:
    """Of one step, after two that are not counted."""
    next(stepper), next(stepper)
    distributed.barrier()
    start = time.perf_counter()
    for _ in range(steps):
        next(stepper)
    spent = time.perf_counter() - start
    stepper.close()
    return spent / steps


def sums(size: int, times: int) -> float:
    """Seconds of one sum over all processes of so many bytes of float32."""
    numbers = torch.ones(max(1, size // 4))
    distributed.all_reduce(numbers)
    distributed.barrier()
    start = time.perf_counter()
    for _ in range(times):
        distributed.all_reduce(numbers)
        numbers.fill_(1.0)
    return (time.perf_counter() - start) / times


def turn(name: str, dataset: Dataset, known: bank.Bank, batch: int, steps: int) -> dict[str, float]:
    """Seconds of a step by the first process alone, by both, and of the exchange by itself."""
    common = dict(teacher=known, steps=steps + 2, batch_size=batch)
    build = functools.partial(models.build, name, dataset.shape, 10, seed=0)
    found = {}
    if distributed.get_rank() == 0:
        found["alone"] = seconds(distil(build(), dataset, Knobs(), **common), steps)
    else:
        distributed.barrier()
    distributed.barrier()
    found["together"] = seconds(ddp.distil(build(), dataset, Knobs(), **common), steps)
    size = 4 * models.cost(build(), dataset.shape).parameters
    return found | {"exchange": sums(size, steps), "bytes": size}


def inner(rounds: int, shorter: int, file: Path) -> None:
    """What each of the two processes does; the first writes what it has measured."""
    torch.set_num_threads(1)
    with ddp.group():
        rounds_of, sizes = {name: [] for name in NETWORKS}, {size: [] for size in SIZES}
        made = {}
        for name, (shape, batch, _) in NETWORKS.items():
            dataset = pictures(shape, 4 * batch)
            made[name] = dataset, bank.fill(models.build(name, shape, 10, seed=1), dataset), batch
        for _ in range(rounds):
            for name, (*_, steps) in NETWORKS.items():
                rounds_of[name].append(turn(name, *made[name], max(2, steps // shorter)))
            for size in SIZES:
                sizes[size].append(sums(size, max(2, 40 // shorter)))
        if distributed.get_rank() == 0:
            file.write_text(json.dumps({"networks": rounds_of, "sums": sizes}))


def summed_up(found: dict) -> tuple[dict, dict]:
    """The record's body and its rows: times as fast as one process, and the share of the exchange."""
    body, rows = {}, {}
    for name, turns in found["networks"].items():
        ms = {key: 1000 * statistics.median(one[key] for one in turns) for key in ("alone", "together", "exchange")}
        faster = [one["alone"] / one["together"] for one in turns]
        share = [one["exchange"] / one["together"] for one in turns]
        rows[f"{name}: two processes / one"] = figure(faster, "times")
        rows[f"{name}: exchange / step of two"] = figure(share, "share")
        body[name] = {
            "gradient_bytes": turns[0]["bytes"], "joint_batch": NETWORKS[name][1], "step_ms": ms,
            "speedup": statistics.median(faster), "efficiency": statistics.median(faster) / 2,
            "exchange_share": statistics.median(share),
        }
    return body, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="two short rounds: does it run?")
    parser.add_argument("--inner", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    rounds, shorter = (2, 10) if given.short else (given.rounds, 1)
    if given.inner:
        inner(rounds, shorter, given.inner)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
        command += ["--rounds", str(rounds), "--inner", str(file), *(["--short"] if given.short else [])]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
        found = json.loads(file.read_text())
    body, rows = summed_up(found)
    show(rows)
    sizes = {size: statistics.median(values) for size, values in found["sums"].items()}
    print(write("many_processes", {
        "processes": 2, "threads": 1, "backend": "gloo", "rounds": rounds, "networks": body, "figures": rows,
        "sum_ms": {size: 1000 * value for size, value in sizes.items()},
    }))


if __name__ == "__main__":
    main()
