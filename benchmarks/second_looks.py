"""Second looks at notebook 03: a better teacher at a temperature of its own, and a teacher who comes late.

The temperature of each teacher is chosen on seeds 0 to 9 and reported on seeds 20 to 29, by the lesson's recipe: fifty
labelled digits, 300 steps, the teacher alone (alpha = 1). The late teacher is that of the training panel: 3,000 steps
at T = 4, labels alone before step 1,001. About four minutes on one thread.

    python benchmarks/second_looks.py [--short]      --short takes two seeds of each kind
"""

import argparse
import time

import torch
from provenance import write

from kdlab import Knobs, bank, data, distil, evaluate, models, paired_difference
from kdlab.training import warm_cosine
from workbook import recipe

CHOSEN_ON, REPORTED_ON = range(10), range(20, 30)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
TEACHERS = {"the MLP": "mlp-512-512", "the CNN": "cnn-16-32-64"}
STEPS, TURN = 3000, 1000  # of the panel; the teacher's first step comes after this one


def percent(model, digits) -> float:
    return 100 * evaluate(model, digits).accuracy


def late(digits, seed, taught, turn: int) -> dict[str, float]:
    """Accuracy of the panel's student when its teacher comes after step `turn` (0: from the start), and at the end."""
    student = models.build("mlp-32", digits.shape, len(digits.classes), seed=seed)

    def knobs(step: int) -> Knobs:
        return Knobs(float(step > turn), 4.0, 1e-2 * warm_cosine(step, STEPS))

    found = {}
    for step in distil(student, digits.only(torch.arange(50)), knobs, teacher=taught, steps=STEPS):
        if step.step in (turn, STEPS):
            found["at the end" if step.step == STEPS else "before the teacher came"] = percent(student, digits)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    count = 2 if parser.parse_args().short else 10
    torch.set_num_threads(1)
    start, chosen, reported = time.perf_counter(), CHOSEN_ON[:count], REPORTED_ON[:count]
    alone, accuracy, by_temperature, turned = [], {}, {}, {}
    for seed in (*chosen, *reported):
        digits = data.load("digits", seed=seed)
        few = digits.only(torch.arange(50))
        alone.append(percent(recipe.student(few, seed), digits))
        for name, network in TEACHERS.items():
            model = recipe.teacher(digits, seed, network)
            accuracy.setdefault(name, []).append(percent(model, digits))
            taught = bank.fill(model, digits)
            for t in TEMPERATURES:
                student = recipe.student(few, seed, taught, Knobs(1.0, t, 1e-2))
                by_temperature.setdefault(name, {}).setdefault(t, []).append(percent(student, digits))
            if name == "the MLP" and seed in reported:
                runs = {"late": late(digits, seed, taught, TURN), "from the start": late(digits, seed, taught, 0)}
                for when, found in runs.items():
                    for what, value in found.items():
                        turned.setdefault(f"{when}, {what}", []).append(value)
        print(f"seed {seed}: alone {alone[-1]:.1f} %", flush=True)

    def gains(name: str, t: float, seeds: slice) -> dict:
        return paired_difference(by_temperature[name][t][seeds], alone[seeds])._asdict()

    tuned, final = slice(0, count), slice(count, None)
    best = {name: max(TEMPERATURES, key=lambda t: gains(name, t, tuned)["mean"]) for name in TEACHERS}
    own = {name: by_temperature[name][best[name]][final] for name in TEACHERS}
    same = {name: by_temperature[name][4.0][final] for name in TEACHERS}
    result = {
        "chosen_on": list(chosen),
        "reported_on": list(reported),
        "teacher_percent": accuracy,
        "alone_percent": alone,
        "distilled_percent": {name: {f"T={t:g}": v for t, v in of.items()} for name, of in by_temperature.items()},
        "gains_points": {
            which: {name: {f"T={t:g}": gains(name, t, seeds) for t in TEMPERATURES} for name in TEACHERS}
            for which, seeds in (("chosen", tuned), ("reported", final))
        },
        "best_temperature": best,
        "cnn_over_mlp_points": {
            "each at its own T": paired_difference(own["the CNN"], own["the MLP"])._asdict(),
            "both at T=4": paired_difference(same["the CNN"], same["the MLP"])._asdict(),
        },
        "late_teacher": {
            "steps": STEPS, "turned_after": TURN, "accuracy_percent": turned,
            "mean_percent": {name: sum(found) / len(found) for name, found in turned.items()},
            "late_minus_start_points":
                paired_difference(turned["late, at the end"], turned["from the start, at the end"])._asdict(),
        },
        "seconds": time.perf_counter() - start,
    }
    for name in TEACHERS:
        print(name, f"best T {best[name]:g} on the first seeds")
        for which in ("chosen", "reported"):
            print("  ", which, *(f"T={t:g} {result['gains_points'][which][name][f'T={t:g}']['mean']:+.1f}"
                                 for t in TEMPERATURES))
    print("the CNN over the MLP:", result["cnn_over_mlp_points"])
    print("late teacher:", result["late_teacher"]["mean_percent"], result["late_teacher"]["late_minus_start_points"])
    print(write("second_looks", result))


if __name__ == "__main__":
    main()
