"""What a start from the teacher buys: every second layer, sliced channels, two thin matrices, each with its controls.

Runs the code of notebooks/26_the_students_start.ipynb with ten seeds (20 to 29), so that the record and the lab
cannot differ. About two minutes.

    python benchmarks/student_starts.py [--short]      --short takes three seeds
"""

import argparse
import os
import time

from headline import FIRST, SEEDS, lesson
from provenance import write
from turns import points

from workbook.panels import prediction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    seeds = 3 if parser.parse_args().short else SEEDS
    os.environ["TQDM_DISABLE"] = "1"
    start = time.perf_counter()
    space = lesson(seeds, "26_the_students_start", guess=prediction("abc"))
    courses = {"few images": space["few"], "all images": space["full"], "thin pair, few images": space["thinned"]}
    data = {
        "seeds": list(range(FIRST, FIRST + seeds)),
        "verdicts_points": {name: gain._asdict() for name, gain in space["verdicts"].items()},
        "accuracy_percent": courses | {
            "teacher": [space["accuracy"](space["deeps"][s], s) for s in space["splits"]],
            "equal layers left, no training": space["left"],
            "channels, no training": space["untrained"],
            "channels, few images, soft": space["after"],
        },
        "points_lost_by_rank": space["lost"],
        "figures": {name: points(*gain[:3]) for name, gain in space["verdicts"].items()},
        "seconds": time.perf_counter() - start,
    }
    for name, gain in space["verdicts"].items():
        print(f"{name:60} {gain}")
    print(write("student_starts", data))


if __name__ == "__main__":
    main()
