"""CIFAR-10 from end to end: a teacher, the student alone, and the student distilled, with paired seeds.

    python benchmarks/cifar10.py --data folder:PATH      images in PATH/train/CLASS/*, PATH/test/CLASS/*
    python benchmarks/cifar10.py --data cifar10          the original arrays; downloads 170 MB once

The recipe is that of PyTorch's knowledge distillation tutorial (Adam, batches of 128, no augmentation), with the
learning rate's warm-up and cosine; the teacher is asked once, through the bank. About ten minutes on one core.
"""

import argparse
import time

import torch
from provenance import write

from kdlab import bank, data, devices, models
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs, distil, finish, train

SETTINGS = {"alone": None, "alpha=0.25 T=2": (0.25, 2.0), "alpha=0.9 T=4": (0.9, 4.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="cifar10 or folder:PATH")
    parser.add_argument("--pair", default="article", choices=("article", "tutorial"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    cifar = data.load(given.data)
    loaded = time.perf_counter() - start
    steps = given.epochs * (len(cifar.train) // 128)
    options = dict(steps=steps, batch_size=128, record_every=100, autocast=devices.autocast_dtype("cpu"))

    def fresh(role: str, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = models.build(f"{given.pair}-{role}", cifar.shape, len(cifar.classes))
        return model.to(memory_format=torch.channels_last)

    start = time.perf_counter()
    teacher = fresh("teacher", 0)
    finish(train(teacher, cifar, lr=1e-3, **options), total=steps)
    seconds = {"load": loaded, "teacher": time.perf_counter() - start}
    judged = evaluate(teacher, cifar)
    print(f"teacher {judged.accuracy:.2%} in {seconds['teacher']:.0f} s", flush=True)
    answers = bank.fill(teacher, cifar)
    accuracy: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for seed in range(given.seeds):
        for name, knobs in SETTINGS.items():
            student, start = fresh("student", seed), time.perf_counter()
            alpha, temperature = knobs or (0.0, 1.0)
            run = distil(student, cifar, Knobs(alpha, temperature, 1e-3), teacher=knobs and answers, seed=seed, **options)
            finish(run, total=steps)
            seconds.setdefault(name, time.perf_counter() - start)
            accuracy[name].append(100 * evaluate(student, cifar).accuracy)
            print(f"seed {seed} {name}: {accuracy[name][-1]:.2f} %", flush=True)
    gains = {name: paired_difference(found, accuracy["alone"]) for name, found in accuracy.items() if name != "alone"}
    for name, (mean, low, high, wins) in gains.items():
        print(f"{name}: {mean:+.2f} points [{low:+.2f}, {high:+.2f}], {wins} wins of {given.seeds}")
    kind = "CIFAR-10" if given.data == "cifar10" else "CIFAR-10 (JPEG)"
    print(write(f"cifar10-{given.pair}", {
        "data": kind, "images": [len(cifar.train), len(cifar.test)], "epochs": given.epochs, "threads": 1,
        "autocast": str(options["autocast"]), "teacher_percent": 100 * judged.accuracy, "teacher_ece": judged.ece,
        "accuracy_percent": accuracy,
        "gains_points": {name: dict(zip(("mean", "low", "high", "wins"), gain)) for name, gain in gains.items()},
        "seconds": seconds,
    }))


if __name__ == "__main__":
    main()
