"""One training loop as a generator of steps.

Whoever consumes it decides what a step means: a progress bar, a panel, a test. Nothing here draws.
"""

import contextlib
import inspect
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import devices
from kdlab.bank import Bank
from kdlab.data import Dataset, Recipe, augment, batches
from kdlab.evaluation import evaluate
from kdlab.losses import soft_loss


@dataclass
class Knobs:
    """What may be turned while a student trains. The loop reads it once per step.

    Plain floats, so that any thread may set them; each assignment is checked.

    Args:
        alpha: in [0, 1], weight of the soft loss; 1 − alpha weighs the labels.
        temperature: > 0.
        lr: > 0, the peak of the learning rate; the schedule scales it.

    Raises:
        ValueError: a value out of its range.
    """

    alpha: float = 1.0
    temperature: float = 4.0
    lr: float = 1e-2

    def __setattr__(self, name: str, value: float) -> None:
        if name == "alpha" and not 0 <= value <= 1:
            raise ValueError(f"alpha must be in [0, 1], got {value}")
        if name in ("temperature", "lr") and not 0 < value < math.inf:
            raise ValueError(f"{name} must be > 0 and finite, got {value}")
        super().__setattr__(name, float(value))


@dataclass(frozen=True)
class Step:
    """What the loop says after a step: its number from 1, the losses in nats, the knobs that were used.

    `loss` is alpha · soft + (1 − alpha) · hard; `soft` contains T² and is 0 without a teacher; `lr` is the rate
    after the schedule; `accuracy` is the test accuracy in [0, 1], or None where it was not evaluated.
    """

    step: int
    loss: float
    soft: float
    hard: float
    alpha: float
    temperature: float
    lr: float
    accuracy: float | None = None


def distil(
    student: nn.Module,
    dataset: Dataset,
    knobs: Knobs,
    *,
    teacher: nn.Module | Bank | None,
    steps: int,
    batch_size: int | None = None,
    indices: Tensor | None = None,
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
    augmented: bool | Recipe = False,
    seed: int = 0,
    evaluate_every: int = 0,
    record_every: int = 1,
    optimizer: Callable = torch.optim.AdamW,
    schedule: Callable[[int, int], float] | None = None,
    settings: devices.Settings | None = None,
) -> Iterator[Step]:
    """Trains a student step by step, and yields a record of each.

    A step is never cut in two: Ctrl-C is held back until it is done, and closing the generator leaves the student
    in eval mode with the weights of its last step.

    Args:
        student: on the data set's device; trained in place.
        dataset: its training split feeds the steps, its test split the evaluations.
        knobs: read once per step, may be changed between steps.
        teacher: a model that is asked in each step (always in eval mode, without gradients), a Bank with its
            logits, or None for labels alone.
        steps: number of steps, >= 1.
        batch_size: images per step; None takes all of them in every step.
        indices: int64 (n,), the images of the training split to use; None for all.
        weight_decay, optimizer: as torch.optim has them; the optimizer gets lr and weight_decay.
        label_smoothing: in [0, 1), of the hard loss.
        augmented: shows view e of each image in epoch e (from 0), and the teacher the same. True takes
            `dataset.recipe(seed)`. A bank must hold views made by this recipe; it is gone through in turn.
        seed: of the batches' order and, with augmented=True, of the views; not of the weights.
        evaluate_every: evaluates on the test split each so many steps, where the step is recorded, and after the last
            one; 0 for never.
        record_every: yields each so many steps and the last one; larger values spare an accelerator the waiting.
        schedule: maps (step, steps) to the share of knobs.lr; None for `warm_cosine`.
        settings: memory format, precision and optimizer; None for those of `kdlab.devices.fast`,
            `devices.Settings()` for plain float32.

    Yields:
        Step.

    Raises:
        ValueError: arguments that do not fit together. IndexError: an image that is not in the bank.
        FloatingPointError: the loss is not finite; the message names step and knobs.
        KeyboardInterrupt: Ctrl-C, between two steps; its argument is the number of the last finished step.
    """
    if steps < 1 or record_every < 1:
        raise ValueError(f"steps and record_every must be >= 1, got {steps} and {record_every}")
    recipe = dataset.recipe(seed) if augmented is True else augmented or None
    if isinstance(teacher, Bank):
        if teacher.split != "train":
            raise ValueError(f"a student trains on the training split, and this bank holds the {teacher.split} split")
        _check_recipe(teacher.recipe, recipe)
    device = dataset.train.images.device
    chosen = torch.arange(len(dataset.train)) if indices is None else indices.cpu()
    order = batches(len(chosen), batch_size, seed=seed, device=device)
    stored = _look_up(teacher, chosen, device) if isinstance(teacher, Bank) else None  # (views or 1, n, classes)
    chosen = chosen.to(device)
    settings = settings or devices.fast(student, device)
    schedule = schedule or warm_cosine
    if settings.channels_last:
        student.to(memory_format=torch.channels_last)
    fused = {"fused": True} if settings.fused and "fused" in inspect.signature(optimizer).parameters else {}
    epoch = max(1, len(chosen) // (batch_size or len(chosen) or 1))  # its number of steps
    views = steps if stored is None else len(stored)  # a live teacher knows any number, and no epoch is without a step
    optimizer = optimizer(student.parameters(), lr=knobs.lr, weight_decay=weight_decay, **fused)
    done = 0
    try:
        for number in range(1, steps + 1):
            now = Knobs(knobs.alpha, knobs.temperature, knobs.lr)
            lr = now.lr * schedule(number, steps)
            with unbroken():
                student.train()
                place = next(order)  # (batch,), places in `chosen`
                images, labels = dataset.train.images[chosen[place]], dataset.train.labels[chosen[place]]
                view = (number - 1) // epoch % views
                if recipe:
                    images = augment(images, recipe, indices=chosen[place], view=view)
                if settings.channels_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                images = dataset.normalize(images)  # (batch, channels, height, width)
                # around the forward pass alone: one autocast around the loop would keep stale casts of the weights
                with torch.autocast(device.type, settings.autocast, enabled=settings.autocast is not None):
                    targets = _ask(teacher, images) if stored is None else stored[view, place]
                    logits = student(images)  # (batch, classes)
                logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bfloat16 is too coarse for a loss
                hard = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
                soft = torch.zeros_like(hard) if targets is None else soft_loss(logits, targets, now.temperature)
                loss = hard if targets is None else now.alpha * soft + (1 - now.alpha) * hard
                recorded = number % record_every == 0 or number == steps
                values = torch.stack([loss, soft, hard]).tolist() if recorded else ()
                if not all(map(math.isfinite, values)):
                    raise FloatingPointError(f"the loss is not finite at step {number} with {now}; try a smaller lr")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.step()
                done = number
            if recorded:
                looked = evaluate_every and (number % evaluate_every == 0 or number == steps)
                accuracy = evaluate(student, dataset).accuracy if looked else None
                yield Step(number, *values, now.alpha, now.temperature, lr, accuracy)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(done) from None
    finally:
        student.to(memory_format=torch.contiguous_format).eval()


def train(model: nn.Module, dataset: Dataset, *, lr: float = 3e-3, steps: int, **options) -> Iterator[Step]:
    """Trains a model on labels alone: `distil` without a teacher, with its other arguments and its records.

    Args:
        lr: peak of the learning rate, > 0.
    """
    return distil(model, dataset, Knobs(alpha=0.0, lr=lr), teacher=None, steps=steps, **options)


def finish(stepper: Iterable[Step], total: int | None = None) -> list[Step]:
    """Runs a training to its end, with a progress bar once it takes longer than two seconds.

    Ctrl-C stops it between two steps with one line; the model keeps what it has learnt, and the cell returns.

    Args:
        stepper: what `distil` or `train` returned.
        total: number of steps, for the bar.

    Returns:
        The steps that were yielded.
    """
    from tqdm.auto import tqdm

    history, last = [], None
    quiet = bool(os.environ.get("TQDM_DISABLE"))  # tqdm's own variable, which its notebook bar does not read
    try:
        with tqdm(total=total, delay=2, mininterval=0.5, leave=False, unit="step", disable=quiet) as bar:
            for step in stepper:
                history.append(step)
                last = step[0] if isinstance(step, tuple) else step  # of several students
                bar.update(last.step - bar.n)  # not every step need be recorded
    except KeyboardInterrupt as stop:
        done = stop.args[0] if stop.args else last.step if last else 0
        print(f"stopped after step {done}; the model keeps that state")
    finally:
        if hasattr(stepper, "close"):
            stepper.close()
    return history


def warm_cosine(step: int, steps: int) -> float:
    """The share of the peak learning rate: a linear rise over the first tenth, then a cosine towards zero.

    Args:
        step: from 1 to steps.
        steps: >= 1.

    Returns:
        In (0, 1].
    """
    rise = max(1, round(steps / 10))
    if step <= rise:
        return step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise + 1)))


def _ask(teacher: nn.Module | None, images: Tensor) -> Tensor | None:
    """A live teacher's logits (batch, classes)."""
    if teacher is None:
        return None
    teacher.eval()  # a student that wraps its teacher may have put it into training mode
    with torch.no_grad():
        return teacher(images).float()


def _check_recipe(banked: Recipe | None, wanted: Recipe | None) -> None:
    """Refuses to show a student other images than those that a bank's logits belong to."""
    if wanted and not banked:
        raise ValueError(
            "a bank of the plain images cannot answer for augmented ones; fill one with views, or pass the teacher itself"
        )
    if banked and not wanted:
        raise ValueError("this bank holds the logits of augmented views; pass augmented=bank.recipe to train on them")
    if banked and banked != wanted:
        pairs = [(key, value, getattr(wanted, key)) for key, value in vars(banked).items()]
        differing = ", ".join(f"{key} {a} in place of {b}" for key, a, b in pairs if a != b)
        raise ValueError(f"the bank's views were made with {differing}; pass augmented=bank.recipe, or fill it again")


def _look_up(bank: Bank, chosen: Tensor, device: torch.device) -> Tensor:
    views = range(bank.views) if bank.recipe else [None]
    return torch.stack([bank.lookup(chosen, view) for view in views]).to(device)


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Holds Ctrl-C back until its block is done; other threads do not receive it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
