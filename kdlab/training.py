"""One training loop as a generator of steps; what a step minimises is a method that the loop is given.

Whoever consumes it decides what a step means: a progress bar, a panel, a test. Nothing here draws or evaluates.
"""

import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kdlab import devices, losses
from kdlab.bank import Bank
from kdlab.data import Dataset, augment, batches
from kdlab.files import read_state, unbroken, write_state


@dataclass(frozen=True)
class Knobs:
    """What may differ from step to step, checked once, when it is made; ValueError for a value out of its range.

    alpha, in [0, 1], is the weight of the soft loss, and 1 − alpha that of the labels; temperature and lr are > 0.
    """

    alpha: float = 1.0
    temperature: float = 4.0
    lr: float = 1e-2

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], got {self.alpha}")
        for name in ("temperature", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {getattr(self, name)}")


class Batch(NamedTuple):
    """Normalized images float32 (batch, channels, height, width); labels and places in the split, int64 (batch,)."""

    images: Tensor
    labels: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Step:
    """What the loop says after a step: its number from 1, the method's losses in nats, the knobs that were used.

    `parts` holds the losses as scalars on the training's device; `loss`, `soft` and `hard` read them as floats, and an
    accelerator is waited for only then. `soft` and `hard` are 0 where the method has no such part.
    """

    step: int
    parts: Mapping[str, Tensor]
    alpha: float
    temperature: float
    lr: float
    save: Callable | None = field(default=None, repr=False, compare=False)

    loss = property(lambda self: float(self.parts["loss"]))
    soft = property(lambda self: float(self.parts.get("soft", 0.0)))
    hard = property(lambda self: float(self.parts.get("hard", 0.0)))

    def __str__(self) -> str:
        numbers = {name: float(part) for name, part in self.parts.items()}
        numbers |= {name: getattr(self, name) for name in ("alpha", "temperature", "lr")}
        return f"step {self.step}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def distil(
    student: nn.Module,
    dataset: Dataset,
    knobs: Knobs | Callable[[int], Knobs] = Knobs(),
    *,
    teacher: nn.Module | Bank | None = None,
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    method: Callable[..., Mapping[str, Tensor]] = losses.logits,
    optimizer: Callable[..., torch.optim.Optimizer] = functools.partial(torch.optim.AdamW, weight_decay=0.0),
    settings: devices.Settings | None = None,
    resume: str | Path | None = None,
) -> Iterator[Step]:
    """Trains a student step by step, and yields a record of each.

    A step is never cut in two: Ctrl-C is held back until it is done, and closing the generator leaves the student
    in eval mode with the weights of its last step.

    Args:
        student: on the data set's device; trained in place.
        dataset: its training images, or those of `dataset.only(…)`, feed the steps. `dataset.augmented(…)` shows view e
            of each in epoch e (from 0), to the teacher as well; a bank must hold such views, and goes round.
        knobs: Knobs, whose lr is the peak that `warm_cosine` scales; or a function from a step's number, 1 .. steps, to
            its Knobs, used as they are. It is called once, before the step.
        teacher: a model, asked in each step (in eval mode, without gradients), a Bank of its logits, or None.
        steps: >= 1.
        batch_size: images per step; None takes all of them in every step.
        seed: of the batches' order; not of the weights.
        method: maps (student, Batch, the teacher's answer or None, Knobs) to named scalar losses, of which "loss"
            is minimised. Under bfloat16 answers come in it: a loss wants them in float32. The parameters of a method
            that is a module are trained with the student's.
        optimizer: maps (parameters, lr=…) to an optimizer.
        settings: None takes those of `kdlab.devices.fast`; `devices.Settings()` is plain float32.
        resume: a file of `save_state`, made in a run with these same arguments, to go on after its step; None begins.

    Yields:
        Step.

    Raises:
        ValueError: arguments that do not fit together. IndexError: an image that is not in the bank.
        FloatingPointError: the loss is not finite; an accelerator is asked every 50 steps.
        KeyboardInterrupt: Ctrl-C, between two steps; its argument is the number of the last finished step.
    """
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    weights = [{id(p) for p in x.parameters()} if isinstance(x, nn.Module) else set() for x in (student, teacher)]
    if student is teacher or (weights[0] and weights[0] <= weights[1]):  # a wrapped teacher's, too
        raise ValueError("teacher and student are the same object, so nothing could be learned; build a student")
    device, split, recipe, places = dataset.train.images.device, dataset.train, dataset.recipe, dataset.in_use
    stored = teacher.answers(places, recipe).to(device) if isinstance(teacher, Bank) else None  # (views or 1, n, …)
    order, places = batches(len(places), batch_size, seed=seed, device=device), places.to(device)
    epoch = max(1, len(places) // (batch_size or len(places) or 1))  # its number of steps
    views = steps if stored is None else len(stored)  # a live teacher knows any number, and no epoch is without a step
    at = knobs if callable(knobs) else lambda number: replace(knobs, lr=knobs.lr * warm_cosine(number, steps))
    settings = settings or devices.fast(student, device)
    form = torch.channels_last if settings.channels_last else torch.contiguous_format
    student.to(memory_format=form)
    takes = inspect.signature(optimizer).parameters  # what the caller has chosen of these two stays
    free = "fused" in takes and all(takes[name].default is None for name in ("fused", "foreach") if name in takes)
    trained = [*student.parameters(), *(method.parameters() if isinstance(method, nn.Module) else ())]
    optimizer = optimizer(trained, lr=1.0, **{"fused": True} if free and settings.fused else {})
    held = {"student": student, "optimizer": optimizer} | ({"method": method} if isinstance(method, nn.Module) else {})

    @functools.cache
    def run() -> dict:  # what a state must have been made with
        made = dict(steps=steps, batch_size=batch_size, seed=seed, recipe=recipe and asdict(recipe))
        known = teacher.producer if isinstance(teacher, Bank) else teacher and f"{len(weights[1])} tensors of weights"
        made |= {"teacher": known, "images": f"{len(places)} of {dataset.fingerprint()['order']}"}
        return made | ({} if callable(knobs) else asdict(knobs))

    done = read_state(resume, held, run(), device) if resume else 0
    for _ in range(done):
        next(order)

    def save(number: int, path: str | Path) -> None:
        if number != done:
            raise ValueError(f"the run is at step {done} by now, and the state of step {number} is gone")
        write_state(path, {"step": number, "run": run()} | {x: part.state_dict() for x, part in held.items()}, device)

    try:
        for number in range(done + 1, steps + 1):
            now = at(number)
            with unbroken():
                student.train()
                place, view = next(order), (number - 1) // epoch % views
                indices = places[place]  # (batch,), in the split
                images = split.images.index_select(0, indices)  # row by row, faster than split.images[indices]
                images = augment(images, recipe, indices=indices, view=view) if recipe else images
                images = dataset.normalize(images).contiguous(memory_format=form)  # (batch, channels, height, width)
                # opened in each step: an autocast around the whole loop would keep stale casts of the weights
                with torch.autocast(device.type, settings.autocast, enabled=settings.autocast is not None):
                    targets = _ask(teacher, images) if stored is None else stored[view, place]
                    parts = method(student, Batch(images, split.labels[indices], indices), targets, now)
                loss = parts["loss"]
                if (device.type == "cpu" or number % 50 == 0 or number == steps) and not math.isfinite(loss.item()):
                    raise FloatingPointError(f"the loss is not finite at step {number} with {now}; try a smaller lr")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                for group in optimizer.param_groups:
                    group["lr"] = now.lr
                optimizer.step()
                done = number
            parts = {name: part.detach() for name, part in parts.items()}
            yield Step(number, parts, now.alpha, now.temperature, now.lr, functools.partial(save, number))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(done) from None
    finally:
        student.to(memory_format=torch.contiguous_format).eval()


def save_state(step: Step, path: str | Path) -> None:
    """Writes all that a run needs to go on after its last step: `distil(…, the same arguments, resume=path)`.

    Weights, optimizer, and the states of torch's random numbers; the order of the batches and the learning rate follow
    from the step's number. On the CPU the resumed run is the same bit for bit. The file is whole or the older one.

    Args:
        step: the last that the run has yielded; ValueError for an earlier one.
        path: where to write; its folder is made.
    """
    step.save(path)


def train(
    model: nn.Module, dataset: Dataset, *, lr: float = 3e-3, steps: int, weight_decay: float = 0.0, **options
) -> Iterator[Step]:
    """Trains a model on labels alone: `distil` without a teacher, with AdamW at this peak of the learning rate."""
    optimizer = functools.partial(torch.optim.AdamW, weight_decay=weight_decay)
    return distil(model, dataset, Knobs(alpha=0.0, lr=lr), steps=steps, optimizer=optimizer, **options)


def finish(stepper: Iterable[Step], total: int | None = None) -> list[Step]:
    """Runs a training to its end, and returns its steps, with a progress bar once it takes longer than two seconds.

    Ctrl-C stops it between two steps with one line; the model keeps what it has learnt, and the cell returns. `total`
    is the number of steps, for the bar.
    """
    from tqdm.auto import tqdm

    history = []
    quiet = bool(os.environ.get("TQDM_DISABLE"))  # tqdm's own variable, which its notebook bar does not read
    try:
        with tqdm(total=total, delay=2, mininterval=0.5, leave=False, unit="step", disable=quiet) as bar:
            for step in stepper:
                history.append(step)
                bar.update()
    except KeyboardInterrupt as stop:
        print(f"stopped after step {stop.args[0] if stop.args else len(history)}; the model keeps that state")
    finally:
        if hasattr(stepper, "close"):
            stepper.close()
    return history


def warm_cosine(step: int, steps: int) -> float:
    """The share of the peak learning rate, in (0, 1]: a linear rise over the first tenth, then a cosine towards 0."""
    rise = max(1, round(steps / 10))
    return step / rise if step <= rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise + 1)))


@torch.no_grad()
def _ask(teacher: nn.Module | None, images: Tensor):
    """What a live teacher says; a student that wraps its teacher may have put it into training mode."""
    return teacher.eval()(images) if teacher else None
