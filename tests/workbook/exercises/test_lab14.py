"""The checks of lab 14: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import asyncio

import pytest
import torch

from workbook.exercises import lab14 as check


def threshold_for(confidence, share):
    rising = confidence.sort().values
    sent = int(share * len(rising))
    return float(rising[sent]) if sent < len(rising) else float("inf")


def a_little_above(confidence, share):
    return threshold_for(confidence, share) + 1e-4


def quantile(confidence, share):
    return float(confidence.quantile(share))


async def answer_within(ask, fallback, seconds):
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except Exception:
        return fallback


async def wait_and_see(ask, fallback, seconds):
    return await ask()


async def leave_it_running(ask, fallback, seconds):
    done, _ = await asyncio.wait([asyncio.create_task(ask())], timeout=seconds)
    return done.pop().result() if done else fallback


async def only_time_outs(ask, fallback, seconds):
    try:
        return await asyncio.wait_for(ask(), seconds)
    except TimeoutError:
        return fallback


async def never_ask(ask, fallback, seconds):
    return fallback


def unsure(logits):
    return 1 - logits.softmax(1).max(1).values


def entropy(logits):
    return torch.special.entr(logits.softmax(1)).sum(1)


def margin(logits):
    first, second = logits.softmax(1).topk(2, 1).values.T
    return second - first


def ranked(logits):
    return unsure(logits).argsort().argsort().double()


CASES = [
    (check.doubt, unsure, "✓"),
    (check.doubt, entropy, "✓"),
    (check.doubt, margin, "✓"),
    (check.doubt, lambda logits: None, "not attempted"),
    (check.doubt, lambda logits: unsure(logits)[:, None], "one score for each picture"),
    (check.doubt, lambda logits: unsure(logits) / 0, "nan or infinite"),
    (check.doubt, ranked, "changes with the others"),
    (check.doubt, lambda logits: -logits.max(1).values, "adding 5"),
    (check.doubt, lambda logits: -logits.logsumexp(1), "adding 5"),
    (check.doubt, lambda logits: logits.softmax(1).max(1).values, "a doubt, or a confidence?"),
    (check.doubt, lambda logits: -logits.var(1), "75 are possible"),
    (check.doubt, lambda logits: 1 / 0, "raised ZeroDivisionError"),
    (check.threshold_for, threshold_for, "✓"),
    (check.answer_within, answer_within, "✓"),
    (check.threshold_for, lambda *args: None, "not attempted"),
    (check.threshold_for, lambda *args: ..., "not attempted"),
    (check.answer_within, lambda *args: None, "not attempted"),
    (check.answer_within, lambda *args: ..., "not attempted"),
    (check.threshold_for, lambda *args: 1 / 0, "raised ZeroDivisionError: division by zero"),
    (check.answer_within, lambda *args: 1 / 0, "raised ZeroDivisionError: division by zero"),
    (check.threshold_for, a_little_above, "share of 0.2 of 10 pictures, but 3"),
    (check.threshold_for, lambda confidence, share: 0.0, "lets 2 of 10 pictures go, your threshold sends 0"),
    (check.threshold_for, quantile, "lets 10 of 10 pictures go, your threshold sends 9"),
    (check.answer_within, wait_and_see, "without waiting for it"),
    (check.answer_within, leave_it_running, "still running"),
    (check.answer_within, only_time_outs, "ask() raised OSError"),
    (check.answer_within, never_ask, "answered 3 in time"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
