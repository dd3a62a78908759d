"""Many students of one architecture trained at once, each with its own knobs, weights and data.

The recipe is that of `training.distil`, step for step: this module only does a step for all students together.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from kdlab import training
from kdlab.bank import Bank
from kdlab.data import Dataset, batches
from kdlab.evaluation import evaluate
from kdlab.training import Knobs, Step, unbroken, warm_cosine

_LAYERS = (nn.Linear, nn.Flatten, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Identity)
_BUSY = 1e8  # multiply-adds of one student's forward pass from which a stack gains nothing; measured, see `how`


def how(student: nn.Module, images: int) -> tuple[str, str]:
    """Which way is faster for students of this kind, and why.

    Measured on one thread with 25 students: at once 6 to 20 times faster below a million multiply-adds a step, 1.4 times
    at 15 million, 0.8 times at 300 million; for CNNs torch.func.vmap gave 0.8 to 1.3 times the speed of one by one.

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
    return "at once", "its steps are small: the time goes into calls, and a batched product is one call for all students"


def distil(
    students: Sequence[nn.Module],
    dataset: Dataset | Sequence[Dataset],
    knobs: Sequence[Knobs],
    *,
    teacher: Bank | Sequence[Bank],
    steps: int,
    batch_size: int | None = None,
    indices: Tensor | None = None,
    weight_decay: float = 0.0,
    seed: int | Sequence[int] = 0,
    evaluate_every: int = 0,
    record_every: int = 1,
    way: str | None = None,
) -> Iterator[tuple[Step, ...]]:
    """Trains many students step by step, as `training.distil` trains each, and yields a record of each step.

    The weights are stacked, one matrix product a layer serves all students, and the sum of their losses gives each
    its own gradient; AdamW works on each number by itself. In float64 the weights agree with one by one to 1e-10.
    Closing the generator leaves all students in eval mode with the weights of their last step.

    Args:
        students: of one architecture, on the data set's device, each a module of its own; trained in place.
        dataset: one for all, or one for each student, of the same shape.
        knobs: one for each student, read once per step; alpha = 0 is a student alone.
        teacher: a bank for all, or one for each student.
        steps, batch_size, weight_decay, evaluate_every, record_every: as in `training.distil`.
        indices: int64 (n,) for all, or (students, n): the images of the training split to use; None for all images.
        seed: of the batches' order, one for all or one for each student.
        way: "at once" or "one by one"; None takes what `how` says.

    Yields:
        A tuple with a Step for each student.

    Raises:
        ValueError: arguments that do not fit together. IndexError: an image that is not in the bank.
        FloatingPointError: a loss is not finite; the message names step, student and knobs.
        KeyboardInterrupt: Ctrl-C, between two steps; its argument is the number of the last finished step.
    """
    if not students or len(knobs) != len(students):
        raise ValueError(f"there must be one Knobs for each student, got {len(students)} students, {len(knobs)} knobs")
    if steps < 1 or record_every < 1:
        raise ValueError(f"steps and record_every must be >= 1, got {steps} and {record_every}")
    if len(set(students)) < len(students) or len({repr(student) for student in students}) > 1:
        raise ValueError("students must be of one architecture, and each a module of its own")
    data, banks, seeds = (_one_each(given, len(students)) for given in (dataset, teacher, seed))
    if not all(type(bank) is Bank for bank in banks):
        raise ValueError("each teacher must be a Bank; make it once with kdlab.bank.fill")
    if any(bank.split != "train" for bank in banks):
        raise ValueError("students train on the training split, and a bank here holds another")
    chosen = torch.arange(len(data[0].train)) if indices is None else indices.cpu()  # (n,) or (students, n)
    if chosen.dim() > 1 and len(chosen) != len(students):
        raise ValueError(f"indices must be (n,) or ({len(students)}, n), got {tuple(chosen.shape)}")
    chosen = chosen.expand(len(students), -1)
    options = dict(steps=steps, batch_size=batch_size, weight_decay=weight_decay)
    options |= dict(evaluate_every=evaluate_every, record_every=record_every)
    best, why = how(students[0], min(batch_size or chosen.shape[1], chosen.shape[1]))
    if way not in (None, "at once", "one by one") or (way == "at once" and _foreign(students[0])):
        raise ValueError(f"way must be 'at once', 'one by one' or None, got {way!r} where {why}")
    if (way or best) == "at once":
        return _at_once(students, data, knobs, banks, seeds, chosen, **options)
    each = zip(students, data, knobs, banks, seeds, chosen)
    return _one_by_one([training.distil(s, d, k, teacher=b, seed=n, indices=i, **options) for s, d, k, b, n, i in each])


def _one_by_one(steppers: list):
    try:
        yield from zip(*steppers, strict=True)
    finally:
        for stepper in steppers:
            stepper.close()


def _at_once(students, data, knobs, banks, seeds, chosen, *, steps, batch_size, weight_decay, record_every, evaluate_every):
    count, layers = len(students), list(students[0])
    stack = [torch.stack([w.detach() for w in same]).requires_grad_() for same in zip(*(s.parameters() for s in students))]
    for i, student in enumerate(students):
        for own, all_of_them in zip(student.parameters(), stack):
            own.data = all_of_them.data[i]  # a view: the student is up to date after each step
    device, dtype = stack[0].device, stack[0].dtype
    optimizer = torch.optim.AdamW(stack, weight_decay=weight_decay, fused=device.type != "xla")
    feeds, which = _feeds(data, banks, seeds, chosen, batch_size, device, dtype)
    whole = batch_size is None or batch_size >= chosen.shape[1]  # the same images in every step
    done, before = 0, None
    try:
        for number in range(1, steps + 1):
            now = [Knobs(k.alpha, k.temperature, k.lr) for k in knobs]
            with unbroken():
                if fresh := number == 1 or not whole:
                    parts = [torch.stack(part) for part in zip(*map(next, feeds))]  # (feeds, batch, …)
                    images, labels, targets = (p.expand(count, *p.shape[1:]) if len(p) == 1 else p[which] for p in parts)
                if turned := now != before:
                    rows, before = [(k.alpha, k.temperature, k.lr) for k in now], now
                    alpha, heat, lr = torch.tensor(rows, dtype=dtype, device=device).unbind(1)  # (students,) each
                    peak = max(k.lr for k in now)
                if fresh or turned:
                    log_p = (targets / heat[:, None, None]).log_softmax(2)  # (students, batch, classes)
                    p = log_p.exp()
                logits = _forward(layers, stack, images)  # (students, batch, classes)
                log_q = (logits / heat[:, None, None]).log_softmax(2)
                soft = heat**2 * (p * (log_p - log_q)).sum(2).mean(1)  # (students,)
                hard = -logits.log_softmax(2).gather(2, labels[..., None]).mean((1, 2))
                loss = alpha * soft + (1 - alpha) * hard
                recorded = number % record_every == 0 or number == steps
                values = torch.stack([loss, soft, hard], 1).tolist() if recorded else []
                if bad := [i for i, numbers in enumerate(values) if not all(map(math.isfinite, numbers))]:
                    where = f"student {bad[0]} is not finite at step {number} with {now[bad[0]]}"
                    raise FloatingPointError(f"the loss of {where}; try a smaller lr")
                optimizer.zero_grad(set_to_none=True)
                loss.sum().backward()
                optimizer.param_groups[0]["lr"] = peak * warm_cosine(number, steps)
                start = [w.detach().clone() for w in stack] if len({k.lr for k in now}) > 1 else []
                optimizer.step()
                for w, old in zip(stack, start):  # AdamW's move is proportional to lr: each student goes its share of it
                    w.data.copy_(old.lerp(w.data, (lr / peak).view(-1, *[1] * (w.dim() - 1))))
                done = number
            if recorded:
                looked = evaluate_every and (number % evaluate_every == 0 or number == steps)
                accuracy = [evaluate(s, d).accuracy if looked else None for s, d in zip(students, data)]
                rates = [k.lr * warm_cosine(number, steps) for k in now]
                yield tuple(Step(number, *v, k.alpha, k.temperature, r, a) for v, k, r, a in zip(values, now, rates, accuracy))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(done) from None
    finally:
        for student in students:
            for own in student.eval().parameters():
                own.data = own.data.clone()  # its own memory again, not a part of everyone's


# Students with the same data, bank, seed and images share a feed; `which` says whose is whose.
def _feeds(data, banks, seeds, chosen, batch_size, device, dtype) -> tuple[list[Iterator], Tensor]:
    made, which = {}, []
    for given in zip(data, banks, seeds, chosen):
        key = (id(given[0]), id(given[1]), given[2], tuple(given[3].tolist()))
        made.setdefault(key, _feed(*given, batch_size, device, dtype))  # a generator: nothing is done before its first batch
        which.append(list(made).index(key))
    return list(made.values()), torch.tensor(which, device=device)


def _feed(dataset, bank, seed, indices, batch_size, device, dtype) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    stored = bank.lookup(indices).to(device, dtype)  # (n, classes)
    indices = indices.to(device)
    for place in batches(len(indices), batch_size, seed=seed, device=device):
        images, labels = dataset.train.images[indices[place]], dataset.train.labels[indices[place]]
        yield dataset.normalize(images).to(dtype), labels, stored[place]


def _forward(layers: Sequence[nn.Module], stack: Sequence[Tensor], x: Tensor) -> Tensor:
    """The layers of one student with everyone's weights, on x (students, batch, …)."""
    weights = iter(stack)
    for layer in layers:
        if type(layer) is nn.Linear:
            w = next(weights).mT  # (students, in, out)
            x = torch.bmm(x, w) if layer.bias is None else torch.baddbmm(next(weights)[:, None], x, w)
        else:
            x = x.flatten(2) if type(layer) is nn.Flatten else layer(x)
    return x


def _foreign(student: nn.Module) -> str:
    """The first part that `_forward` cannot do for all students, or an empty text."""
    if type(student) is not nn.Sequential:
        return type(student).__name__
    return next((type(layer).__name__ for layer in student if type(layer) not in _LAYERS), "")


def _one_each(given, count: int) -> list:
    if isinstance(given, Sequence) and len(given) != count:
        raise ValueError(f"dataset, teacher and seed must be one for all or one for each of {count} students, got {len(given)}")
    return list(given) if isinstance(given, Sequence) else [given] * count
