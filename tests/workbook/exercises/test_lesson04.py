"""04's open task: any plan that keeps its budgets passes, and each typical mistake gets its own hint."""

import pytest
from claims import hinted, told

from workbook.exercises import lesson04 as check


def planner(pick=min, *, wait=True, up=True, fit=True, share=False):
    """An answer that looks at some of the budgets, and takes the smallest or the largest batch that is left."""

    def keeps(row, rate, deadline_ms, max_kb):
        waits = 1000 * (row["batch"] - 1) / rate if wait else 0
        takes = row["ms"] / row["batch"] if share else row["ms"]
        enough = not up or 1000 * row["batch"] / row["ms"] >= rate
        return enough and waits + takes <= deadline_ms and (not fit or row["kb"] <= max_kb)

    def answer(rows, *budget):
        return pick((row for row in rows if keeps(row, *budget)), key=lambda row: row["batch"], default=None)

    return answer


def fastest_call_or_nothing(rows, *budget):
    return planner()([min(rows, key=lambda row: row["ms"])], *budget)


def in_seconds(rows, rate, deadline_ms, max_kb):
    return planner()([row | {"ms": row["ms"]} for row in rows if (row["batch"] - 1) / rate + row["ms"] <= deadline_ms],
                     rate, 1e9, max_kb)


@pytest.mark.parametrize("pick", [min, max])
def test_every_plan_that_keeps_the_budgets_passes(pick, capsys):
    check.plan(planner(pick))
    assert capsys.readouterr().out.startswith("✓ ")


@pytest.mark.parametrize(("answer", "hint"), [
    (planner(wait=False), "until its batch is full"),
    (planner(share=True), "the whole batch of"),
    (in_seconds, "until its batch is full"),
    (planner(up=False), "the queue grows"),
    (planner(fit=False), "do not fit into 30 kB"),
    (fastest_call_or_nothing, "try every row"),
    (lambda rows, *budget: rows[0]["network"], "return one of the rows"),
])
def test_a_typical_mistake_gets_its_hint(answer, hint, capsys):
    hinted(check.plan, answer, hint, capsys)


def test_a_stub_is_not_attempted_and_an_error_is_told_not_raised(capsys):
    told(check.plan, capsys)
