"""The checks of lab 30, many processes: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch

from workbook.exercises.base import checks, close, expect


@checks("the whole batch's gradient, from parts of any size")
def joined(answer: Callable) -> None:  # 30, exercise 1
    """The answer maps a list of (gradient, number of images) to the gradient of the mean over all images."""
    for counts in [(32, 32), (48, 16), (1, 2, 5), (7,)]:
        each = [torch.randn(count, 5) for count in counts]
        parts = [(rows.mean(0), len(rows)) for rows in each]
        before = [gradient.clone() for gradient, _ in parts]
        got, wanted = answer(parts), torch.cat(each).mean(0)
        expect(getattr(got, "shape", None) == wanted.shape, "return one gradient, of the shape of each part's")
        unchanged = all(torch.equal(gradient, old) for (gradient, _), old in zip(parts, before))
        expect(unchanged, "the parts' gradients must stay as they were")
        plain, total = sum(before) / len(before), sum(before)
        if len(counts) > 1:
            expect(not close(got, total), "that is the sum of the means: divide by all images at the end")
            if not close(plain, wanted):
                expect(not close(got, plain), f"parts of {counts} images do not count alike: weigh each")
        expect(close(got, wanted), f"parts of {counts} images: a mean times its number is a sum")


@checks("one process alone, and messages that grow in number and shrink in size")
def step_time(answer: Callable) -> None:  # 30, exercise 2
    """The answer maps alone (s), size (bytes), processes, latency (s) and bandwidth (bytes/s) to seconds."""
    expect(close(answer(0.8, 1e6, 1, 1e-3, 1e9), 0.8), "one process sends nothing: its step is `alone`")
    expect(close(answer(0.8, 0, 4, 0.0, 1e9), 0.2), "without messages the step is alone / processes")
    expect(close(answer(0.0, 0, 4, 1e-3, 1e9), 6e-3), "four processes: 2 · 3 messages, each with its latency")
    hint = "each message carries size / processes bytes, at `bandwidth` bytes a second"
    expect(close(answer(0.0, 8e6, 4, 0.0, 1e9), 0.012), hint)
    expect(close(answer(0.5, 3e6, 8, 2e-4, 5e8), 0.0625 + 14 * (2e-4 + 7.5e-4)), "the three parts add up")
