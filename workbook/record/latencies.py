"""Sections on one forward pass: latencies of networks, the price of a launch, and the share of the machine's peak.

The timer and the sweep are kdlab.latency's, the ways to run a model those of workbook.runtimes.
"""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence

import torch

from kdlab import devices, models
from kdlab.latency import Row, measure, sweep
from workbook import runtimes
from workbook.labs import roofline
from workbook.record.sheet import Clock, first_line

NETWORKS = {  # name in the record → name of kdlab.models, side of a picture, classes
    "tutorial-teacher": ("tutorial-teacher", 32, 10),
    "tutorial-student": ("tutorial-student", 32, 10),
    "article-teacher": ("article-teacher", 32, 10),
    "article-student": ("article-student", 32, 10),
    "mobilenet_v3_small at 224": ("mobilenet_v3_small", 224, 1000),
    "resnet18 at 224": ("resnet18", 224, 1000),
}
PLAIN = ("eager", "channels_last", "bf16", "channels_last+bf16", "cuda graph")
COMPILED = (1, 64, 1024)  # batches; each is compiled anew
KEPT = 40  # raw times of a setting that are kept, evenly spread over its runs
SHORT = dict(rounds=2, min_runs=6, min_seconds=0.1)


def latency(device: torch.device, clock: Clock, batches: Sequence[int], seconds: float = 0.1) -> Iterator[dict]:
    """Milliseconds of one call, and the raw times, for each network, batch size and way to run it.

    First everything but the compiler: on the device and, where that is an accelerator, on the same machine's CPU; then,
    as long as time is left, torch.compile on the device. A call that would take too long is left out with its estimate.

    Yields:
        {"rows": settings as of kdlab.latency.Row, with at most 40 raw times; "ms": network → setting → batch → median
        ms on the device, the CPU's with one thread; "eager+copy" is eager with the way of the pictures to the device;
        "cpu_ms": the same for the CPU beside an accelerator, "eager, N threads" its settings}.
    """
    found: dict = {"rows": [], "ms": {}, "cpu_ms": {}, "launches": {}}
    networks = {name: (models.build(model, (3, side, side), classes, seed=0), (3, side, side))
                for name, (model, side, classes) in NETWORKS.items()}
    found["launches"] = {name: roofline.launches(*network) for name, network in networks.items()}
    alone, cpu = device.type == "cpu", torch.device("cpu")
    usable = {where: [name for name in PLAIN if not runtimes.RUNTIMES[name].why_not(where)]
              for where in (cpu, device)}
    jobs = [] if alone else [(device, [None], usable[device], False), (device, [None], ["eager"], True)]
    jobs += [(cpu, [threads], usable[cpu], False) for threads in sorted({1, devices.cores()})]
    jobs += [(device, [1] if alone else [None], ["compile"], False)]
    known: dict = {}  # device, network → the seconds of a call for one image, and how many times longer a cell took
    for job, (where, threads, variants, copies) in enumerate(jobs):
        compiles, settings = variants == ["compile"], len(variants) * len(threads)
        build = 15.0 if compiles else 0.0
        for batch in [n for n in batches if n in COMPILED] if compiles else batches:
            for name, (network, shape) in networks.items():
                begun = time.perf_counter()
                one, busy = known.get((where, name), (0.0, 1.0))
                calls = 9 * one * batch  # with those that build and warm up
                left = (1 - 0.15 * (len(jobs) - 1 - job)) * clock.left()  # so that no job takes the time of the next
                expected = build + settings * busy * (2 * seconds + calls)
                if expected > left or calls > 0.02 * clock.total:
                    said = f"left out: it would take about {expected:.0f} s, and {max(left, 0):.0f} s were left"
                    rows = [Row(name, batch, str(where), n, v, None, said, copies) for v in variants for n in threads]
                else:
                    rows = _timed(network, name, shape, batch, where, threads, variants, copies, seconds)
                    took = time.perf_counter() - begun
                    one = max((row.timing.median / batch for row in rows if row.timing), default=one)
                    if compiles:
                        build = took
                    else:
                        known[where, name] = (one, max(1.0, took / settings / (2 * seconds + 9 * one * batch)))
                _keep(found, rows, "ms" if where == device else "cpu_ms", copies)
            yield found


def _timed(network, name, shape, batch, where, threads, variants, copies, seconds) -> list[Row]:
    options = dict(SHORT, min_seconds=seconds, include_copy=copies)
    try:
        return sweep({name: network}, shape, batches=[batch], devices=[str(where)], threads=threads,
                     variants=runtimes.builders(variants), **options)
    except (RuntimeError, torch.OutOfMemoryError) as error:  # while it was timed: a driver's words, or no memory left
        said = f"{type(error).__name__}: {first_line(error)}"
        return [Row(name, batch, str(where), n, v, None, said, copies) for v in variants for n in threads]
    finally:
        if where.type == "cuda":
            torch.cuda.empty_cache()


def _keep(found: dict, rows: list[Row], where: str, copies: bool) -> None:
    for row in rows:
        plain = dataclasses.asdict(row)
        if row.timing:
            raw = row.timing.seconds
            step = max(1, -(-len(raw) // KEPT))
            plain["timing"] = {"seconds": [float(f"{s:.4g}") for s in raw[::step]]}
            way = row.variant + "+copy" * copies + (f", {row.threads} threads" if (row.threads or 1) > 1 else "")
            ways = found[where].setdefault(row.model, {})
            ways.setdefault(way, {})[str(row.batch)] = float(f"{row.milliseconds:.4g}")
            plain["runs"] = len(raw)
        found["rows"].append(plain)


def launches(device: torch.device, clock: Clock, count: int = 1000) -> Iterator[dict]:
    """Microseconds of the smallest operation, adding 1 to one number, five times `count` of them.

    Yields:
        {"queued_us": from one call to the next, while nothing is waited for; "done_us": the same with the wait for
        all of them at the end; "alone_us": one call from an idle device to an idle device}, medians.
    """
    number, queued, done = torch.zeros(1, device=device), [], []
    for _ in range(6):
        devices.synchronize(device)
        start = time.perf_counter()
        for _ in range(count):
            number.add_(1)
        queued.append((time.perf_counter() - start) / count)
        devices.synchronize(device)
        done.append((time.perf_counter() - start) / count)
    alone = measure(lambda: number.add_(1), device=device, min_runs=200).median
    yield {"queued_us": 1e6 * statistics.median(queued[1:]), "done_us": 1e6 * statistics.median(done[1:]),
           "alone_us": 1e6 * alone}


def peaks(device: torch.device, clock: Clock, latency: dict) -> Iterator[dict]:
    """What the device reaches at best, and the networks' shares of it.

    A product of n x n counts 2·n³ operations, a copy the bytes read and those written. A network's operations are two
    for each multiply-add; its bytes are those of `workbook.labs.roofline.traffic`, as if no cache kept any. On a GPU of
    NVIDIA float32 is compared with the product in tf32, which cuDNN takes for convolutions.

    Args:
        latency: what the section of that name has found.

    Yields:
        {"tflops": type → 1e12 operations a second in the fastest matrix product, "gbytes": 1e9 bytes a second of
        copies, "shares": network → setting → batch → {"product": of the peak of its type, "copy"}}.
    """
    one = device.type == "cpu"
    found = {"threads": 1 if one else None, "tflops": {}, "gbytes": {}, "shares": {}}
    for name in ("float32", "tf32", "bfloat16"):
        if (name == "tf32" and device.type != "cuda") or (name == "bfloat16" and not devices.autocast_dtype(device)):
            continue
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        try:
            found["tflops"][name] = max(_product(device, n, name, one) for n in ((512, 1024) if one else (4096, 8192)))
        finally:
            torch.set_float32_matmul_precision(before)
        yield found
    options = dict(device=device, threads=1 if one else None, warmup=2, min_runs=5, min_seconds=0.3)
    numbers = 2**25 if one else 2**28  # 128 MB, 1 GB
    source, target = (torch.zeros(numbers, device=device) for _ in range(2))
    found["gbytes"]["in memory"] = 2 * source.nbytes / measure(lambda: target.copy_(source), **options).median / 1e9
    if not one:
        host = torch.zeros(2**26)  # 256 MB
        part = target[: len(host)]
        ways = {"from the CPU's memory": host}
        if device.type == "cuda":
            ways["from pinned memory"] = host.pin_memory()
        for name, held in ways.items():
            call = lambda held=held: part.copy_(held)  # noqa: E731
            found["gbytes"][name] = host.nbytes / measure(call, **options).median / 1e9
    yield found
    for name, ways in latency["ms"].items():
        model, side, classes = NETWORKS[name]
        network, shape = models.build(model, (3, side, side), classes), (3, side, side)
        adds, moved = models.cost(network, shape).multiply_adds, [roofline.traffic(network, shape, n) for n in (1, 2)]
        for way in [way for way in ways if "threads" not in way and "+copy" not in way]:
            kind = "bfloat16" if "bf16" in way else "tf32" if device.type == "cuda" else "float32"
            for batch, ms in ways[way].items():
                n = int(batch)
                bytes_ = (moved[0] + (n - 1) * (moved[1] - moved[0])) * (0.5 if kind == "bfloat16" else 1)
                shares = {"product": 2 * n * adds / ms / 1e9 / found["tflops"][kind],
                          "copy": bytes_ / ms / 1e6 / found["gbytes"]["in memory"]}
                found["shares"].setdefault(name, {}).setdefault(way, {})[batch] = {
                    key: float(f"{value:.3g}") for key, value in shares.items()}
        yield found


def _product(device: torch.device, n: int, name: str, one: bool) -> float:
    kind = torch.bfloat16 if name == "bfloat16" else torch.float32
    a, b = (torch.randn(n, n, device=device, dtype=kind) for _ in range(2))
    into = torch.empty_like(a)
    options = dict(device=device, threads=1 if one else None, warmup=3, min_runs=5, min_seconds=0.3)
    return 2 * n**3 / measure(lambda: torch.mm(a, b, out=into), **options).median / 1e12
