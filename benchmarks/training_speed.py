"""Training and distilling: kdlab's loop against the usual one, with the same two networks, in turns, in one run.

The usual loop is what people write: torchvision's ToTensor and Normalize on each picture, a DataLoader with 2 workers,
contiguous float32, Adam, the teacher asked in every step, both networks in the published order of their layers (ReLU,
then pooling, where kdlab.models pools first), and a process of its own, with the memory that torch takes there by
itself. Its start-up and its workers' are not counted. kdlab's: uint8 in memory, a bank of the teacher's logits,
`kdlab.devices.huge_pages`, and the settings that `kdlab.devices.fast` chooses on this machine; then the same in float32
alone (no bfloat16), and with every fast setting off. One thread in both, where the usual loop has the other cores for
its workers; or, with --threads, as many in both, which then share the cores with the workers.

Where it distils, the usual loop runs in kdlab's process as well, with the same settings of memory: these alone make it
faster where a tensor of the teacher's is larger than what the C library keeps.

    python benchmarks/training_speed.py [--short] [--threads 2]

Pictures: glyphs, 3x32x32. What ten epochs of 50,000 pictures take is computed from the measured rates, the bank's
filling included. What else was tried in float32 is timed by float32_variants.py.
"""

import argparse
import contextlib
import functools
import os
from dataclasses import replace
from unittest import mock

import torch
from provenance import write
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image
from turns import BATCH, in_turns, ratio, show

from kdlab import bank, data, devices, models
from kdlab.losses import distillation_loss
from kdlab.training import Knobs, distil

EPOCHS, IMAGES = 10, 50_000  # the experiment of PyTorch's tutorial
ALPHA, TEMPERATURE = 0.25, 2.0
GOALS = {  # those of bfloat16 hold where the hardware computes in it
    "bfloat16": {"tutorial": {"distil": 30, "end to end": 15, "teacher": 3},
                 "article": {"distil": 5, "end to end": 4, "teacher": 3.5}},
    "float32": {"tutorial": {"distil": 16, "end to end": 10}, "article": {"distil": 4, "end to end": 4}},
}
OFF, SAME = "kdlab, every fast setting off", "usual with kdlab's memory"


class Pictures(TensorDataset):
    """A data set as torchvision's CIFAR10 is one: each item is made from a picture when it is asked for."""

    transform = None

    def __getitem__(self, index: int):
        image, label = super().__getitem__(index)
        return self.transform(to_pil_image(image)), label


def to_tensor(dataset) -> transforms.Compose:
    return transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(dataset.mean.tolist(), dataset.std.tolist())]
    )


def published(model):
    """The same network, with the same weights, in the order in which its source prints it: ReLU before a pooling."""
    if not isinstance(model, nn.Sequential):
        return model
    layers = list(model)
    for i, (one, other) in enumerate(zip(model, model[1:])):
        if isinstance(one, nn.MaxPool2d) and isinstance(other, nn.ReLU):
            layers[i : i + 2] = other, one
    return nn.Sequential(*layers).train(model.training)


def usual(model, dataset, teacher=None):
    """The usual loop, endless: yields after each step."""
    model, teacher = published(model), teacher and published(teacher)
    pictures = Pictures(dataset.train.images, dataset.train.labels)
    pictures.transform = to_tensor(dataset)
    draws = RandomSampler(pictures, replacement=True, num_samples=10**7)  # one endless epoch: no start-up in between
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for images, labels in DataLoader(pictures, BATCH, sampler=draws, num_workers=2):
        optimizer.zero_grad()
        logits = model(images)
        if teacher is None:
            loss = F.cross_entropy(logits, labels)
        else:
            with torch.no_grad():
                targets = teacher(images)
            loss = distillation_loss(
                student_logits=logits, teacher_logits=targets, labels=labels, alpha=ALPHA, temperature=TEMPERATURE
            )
        loss.backward()
        optimizer.step()
        yield loss.item()


def elsewhere(loop, *given):
    """That loop in a process of its own, on as many threads, without kdlab's settings of memory; yields per step."""
    start = torch.multiprocessing.get_context("spawn")
    here, there = start.Pipe()
    process = start.Process(target=_serve, args=(there, torch.get_num_threads(), loop, given))
    with mock.patch.dict(os.environ):
        os.environ.pop("THP_MEM_ALLOC_ENABLE", None)
        process.start()
    there.close()  # so that an end of the process is an end of the pipe
    try:
        while True:
            here.send(True)
            yield here.recv()
    finally:
        with contextlib.suppress(OSError):  # it has ended by itself
            here.send(False)
        process.join()


def _serve(pipe, threads: int, loop, given) -> None:
    torch.set_num_threads(threads)
    running = loop(*given)
    while pipe.recv():
        next(running)
        pipe.send(None)
    running.close()


def ours(model, dataset, answers=None, optimizer=torch.optim.Adam, **off):
    """kdlab's loop, endless, with some of its fast settings switched off."""
    settings, knobs = replace(devices.fast(model, "cpu"), **off), Knobs(ALPHA if answers else 0.0, TEMPERATURE, 1e-3)
    options = dict(steps=10**9, batch_size=BATCH, settings=settings, optimizer=optimizer)
    return distil(model, dataset, lambda step: knobs, teacher=answers, **options)


def steps(loop, count: int) -> int:
    for _ in range(count):
        next(loop)
    return count * BATCH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two rounds in place of five")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in both loops (1)")
    given = parser.parse_args()
    short = given.short
    torch.set_num_threads(given.threads)
    devices.huge_pages()
    glyphs = data.load("glyphs", train=6000, test=100)
    has_bf16 = devices.autocast_dtype("cpu") is not None
    ways = {"kdlab": {}, **({"kdlab, float32": {"autocast": None}} if has_bf16 else {}),
            OFF: {"channels_last": False, "autocast": None, "fused": False}}
    goals = {way: GOALS["bfloat16" if has_bf16 and way == "kdlab" else "float32"] for way in ways}
    goals[OFF] = dict.fromkeys(GOALS["float32"], {})
    figures, rates, hours = {}, {}, {}
    for pair in ("tutorial", "article"):
        build = functools.partial(_build, pair)
        teacher = build("teacher").eval()
        answers = bank.fill(teacher, glyphs)
        slow = 8 if pair == "article" else 3  # steps a turn where the teacher works
        tasks = {  # task: (network, steps a turn of the usual loop, of ours, what the usual loop is given, what ours)
            "teacher": ("teacher", slow, slow, None, None),
            "student alone": ("student", 12, 24, None, None),
            "distil": ("student", slow, 24, teacher, answers),
        }
        for task, (role, few, many, theirs, mine) in tasks.items():
            loops = {"usual": (elsewhere(usual, build(role), glyphs, theirs), few)}
            loops |= {way: (ours(build(role), glyphs, mine, **off), many) for way, off in ways.items()}
            if task == "distil":
                loops[SAME] = usual(build(role), glyphs, theirs), few
            found = in_turns({way: functools.partial(steps, *loop) for way, loop in loops.items()}, 2 if short else 5)
            for loop, _ in loops.values():
                loop.close()
            rates[f"{pair}, {task}"] = found
            for way in ways:
                goal = goals[way][pair].get(task)
                figures[f"{pair}, {task}: {way} / usual"] = ratio(found[way], found["usual"], goal)
            if task == "distil":
                figures[f"{pair}, {task}: kdlab / {SAME}"] = ratio(found["kdlab"], found[SAME])
        count, distilling = 500 if pair == "tutorial" else 2000, rates[f"{pair}, distil"]
        fills = {way: functools.partial(_fill, teacher, glyphs, count, **ways[way]) for way in ways if way != OFF}
        filling = rates[f"{pair}, fill"] = in_turns(fills, 2 if short else 5)
        for way, other in [(way, "usual") for way in fills] + [("kdlab", SAME)]:
            seconds = [IMAGES / fill + EPOCHS * IMAGES / rate for fill, rate in zip(filling[way], distilling[way])]
            theirs, goal = [EPOCHS * IMAGES / rate for rate in distilling[other]], goals[way][pair]["end to end"]
            figures[f"{pair}, distil, {EPOCHS} epochs with the bank's filling: {way} / {other}"] = ratio(
                theirs, seconds, goal if other == "usual" else None)
        hours[pair] = {way: _experiment(rates, pair, way, filling["kdlab"]) for way in ("usual", "kdlab")}
        figures[f"{pair}, teacher and both students, {EPOCHS} epochs each: kdlab / usual"] = ratio(
            [1 / s for s in hours[pair]["kdlab"]], [1 / s for s in hours[pair]["usual"]])
    show(figures)
    print(write("training_speed" + f"-{given.threads}-threads" * (given.threads > 1), {
        "batch": BATCH, "threads": given.threads, "bfloat16": has_bf16, "figures": figures, "images_per_second": rates,
        "computed_seconds_of_the_whole_experiment": hours,
        "settings": {pair: str(devices.fast(_build(pair, "student"), "cpu")).splitlines() for pair in hours},
    }))


def _build(pair: str, role: str) -> torch.nn.Module:
    return models.build(f"{pair}-{role}", (3, 32, 32), 10, seed=0)


def _fill(teacher, dataset, count: int, **off) -> int:
    part = data.Dataset("part", dataset.train.subset(slice(count)), dataset.test, dataset.classes)
    bank.fill(teacher, part, settings=replace(devices.fast(teacher, "cpu"), **off))
    return count


def _experiment(rates: dict, pair: str, way: str, filling: list[float]) -> list[float]:
    """Seconds of a teacher, a student alone and a distilled one, ten epochs of 50,000 pictures each, a round each."""
    tasks = [rates[f"{pair}, {task}"][way] for task in ("teacher", "student alone", "distil")]
    fill = [IMAGES / rate if way == "kdlab" else 0.0 for rate in filling]
    return [sum(EPOCHS * IMAGES / rate for rate in rates) + extra for *rates, extra in zip(*tasks, fill)]


if __name__ == "__main__":
    main()
