"""The checks of the open tasks of notebooks 00 and 01: many answers pass. What a check is made of stands in base.py."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import bank, data, devices, distil, evaluate, models, train
from workbook.exercises.base import checks, expect

BUDGET = 5_000  # bytes of 00's smaller device


@functools.cache
def _taught() -> tuple[data.Dataset, bank.Bank, float]:
    """Digits of which a student sees fifty, a teacher's answers, and what a student of 10 kB reaches on labels alone.

    The teacher is smaller than the lesson's and takes half its steps, so that a check is soon done.
    """
    digits = data.load("digits", seed=1)
    few = digits.only(torch.arange(50))
    teacher = models.build("mlp-128-128", digits.shape, 10, seed=1)
    alone = models.build("mlp-32", digits.shape, 10, seed=1)
    for _ in train(teacher, digits, steps=100, batch_size=64, weight_decay=1e-2, seed=1):
        pass
    for _ in train(alone, few, steps=300, lr=1e-2):
        pass
    return few, bank.fill(teacher, digits), evaluate(alone, digits).accuracy


@checks("it fits into 5 kB, and reads more digits than the 10 kB student that learnt from labels alone")
@devices.threads(1)  # several are slower for networks of this size, above all on a busy machine
def within_5_kb(answer: Callable) -> None:  # 00, exercise 2
    """The answer takes nothing and returns the widths of a student's hidden layers, such as [32]."""
    widths = answer()
    sound = isinstance(widths, list | tuple) and widths and all(isinstance(w, int) and w > 0 for w in widths)
    expect(bool(sound), f"return a list of whole numbers, one for each hidden layer, such as [32], got {widths!r}")
    few, answers, alone = _taught()
    sides = [few.shape[1] * few.shape[2], *widths, 10]  # counted before it is built: a huge one would take its time
    size = 4 * sum((a + 1) * b for a, b in zip(sides, sides[1:]))
    expect(size <= BUDGET, f"{size // 4:,} weights of 4 bytes are {size / 1e3:.1f} kB, and the device has 5 kB")
    student = models.build("mlp-" + "-".join(map(str, widths)), few.shape, 10, seed=1)
    for _ in distil(student, few, teacher=answers, steps=300):
        pass
    found = evaluate(student, few).accuracy
    hint = f"it fits with {size / 1e3:.1f} kB, and reads {found:.1%}; the 10 kB student alone reads {alone:.1%}"
    expect(found > alone, f"{hint}: use more of the 5 kB, or fewer layers")


class _Counting(nn.Module):
    """A linear layer that keeps the size of the largest batch it was given."""

    def __init__(self):
        super().__init__()
        self.layer, self.largest = nn.Linear(4, 3), 0

    def forward(self, images: Tensor) -> Tensor:
        self.largest = max(self.largest, len(images))
        return self.layer(images)


@checks("the same step as with the whole batch, and never more images at once than fit")
def step_in_parts(answer: Callable) -> None:  # 01, exercise 2
    """The answer does one step in parts of `size`: (model, optimizer, images, labels, size) → the loss as a float."""
    images, labels = torch.randn(10, 4), torch.arange(10) % 3
    model = _Counting()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for size in (4, 5):  # parts of 4, 4 and 2; then two equal ones
        before = model.layer.weight.detach().clone()
        losses = [F.cross_entropy(model.layer(x), y) for x, y in zip(images.split(size), labels.split(size))]
        grads = torch.stack([torch.autograd.grad(loss, model.layer.weight)[0] for loss in losses])  # (parts, 3, 4)
        counts = torch.tensor([len(part) for part in labels.split(size)])
        share = (counts / len(labels)).view(-1, 1, 1)
        whole = (torch.stack(losses).detach() * share.flatten()).sum().item()
        got = answer(model, optimizer, images, labels, size)
        expect(model.largest <= size, f"the model was given {model.largest} images at once; only {size} fit")
        expect(isinstance(got, float), "return the loss as a float: add up loss.item()")
        moved = (before - model.layer.weight.detach()) / 0.5  # the gradient that was used
        expect(bool(moved.abs().max() > 0), "the weights stayed: backward for each part, then one optimizer.step()")
        hints = {
            "each part's loss is a mean, so the sum is too large: weigh each by its share of the batch": grads.sum(0),
            "only the last part counts: clear the gradients once, before the first part": (grads * share)[-1],
            "only the last part counts: clear the gradients once, and weigh each part": grads[-1],
        }
        if size == 4:  # with equal parts both are the same
            hints["the parts are unequal: weigh each by its number of images, not all alike"] = grads.mean(0)
        for hint, wrong in hints.items():
            expect(not torch.allclose(moved, wrong, atol=1e-5), hint)
        hint = "this is not the gradient of the whole batch: clear it first, add the parts up, update once at the end"
        expect(torch.allclose(moved, (grads * share).sum(0), atol=1e-5), hint)
        expect(abs(got - whole) < 1e-4, f"the loss of the whole batch is {whole:.4f}, got {got:.4f}")


@checks("no error, a loss that falls, and a network that is wrong on four new digits of ten or more")
@devices.threads(1)
def silent_mistake(answer: Callable) -> None:  # 01, exercise 3
    """The answer does one step with a mistake in it: (model, optimizer, images, labels) → its loss, a float."""
    digits = data.load("digits", seed=1)
    model = models.build("mlp-32", digits.shape, 10, seed=1)
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _, pick in zip(range(150), data.batches(len(digits.train), 64, seed=1, device="cpu")):
        images, labels = digits.normalize(digits.train.images[pick]), digits.train.labels[pick]
        losses.append(answer(model, optimizer, images, labels))
        expect(isinstance(losses[-1], float), "return the loss as a float: loss.item()")
    first, last = losses[0], sum(losses[-10:]) / 10
    hint = f"who watches the loss must be content: it went from {first:.2f} to {last:.2f}, and should fall to half"
    expect(last <= first / 2, hint)
    found = evaluate(model, digits).accuracy
    expect(found <= 0.6, f"the network still reads {found:.0%} of the new digits: your step teaches it the right thing")
