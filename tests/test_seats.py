"""What a seat in a class needs: the page says what the record holds; the record's arithmetic; memory as it is read."""

import subprocess
import sys
from pathlib import Path

import memory
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import seats  # noqa: E402

GB = 10**9


def row(rss, pss=0, seconds=10.0, cpu_seconds=10.0):
    return {"rss": rss, "pss": pss or rss, "seconds": seconds, "cpu_seconds": cpu_seconds}


def record(slower=2.0):
    """Kernels of 1 GB, of which they share 0.4; four on two cores take `slower` times as long as one."""
    each = {"1": 10.0, "2": 10.0, "4": 10.0 * slower}
    rows = {count: {"kernels": [row(GB, seconds=took)] * int(count),
                    "together": {"rss": int(count) * GB, "pss": int(count) * 0.6 * GB + 0.4 * GB}}
            for count, took in each.items()}
    return {"cores": 2, "notebooks": {"00_a": row(0.5 * GB), "01_b": row(GB)}, "server": row(0.1 * GB), "at_once": rows}


def test_seats_follow_from_what_was_measured():
    found = seats.computed(record(), minutes=10)
    assert found["shared_GB"] == pytest.approx(0.4) and found["own_GB"] == pytest.approx(0.7)
    assert found["unshared_GB"] == pytest.approx(1.1)
    assert found["by_memory"] == 54 and found["by_memory_shared"] == 85  # 60 / 1.1, (60 - 0.4) / 0.7
    assert found["by_cores"] == 160 and found["seats"] == 85 and found["machines_for_the_class"] == 3
    assert found["computing_on_average"] == pytest.approx(20 / 600)
    assert found["all_at_once_times_as_long"] == 12.5
    assert found["kernels_in_the_limit"] == 2  # (2 - 0.4 - 0.1) / 0.6


def test_kernels_that_slow_each_other_down_cost_seats_and_luck_brings_none():
    assert seats.computed(record(slower=3.0), 10)["by_cores"] == 106
    assert seats.computed(record(slower=1.5), 10)["by_cores"] == 160


def test_the_minutes_of_the_lesson_are_readmes():
    assert seats.reading() == sum((10, 15, 20, 25, 20, 15))


def test_the_page_holds_what_follows_from_the_record_and_is_short():
    page = seats.PAGE.read_text()
    held = page.partition(seats.BEGIN)[2].partition(seats.END)[0].strip()
    assert held == seats.block(seats.newest()), "python benchmarks/seats.py --page writes it"
    assert len([line for line in page.splitlines() if line.strip()]) <= 80


def test_every_notebook_of_the_lesson_is_in_the_record_and_fits_binder_with_the_server():
    found = seats.newest()
    assert set(found["notebooks"]) == {path.stem for path in (ROOT / "notebooks").glob("0*.ipynb")}
    assert found["server"]["rss"] < memory.SERVER
    assert max(kernel["rss"] for kernel in found["notebooks"].values()) + memory.SERVER < memory.BINDER
    assert found["computed"] == pytest.approx(seats.computed(found, found["computed"]["lesson_minutes"]))


def test_the_short_form_knows_every_notebook_of_the_lesson():
    from workbook.run import parameters_of

    for path in (ROOT / "notebooks").glob("0*.ipynb"):
        assert set(seats.SHORT[path.name[:2]]) <= set(parameters_of(path))


@pytest.mark.slow
def test_a_jupyter_server_stays_within_what_is_kept_for_it(tmp_path):
    found = seats.server(tmp_path)
    assert found["kernel"] == "python3" and 0.03e9 < found["rss"] < memory.SERVER


HOLDS = "import time; some = bytearray(b'x') * 200_000_000; some = None; print('had it', flush=True); time.sleep(600)"


def test_memory_that_was_given_back_is_seen_in_the_peak_and_a_watch_sees_children():
    child = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        assert sys.platform != "linux" or 200e6 < memory.peak(child.pid) < 260e6
        with memory.Watch([]) as watch:
            watch.pids.append(child.pid)
            watch.look()
        assert 2e6 < watch.each[child.pid]["pss"] <= watch.each[child.pid]["rss"] < 100e6
        assert watch.together == watch.each[child.pid]
    finally:
        child.kill()
        child.wait()
    watch.look()  # gone, and no error
    assert watch.together["pss"] < 100e6
