"""The checks of lab 10, the logit bank: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from workbook.exercises.base import NotAttempted, checks, close, expect


@checks("the shift is found, also where the teacher is wrong now and then, and 0 where nothing is shifted")
def row_shift(answer: Callable) -> None:  # 10, exercise 1
    """The answer maps a bank's logits (n, classes) and the labels (n,) to how far the rows are off, 0 .. n - 1."""
    labels = torch.randint(10, (80,))
    mistaken = torch.where(torch.rand(80) < 0.25, torch.randint(10, (80,)), labels)
    right = torch.randn(80, 10).scatter_add(1, mistaken[:, None], torch.full((80, 1), 6.0))
    for shift in (7, 0, 61):
        got = answer(right.roll(-shift, 0), labels)
        expect(not isinstance(got, tuple | list) and float(got) == int(got), "return one whole number")
        hint = "the other way round: row i belongs to image i + shift"
        expect(int(got) == shift or int(got) != (80 - shift) % 80, hint)
        hint = f"the check's rows are shifted by {shift}, got {got}; try every shift, count the agreements"
        expect(int(got) == shift, hint)


@checks("what was kept is exact, the rest has its probability, spread evenly")
def from_top_k(answer: Callable) -> None:  # 10, exercise 2
    """The answer maps values (n, k), places (n, k), rest (n,) and a number of classes to logits (n, classes)."""
    logits = 3 * torch.randn(6, 8)
    for k in (3, 1, 7):
        values, places = logits.topk(k)
        others = torch.ones(6, 8).scatter(1, places, 0.0).bool()
        rest = logits.masked_fill(~others, -torch.inf).logsumexp(1)
        full = answer(values, places, rest, 8)
        expect(torch.is_tensor(full) and full.shape == (6, 8), "return a tensor of shape (n, classes)")
        expect(close(full.gather(1, places), values), "the kept logits must stand at their places, unchanged")
        left = full[others].view(6, 8 - k)
        expect(close(left, left[:, :1].expand_as(left)), "all left-out classes of a row get the same logit")
        hint = "rest is shared by classes - k: subtract its logarithm"
        expect(not close(left, rest[:, None].expand_as(left)) or k == 7, hint)
        kept = full.softmax(1).gather(1, places), logits.softmax(1).gather(1, places)
        hint = "the kept classes must have their old probabilities: what exp(rest) says is shared by the others"
        expect(close(*kept), hint)


BYTES, NATS, IMAGES = 12, 1e-3, 1000


def small_bank(pack: Callable, unpack: Callable) -> None:  # 10, the open task
    """Pack maps logits (n, classes) to a list of tensors, unpack such a list to logits (n, classes)."""

    @checks(f"at most {BYTES} bytes an image, and an error under a thousandth of a nat")
    def check(pack: Callable) -> None:
        for spread, offset in ((4, 0), (6, 0), (4, 60)):
            logits = spread * torch.randn(IMAGES, 10) + offset
            kept = pack(logits.clone())
            tensors = isinstance(kept, list | tuple) and all(map(torch.is_tensor, kept))
            expect(tensors, "pack must return a list of tensors, and all that unpack needs must be among them")
            size = sum(tensor.numel() * tensor.element_size() for tensor in kept) / IMAGES
            hint = f"that takes {size:.1f} bytes an image, and {BYTES} are allowed: count the scales as well"
            expect(size <= BYTES + 0.1, hint)
            if (back := unpack([tensor.clone() for tensor in kept])) is None:
                raise NotAttempted
            shaped = torch.is_tensor(back) and back.shape == logits.shape and back.is_floating_point()
            expect(shaped, f"unpack must return float logits of shape {tuple(logits.shape)}")
            q, p = ((z.double() / 4).log_softmax(1) for z in (back, logits))
            error = F.kl_div(q, p, reduction="batchmean", log_target=True).item()
            hint = f"at T = 4 the error is {error:.1e} nats, and less than {NATS:g} is asked: "
            hint += (
                "the softmax sees the differences within a row alone, so subtract each row's largest first" if offset
                else "all ten logits matter at this temperature; measure the spread before you round"
            )
            expect(error < NATS, hint)

    check(pack)
