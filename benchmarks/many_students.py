"""How much faster are many students trained at once than one by one? Interleaved, in one run, at one thread.

    python benchmarks/many_students.py [--short] [--rounds 5]

The students: mlp-32 on the first 50 digits, 300 steps, all images in each step, their alphas and temperatures over
a grid. The ways: `one by one` is kdlab.training.distil for each student; `vmap` is torch.func on the same stack;
`at once` is workbook.labs.many.distil; all with the fused AdamW. Then wider students and a CNN, where the gain
shrinks or is gone. Figures are CPU seconds of this process, with wall seconds in the record; ratios are taken
round by round. Memory is how far the peak of a forked process's resident set (getrusage's ru_maxrss) lies above
that of the same way with one student. Writes results/many_students-MACHINE.json.
"""

import argparse
import copy
import itertools
import multiprocessing
import statistics
import sys
import time

import provenance
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from kdlab import bank, data, losses, models, training
from kdlab.training import Knobs
from workbook.labs import many

torch.set_num_threads(1)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0)


def one_by_one(students, knobs, dataset, stored, **options):
    for student, knob in zip(students, knobs):
        for _ in training.distil(student, dataset, knob, teacher=stored, **options):
            pass


def at_once(students, knobs, dataset, stored, **options):
    for _ in many.distil(students, dataset, knobs, teacher=stored, way="at once", **options):
        pass


def by_vmap(students, knobs, dataset, stored, *, steps):
    weights, buffers = stack_module_state(students)
    bare = copy.deepcopy(students[0]).to("meta")
    alpha, heat = torch.tensor([(k.alpha, k.temperature) for k in knobs]).unbind(1)
    part = dataset.train.subset(dataset.indices)
    images, labels = dataset.normalize(part.images), part.labels
    targets = stored.lookup(dataset.indices)
    optimizer = torch.optim.AdamW(weights.values(), weight_decay=0.0, fused=True)

    def loss(weights, buffers, alpha, heat):
        logits = functional_call(bare, (weights, buffers), (images,))
        return losses.mixed(losses.soft_term(logits, targets, heat), F.cross_entropy(logits, labels), alpha)

    for number in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=True)
        vmap(loss)(weights, buffers, alpha, heat).sum().backward()
        optimizer.param_groups[0]["lr"] = knobs[0].lr * training.warm_cosine(number, steps)
        optimizer.step()


WAYS = {"one by one": one_by_one, "vmap": by_vmap, "at once": at_once}


def prepared(name: str, teacher: str, **options):
    dataset = data.load(name, seed=0, **options)
    model = models.build(teacher, dataset.shape, 10, seed=0)
    training.finish(training.train(model, dataset, steps=50, batch_size=64))
    return dataset, bank.fill(model, dataset)


def one_run(way: str, name: str, count: int, dataset, stored, *, images: int, steps: int) -> tuple[float, float]:
    """CPU and wall seconds of one way on the first so many images; making the students is not in them."""
    students = [models.build(name, dataset.shape, 10, seed=i) for i in range(count)]
    grid = itertools.cycle(itertools.product((0.2, 0.4, 0.6, 0.8, 1.0), TEMPERATURES))
    knobs = [Knobs(*cell) for cell in itertools.islice(grid, count)]
    cpu, wall = time.process_time(), time.perf_counter()
    WAYS[way](students, knobs, dataset.only(torch.arange(images)), stored, steps=steps)
    return time.process_time() - cpu, time.perf_counter() - wall


def peak_megabytes(*arguments, **options) -> float | None:
    """How far the peak lies above that of one student, in a process of its own; None where there is no fork."""
    if sys.platform == "win32":
        return None
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_grow, args=(there, arguments, options))
    process.start()
    grown = here.recv()
    process.join()
    return round(grown, 1)


def _grow(pipe, arguments, options) -> None:
    import resource

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)

    way, name, count, *rest = arguments
    one_run(way, name, 1, *rest, **options | {"steps": 2})  # what any run needs, however many students there are
    before = peak()
    one_run(*arguments, **options | {"steps": 10})  # the peak does not depend on their number
    pipe.send(peak() - before)


def compare(title: str, ways, name, count, dataset, stored, *, rounds, peaks, **options) -> dict:
    reference = ways[0]
    found = {way: {"cpu_s": [], "wall_s": []} for way in ways}
    one_run(ways[-1], name, 2, dataset, stored, **options | {"steps": 2})  # the first call of all pays for its loading
    for turn in range(rounds):
        for way in ways[turn % len(ways):] + ways[:turn % len(ways)]:  # none is always first
            cpu, wall = one_run(way, name, count, dataset, stored, **options)
            found[way]["cpu_s"].append(round(cpu, 4))
            found[way]["wall_s"].append(round(wall, 4))
    for way, row in found.items():
        for clock in ("cpu", "wall"):
            ratios = [a / b for a, b in zip(found[reference][f"{clock}_s"], row[f"{clock}_s"])]
            row[f"times_faster_{clock}"] = dict(
                zip(("median", "lowest", "highest"), (round(f(ratios), 2) for f in (statistics.median, min, max))))
        row["peak_mb"] = peaks[way]
        faster = row["times_faster_cpu"]
        print(f"{title:34}{count:>9}  {way:18}{statistics.median(row['cpu_s']):9.3f}"
              f"{faster['median']:9.1f}x  [{faster['lowest']:.1f}, {faster['highest']:.1f}]"
              + (f"{row['peak_mb']:10.1f}" if row["peak_mb"] is not None else ""), flush=True)
    return {"title": title, "student": name, "students": count, **options, "reference": reference, "ways": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="under a minute: fewer students, two rounds")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is timed, in turn")
    options = parser.parse_args()
    rounds, short = 2 if options.short else options.rounds, options.short
    digits, glyphs = prepared("digits", "mlp-512-512"), prepared("glyphs", "cnn-8-16-16", train=200, test=10)
    plans = [
        (("mlp-32, 50 digits, 300 steps", list(WAYS), "mlp-32", count, *digits), dict(images=50, steps=300))
        for count in ((5, 25) if short else (1, 5, 25, 100))
    ]
    for name, images in [("mlp-128", 50), ("mlp-512-512", 50), ("mlp-512-512", 1000)][: 1 if short else 3]:
        pair = (f"{name}, {images} digits", ["one by one", "at once"], name, 25, *digits)
        plans.append((pair, dict(images=images, steps=10)))
    cnn = ("cnn-8-16-16, 50 glyphs", ["one by one", "vmap"], "cnn-8-16-16", 5 if short else 25, *glyphs)
    plans.append((cnn, dict(images=50, steps=5 if short else 20)))

    # Before all timing: what an earlier run has given back to this process's heap would hide a later one's memory.
    peaks = [{way: peak_megabytes(way, *plan[2:], **given) for way in plan[1]} for plan, given in plans]
    print(f"{'':34}{'students':>9}  {'way':18}{'CPU s':>9}{'faster':>10}  [lowest, highest]  peak MB")
    rows = [compare(*plan, rounds=rounds, peaks=peak, **given) for (plan, given), peak in zip(plans, peaks)]
    figures = {}
    for row, way in [(one, way) for one in rows for way in one["ways"] if way != "one by one"]:
        goal = 6 if (way, row["student"], row["students"]) == ("at once", "mlp-32", 25) else None
        name = f"{row['title']}, {row['students']} students: {way} / one by one"
        figures[name] = row["ways"][way]["times_faster_cpu"] | {"unit": "times, CPU seconds", "goal": goal}
    print(provenance.write("many_students", {"rounds": rounds, "figures": figures, "comparisons": rows}))


if __name__ == "__main__":
    main()
