"""The checks of lab 15, sharing the work: any right answer passes. What a check is made of stands in base.py."""

import heapq
from collections.abc import Callable

from workbook.exercises.base import checks, expect

CALL = 0.02  # seconds that each chunk costs, whatever its size
WITHIN = 1.2  # times the bound; no fixed size of chunk stays within it on all of these
# name, pictures, speeds in pictures per second, and when the first device becomes four times slower
FLEETS = [
    ("unequal devices", 1000, (400, 200, 100), float("inf")),
    ("equal devices", 1000, (300, 300, 300, 300), float("inf")),
    ("five devices", 3000, (500, 400, 300, 150, 100), float("inf")),
    ("a device that falters", 1000, (400, 200, 100), 0.7),
]


def shared_queue(next_chunk: Callable, pictures: int, speeds: tuple, falters: float) -> tuple[float, int, float]:
    """The makespan of a shared queue, the number of chunks, and the device-seconds in which nobody worked."""
    free, left, chunks, busy = [(0.0, i) for i in range(len(speeds))], pictures, 0, 0.0
    while left:
        t, i = heapq.heappop(free)
        count = next_chunk(left, len(speeds))
        said = f"with {left} pictures left, a chunk is a whole number from 1 to {left}, got {count}"
        expect(int(count) == count and 1 <= count <= left, said)
        spent = (4 if i == 0 and t >= falters else 1) * (CALL + count / speeds[i])
        left, chunks, busy = left - int(count), chunks + 1, busy + spent
        heapq.heappush(free, (t + spent, i))
    makespan = max(t for t, _ in free)
    return makespan, chunks, len(speeds) * makespan - busy


def bound(pictures: int, speeds: tuple, falters: float) -> float:
    """The least time in which such a fleet can do them, calls left out."""
    before = min(falters * sum(speeds), pictures)
    return before / sum(speeds) + (pictures - before) / (sum(speeds) - 0.75 * speeds[0])


@checks(f"on {len(FLEETS)} fleets within a fifth of the bound, and nobody was told a speed")
def next_chunk(answer: Callable) -> None:  # 15, exercise 1
    """The answer maps the pictures left (>= 1) and the number of devices to the size of the next chunk, 1 .. left."""
    fixed = len({int(answer(left, 3)) for left in (1000, 500, 250)}) == 1
    fixed = "No one size serves all: let it follow what is left. " if fixed else ""
    for name, pictures, speeds, falters in FLEETS:
        makespan, chunks, idle = shared_queue(answer, pictures, speeds, falters)
        over = makespan / bound(pictures, speeds, falters)
        calls = "the price of the calls: larger chunks while many"
        hint = calls if chunks * CALL > idle else "waiting: smaller chunks when few"
        said = f"{name}: {over:.2f} times the bound, with {chunks} chunks. {fixed}Most of it is {hint} are left"
        expect(over <= WITHIN, said)


@checks("a tenth of the classes is hardly recognised, and neither the average nor the index tells")
def hidden(answer: Callable) -> None:  # 15, exercise 2
    """The answer maps a number of classes, a multiple of 10, to as many recalls in [0, 1]."""
    for classes in (10, 20, 100):
        recalls = [float(x) for x in answer(classes)]
        expect(len(recalls) == classes, f"return one recall for each of the {classes} classes, got {len(recalls)}")
        said, low, mean = f"of {classes} classes", sum(x <= 0.2 for x in recalls), sum(recalls) / classes
        between = f"a recall lies between 0 and 1, got {min(recalls)} to {max(recalls)}"
        expect(all(0 <= x <= 1 for x in recalls), between)
        expect(low >= classes / 10, f"{said} {classes // 10} must have a recall of at most 0.2, {low} have")
        hint = "how good may the others be?"
        expect(mean >= 0.9, f"{said} the mean recall must be at least 0.9, it is {mean:.3f}: {hint}")
        index = sum(recalls) ** 2 / (classes * sum(x * x for x in recalls))
        hint = "must one class be missed altogether, or the others differ?"
        expect(index >= 0.93, f"{said} Jain's index must be at least 0.93, it is {index:.3f}: {hint}")
