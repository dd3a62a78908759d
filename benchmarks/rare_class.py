"""What a teacher does to a class of which few examples are left, each digit in turn, beside controls; and to the worst.

Runs the functions of the second half of notebooks/15_sharing_the_work.ipynb with eight seeds (20 to 27), so that the
record and the lab cannot differ. About five minutes at one thread.

    python benchmarks/rare_class.py [--short]      --short takes three seeds and the lab's rare digit alone
"""

import argparse
import ast
import json
import os
import time

import torch
from provenance import ROOT, write
from turns import points

from kdlab.evaluation import paired_difference

FIRST, SEEDS = 20, 8
HEADING = "## Fairness among the classes"
BASE = "rare, labels alone"
CASES = {name: (f"rare, {name}", BASE)
         for name in ("teacher of all", "teacher short of it", "labels, as soft", "short, lent trace", "short, T = 1")}
CASES["teacher short of it, over labels as soft"] = ("rare, teacher short of it", "rare, labels, as soft")
CASES["lent trace, over teacher short of it"] = ("rare, short, lent trace", "rare, teacher short of it")


def lab() -> dict:
    """The lab's parameters, its imports and the functions under the heading; nothing else of it runs."""
    space: dict = {}
    late = False
    for cell in json.loads((ROOT / "notebooks/15_sharing_the_work.ipynb").read_text())["cells"]:
        source = "".join(cell["source"])
        late = late or source.startswith(HEADING)
        if cell["cell_type"] != "code":
            continue
        lines = [line for line in source.splitlines() if not line.startswith("%") and "parameters.check(" not in line]
        source = "\n".join(lines)
        kinds = {type(node) for node in ast.parse(source).body}
        defines = late and kinds == {ast.FunctionDef}
        if "parameters" in cell["metadata"].get("tags", []) or kinds <= {ast.Import, ast.ImportFrom} or defines:
            exec(source, space)
    return space


def measure(space: dict, seeds: list[int], digits: list[int]) -> tuple[dict, dict]:
    """Recalls by situation, (seeds, 10), for enough labels of each class; and the same for each rare digit."""
    usual: dict[str, list] = {}
    rare: dict[int, dict[str, list]] = {digit: {} for digit in digits}
    for seed in seeds:
        images, _, knows = space["known"](seed)
        for name, recall in space["enough"](seed, images, knows).items():
            usual.setdefault(name, []).append(recall.tolist())
        for digit in digits:
            for name, recall in space["rare_one"](seed, images, knows, digit).items():
                rare[digit].setdefault(name, []).append(recall.tolist())
    return usual, rare


def gain(treated: torch.Tensor, control: torch.Tensor) -> dict:
    """In points, from recalls (seeds,)."""
    return paired_difference((100 * treated).tolist(), (100 * control).tolist())._asdict()


def summary(usual: dict, rare: dict) -> tuple[dict, dict]:
    """Gains in points, of all classes and of the worst; and for each of CASES by rare digit, on it and on all."""
    recall = {name: torch.tensor(rows) for name, rows in usual.items()}
    parts = {"all classes": lambda r: r.mean(1), "worst class": lambda r: r.min(1).values}
    pairs = {"50 labels": ("50, distilled", "50 labels"), "all labels": ("all, distilled", "all labels")}
    classes = {
        f"{name}: {part}": gain(of(recall[distilled]), of(recall[alone]))
        for name, (distilled, alone) in pairs.items() for part, of in parts.items()
    }
    own, average = {}, {}
    for case, names in CASES.items():
        pair = {digit: [torch.tensor(found[name]) for name in names] for digit, found in rare.items()}
        on_it = {digit: [r[:, digit] for r in recalls] for digit, recalls in pair.items()}
        overall = {digit: [r.mean(1) for r in recalls] for digit, recalls in pair.items()}
        for table, columns in ((own, on_it), (average, overall)):
            table[case] = {str(digit): gain(*column) for digit, column in columns.items()}
            treated, control = (torch.stack(side).mean(0) for side in zip(*columns.values()))
            table[case]["mean of the digits"] = gain(treated, control)
    return classes, {"the rare digit": own, "all classes": average}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    start, space = time.perf_counter(), lab()
    seeds = list(range(FIRST, FIRST + (3 if short else SEEDS)))
    usual, rare = measure(space, seeds, [space["rare"]] if short else list(range(10)))
    classes, gains = summary(usual, rare)
    mean = {case: table["mean of the digits"] for case, table in gains["the rare digit"].items()}
    data = {
        "seeds": seeds,
        "kept": space["kept"],
        "gains_points": classes,
        "rare_points": gains,
        "rare_recall": {
            str(digit): {name: [row[digit] for row in rows] for name, rows in found.items()}
            for digit, found in rare.items()
        },
        "figures": {
            f"rare digit, {case}: gain, mean of the digits": points(row["mean"], row["low"], row["high"])
            for case, row in mean.items()
        },
        "seconds": time.perf_counter() - start,
    }
    tables = {"enough of each": classes} | {
        f"{case}: {part}": table for part, cases in gains.items() for case, table in cases.items()}
    for title, table in tables.items():
        print(title)
        for name, row in table.items():
            interval = f"{row['mean']:+6.2f} [{row['low']:+5.1f}, {row['high']:+5.1f}]"
            print(f"  {name:24} {interval}  wins {row['wins']}/{len(seeds)}")
    print(write("rare_class", data))


if __name__ == "__main__":
    main()
