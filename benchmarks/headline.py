"""The headline: what distillation gains on fifty labelled digits, its controls, its limits, and the missing digit.

Runs the code of notebooks/03_distil_a_student.ipynb with ten seeds on which nothing was tuned (20 to 29), so that
the record and the lesson cannot differ, then each digit left out on three of them. About three minutes.

    python benchmarks/headline.py [--short]      --short takes three seeds and leaves the missing digits out
"""

import argparse
import contextlib
import io
import json
import time

from provenance import ROOT, write
from turns import points

FIRST, SEEDS, MISSING_SEEDS = 20, 10, 3
PANELS = ("panels.", "run.wait")  # but a reader's prediction is asked: nobody answers, and the cells after it go on


def lesson(seeds: int, notebook: str = "03_distil_a_student", **parameters) -> dict:
    """The namespace that a notebook leaves behind when it runs with so many seeds and without its panels."""
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
    space: dict = {}
    for cell in cells:
        source = "".join(cell["source"])
        tags = cell["metadata"].get("tags", [])
        live = any(word in source.replace("panels.prediction(", "") for word in PANELS)
        if cell["cell_type"] != "code" or live or "recorded" in tags:
            continue
        lines = [line for line in source.splitlines() if not line.startswith("%")]
        with contextlib.redirect_stdout(io.StringIO()):
            exec("\n".join(lines), space)
        if "parameters" in tags:
            space.update(seed=FIRST, seeds=seeds, **parameters)
    return space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    start = time.perf_counter()
    seeds = 3 if short else SEEDS
    space = lesson(seeds)
    missing = {temperature: [[] for _ in range(10)] for temperature in (1.0, 4.0, 8.0)} if not short else {}
    for space["seed"] in range(FIRST, FIRST + MISSING_SEEDS):
        for temperature, recalls in missing.items():
            for digit in range(10):
                recalls[digit].append(space["without"](digit, temperature)["distilled"][digit])
    data = {
        "seeds": list(range(FIRST, FIRST + seeds)),
        "accuracy_percent": {"alone": space["alone"], "distilled": space["distilled"]},
        "figures": {
            f"{name}: gain over the student alone": points(*gain[:3]) for name, gain in space["gains"].items()
        },
        "gains_points": {name: gain._asdict() for name, gain in space["gains"].items()},
        "limits_points": {name: gain._asdict() for name, gain in space["limits"].items()},
        "missing_digit_recall": {f"T={t:g}": recalls for t, recalls in missing.items()},
        "seconds": time.perf_counter() - start,
    }
    for name, gain in (data["gains_points"] | data["limits_points"]).items():
        print(
            f"{name:28} {gain['mean']:+6.2f} [{gain['low']:+5.1f}, {gain['high']:+5.1f}]  wins {gain['wins']}/{seeds}"
        )
    for name, recalls in data["missing_digit_recall"].items():
        print(f"missing digit, {name}:", *(f"{digit}: {sum(r) / len(r):.0%}" for digit, r in enumerate(recalls)))
    print(write("headline", data))


if __name__ == "__main__":
    main()
