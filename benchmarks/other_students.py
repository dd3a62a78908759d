"""What students that are no networks gain from a teacher, and what knowledge put in by hand gives.

Runs the code of notebooks/25_other_students.ipynb with ten seeds on which nothing was tuned (20 to 29), so that the
record and the notebook cannot differ. About two minutes.

    python benchmarks/other_students.py [--short]      --short takes three seeds
"""

import argparse
import os
import time

from headline import FIRST, SEEDS, lesson
from provenance import write

from workbook.panels import prediction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ["TQDM_DISABLE"] = "1"
    start = time.perf_counter()
    seeds = 3 if short else SEEDS
    space = lesson(seeds, "25_other_students", guess=prediction("abc"))
    data = {
        "seeds": list(range(FIRST, FIRST + seeds)),
        "gains_points": {name: gain._asdict() for name, gain in space["gains"].items()},
        "accuracy_percent": {f"{name}, {way}": found for (name, way), found in space["results"].items()},
        "fidelity_percent_by_depth": {str(depth): found for depth, found in space["explained"].items()},
        "points_a_rule_could_win": {
            "a 3 is never a 1": float(space["wrong"][3, 1]), "the best rule": float(space["wrong"].max()),
        },
        "seconds": time.perf_counter() - start,
    }
    for name, gain in space["gains"].items():
        print(f"{name:50} {gain}")
    print(write("other_students", data))


if __name__ == "__main__":
    main()
