"""One honest timer, and the sweep over models, batch sizes, devices, threads and ways to run a model.

It measures what it is handed and returns plain rows; the runtimes, figures and records stand elsewhere.
"""

import copy
import functools
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


class Unavailable(RuntimeError):
    """A setting cannot run here, or not this model; the message is one sentence that says why, or what to install."""


def eager(model: nn.Module, example: Tensor, calibration: Tensor | None = None) -> nn.Module:
    """A sweep's variant where none is named: torch as it is, on a copy in eval mode on the example's device."""
    return copy.deepcopy(model).to(example.device).eval()


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
        return cls(**{**record, "timing": record["timing"] and Timing(tuple(record["timing"]["seconds"]))})


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
        device, threads: where the work runs; CPU threads inside an operation, >= 1, or None to leave them alone.
        warmup: calls before the clock starts, >= 0.
        min_runs, min_seconds, max_runs: it goes on until both minima are reached, and never beyond the maximum.

    Returns a Timing of min_runs to max_runs calls. ValueError: a device that is not here, or numbers that do not fit.
    """
    if warmup < 0 or not 1 <= min_runs <= max_runs:
        raise ValueError(f"need warmup >= 0 and 1 <= min_runs <= max_runs, got {warmup}, {min_runs}, {max_runs}")
    device = device if isinstance(device, torch.device) else hardware.choose(device)
    collects, nanoseconds, left = gc.isenabled(), [], min_seconds * 1e9
    with hardware.threads(threads), torch.inference_mode():
        gc.disable()
        try:
            for _ in range(warmup):
                call()
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
    variants: Mapping[str, Callable] = {"eager": eager},
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
        shape, batches: (channels, height, width) of one image, random normal; and images per call, each >= 1.
        devices, threads: of devices that are here, the CPU with each number of threads (>= 1, or None: as they are).
        variants: names to functions (model, example, calibration) → call; they raise Unavailable where they cannot run.
        calibration: the images that quantization is calibrated on. Without them the random ones do, which is enough
            for a time, and not for an answer.
        include_copy: adds the way of the input from the CPU's memory to the device; nothing on the CPU itself.
        rounds, min_runs, min_seconds: turns, >= 1; and what each setting gets over all of them, see `measure`.

    Returns a Row for each model, device, batch, variant and thread count, in that order. ValueError: a device that is
    not here, or a number < 1.
    """
    if min(rounds, min_runs, *batches) < 1:
        raise ValueError(f"rounds, min_runs and batches must be >= 1, got {rounds}, {min_runs} and {tuple(batches)}")
    rows, share = [], {"warmup": 2, "min_runs": math.ceil(min_runs / rounds), "min_seconds": min_seconds / rounds}
    for (name, model), device, batch in product(models.items(), map(hardware.choose, devices), batches):
        copies = include_copy and device.type != "cpu"
        host = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
        example, calls, skipped, seconds = host.to(device), {}, {}, {}
        for variant, count in product(variants, threads if device.type == "cpu" else (None,)):
            try:
                with hardware.threads(count):
                    run = variants[variant](model, example, host if calibration is None else calibration)
                    copied = functools.partial(lambda run, host, device: run(host.to(device)), run, host, device)
                    call = copied if copies else functools.partial(run, example)
                    with torch.inference_mode():
                        call()  # its first call may compile
                calls[variant, count] = call
            except Unavailable as error:
                skipped[variant, count] = str(error)
            except torch.OutOfMemoryError:
                skipped[variant, count] = f"batch {batch} does not fit into the memory of {device}"
            seconds[variant, count] = ()
        for _ in range(rounds):
            for key, call in calls.items():
                seconds[key] += measure(call, device=device, threads=key[1], **share).seconds
        for key, raw in seconds.items():
            timing = Timing(raw) if raw else None
            rows.append(Row(name, batch, str(device), key[1], key[0], timing, skipped.get(key, ""), copies))
    return rows


def crossover(base: Sequence[Row], other: Sequence[Row]) -> int | None:
    """The smallest batch from which on `other` needs fewer milliseconds per image than `base`.

    Args:
        base, other: rows of one setting each, with at least one batch in common; skipped rows do not count.

    Returns a batch measured in both: there and at every larger one in common `other` has the smaller median. None where
    it loses at the largest. ValueError: two rows of one side have the same batch, or no batch is in common.
    """
    medians = [{row.batch: row.milliseconds for row in rows if row.timing} for rows in (base, other)]
    if sum(map(len, medians)) < sum(row.timing is not None for row in [*base, *other]):
        raise ValueError("each side of a crossover must be one setting, got two rows with the same batch")
    if not (shared := sorted(medians[0].keys() & medians[1].keys())):
        raise ValueError(f"the sides have no batch in common, got {sorted(medians[0])} and {sorted(medians[1])}")
    lost = max((batch for batch in shared if medians[1][batch] >= medians[0][batch]), default=0)
    return next((batch for batch in shared if batch > lost), None)
