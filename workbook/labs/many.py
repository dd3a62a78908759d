"""Many students of one architecture trained at once, each with its own knobs, weights and data.

The loop is `training.distil`: it trains a stack of all students, by a method that gives each its own loss.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import losses, training
from kdlab.bank import Bank
from kdlab.data import Dataset, batches
from kdlab.training import Knobs

_LAYERS = (nn.Linear, nn.Flatten, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Identity)
_BUSY = 1e8  # multiply-adds of one student's forward pass from which a stack gains nothing; measured, see `how`


def how(student: nn.Module, images: int) -> tuple[str, str]:
    """Which way is faster for students of this kind, and why.

    Measured on one thread with 25 students: at once 6 to 20 times faster below a million multiply-adds a step, 1.4
    times at 15 million, 0.8 times at 300 million; for CNNs torch.func.vmap gave 0.8 to 1.3 times the speed.

    Args:
        student: one of them.
        images: per step.

    Returns:
        ("at once" or "one by one", the reason in a sentence).
    """
    if kind := _foreign(student):
        return "one by one", f"only linear and elementwise layers gain by a batched product, and there is {kind}"
    work = images * sum(layer.weight.numel() for layer in student if type(layer) is nn.Linear)
    if work > _BUSY:
        return "one by one", f"with {work / 1e6:.0f} million multiply-adds a step, one student keeps the processor busy"
    return "at once", "its steps are small: the time goes into calls, and a batched product is one call for all"


@dataclass(frozen=True)
class Steps:
    """What is said after a step of all students: its number from 1, and their losses in nats.

    `parts` maps "loss", "soft" and "hard" to a tensor (students,) on the training's device, which is waited for only
    when somebody reads them.
    """

    step: int
    parts: Mapping[str, Tensor]


def distil(
    students: Sequence[nn.Module],
    dataset: Dataset | Sequence[Dataset],
    knobs: Sequence[Knobs],
    *,
    teacher: Bank | Sequence[Bank],
    steps: int,
    batch_size: int | None = None,
    weight_decay: float = 0.0,
    seed: int | Sequence[int] = 0,
    way: str | None = None,
) -> Iterator[Steps]:
    """Trains many students step by step, as `training.distil` trains each, and yields a record of each step.

    The weights are stacked, one matrix product a layer serves all students, and the sum of their losses gives each
    its own gradient; AdamW works on each number by itself. In float64 the weights agree with one by one to 1e-10.
    Closing the generator leaves all students in eval mode with the weights of their last step.

    Args:
        students: of one architecture, on the data set's device, each a module of its own; trained in place.
        dataset: one for all, or one for each student, of the same shape; `dataset.only(…)` says which images it uses.
        knobs: one for each student; alpha = 0 is a student alone, and lr the peak that `warm_cosine` scales.
        teacher: a bank for all, or one for each student.
        steps, batch_size: as in `training.distil`.
        weight_decay: of AdamW.
        seed: of the batches' order, one for all or one for each student.
        way: "at once" or "one by one"; None takes what `how` says.

    Raises:
        ValueError: arguments that do not fit together. IndexError: an image that is not in the bank.
        FloatingPointError: a loss is not finite; the message names step, student and knobs.
        KeyboardInterrupt: Ctrl-C, between two steps; its argument is the number of the last finished step.
    """
    if not students or len(knobs) != len(students):
        raise ValueError(f"there must be one Knobs for each student, got {len(students)} students, {len(knobs)} knobs")
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    if len(set(students)) < len(students) or len({repr(student) for student in students}) > 1:
        raise ValueError("students must be of one architecture, and each a module of its own")
    data, banks, seeds = (_one_each(given, len(students)) for given in (dataset, teacher, seed))
    if not all(type(bank) is Bank for bank in banks):
        raise ValueError("each teacher must be a Bank; make it once with kdlab.bank.fill")
    if any(bank.split != "train" for bank in banks):
        raise ValueError("students train on the training split, and a bank here holds another")
    numbers = {len(one.in_use) for one in data}
    (best, why), possible = how(students[0], min(batch_size or max(numbers), max(numbers))), not _foreign(students[0])
    if any(one.recipe for one in data) or len({min(batch_size or n, n) for n in numbers}) > 1:
        best, why, possible = "one by one", "students at once see equally many plain images in each step", False
    if way not in (None, "at once", "one by one") or (way == "at once" and not possible):
        raise ValueError(f"way must be 'at once', 'one by one' or None, got {way!r} where {why}")
    each = list(zip(students, data, banks, seeds, knobs))
    return (_at_once if (way or best) == "at once" else _one_by_one)(each, steps, batch_size, weight_decay)


def _one_by_one(each: list[tuple], steps: int, batch_size: int | None, weight_decay: float) -> Iterator[Steps]:
    adamw = functools.partial(torch.optim.AdamW, weight_decay=weight_decay)
    options = dict(steps=steps, batch_size=batch_size, optimizer=adamw)
    with contextlib.ExitStack() as running:
        steppers = [training.distil(s, d, k, teacher=b, seed=n, **options) for s, d, b, n, k in each]
        for stepper in steppers:
            running.enter_context(contextlib.closing(stepper))
        for all_of_them in zip(*steppers):
            parts = {name: torch.stack([step.parts[name] for step in all_of_them]) for name in ("loss", "soft", "hard")}
            yield Steps(all_of_them[0].step, parts)


def _at_once(each: list[tuple], steps: int, batch_size: int | None, weight_decay: float) -> Iterator[Steps]:
    students, data, banks, seeds, knobs = zip(*each)
    like, peak = next(students[0].parameters()), max(k.lr for k in knobs)
    rows = [(k.alpha, k.temperature, k.lr / peak) for k in knobs]
    alpha, heat, share = torch.tensor(rows, dtype=torch.float64).to(like).unbind(1)  # (students,) each
    feed, said = _feed(data, banks, seeds, batch_size, like), {}

    def method(stack: _Stack, batch, targets, now) -> dict[str, Tensor]:
        images, labels, targets = next(feed)
        logits, targets = stack(images).permute(1, 2, 0), targets.permute(1, 2, 0)  # (batch, classes, students)
        soft = losses.soft_term(logits, targets, heat)  # (students,)
        hard = F.cross_entropy(logits, labels.T, reduction="none").mean(0)
        said["loss"], said["step"] = losses.mixed(soft, hard, alpha), said.get("step", 0) + 1  # (students,)
        return {"loss": said["loss"].sum(), "each": said["loss"], "soft": soft, "hard": hard}

    adamw = functools.partial(torch.optim.AdamW, weight_decay=weight_decay)
    if min(rows, key=lambda row: row[2])[2] < 1:
        adamw = functools.partial(_Shares, share=share, weight_decay=weight_decay)
    own = data[0].only(torch.zeros(1, dtype=torch.int64))  # the loop's own batch, which nobody looks at
    options = dict(steps=steps, method=method, optimizer=adamw)
    run = training.distil(_Stack(students), own, replace(knobs[0], lr=peak), **options)
    try:
        for student in students:
            student.train()
        for step in run:
            yield Steps(step.step, {"loss": step.parts["each"], "soft": step.parts["soft"], "hard": step.parts["hard"]})
    except FloatingPointError:
        bad = int((~said["loss"].isfinite()).nonzero()[0])
        where = f"student {bad} is not finite at step {said['step']} with {knobs[bad]}"
        raise FloatingPointError(f"the loss of {where}; try a smaller lr") from None
    finally:
        run.close()
        for student in students:
            for weight in student.eval().parameters():
                weight.data = weight.data.clone()  # its own memory again, not a part of everyone's


class _Stack(nn.Module):
    """Everyone's weights, a tensor (students, …) for each of a student's, which are views of it from then on."""

    def __init__(self, students: Sequence[nn.Sequential]):
        super().__init__()
        self.layers = list(students[0])  # a list, so that their weights are not among the stack's
        together = zip(*(student.parameters() for student in students))
        self.weights = nn.ParameterList(torch.stack([w.detach() for w in same]) for same in together)
        for i, student in enumerate(students):
            for own, all_of_them in zip(student.parameters(), self.weights):
                own.data = all_of_them.data[i]

    def forward(self, x: Tensor) -> Tensor:  # (students, batch, …)
        weights = iter(self.weights)
        for layer in self.layers:
            if type(layer) is nn.Linear:
                w = next(weights).mT  # (students, in, out)
                x = torch.bmm(x, w) if layer.bias is None else torch.baddbmm(next(weights)[:, None], x, w)
            else:
                x = x.flatten(2) if type(layer) is nn.Flatten else layer(x)
        return x


class _Shares(torch.optim.AdamW):
    """AdamW's move is proportional to lr: each student goes its share (students,) of the move at the largest lr."""

    def __init__(self, parameters, share: Tensor, lr: float, weight_decay: float, fused: bool | None = None):
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
        self.share = share

    def step(self) -> None:
        weights = [w for group in self.param_groups for w in group["params"]]
        start = [w.detach().clone() for w in weights]
        super().step()
        for w, old in zip(weights, start):
            w.data.copy_(old.lerp(w.data, self.share.view(-1, *[1] * (w.dim() - 1))))


def _feed(data, banks, seeds, batch_size: int | None, like: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Images, labels and targets (students, batch, …); students with the same images, bank and seed share a source."""
    sources, which, whole = {}, [], True
    for dataset, bank, seed in zip(data, banks, seeds):
        key = (id(dataset.train), id(bank), seed, tuple(dataset.in_use.tolist()))
        sources.setdefault(key, _source(dataset, bank, seed, batch_size, like))
        which.append(list(sources).index(key))
        whole = whole and (batch_size or len(dataset.in_use)) >= len(dataset.in_use)
    count, which = len(which), torch.tensor(which, device=like.device)

    def batch() -> tuple[Tensor, ...]:
        parts = [torch.stack(part) for part in zip(*map(next, sources.values()))]  # (sources, batch, …)
        return tuple(p.expand(count, *p.shape[1:]) if len(p) == 1 else p[which] for p in parts)

    return itertools.repeat(batch()) if whole else (batch() for _ in itertools.count())


def _source(dataset, bank, seed, batch_size, like) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    stored, places = bank.lookup(dataset.in_use).to(like), dataset.in_use.to(like.device)  # (n, classes), (n,)
    for place in batches(len(places), batch_size, seed=seed, device=like.device):
        part = dataset.train.subset(places[place])
        yield dataset.normalize(part.images).to(like.dtype), part.labels, stored[place]


def _foreign(student: nn.Module) -> str:
    """The first part that a stack cannot do for all students, or an empty text."""
    if type(student) is not nn.Sequential:
        return type(student).__name__
    return next((type(layer).__name__ for layer in student if type(layer) not in _LAYERS), "")


def _one_each(given, count: int) -> list:
    if isinstance(given, Sequence) and len(given) != count:
        said = "dataset, teacher and seed must be one for all or one for each"
        raise ValueError(f"{said} of {count} students, got {len(given)}")
    return list(given) if isinstance(given, Sequence) else [given] * count
