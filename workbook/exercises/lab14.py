"""The checks of lab 14, cloud and edge: any right answer passes. What a check is made of stands in base.py."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from kdlab import data, evaluation, models, training
from workbook.exercises.base import NotAttempted, checks, close, expect


@checks("as many pictures as the share allows are sent, and not one more")
def threshold_for(answer: Callable) -> None:  # 14, exercise 1
    """The answer maps confidences (n,) and a share to a threshold; pictures with less confidence are sent."""
    confidence = torch.tensor([0.31, 0.95, 0.52, 0.77, 0.77, 0.99, 0.64, 0.88, 0.9, 0.45])
    for share, most in [(0.2, 2), (0.5, 4), (0.0, 0), (1.0, 10)]:  # at 0.5 two equal confidences are sent together
        sent = int((confidence < answer(confidence.clone(), share)).sum())
        hint = f"a share of {share:g} of 10 pictures, but {sent} have less confidence than your threshold"
        expect(sent <= share * 10, hint)
        expect(sent == most, f"a share of {share:g} lets {most} of 10 pictures go, your threshold sends {sent}")


@checks("the answer if it comes in time, the fallback if it is late or fails, and nothing left running")
def answer_within(answer: Callable) -> None:  # 14, exercise 2
    """The answer is an async function of (ask, fallback, seconds); ask is an async function without arguments."""
    ended = []

    async def in_time():
        return 3

    async def late():
        try:
            await asyncio.sleep(1)
            return 3
        finally:
            ended.append(True)

    async def broken():
        raise OSError("no route to host")

    async def of(ask, seconds):
        return await answer(ask, 7, seconds), bool(ended)

    def result(*args):  # a notebook's own loop is running already, so another thread has to
        return ThreadPoolExecutor(1).submit(asyncio.run, of(*args)).result()

    got, _ = result(in_time, 5.0)
    if got is None:
        raise NotAttempted
    expect(got == 3, f"ask() answered 3 in time, your function returned {got}")
    got, over = result(late, 0.05)
    expect(got == 7, "the answer came after the deadline: return the fallback, without waiting for it")
    expect(over, "the late question is still running: asyncio.timeout cancels it")
    with contextlib.suppress(OSError):
        got, _ = result(broken, 5.0)
        over = None
    expect(over is None and got == 7, "ask() raised OSError: return the fallback")


@checks("of the mistakes, three in four are among the fifth that your score doubts most, one picture at a time")
def doubt(answer: Callable) -> None:  # 14, exercise 3, open
    """The answer maps logits (n, classes) to scores (n,); the higher, the sooner a picture goes to the teacher."""
    logits, wrong = _a_student()
    scores = torch.as_tensor(answer(logits.clone())).double()
    expect(scores.shape == (len(logits),), f"one score for each picture, ({len(logits)},), got {tuple(scores.shape)}")
    expect(bool(scores.isfinite().all()), "a score is nan or infinite: p * log p is 0 where p is 0")
    alone = torch.cat([torch.as_tensor(answer(row[None])).double() for row in logits[:20]])
    hint = "a picture's score changes with the others in its batch: at the edge they come one by one"
    expect(close(alone, scores[:20], 1e-4), hint)
    hint = "adding 5 to all logits of a picture changes no probability, but it changes your score"
    expect(close(answer(logits + 5), scores, 1e-3), hint)
    fifth = len(logits) // 5
    found = 100 * wrong[scores.argsort(descending=True)[:fifth]].sum().item() / wrong.sum().item()
    hint = f"the fifth that you doubt most holds {found:.0f} % of the mistakes; "
    expect(found >= 20, hint + "chance would find 20: is a high score a doubt, or a confidence?")
    expect(found >= 75, hint + "75 are possible: what do the largest probabilities of a mistake look like?")


@functools.cache
def _a_student() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the digits' test pictures by a student of 200 labels, and where it is wrong."""
    digits = data.load("digits", seed=0)
    student = models.build("mlp-32", digits.shape, len(digits.classes), seed=0)
    training.finish(training.distil(student, digits.only(torch.arange(200)), training.Knobs(0.0), steps=100))
    logits = evaluation.predict(student, digits, "test")  # (797, 10)
    return logits, logits.argmax(1) != digits.test.labels
