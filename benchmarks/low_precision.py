"""What a teacher gains for students of few bits and of few units, and whether coarse students gain more.

Runs the code of notebooks/13_low_precision.ipynb with ten seeds (20 to 29) and students trained at 8, 4, 3 and 2
bits, so that the record and the lab cannot differ; then bits against units, and the lab's solution to "a better scale".
About three minutes.

    python benchmarks/low_precision.py [--short]      --short takes three seeds
"""

import argparse
import json
import os
import re
import time
from collections.abc import Callable

from headline import FIRST, SEEDS, lesson
from provenance import ROOT, write
from turns import points

from workbook.panels import prediction

BITS = [8, 4, 3, 2]


def better_scale(space: dict, summary: Callable) -> dict:
    """What the solution of exercise 2 wins over the widest scale, for students rounded after training."""
    cells = json.loads((ROOT / "notebooks" / "13_low_precision.ipynb").read_text())["cells"]
    solutions = ["".join(cell["source"]) for cell in cells if "solution" in cell["metadata"].get("tags", [])]
    source = next(text for text in solutions if "def scale_of" in text)
    exec(re.search(r"```python\n(.*?)```", source, re.S).group(1), space)
    weights, found = space["Weights"], {}
    weights.scale_of = staticmethod(space["scale_of"])
    for case in space["cases"]:
        for b in (3, 2):
            ours = space["after_training"](space["students"][case], case[0], b)
            found[f"{space['label'][case]}, {b} bits"] = summary(ours, space["after"][*case, b])
    weights.scale_of = staticmethod(space["widest"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ["TQDM_DISABLE"] = "1"
    start = time.perf_counter()
    seeds = 3 if short else SEEDS
    space = lesson(seeds, "13_low_precision", bits=BITS, guess=prediction("abc"))
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
    shelf, few = {name: values for name, (_, values) in space["shelf"].items()}, f"{space['keep']} units"
    bytes_or_units = {
        f"32 units, 4 bits − {few}, float32": summary(shelf["32 units", "4 bits"], shelf[few, "float32"]),
        f"{few}, 8 bits − 32 units, 2 bits": summary(shelf[few, "8 bits"], shelf["32 units", "2 bits"]),
        f"{few}, 8 bits − 32 units, 2 bits, twice the steps":
            summary(shelf[few, "8 bits"], shelf["32 units", "2 bits, twice the steps"]),
    }
    within, after = space["within"], space["after"]
    won_back = {f"{space['label'][case]}, {b} bits": summary(within[*case, b], after[*case, b])
                for case in space["cases"] for b in BITS}
    data = {
        "seeds": list(range(FIRST, FIRST + seeds)),
        "accuracy_percent": accuracy,
        "gain_of_the_teacher_points": gains,
        "more_than_in_float_points": more,
        "pruning_points": {name: summary(*pair) for name, pair in space["pruning"].items()},
        "bits_or_units_points": bytes_or_units,
        "in_minus_after_training_points": won_back,
        "better_scale_points": better_scale(space, summary),
        "figures": {
            f"{name}: gain of the teacher": points(row["mean"], row["low"], row["high"]) for name, row in gains.items()
        },
        "seconds": time.perf_counter() - start,
    }
    for kind in (kind for kind in data if kind.endswith("_points")):
        print(kind)
        for name, row in data[kind].items():
            interval = f"{row['mean']:+6.2f} [{row['low']:+5.1f}, {row['high']:+5.1f}]"
            print(f"  {name:46} {interval}  wins {row['wins']}/{seeds}")
    print(write("low_precision", data))


if __name__ == "__main__":
    main()
