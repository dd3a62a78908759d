"""One honest timer, and the sweep over models, batch sizes, devices, threads and runtimes.

It measures and returns plain rows; the runtimes themselves, figures and records stand elsewhere.
"""

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from kdlab import devices as hardware
from workbook.runtimes import RUNTIMES, Unavailable


@dataclass(frozen=True)
class Timing:
    """Raw seconds of single calls, in the order they ran; `median`, `p5`, `p95` in seconds, `runs` counts them."""

    seconds: tuple[float, ...]

    runs = property(lambda self: len(self.seconds))
    median = property(lambda self: float(np.median(self.seconds)))
    p5 = property(lambda self: float(np.percentile(self.seconds, 5)))
    p95 = property(lambda self: float(np.percentile(self.seconds, 95)))


@dataclass(frozen=True)
class Row:
    """One setting of a sweep; `timing` is None where it could not run, and `skipped` then says why.

    `threads` is None where the number was left alone; `include_copy` tells whether the input's way from the CPU's
    memory to the device is in the time; `milliseconds` is the median for the whole batch, nan where skipped.
    `dataclasses.asdict` gives what json writes, `Row.from_dict` reads it.
    """

    model: str
    batch: int
    device: str
    threads: int | None
    variant: str
    timing: Timing | None
    skipped: str = ""
    include_copy: bool = False

    milliseconds = property(lambda self: 1e3 * self.timing.median if self.timing else math.nan)
    images_per_second = property(lambda self: 1e3 * self.batch / self.milliseconds)

    @classmethod
    def from_dict(cls, record: Mapping) -> "Row":
        """The row that `dataclasses.asdict` took apart, also after a way through JSON."""
        timing = record["timing"] and Timing(tuple(record["timing"]["seconds"]))
        return cls(**{**record, "timing": timing})


def measure(
    call: Callable[[], object],
    *,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    warmup: int = 5,
    min_runs: int = 20,
    min_seconds: float = 0.2,
    max_runs: int = 1000,
) -> Timing:
    """Times single calls, each from an idle device to an idle device.

    The device is synchronized before each start and each stop of the clock, so a time is the latency of one call
    on its own; an accelerator that is kept busy with many calls at once does more per second. Gradients are off
    (inference mode), and so is the garbage collector. Threads and collector are put back, also after an error.

    Args:
        call: takes nothing; what it returns is dropped.
        device: where the work runs.
        threads: CPU threads inside an operation, >= 1; None leaves the setting alone.
        warmup: calls before the clock starts, >= 0.
        min_runs, min_seconds: it goes on until both are reached; the seconds count timed calls only.
        max_runs: it stops there in any case.

    Returns:
        Timing of min_runs to max_runs calls.

    Raises:
        ValueError: a device that is not here, threads < 1, or numbers of runs that do not fit.
    """
    if warmup < 0 or not 1 <= min_runs <= max_runs:
        raise ValueError(f"need warmup >= 0 and 1 <= min_runs <= max_runs, got {warmup}, {min_runs}, {max_runs}")
    device = device if isinstance(device, torch.device) else hardware.choose(device)
    collects, nanoseconds = gc.isenabled(), []
    with hardware.threads(threads), torch.inference_mode():
        gc.disable()
        try:
            for _ in range(warmup):
                call()
            left = min_seconds * 1e9
            while len(nanoseconds) < max_runs and (len(nanoseconds) < min_runs or left > 0):
                hardware.synchronize(device)
                start = time.perf_counter_ns()
                call()
                hardware.synchronize(device)
                nanoseconds.append(time.perf_counter_ns() - start)
                left -= nanoseconds[-1]
        finally:
            if collects:
                gc.enable()
    return Timing(tuple(n / 1e9 for n in nanoseconds))


def sweep(
    models: Mapping[str, nn.Module],
    shape: tuple[int, int, int],
    *,
    batches: Sequence[int] = (1, 64),
    devices: Sequence[str] = ("cpu",),
    threads: Sequence[int | None] = (1,),
    variants: Sequence[str] | Mapping[str, Callable] = ("eager",),
    calibration: Tensor | None = None,
    include_copy: bool = False,
    rounds: int = 3,
    min_runs: int = 20,
    min_seconds: float = 0.2,
) -> list[Row]:
    """Times every combination, and leaves the models as they were.

    Timed is one forward pass from a float32 input that lies on the device to logits that lie there. Variants and
    thread counts of one model, device and batch take turns, so that a busy moment of the machine meets them all.
    A setting that cannot run gives a row that says why, and the sweep goes on.

    Args:
        models: name to model.
        shape: (channels, height, width) of one image; the images are random normal.
        batches: images per call, each >= 1.
        devices: names of devices that are here.
        threads: CPU threads, each >= 1 or None; other devices are measured once, without a thread count.
        variants: names out of runtimes.RUNTIMES, or a dict of names to functions (model, example, calibration) → call,
            such as the `build` of a runtime.
        calibration: what int8 is calibrated on, as for Runtime.build. Without it the random images do, which is
            enough for a time, and not for an answer.
        include_copy: adds the way of the input from the CPU's memory to the device; nothing on the CPU itself.
        rounds: turns, >= 1; the timings of all turns are joined.
        min_runs, min_seconds: of each setting, over all rounds; see `measure`.

    Returns:
        One Row for each model, device, batch, variant and thread count, in that order.

    Raises:
        ValueError: a device that is not here, an unknown variant, or a number < 1.
    """
    places = [hardware.choose(name) for name in devices]
    if unknown := [name for name in variants if not isinstance(variants, Mapping) and name not in RUNTIMES]:
        raise ValueError(f"no runtime is called {unknown[0]!r}; there are {', '.join(RUNTIMES)}")
    table = variants if isinstance(variants, Mapping) else {name: RUNTIMES[name].build for name in variants}
    if min(rounds, min_runs, *batches) < 1:
        raise ValueError(f"rounds, min_runs and batches must be >= 1, got {rounds}, {min_runs} and {tuple(batches)}")
    share = {"warmup": 2, "min_runs": math.ceil(min_runs / rounds), "min_seconds": min_seconds / rounds}
    rows = []
    for (name, model), device, batch in product(models.items(), places, batches):
        on_cpu = device.type == "cpu"
        copies = include_copy and not on_cpu
        host = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
        calls, skipped, seconds = {}, {}, {}
        for variant, count in product(variants, threads if on_cpu else (None,)):
            try:
                with hardware.threads(count):
                    call = table[variant](model, host.to(device), host if calibration is None else calibration)
                    calls[variant, count] = _bound(call, host, device, copies)
            except Unavailable as error:
                skipped[variant, count] = str(error)
            except torch.OutOfMemoryError:
                skipped[variant, count] = f"batch {batch} does not fit into the memory of {device}"
            seconds[variant, count] = ()
        for _ in range(rounds):
            for key, call in calls.items():
                seconds[key] += measure(call, device=device, threads=key[1], **share).seconds
        for (variant, count), raw in seconds.items():
            timing, reason = (Timing(raw) if raw else None), skipped.get((variant, count), "")
            rows.append(Row(name, batch, str(device), count, variant, timing, reason, copies))
    return rows


def crossover(base: Sequence[Row], other: Sequence[Row]) -> int | None:
    """The smallest batch from which on `other` needs fewer milliseconds per image than `base`.

    Args:
        base, other: rows of one setting each, with at least one batch in common; skipped rows do not count.

    Returns:
        A batch measured in both: there and at every larger one in common `other` has the smaller median. None
        where it loses at the largest.

    Raises:
        ValueError: two rows of one side have the same batch, or no batch is in common.
    """
    medians = [{row.batch: row.milliseconds for row in rows if row.timing} for rows in (base, other)]
    if sum(map(len, medians)) < sum(row.timing is not None for row in [*base, *other]):
        raise ValueError("each side of a crossover must be one setting, got two rows with the same batch")
    if not (shared := sorted(medians[0].keys() & medians[1].keys())):
        raise ValueError(f"the sides have no batch in common, got {sorted(medians[0])} and {sorted(medians[1])}")
    loses = [batch for batch in shared if medians[1][batch] >= medians[0][batch]]
    return next((batch for batch in shared if not loses or batch > loses[-1]), None)


def _bound(call: Callable, host: Tensor, device: torch.device, copies: bool) -> Callable:
    """A call without arguments that has run once."""
    example = host.to(device)
    timed = (lambda: call(host.to(device))) if copies else (lambda: call(example))
    with torch.inference_mode():
        timed()
    return timed
