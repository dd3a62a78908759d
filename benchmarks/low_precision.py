"""What a teacher gains for students of few bits and of few units, and whether coarse students gain more.

Runs the code of notebooks/13_low_precision.ipynb with ten seeds (20 to 29) and students trained at 8, 4, 3 and 2
bits, so that the record and the lab cannot differ. About three minutes.

    python benchmarks/low_precision.py [--short]      --short takes three seeds
"""

import argparse
import os
import time

from headline import FIRST, SEEDS, lesson
from provenance import write

BITS = [8, 4, 3, 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ["TQDM_DISABLE"] = "1"
    start = time.perf_counter()
    seeds = 3 if short else SEEDS
    space = lesson(seeds, "13_low_precision", bits=BITS)
    compare, floats = space["paired_difference"], space["floats"]

    def gain(table: dict, crowd: str, *precision: int) -> list[float]:
        return [a - b for a, b in zip(table[crowd, True, *precision], table[crowd, False, *precision])]

    def summary(treated: list[float], control: list[float]) -> dict:
        return compare(treated, control)._asdict()

    gains, more = {}, {}
    for crowd in space["crowds"]:
        in_float = gain(floats, crowd)
        gains[f"{crowd} images, float"] = summary(in_float, [0.0] * seeds)
        for when, table in (("in", space["within"]), ("after", space["after"])):
            for b in BITS:
                name = f"{crowd} images, {b} bits {when} training"
                gains[name] = summary(gain(table, crowd, b), [0.0] * seeds)
                more[name] = summary(gain(table, crowd, b), in_float)
    accuracy = {f"{space['label'][case]}, float": floats[case] for case in space["cases"]}
    for when, table in (("in", space["within"]), ("after", space["after"])):
        for case in space["cases"]:
            accuracy |= {f"{space['label'][case]}, {b} bits {when} training": table[*case, b] for b in BITS}
    accuracy |= {f"{space['label'][case]}, {space['keep']} units, {how}": values
                 for (case, how), values in space["pruned"].items()}
    data = {
        "seeds": list(range(FIRST, FIRST + seeds)),
        "accuracy_percent": accuracy,
        "gain_of_the_teacher_points": gains,
        "more_than_in_float_points": more,
        "pruning_points": {name: summary(*pair) for name, pair in space["pruning"].items()},
        "figures": {
            f"{name}: gain of the teacher":
                {"median": row["mean"], "lowest": row["low"], "highest": row["high"],
                 "unit": "points, mean and 95% interval", "goal": None}
            for name, row in gains.items()
        },
        "seconds": time.perf_counter() - start,
    }
    for kind in ("gain_of_the_teacher_points", "more_than_in_float_points", "pruning_points"):
        print(kind)
        for name, row in data[kind].items():
            interval = f"{row['mean']:+6.2f} [{row['low']:+5.1f}, {row['high']:+5.1f}]"
            print(f"  {name:46} {interval}  wins {row['wins']}/{seeds}")
    print(write("low_precision", data))


if __name__ == "__main__":
    main()
