"""Latency: the clock starts and stops on an idle device, settings are put back, and a sweep tells what it left out.

No test here asserts a number of seconds: orders, counts and ratios only.
"""

import gc
import json
import math
import time
from dataclasses import asdict

import pytest
import torch
from torch import nn

from kdlab import devices, latency
from kdlab.latency import Row, Timing, Unavailable, crossover, measure, sweep

QUICK = {"rounds": 1, "min_runs": 2, "min_seconds": 0.0}


def small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 64, 5)
    )


def last(model, example, calibration):
    """A variant: the channels of a pixel side by side."""
    own = latency.eager(model, example).to(memory_format=torch.channels_last)
    return lambda images: own(images.contiguous(memory_format=torch.channels_last))


def absent(model, example, calibration):
    raise Unavailable("absent is not installed")


def row(batch: int, milliseconds: float | None, variant: str = "eager") -> Row:
    timing = None if milliseconds is None else Timing((milliseconds / 1e3,))
    return Row("m", batch, "cpu", 1, variant, timing, "" if timing else "not here")


# the timer


def test_percentiles_are_ordered_and_the_median_is_the_middle():
    timing = Timing((5.0, 1.0, 2.0, 4.0, 3.0))
    assert timing.runs == 5 and timing.median == 3.0
    assert 1.0 <= timing.p5 < timing.median < timing.p95 <= 5.0


def test_a_time_is_what_the_clock_says_around_one_call(monkeypatch):
    now = [0]

    def call():
        now[0] += 3_000_000  # nanoseconds

    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: now[0])
    assert measure(call, warmup=2, min_runs=4, min_seconds=0).seconds == (0.003,) * 4
    assert measure(call, min_runs=1, min_seconds=0.01).runs == 4  # it goes on until the seconds are reached, too


def test_warm_up_calls_are_made_and_not_timed():
    calls = []
    timing = measure(lambda: calls.append(0), warmup=3, min_runs=4, max_runs=4)
    assert timing.runs == 4 and len(calls) == 7


def test_it_goes_on_until_both_minima_are_reached_and_stops_at_the_maximum(monkeypatch):
    clock = iter(range(0, 10**12, 10**6))  # each look at the clock is a millisecond later
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(clock))
    assert measure(int, min_runs=3, min_seconds=0).runs == 3
    assert measure(int, min_runs=3, min_seconds=0.02).runs == 20
    assert measure(int, min_runs=3, min_seconds=100, max_runs=30).runs == 30


def test_the_device_is_synchronized_before_each_start_and_each_stop_of_the_clock(monkeypatch):
    events = []
    clock = time.perf_counter_ns
    monkeypatch.setattr(devices, "synchronize", lambda device: events.append(f"synchronize {device}"))
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: events.append("clock") or clock())
    measure(lambda: events.append("call"), warmup=0, min_runs=2, max_runs=2)
    assert events == ["synchronize cpu", "clock", "call", "synchronize cpu", "clock"] * 2


def test_inside_a_call_there_are_no_gradients_no_collector_and_the_threads_asked_for():
    seen = []
    before = torch.get_num_threads()
    measure(
        lambda: seen.append((torch.is_inference_mode_enabled(), gc.isenabled(), torch.get_num_threads())),
        threads=before + 1,
    )
    assert set(seen) == {(True, False, before + 1)}


@pytest.mark.parametrize("collecting", [True, False])
def test_threads_and_collector_are_put_back_even_after_an_error(collecting):
    before = torch.get_num_threads()
    (gc.enable if collecting else gc.disable)()
    try:
        measure(int, threads=before + 1)
        assert (torch.get_num_threads(), gc.isenabled()) == (before, collecting)
        with pytest.raises(ZeroDivisionError):
            measure(lambda: 1 / 0, threads=before + 1)
        assert (torch.get_num_threads(), gc.isenabled()) == (before, collecting)
        assert not torch.is_inference_mode_enabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("wrong", [{"warmup": -1}, {"min_runs": 0}, {"min_runs": 5, "max_runs": 4}])
def test_numbers_of_runs_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="need warmup >= 0 and 1 <= min_runs <= max_runs, got"):
        measure(int, **wrong)


def test_threads_below_one_are_refused():
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"):
        measure(int, threads=0)


def test_a_device_that_is_not_here_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="device 'cuda:99' is not available here"):
        measure(lambda: pytest.fail("called"), device="cuda:99")
    with pytest.raises(ValueError, match="device 'cuda:99' is not available here"):
        sweep({}, (3, 8, 8), devices=("cpu", "cuda:99"))


# the sweep


def test_a_sweep_measures_every_combination_in_order():
    rows = sweep(
        {"a": small_cnn(), "b": small_cnn()}, (3, 8, 8),
        batches=(1, 2), threads=(1, 2), variants={"eager": latency.eager, "last": last}, **QUICK,
    )
    assert [(r.model, r.batch, r.variant, r.threads) for r in rows] == [
        (model, batch, variant, threads)
        for model in "ab" for batch in (1, 2) for variant in ("eager", "last") for threads in (1, 2)
    ]
    assert all(r.device == "cpu" and r.timing.runs >= 2 and not r.include_copy for r in rows)
    assert all(r.images_per_second == pytest.approx(r.batch / r.timing.median) for r in rows)


def test_the_settings_take_turns():
    order = []

    def build(name):
        return lambda model, example, calibration: lambda images: order.append(name)

    sweep({"m": small_cnn()}, (3, 8, 8), batches=(1,), variants={"x": build("x"), "y": build("y")}, rounds=3)
    turns = [name for name, before in zip(order[2:], order[1:]) if name != before]
    assert turns == ["x", "y"] * 3  # the two calls before were each one's first


def test_any_function_of_model_example_and_calibration_can_join_a_sweep():
    seen = []

    def doubled(model, example, calibration):
        seen.append((tuple(example.shape), example.dtype, example.is_contiguous(), tuple(calibration.shape)))
        return lambda images: model.eval()(images) * 2

    variants = {"eager": latency.eager, "doubled": doubled}
    for given in (None, torch.zeros(9, 3, 8, 8)):
        rows = sweep({"m": small_cnn()}, (3, 8, 8), batches=(4,), variants=variants, calibration=given, **QUICK)
        assert [r.variant for r in rows] == ["eager", "doubled"] and rows[-1].timing
    # without images for the calibration the random ones do
    assert seen == [((4, 3, 8, 8), torch.float32, True, (n, 3, 8, 8)) for n in (4, 9)]


def test_a_sweep_takes_eager_alone_where_nothing_is_named_and_leaves_the_model_alone():
    model = small_cnn().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (only,) = sweep({"m": model}, (3, 8, 8), batches=(2,), **QUICK)
    assert only.variant == "eager" and only.timing
    (other,) = sweep({"m": model}, (3, 8, 8), batches=(2,), variants={"last": last}, **QUICK)
    assert other.timing and model.training and model[0].weight.is_contiguous(), "mode or memory format changed"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_setting_that_cannot_run_is_skipped_with_its_reason_and_the_others_go_on():
    first, second = sweep(
        {"m": small_cnn()}, (3, 8, 8), batches=(3,), variants={"absent": absent, "eager": latency.eager}, **QUICK
    )
    assert second.timing and not second.skipped
    assert first.timing is None and math.isnan(first.milliseconds) and math.isnan(first.images_per_second)
    assert first.skipped == "absent is not installed"


def test_a_setting_that_runs_out_of_memory_is_skipped_and_the_others_go_on():
    def greedy(model, example, calibration):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB")

    first, second = sweep(
        {"m": small_cnn()}, (3, 8, 8), batches=(7,), variants={"greedy": greedy, "eager": latency.eager}, **QUICK
    )
    assert first.skipped == "batch 7 does not fit into the memory of cpu"
    assert second.timing


def test_a_mistake_in_a_model_is_not_hidden_as_skipped():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        sweep({"m": nn.Sequential(nn.Flatten(), nn.Linear(7, 2))}, (3, 8, 8), batches=(1,), **QUICK)


def test_the_copy_of_the_input_is_never_claimed_on_the_cpu():
    (only,) = sweep({"m": small_cnn()}, (3, 8, 8), batches=(1,), include_copy=True, **QUICK)
    assert only.include_copy is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batches": (1, 0)}, r"rounds, min_runs and batches must be >= 1, got 3, 20 and \(1, 0\)"),
        ({"rounds": 0}, "rounds, min_runs and batches must be >= 1, got 0"),
        ({"threads": (0,)}, "threads must be >= 1, got 0"),
    ],
)
def test_wrong_arguments_of_a_sweep_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        sweep({"m": small_cnn()}, (3, 8, 8), **wrong)


def test_a_row_survives_its_way_through_json():
    for before in (row(4, 2.5), row(4, None)):
        assert Row.from_dict(json.loads(json.dumps(asdict(before)))) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_threads_are_left_alone_and_the_copy_can_be_included():
    rows = sweep({"m": small_cnn()}, (3, 8, 8), batches=(2,), devices=("cuda",), threads=(1, 2), include_copy=True)
    assert [(r.device, r.threads, r.include_copy) for r in rows] == [("cuda:0", None, True)]


# the crossover


def test_the_crossover_is_where_one_setting_begins_to_win_for_good():
    cpu = [row(1, 1.0), row(4, 3.0), row(16, 9.0), row(64, 40.0)]
    assert crossover(cpu, [row(1, 2.0), row(4, 2.0), row(16, 2.0), row(64, 3.0)]) == 4
    assert crossover(cpu, [row(1, 2.0), row(4, 2.0), row(16, 10.0), row(64, 3.0)]) == 64
    assert crossover(cpu, [row(1, 0.5), row(4, 2.0), row(16, 2.0), row(64, 3.0)]) == 1


def test_there_is_no_crossover_where_the_other_loses_or_ties_at_the_largest_batch():
    assert crossover([row(1, 1.0), row(64, 4.0)], [row(1, 0.5), row(64, 5.0)]) is None
    assert crossover([row(1, 1.0)], [row(1, 1.0)]) is None


def test_skipped_rows_do_not_count_for_the_crossover():
    assert crossover([row(1, 1.0), row(64, 4.0)], [row(1, 0.5), row(64, None)]) == 1


def test_a_crossover_of_mixed_or_disjoint_settings_is_refused():
    with pytest.raises(ValueError, match="got two rows with the same batch"):
        crossover([row(1, 1.0), row(1, 2.0, "compile")], [row(1, 1.0)])
    with pytest.raises(ValueError, match=r"no batch in common, got \[1\] and \[64\]"):
        crossover([row(1, 1.0)], [row(64, 1.0)])
