"""Training and distilling: kdlab's loop against the usual one, with the same two networks, in turns, in one run.

The usual loop: torchvision's ToTensor and Normalize on each picture, a DataLoader with 2 workers, contiguous float32,
Adam, the teacher asked in every step. Its workers' start-up is not counted. kdlab's: uint8 in memory, a bank of the
teacher's logits, and the settings that `kdlab.devices.fast` chooses on this machine; then the same in float32 alone
(no bfloat16), and with every fast setting off. One thread in both, where the usual loop has the other cores for its
workers; or, with --threads, as many in both, which then share the cores with the workers.

    python benchmarks/training_speed.py [--short] [--threads 2]

Pictures: glyphs, 3x32x32. What ten epochs of 50,000 pictures take is computed from the measured rates, the bank's
filling included.
"""

import argparse
import functools
from dataclasses import replace

import torch
from provenance import write
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
GOALS = {
    "tutorial": {"distil": 30, "end to end": 15, "teacher": 3},
    "article": {"distil": 5, "end to end": 4, "teacher": 3.5},
}


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


def usual(model, dataset, teacher=None):
    """The usual loop, endless: yields after each step."""
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


def ours(model, dataset, answers=None, **off):
    """kdlab's loop, endless, with some of its fast settings switched off."""
    settings, knobs = replace(devices.fast(model, "cpu"), **off), Knobs(ALPHA if answers else 0.0, TEMPERATURE, 1e-3)
    options = dict(steps=10**9, batch_size=BATCH, settings=settings, optimizer=torch.optim.Adam)
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
            "kdlab, every fast setting off": {"channels_last": False, "autocast": None, "fused": False}}
    figures, rates, hours = {}, {}, {}
    for pair in ("tutorial", "article"):
        build = functools.partial(_build, pair)
        teacher = build("teacher").eval()
        answers = bank.fill(teacher, glyphs)
        slow = 8 if pair == "article" else 3  # steps a turn where the teacher works
        tasks = {  # task: (network, steps a turn of the usual loop, of ours, what the usual loop is given, what ours)
            "teacher": ("teacher", slow, slow, {}, {}),
            "student alone": ("student", 12, 24, {}, {}),
            "distil": ("student", slow, 24, {"teacher": teacher}, {"answers": answers}),
        }
        for task, (role, few, many, theirs, mine) in tasks.items():
            loops = {"usual": (usual(build(role), glyphs, **theirs), few)}
            loops |= {way: (ours(build(role), glyphs, **mine, **off), many) for way, off in ways.items()}
            found = in_turns({way: functools.partial(steps, *loop) for way, loop in loops.items()}, 2 if short else 5)
            for loop, _ in loops.values():
                loop.close()
            rates[f"{pair}, {task}"] = found
            for way in ways:
                goal = GOALS[pair].get(task) if way == "kdlab" else None
                figures[f"{pair}, {task}: {way} / usual"] = ratio(found[way], found["usual"], goal)
        filling = in_turns(
            {"fill": functools.partial(_fill, teacher, glyphs, 500 if pair == "tutorial" else 2000)}, 2 if short else 5
        )["fill"]
        usual_seconds = [EPOCHS * IMAGES / rate for rate in rates[f"{pair}, distil"]["usual"]]
        our_seconds = [
            IMAGES / fill + EPOCHS * IMAGES / rate for fill, rate in zip(filling, rates[f"{pair}, distil"]["kdlab"])
        ]
        figures[f"{pair}, distil, {EPOCHS} epochs with the bank's filling: kdlab / usual"] = ratio(
            [1 / s for s in our_seconds], [1 / s for s in usual_seconds], GOALS[pair]["end to end"])
        hours[pair] = {way: _experiment(rates, pair, way, filling) for way in ("usual", "kdlab")}
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


def _fill(teacher, dataset, count: int) -> int:
    bank.fill(teacher, data.Dataset("part", dataset.train.subset(slice(count)), dataset.test, dataset.classes))
    return count


def _experiment(rates: dict, pair: str, way: str, filling: list[float]) -> list[float]:
    """Seconds of a teacher, a student alone and a distilled one, ten epochs of 50,000 pictures each, a round each."""
    tasks = [rates[f"{pair}, {task}"][way] for task in ("teacher", "student alone", "distil")]
    fill = [IMAGES / rate if way == "kdlab" else 0.0 for rate in filling]
    return [sum(EPOCHS * IMAGES / rate for rate in rates) + extra for *rates, extra in zip(*tasks, fill)]


if __name__ == "__main__":
    main()
