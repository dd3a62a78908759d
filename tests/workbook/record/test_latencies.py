"""What is measured of one pass agrees with itself, and what cannot be measured is a row with a sentence."""

import dataclasses
import json

import pytest
import torch

from kdlab import models
from kdlab.latency import Row, Timing
from workbook.labs.recorded import latencies as recorded
from workbook.record import latencies
from workbook.record.sheet import Clock

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(latencies, "NETWORKS", {"tutorial-student": ("tutorial-student", 32, 10),
                                                "resnet18 at 64": ("resnet18", 64, 10)})
    monkeypatch.setattr(latencies, "COMPILED", ())


def last(section):
    return [*section][-1]


def test_every_row_can_be_read_again_and_its_median_is_the_summarys(small):
    found = last(latencies.latency(CPU, Clock(60), (1, 4), seconds=0.01))
    rows = [Row.from_dict({key: value for key, value in row.items() if key != "runs"}) for row in found["rows"]]
    assert {row.batch for row in rows} == {1, 4} and {row.model for row in rows} == set(latencies.NETWORKS)
    for row, plain in zip(rows, found["rows"]):
        assert row.timing and row.timing.runs <= min(latencies.KEPT, plain["runs"])
        if row.threads == 1:
            kept = found["ms"][row.model][row.variant][str(row.batch)]
            if plain["runs"] <= latencies.KEPT:
                assert kept == pytest.approx(row.milliseconds, rel=2e-3)
            assert 0.99 * min(row.timing.seconds) < kept / 1e3 < 1.01 * max(row.timing.seconds)


def test_what_would_take_too_long_is_left_out_and_no_larger_batch_is_tried(small, monkeypatch):
    def slow(models, shape, *, batches, devices, threads, variants, **options):
        [(name, _)] = models.items()
        timing = Timing((0.1 * batches[0],) * 6)
        return [Row(name, batches[0], devices[0], n, v, timing) for v in variants for n in threads]

    monkeypatch.setattr(latencies, "sweep", slow)
    found = last(latencies.latency(CPU, Clock(4), (1, 4, 64, 256)))
    done = {row["batch"]: row["skipped"] for row in found["rows"] if row["model"] == "tutorial-student"}
    assert done[1] == done[4] == "" and all("left out: it would take about" in done[n] for n in (64, 256))


def test_a_busy_machine_does_not_make_the_section_overrun_its_time(small, monkeypatch):
    """Medians stay small while a call now and then takes long: the time that went by is what counts."""
    now = [0.0]
    monkeypatch.setattr(latencies.time, "perf_counter", lambda: now[0])
    clock = Clock(4)
    monkeypatch.setattr(clock, "left", lambda: 84 - now[0])

    def interrupted(models, shape, *, batches, devices, threads, variants, **options):
        now[0] += 3.0 * len(variants) * len(threads) * batches[0] ** 0.5
        [(name, _)] = models.items()
        timing = Timing((1e-4,) * 6)
        return [Row(name, batches[0], devices[0], n, v, timing) for v in variants for n in threads]

    monkeypatch.setattr(latencies, "sweep", interrupted)
    found = last(latencies.latency(CPU, clock, (1, 4, 16, 64, 256)))
    assert now[0] < 1.25 * 84 and any(row["skipped"] for row in found["rows"])  # a cell may be longer than its guess


def test_a_batch_that_does_not_fit_into_memory_is_a_row_that_says_so(small, monkeypatch):
    def full(model, images, *rest):
        if len(images) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return lambda x: x

    monkeypatch.setattr(latencies.runtimes, "builders", lambda names: dict.fromkeys(names, full))
    found = last(latencies.latency(CPU, Clock(60), (1, 4, 16), seconds=0.01))
    said = {row["batch"]: row["skipped"] for row in found["rows"]}
    assert said[1] == said[16] == "" and said[4] == "batch 4 does not fit into the memory of cpu"


def test_an_error_while_it_is_timed_is_a_row_too(small, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    monkeypatch.setattr(latencies, "sweep", broken)
    found = last(latencies.latency(CPU, Clock(5), (1,)))
    assert {row["skipped"] for row in found["rows"]} == {"RuntimeError: CUDA error: an illegal memory access"}
    assert found["ms"] == {}


def test_notebooks_read_what_the_section_writes(small, tmp_path):
    found = last(latencies.latency(CPU, Clock(60), (1, 4), seconds=0.01))
    (tmp_path / "cpu-a.json").write_text(json.dumps({"provenance": {"device": "A", "machine": "A"}, "latency": found}))
    read = recorded(tmp_path, {"tutorial-student": "student"}, kind="cpu")
    assert set(read["A: recorded"]["student"]) == {1, 4}


def test_a_launch_alone_takes_no_less_than_one_in_a_queue_that_is_waited_for():
    found = last(latencies.launches(CPU, Clock(5), count=2000))
    assert 0 < found["queued_us"] <= found["done_us"] * 1.01


def test_shares_are_operations_and_bytes_over_the_peaks(small, monkeypatch):
    monkeypatch.setattr(latencies, "_product", lambda *arguments: 2.0)  # 1e12 operations a second
    monkeypatch.setattr(latencies, "measure", lambda call, **options: dataclasses.make_dataclass("T", ["median"])(0.5))
    ms = {"tutorial-student": {"eager": {"1": 0.5, "4": 1.0}, "eager, 2 threads": {"1": 0.1}}}
    found = last(latencies.peaks(CPU, Clock(5), {"ms": ms}))
    assert found["gbytes"]["in memory"] == pytest.approx(2 * 4 * 2**25 / 0.5 / 1e9)
    adds = models.cost(models.build("tutorial-student", (3, 32, 32), 10), (3, 32, 32)).multiply_adds
    share = found["shares"]["tutorial-student"]
    assert list(share) == ["eager"]
    assert share["eager"]["4"]["product"] == pytest.approx(2 * 4 * adds / 1e-3 / 2e12, rel=1e-2)
