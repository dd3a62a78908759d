"""Sections on training: PyTorch's tutorial, a strong teacher, the ResNet pair, and many students of the digits.

The loop is kdlab.training's, or on a GPU of NVIDIA that of replay.py; the data set lies on the device.
"""

import copy
import functools
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import bank, data, devices, losses, models, training
from kdlab.data import Dataset
from kdlab.evaluation import evaluate, paired_difference
from kdlab.training import Knobs
from workbook.labs import many
from workbook.record import replay
from workbook.record.sheet import Clock, LeftOut, Size, first_line

BATCH = 128
ADAM = torch.optim.Adam
SGD = functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=5e-4)
PUBLISHED = {"seconds": 452.8, "teacher": 75.1, "alone": 69.86, "soft targets": 70.8}


def fit(model: nn.Module, dataset: Dataset, knobs, *, steps: int, **options) -> dict:
    """Trains a model in place and judges it: {"seconds" of the training alone, "percent" on the test split, "way"}."""
    device, way, error = dataset.train.images.device, "kdlab's loop", ""
    untouched = copy.deepcopy((model, options.get("method"))) if _records(device) else None
    devices.synchronize(device)
    start = time.perf_counter()
    if untouched:
        try:
            replay.distil(model, dataset, knobs, steps=steps, **options)
            way = "one CUDA graph a step"
        except RuntimeError as failed:
            error = f"a step could not be recorded: {first_line(failed)}"
            model.load_state_dict(untouched[0].state_dict())
            options |= {"method": untouched[1]} if untouched[1] is not None else {}
            start = time.perf_counter()
    if way == "kdlab's loop":
        for _ in training.distil(model, dataset, knobs, steps=steps, **options):
            pass
    devices.synchronize(device)
    seconds = time.perf_counter() - start
    found = {"seconds": seconds, "percent": 100 * evaluate(model, dataset).accuracy, "way": way, "steps": steps}
    return found | ({"said": error} if error else {})


def _records(device: torch.device) -> bool:
    return device.type == "cuda"


def gain(treated: list[float], control: list[float]) -> dict | None:
    """The paired difference in points with its interval; None for fewer than two pairs, or without scipy."""
    try:
        return paired_difference(treated, control)._asdict() if len(control) > 1 else None
    except ImportError:
        return None


class Cosine:
    """The tutorial's second loss: 1 − cosine between the flattened maps, the teacher's averaged in pairs."""

    def __call__(self, student: nn.Sequential, batch, targets: Tensor, knobs: Knobs) -> dict[str, Tensor]:
        maps, answer = _both(student, batch.images)
        taught = F.avg_pool1d(targets.flatten(1).float(), 2)  # (batch, 1024)
        soft = (1 - F.cosine_similarity(maps.flatten(1), taught)).mean()
        return _parts(soft, answer, batch, knobs)


class Regressor(nn.Module):
    """The tutorial's third loss: the student's maps, through a convolution of its own, against the teacher's (MSE)."""

    def __init__(self, seed: int, device: torch.device):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.widen = nn.Conv2d(16, 32, 3, padding=1).to(device)

    def forward(self, student: nn.Sequential, batch, targets: Tensor, knobs: Knobs) -> dict[str, Tensor]:
        maps, answer = _both(student, batch.images)
        soft = F.mse_loss(self.widen(maps).float(), targets.float())
        return _parts(soft, answer, batch, knobs)


def maps_of(network: nn.Sequential) -> nn.Sequential:
    """What stands before the flattening: pictures → the last maps, (batch, channels, 8, 8)."""
    return network[: next(i for i, layer in enumerate(network) if isinstance(layer, nn.Flatten))]


def _both(student: nn.Sequential, images: Tensor) -> tuple[Tensor, Tensor]:
    body = maps_of(student)
    maps = body(images)
    return maps.float(), student[len(body) :](maps).float()


def _parts(soft: Tensor, answer: Tensor, batch, knobs: Knobs) -> dict[str, Tensor]:
    hard = F.cross_entropy(answer, batch.labels)
    return {"loss": losses.mixed(soft, hard, knobs.alpha), "soft": soft, "hard": hard}


def tutorial(device: torch.device, clock: Clock, size: Size, cifar: Dataset) -> Iterator[dict]:
    """PyTorch's knowledge distillation tutorial: a teacher and four students, then the students of further seeds.

    Adam, 1e-3, batches of 128, ten epochs, no augmentation, T = 2, 0.25 to 0.75 of the losses; the teacher is asked
    once for its logits, and in each step for its maps.

    Yields:
        {"five_seconds": of the five trainings of the first seed, the bank's filling counted, "runs": name → a result
        of `fit` for each seed, "gains": name → the paired difference to the student alone}.

    Source: PyTorch, "Knowledge Distillation Tutorial"; its figures stand in "published".
    """
    knobs = Knobs(0.25, 2.0, 1e-3)
    steps = size.epochs * (len(cifar.train) // BATCH)
    options = dict(steps=steps, batch_size=BATCH, optimizer=ADAM)
    build = functools.partial(models.build, shape=cifar.shape, classes=len(cifar.classes))
    found = {"published": PUBLISHED, "images": len(cifar.train), "epochs": size.epochs, "runs": {}, "gains": {}}
    teacher = build("tutorial-teacher", seed=0).to(device)
    ran = found["runs"]
    ran["teacher"] = [fit(teacher, cifar, lambda step: Knobs(0.0, 1.0, 1e-3), seed=0, **options)]
    start = time.perf_counter()
    answers = bank.fill(teacher, cifar)
    devices.synchronize(device)
    found["bank_seconds"] = time.perf_counter() - start
    yield found
    for seed in range(size.seeds):
        ways: dict[str, tuple[object, Callable]] = {
            "alone": (None, losses.logits), "soft targets": (answers, losses.logits),
            "cosine": (maps_of(teacher), Cosine()), "regressor": (maps_of(teacher), Regressor(seed, device)),
        }
        for name, (asked, method) in ways.items():
            if seed:
                clock.need(1.2 * ran[name][-1]["seconds"], f"seed {seed} of the tutorial's student, {name},")
            student = build("tutorial-student", seed=seed).to(device)
            used = knobs if asked is not None else Knobs(0.0, 1.0, 1e-3)
            result = fit(student, cifar, lambda step, used=used: used, teacher=asked, method=method, seed=seed,
                         **options)
            ran.setdefault(name, []).append(result)
        if not seed:
            found["five_seconds"] = found["bank_seconds"] + sum(runs[0]["seconds"] for runs in ran.values())
        for name in list(ways)[1:]:
            found["gains"][name] = gain(*([run["percent"] for run in ran[which]] for which in (name, "alone")))
        yield found


def strong(device: torch.device, clock: Clock, size: Size, cifar: Dataset) -> Iterator[dict]:
    """A teacher as good as time allows: how many seconds to which accuracy, by the number of epochs.

    A ResNet, SGD with Nesterov's momentum, batches of 512, crops and flips, labels smoothed by 0.1.

    Yields {"runs": a result of `fit` each, with the network's name and its epochs}.
    """
    found: dict = {"runs": []}
    method = functools.partial(losses.logits, label_smoothing=0.1)
    for name, epochs in size.strong:
        model = models.build(name, cifar.shape, len(cifar.classes), seed=0).to(device)
        batch = min(512, len(cifar.train))
        if found["runs"]:
            last = found["runs"][-1]
            clock.need(1.1 * last["seconds"] * epochs / last["epochs"], f"{name} with {epochs} epochs")
        result = fit(model, cifar.augmented(0), Knobs(0.0, 1.0, 0.3), steps=epochs * (len(cifar.train) // batch),
                     batch_size=batch, optimizer=SGD, method=method)
        found["runs"].append({"network": name, "epochs": epochs} | result)
        yield found


def resnets(device: torch.device, clock: Clock, size: Size, cifar: Dataset) -> Iterator[dict]:
    """ResNet-20, trained with crops and flips on all images, teaches ResNet-8, which sees a part of them.

    Yields {"teacher": a result of `fit`, "runs": "alone" and "distilled" → one for each seed, "gain": paired}.
    """
    build = functools.partial(models.build, shape=cifar.shape, classes=len(cifar.classes))
    teacher = build("resnet20", seed=0).to(device)
    found: dict = {"student_images": size.student_images, "runs": {"alone": [], "distilled": []}}
    found["teacher"] = fit(teacher, cifar.augmented(0), Knobs(0.0, 1.0, 0.1), batch_size=BATCH, optimizer=SGD,
                           steps=size.teacher_epochs * (len(cifar.train) // BATCH))
    answers = bank.fill(teacher, cifar)
    yield found
    steps = size.student_epochs * (size.student_images // BATCH)
    for seed in range(size.seeds):
        seen = torch.randperm(len(cifar.train), generator=torch.Generator().manual_seed(seed))[: size.student_images]
        for name, runs in found["runs"].items():
            if seed:
                clock.need(1.2 * runs[-1]["seconds"], f"seed {seed} of ResNet-8, {name},")
            student = build("resnet8", seed=seed).to(device)
            knobs, asked = (Knobs(0.0, 1.0, 0.1), None) if name == "alone" else (Knobs(0.9, 4.0, 0.1), answers)
            runs.append(fit(student, cifar.only(seen), knobs, teacher=asked, steps=steps, batch_size=BATCH, seed=seed,
                            optimizer=SGD))
        found["gain"] = gain(*([run["percent"] for run in found["runs"][name]] for name in ("distilled", "alone")))
        yield found


def students(device: torch.device, clock: Clock, size: Size) -> Iterator[dict]:
    """The digits' headline with many students at once: half of them alone, half distilled, each pair with 50 digits.

    Yields:
        {"by": number → {"students": as many as make pairs, "seconds", "one_by_one_seconds": of as many, from a few that
        were timed, "percent": "alone" and "distilled" → mean, "gain": the paired difference in points}}.
    """
    try:
        digits = data.load("digits").to(device)
    except ImportError:
        raise LeftOut("the digits come with scikit-learn, which is not installed here") from None
    teacher = models.build("mlp-512-512", digits.shape, 10, seed=0).to(device)
    for _ in training.train(teacher, digits, steps=200, batch_size=64, weight_decay=1e-2):
        pass
    answers, steps = bank.fill(teacher, digits), 300
    found: dict = {"teacher_percent": 100 * evaluate(teacher, digits).accuracy, "by": {}}

    def run(count: int, way: str) -> tuple[float, dict[str, list[float]]]:
        pairs = max(1, count // 2)
        draws = (torch.Generator().manual_seed(i) for i in range(pairs))
        sets = [digits.only(torch.randperm(len(digits.train), generator=draw)[:50]) for draw in draws]
        group = [models.build("mlp-32", digits.shape, 10, seed=i).to(device) for i in range(pairs) for _ in range(2)]
        devices.synchronize(device)
        start = time.perf_counter()
        for _ in many.distil(group, [one for one in sets for _ in range(2)], [Knobs(0.0), Knobs()] * pairs,
                             teacher=answers, steps=steps, way=way):
            pass
        devices.synchronize(device)
        seconds = time.perf_counter() - start
        percent = [100 * evaluate(student, digits).accuracy for student in group]
        return seconds, {"alone": percent[::2], "distilled": percent[1::2]}

    run(4, "at once")  # what is loaded at a first call is not counted
    few = run(4, "one by one")[0] / 4
    last = (size.students[0], 4 * few)
    for count in size.students:
        clock.need(2 * last[1] * count / last[0], f"{count} students")
        start = time.perf_counter()
        seconds, percent = run(count, "at once")
        last = (count, time.perf_counter() - start)
        found["by"][str(count)] = {
            "students": 2 * (count // 2), "seconds": seconds, "one_by_one_seconds": few * 2 * (count // 2),
            "percent": {name: statistics.fmean(values) for name, values in percent.items()},
            "gain": gain(percent["distilled"], percent["alone"]),
        }
        yield found
