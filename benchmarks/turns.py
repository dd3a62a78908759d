"""Contenders that take turns in one run, and how the figures of a benchmark are summed up.

What is timed, and against what, stands in each benchmark.
"""

import statistics
import time
from collections.abc import Callable, Sequence

BATCH = 128


def in_turns(contenders: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Calls every contender once to warm up, then once in each round, each round starting with another one.

    Args:
        contenders: name → a call that works through some images and returns their number.
        rounds: >= 1.

    Returns:
        name → images per second of wall-clock time, one figure a round.
    """
    names, rates = list(contenders), {name: [] for name in contenders}
    for name in names:
        contenders[name]()
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            images = contenders[name]()
            rates[name].append(images / (time.perf_counter() - start))
    return rates


def ratio(faster: Sequence[float], slower: Sequence[float], goal: float | None = None) -> dict:
    """How many times as fast, from the two rates of each round. See `figure`."""
    return figure([a / b for a, b in zip(faster, slower, strict=True)], "times", goal)


def figure(values: Sequence[float], unit: str, goal: float | None = None) -> dict:
    """A row of the table that `make bench` prints: median, lowest and highest of some rounds, the unit, the goal."""
    return {
        "median": statistics.median(values),
        "lowest": min(values),
        "highest": max(values),
        "unit": unit,
        "goal": goal,
    }


def points(mean: float, low: float, high: float) -> dict:
    """A row of the same table for a paired difference with its interval."""
    return {"median": mean, "lowest": low, "highest": high, "unit": "points, mean and 95% interval", "goal": None}


def show(figures: dict[str, dict]) -> None:
    """Prints the rows, aligned."""
    width = max(map(len, figures))
    print(f"{'':{width}}   median   lowest  highest     goal")
    for name, row in figures.items():
        cells = ("" if row[key] is None else f"{row[key]:.3g}" for key in ("median", "lowest", "highest", "goal"))
        print(f"{name:{width}} " + " ".join(f"{cell:>8}" for cell in cells) + f"  {row['unit']}")
