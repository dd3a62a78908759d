"""What a published method costs beside plain logit distillation: steps per second, in turns, in one run.

Both sides of a ratio train the same ResNet-8 on the same glyphs in batches of 128, on one thread, by the same loop.
What learns from logits has the answers of a ResNet-20 in a bank; what learns from features asks it in every step, and
is compared with plain distillation that asks it, too. AT, SP, FitNets and ReviewKD learn from the maps of the last
block, RKD and CRD from their means.

    python benchmarks/methods_speed.py [--short]
"""

import argparse
import functools

import torch
from provenance import write
from turns import BATCH, in_turns, ratio, show

from kdlab import bank, data, devices, losses, models
from kdlab.training import Knobs, distil
from workbook.methods import FROM_FEATURES, FROM_LOGITS, WITH_PARAMETERS, tap

MAPS, MEANS = ("blocks.2", "blocks.8"), ("mean", "mean")  # of the student and of the teacher


def logit_loops(glyphs, build) -> dict:
    """Every method on logits, its steps without an end; the first is plain distillation."""
    known = bank.fill(build("resnet20"), glyphs)
    return {name: endless(build("resnet8"), glyphs, known, method) for name, method in FROM_LOGITS.items()}


def feature_loops(glyphs, build) -> dict:
    """Plain distillation with a live teacher, and every method on features."""
    loops = {"KD, live": endless(build("resnet8"), glyphs, build("resnet20"), losses.logits)}
    for name in (*FROM_FEATURES, *WITH_PARAMETERS):
        layers = MEANS if name in ("RKD", "CRD") else MAPS
        student, teacher = tap(build("resnet8"), layers[0]), tap(build("resnet20"), layers[1])
        options = {"images": len(glyphs.train)} if name == "CRD" else {}
        made = FROM_FEATURES.get(name) or WITH_PARAMETERS[name](student, teacher, glyphs.shape, **options)
        loops[name] = endless(student, glyphs, teacher, made)
    return loops


def endless(student, glyphs, teacher, method):
    knobs = Knobs(alpha=0.5, temperature=4.0, lr=1e-3)
    return distil(student, glyphs, lambda step: knobs, teacher=teacher, steps=10**9, batch_size=BATCH, method=method)


def turn(loop, count: int) -> int:
    for _ in range(count):
        next(loop)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two rounds of 2 steps in place of five of 10")
    rounds, count = (2, 2) if parser.parse_args().short else (5, 10)
    torch.set_num_threads(1)
    devices.huge_pages()
    glyphs = data.load("glyphs", train=6000, test=100)
    build = functools.partial(models.build, shape=glyphs.shape, classes=10, seed=0)
    figures, rates = {}, {}
    for loops in (logit_loops(glyphs, build), feature_loops(glyphs, build)):
        found = in_turns({name: functools.partial(turn, loop, count) for name, loop in loops.items()}, rounds)
        for loop in loops.values():
            loop.close()
        plain, *others = found
        figures |= {f"{name} / {plain}": ratio(found[name], found[plain]) for name in others}
        rates |= found
    show(figures)
    print(write("methods_speed", {"batch": BATCH, "threads": 1, "figures": figures, "steps_per_second": rates}))


if __name__ == "__main__":
    main()
