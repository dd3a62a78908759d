"""The check of notebook 04's open task: a plan for a rate, a deadline and a size."""

from collections.abc import Callable

import torch

from workbook.exercises.base import NotAttempted, checks, expect


@checks("every plan it gives keeps up, answers in time and fits; where nothing does, it says None")
def plan(answer: Callable) -> None:  # 04, exercise 3
    """The answer maps rows (network, runtime, batch, ms, kb), a rate, deadline_ms and max_kb to a row or None."""

    def ask(rows, *budget):
        try:
            return answer([dict(row) for row in rows], *budget)
        except NotAttempted:
            return None

    easy = {"network": "student", "runtime": "int8", "batch": 8, "ms": 2.0, "kb": 20.0}
    if ask([easy], 4000.0, 10.0, 25.0) is None:
        raise NotAttempted
    rate, deadline, room = 3000.0, 6.0, 30.0
    for _ in range(60):
        drawn = [(2**i, *torch.rand(2).tolist()) for i in range(5)]
        rows = [easy | {"batch": n, "ms": 0.2 + (0.1 + 0.4 * a) * n, "kb": 10 + 30 * b} for n, a, b in drawn]
        right = [row for row in rows if _answered(row, rate) <= deadline and row["kb"] <= room]
        got = ask(rows, rate, deadline, room)
        if got is None:
            expect(not right, f"None, although {right and right[0]} would do: try every row")
            continue
        expect(got in rows, "return one of the rows, as it was handed in, or None")
        expect(got["kb"] <= room, f"{got['kb']:.0f} kB do not fit into {room:.0f} kB")
        need = f"the whole batch of {got['batch']} takes {got['ms']:.1f} ms"
        hint = f"{need}, while {rate:g} pictures a second arrive: the queue grows without end"
        expect(_answered(got, rate) < float("inf"), hint)
        wait = 1000 * (got["batch"] - 1) / rate
        hint = f"the first picture waits {wait:.1f} ms until its batch is full, then {need}: over {deadline:g} ms"
        expect(_answered(got, rate) <= deadline, hint)


def _answered(row: dict, rate: float) -> float:
    """Milliseconds from the arrival of a batch's first picture to its answer; infinite where a queue grows."""
    keeps_up = 1000 * row["batch"] / row["ms"] >= rate
    return 1000 * (row["batch"] - 1) / rate + row["ms"] if keeps_up else float("inf")
