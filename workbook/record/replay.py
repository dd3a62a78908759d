"""kdlab.training's loop for a GPU that waits for Python: a step is recorded as a CUDA graph, replayed by one launch.

The order of the images, the method, the knobs and the optimizer are those of `kdlab.training.distil`, and so is the
result, up to the GPU's rounding; what is gained is time, where a step's kernels are shorter than their launches.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from kdlab import devices, losses
from kdlab.bank import Bank
from kdlab.data import Dataset, augment, batches
from kdlab.training import Batch, Knobs, warm_cosine


def distil(
    student: nn.Module,
    dataset: Dataset,
    knobs: Knobs | Callable[[int], Knobs],
    *,
    teacher: nn.Module | Bank | None = None,
    steps: int,
    batch_size: int,
    seed: int = 0,
    method: Callable = losses.logits,
    optimizer: Callable = functools.partial(torch.optim.AdamW, weight_decay=0.0),
) -> None:
    """Trains a student in place, as `kdlab.training.distil` with the same arguments; alpha and temperature stay.

    On another device than a GPU of NVIDIA every step is computed as it comes, with the same numbers.

    Args:
        optimizer: one that has `fused=True`.

    FloatingPointError: the loss of the last step is not finite. RuntimeError: the step cannot be recorded.
    """
    split, places, recipe = dataset.train, dataset.in_use, dataset.recipe
    device, settings = split.images.device, devices.fast(student, split.images.device)
    stored = teacher.answers(places, recipe).to(device) if isinstance(teacher, Bank) else None
    order, places = batches(len(places), batch_size, seed=seed, device=device), places.to(device)
    epoch, views = max(1, len(places) // batch_size), steps if stored is None else len(stored)
    at = knobs if callable(knobs) else lambda number: replace(knobs, lr=knobs.lr * warm_cosine(number, steps))
    form = torch.channels_last if settings.channels_last else torch.contiguous_format
    student.to(memory_format=form).train()
    parts = [student] + ([method] if isinstance(method, nn.Module) else [])
    records = device.type == "cuda"
    rate = torch.tensor(1.0, device=device) if records else 1.0  # a number would be recorded with the step
    weights = [p for part in parts for p in part.parameters()]
    options = {"capturable": True} if records and _counts(optimizer) else {}
    optimizer = optimizer(weights, lr=rate, fused=True, **options)

    def fetch(number: int) -> tuple[Batch, torch.Tensor | None]:
        place, view = next(order), (number - 1) // epoch % views
        indices = places[place]
        images = split.images.index_select(0, indices)
        images = augment(images, recipe, indices=indices, view=view) if recipe else images
        images = dataset.normalize(images).contiguous(memory_format=form)
        return Batch(images, split.labels[indices], indices), None if stored is None else stored[view, place]

    batch, targets = fetch(1)
    fixed = at(1)
    loss = torch.zeros((), device=device)

    def step() -> None:
        with torch.autocast(device.type, settings.autocast, enabled=settings.autocast is not None,
                            cache_enabled=not records):
            asked = targets
            if isinstance(teacher, nn.Module):
                with torch.no_grad():
                    asked = teacher.eval()(batch.images)
            found = method(student, batch, asked, fixed)["loss"]
        optimizer.zero_grad(set_to_none=True)
        found.backward()
        optimizer.step()
        loss.copy_(found.detach())

    play = _recorded(step, parts, optimizer) if records else step
    for number in range(1, steps + 1):
        if number > 1:
            fresh, answers = fetch(number)
            for kept, new in zip((*batch, targets), (*fresh, answers)):
                if new is not None:
                    kept.copy_(new)
        if records:
            rate.fill_(at(number).lr)
        else:
            for group in optimizer.param_groups:
                group["lr"] = at(number).lr
        play()
    if not math.isfinite(loss.item()):
        raise FloatingPointError(f"the loss is not finite after {steps} steps; try a smaller lr")
    student.to(memory_format=torch.contiguous_format).eval()


def _counts(optimizer: Callable) -> bool:
    """Whether it counts its steps, and so must be told to do that on the GPU: Adam and AdamW do, SGD does not."""
    return issubclass(getattr(optimizer, "func", optimizer), torch.optim.Adam)


def _recorded(step: Callable[[], None], parts: list[nn.Module], optimizer) -> Callable[[], None]:
    """A call that replays `step`; weights, optimizer and random numbers are those from before it was recorded.

    After torch.cuda.graph's documentation, "whole-network capture": some steps run first on a stream of their own.
    """
    held = [tensor for part in parts for tensor in part.state_dict().values()]
    before, random = [tensor.clone() for tensor in held], torch.cuda.get_rng_state()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():
        for tensor, old in zip(held, before):
            tensor.copy_(old)
        for state in optimizer.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()  # as in front of the first step
    torch.cuda.set_rng_state(random)
    return graph.replay
