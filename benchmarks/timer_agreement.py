"""Does kdlab.latency.measure agree with torch.utils.benchmark.Timer? Both time the same calls in turn, at one thread.

    python benchmarks/timer_agreement.py [--rounds 10] [--seconds 0.1] [--short]

Timer clocks blocks of up to 1,000 calls, so its figure is a median of means; measure clocks each call and gives
their median. Like for like is therefore our mean by Timer's figure: 1 is full agreement. Our median by Timer's
figure falls below 1 where other work on the machine makes some calls slow: the mean takes them in, the median
does not. Prints both for each workload and writes results/timer_agreement-MACHINE.json.
"""

import argparse
import statistics

import provenance
import torch
from torch.utils import benchmark
from turns import figure

from kdlab import latency, models


def workloads() -> dict:
    """Name to a call without arguments, from microseconds to milliseconds."""
    torch.manual_seed(0)
    matrix = torch.randn(256, 256)
    calls = {"matrix product 256": lambda: matrix @ matrix}
    for name, shape in {"mlp-512-512": (1, 8, 8), "cnn-8-16-16": (3, 32, 32)}.items():
        for batch in (1, 64):
            images = torch.randn(batch, *shape)
            calls[f"{name} batch {batch}"] = bind(latency.eager(models.build(name, shape, 10, seed=0), images), images)
    return calls


def bind(model, images):
    return lambda: model(images)


def ours(call, seconds: float) -> tuple[float, float]:
    timing = latency.measure(call, threads=1, min_seconds=seconds, max_runs=100_000)
    return statistics.mean(timing.seconds), timing.median


def torchs(call, seconds: float) -> float:
    with torch.inference_mode():  # as in ours; the timer itself leaves gradients on
        timer = benchmark.Timer("call()", globals={"call": call}, num_threads=1)
        return timer.blocked_autorange(min_run_time=seconds).median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="turns of both timers for each workload")
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds for each timer in each turn")
    parser.add_argument("--short", action="store_true", help="3 rounds")
    options = parser.parse_args()
    options.rounds = 3 if options.short else options.rounds

    rows, figures = [], {}
    print(f"{'':24}{'milliseconds':>24}   {'our mean / torch':^24}{'our median / torch':^24}")
    print(f"{'workload':24}{'mean':>8}{'median':>8}{'torch':>8}   " + f"{'median':>8}{'lowest':>8}{'highest':>8}" * 2)
    for name, call in workloads().items():
        row = {"workload": name, "our_mean": [], "our_median": [], "torch": []}  # seconds, one figure a round
        for turn in range(options.rounds):
            for own in (True, False) if turn % 2 else (False, True):  # neither is always first
                if own:
                    mean, median = ours(call, options.seconds)
                    row["our_mean"].append(mean)
                    row["our_median"].append(median)
                else:
                    row["torch"].append(torchs(call, options.seconds))
        line = "".join(f"{1e3 * statistics.median(row[key]):8.4f}" for key in ("our_mean", "our_median", "torch"))
        for key in ("our_mean", "our_median"):
            ratios = [a / b for a, b in zip(row[key], row["torch"])]
            spread = statistics.median(ratios), min(ratios), max(ratios)
            row[f"{key}_by_torch"] = dict(zip(("median", "lowest", "highest"), spread))
            if key == "our_mean":
                figures[f"timer, {name}: our mean / torch's"] = figure(ratios, "times", 1)
            line += ("   " if key == "our_mean" else "") + "".join(f"{x:8.3f}" for x in spread)
        rows.append(row)
        print(f"{name:24}{line}", flush=True)
    print(provenance.write("timer_agreement", {"rounds": options.rounds, "figures": figures, "workloads": rows}))


if __name__ == "__main__":
    main()
