"""What weights by image, weights of several teachers and temperatures by image gain over equal ones, on the digits.

Runs the code of notebooks/24_weighted_and_important.ipynb with ten seeds (20 to 29), so that the record and the
notebook cannot differ. About one minute at one thread.

    python benchmarks/weighted.py [--short]      --short takes three seeds
"""

import argparse
import os
import time

from headline import FIRST, SEEDS, lesson
from provenance import write
from turns import points

from workbook.panels import prediction

HEADINGS = {
    "weak": "weak teacher, over equal weights", "mixed": "mixed-up answers, over equal weights",
    "two": "two banks without labels, over the first with equal weights", "teachers": "means of a good and a weak "
    "teacher, over the good one", "heat": "temperatures by image, over one",
}


def record(space: dict) -> dict:
    """The notebook's accuracies by seed, its gains, and what became of the wrong answers, under names for json."""
    return {
        "seeds": list(space["splits"]),
        "accuracy_percent": {name if isinstance(name, str) else ", ".join(name): values
                             for name, values in space["score"].items()},
        "gains_points": {kind: {name: gain._asdict() for name, gain in gains.items()}
                         for kind, gains in space["gains"].items()},
        "weight_on_wrong_percent": space["on_wrong"],
        "repeated_percent": space["again"],
        "errors_on_held_out_percent": dict(zip(("good", "weak"), space["miss"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ["TQDM_DISABLE"] = "1"
    start = time.perf_counter()
    space = lesson(3 if short else SEEDS, "24_weighted_and_important", guess=prediction("abc"))
    data = record(space)
    assert data["seeds"][0] == FIRST
    data["figures"] = {
        f"{HEADINGS[kind]}: {name}": points(gain["mean"], gain["low"], gain["high"])
        for kind, gains in data["gains_points"].items() for name, gain in gains.items()
    }
    data["seconds"] = time.perf_counter() - start
    for kind, gains in data["gains_points"].items():
        print(HEADINGS[kind])
        for name, gain in gains.items():
            interval = f"{gain['mean']:+6.2f} [{gain['low']:+5.1f}, {gain['high']:+5.1f}]"
            print(f"  {name:28} {interval}  wins {gain['wins']}/{gain['pairs']}")
    print(write("weighted", data))


if __name__ == "__main__":
    main()
