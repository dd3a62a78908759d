"""The open tasks of 00 and 01: many answers pass, each typical mistake gets its own hint, and nothing ever raises."""

import pytest
import torch
from claims import hinted, told
from torch.nn import functional as F

from workbook.exercises import lesson00 as check


def in_parts(weigh=lambda part, parts, n, total: n / total, clear="before", update="after", split=True):
    """A step in parts that weighs each part's loss so, and clears and updates before, in or after the parts."""

    def answer(model, optimizer, images, labels, size):
        parts = list(zip(images.split(size if split else len(images)), labels.split(size if split else len(images))))
        loss_of_all = 0.0
        if clear == "before":
            optimizer.zero_grad()
        for x, y in parts:
            if clear == "in":
                optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * weigh(x, parts, len(y), len(labels))
            loss.backward()
            loss_of_all += loss.item()
            if update == "in":
                optimizer.step()
        if update == "after":
            optimizer.step()
        return loss_of_all

    return answer


def last_of(answer):
    """The same step, but it returns a tensor."""
    return lambda *args: torch.tensor(answer(*args))


def step(pictures=lambda x: x, asked=lambda y: y, last=lambda z: z, update=True):
    """A training step that shows the model these pictures and asks it for these labels."""

    def answer(model, optimizer, images, labels):
        loss = F.cross_entropy(last(model(pictures(images))), asked(labels))
        optimizer.zero_grad()
        loss.backward()
        if update:
            optimizer.step()
        return loss.item()

    return answer


def some_classes(model, optimizer, images, labels):
    kept = labels < 5
    return step()(model, optimizer, images[kept], labels[kept])


def even(part, parts, n, total):
    return 1 / len(parts)


def whole(part, parts, n, total):
    return 1.0


RIGHT = [
    *((check.within_5_kb, lambda widths=widths: widths) for widths in ([16], [10], (12, 10))),
    (check.step_in_parts, in_parts()),
    (check.step_in_parts, lambda *args: in_parts()(*args[:4], 1)),  # smaller parts are as good
    (check.silent_mistake, step(asked=lambda y: (y + 1) % 10)),
    (check.silent_mistake, step(pictures=lambda x: x.flip(-1))),
    (check.silent_mistake, step(pictures=lambda x: -x)),
    (check.silent_mistake, step(pictures=lambda x: x.transpose(-1, -2))),
    (check.silent_mistake, some_classes),
]
WRONG = [
    (check.within_5_kb, lambda: [32], "2,410 weights of 4 bytes are 9.6 kB"),
    (check.within_5_kb, lambda: [17], "5.1 kB, and the device has 5 kB"),
    (check.within_5_kb, lambda: [10**9, 10**9], "the device has 5 kB"),
    (check.within_5_kb, lambda: [4], "use more of the 5 kB"),
    (check.within_5_kb, lambda: [8, 8, 8], "or fewer layers"),
    (check.within_5_kb, lambda: 16, "return a list"),
    (check.within_5_kb, lambda: [], "return a list"),
    (check.within_5_kb, lambda: [0], "return a list"),
    (check.step_in_parts, in_parts(split=False), "10 images at once; only 4 fit"),
    (check.step_in_parts, in_parts(whole), "the sum is too large"),
    (check.step_in_parts, in_parts(even), "the parts are unequal"),
    (check.step_in_parts, in_parts(clear="in"), "clear the gradients once, before the first part"),
    (check.step_in_parts, in_parts(whole, clear="in"), "clear the gradients once, and weigh each part"),
    (check.step_in_parts, in_parts(clear="never"), "not the gradient of the whole batch"),
    (check.step_in_parts, in_parts(update="in"), "update once at the end"),
    (check.step_in_parts, in_parts(update="never"), "the weights stayed"),
    (check.step_in_parts, last_of(in_parts()), "as a float"),
    (check.step_in_parts, lambda *args: 2 * in_parts()(*args), "the loss of the whole batch is"),
    (check.silent_mistake, step(), "teaches it the right thing"),
    (check.silent_mistake, step(last=lambda z: z.softmax(1)), "should fall to half"),
    (check.silent_mistake, step(asked=lambda y: y[torch.randperm(len(y))]), "should fall to half"),
    (check.silent_mistake, step(update=False), "should fall to half"),
    (check.silent_mistake, last_of(step(pictures=lambda x: -x)), "as a float"),
]
EACH = dict.fromkeys(run for run, _ in RIGHT)


@pytest.mark.parametrize(("run", "answer"), RIGHT)
def test_a_right_answer_passes(run, answer, capsys):
    run(answer)
    assert capsys.readouterr().out.startswith("✓ ")


@pytest.mark.parametrize(("run", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(run, answer, hint, capsys):
    hinted(run, answer, hint, capsys)


@pytest.mark.parametrize("run", EACH, ids=lambda f: f.__name__)
def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(run, capsys):
    told(run, capsys)
