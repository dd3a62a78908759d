"""A search for a setting of distillation with Optuna, on the digits: what it promises, and what unseen seeds say.

    python benchmarks/search.py [--short]

A study with a latency budget of 1.5 times the hand-set student's, where hopeless trials are left; one with latency as a
second objective. Then the ten best settings of the first and the hand-set one, each trained with ten seeds that the
search has not seen, and tested on images that it has not seen. --short takes few trials, steps and seeds.
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path

import optuna
import torch
from provenance import write
from turns import points

from kdlab import models
from kdlab.evaluation import paired_difference
from workbook.scale import choices, search
from workbook.scale.choices import HAND_SET, SHAPE, STUDENTS, Plan

LEFT = optuna.trial.TrialState.PRUNED


def importance(study, **options) -> dict[str, float]:
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator, **options)


def told(study) -> list[dict]:
    return [{"values": t.values, "left": t.state == LEFT, "setting": t.params, "steps": t.last_step}
            for t in study.trials]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    trials, unseen, best, sizes = (12, 3, 2, dict(steps=100, seeds=(0,))) if short else (80, 10, 10, {})
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    start, unseen = time.process_time(), range(1000, 1000 + unseen)
    took = choices.latencies()
    plan = Plan(took, budget=1.5 * took[HAND_SET["student"]], **sizes)
    both = dataclasses.replace(plan, budget=float("inf"), front=True)
    with tempfile.TemporaryDirectory() as folder:
        study = search.run(Path(folder, "budget.db"), plan, trials, seed=0)
        front = search.run(Path(folder, "front.db"), both, trials, seed=0)
        done = sorted((t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE), key=lambda t: -t.value)
        tried = choices.scores(HAND_SET, plan)
        hand_set = choices.scores(HAND_SET, plan, unseen)
        ranked = [{"setting": t.params, "validation": t.value, "unseen": choices.scores(t.params, plan, unseen)}
                  for t in done[:best]]
        promised = done[0].value - statistics.fmean(tried)
        gain, sentence = choices.verdict(ranked[0]["unseen"], hand_set, promised)
        work = {name: models.cost(models.build(name, SHAPE, 10), SHAPE).multiply_adds for name in STUDENTS}
        data = {
            "plan": dataclasses.asdict(plan) | {"budget_times": 1.5}, "unseen_seeds": list(unseen), "threads": 1,
            "latency_us_64_images": took, "multiply_adds": work,
            "hand_set": {"setting": HAND_SET, "validation": statistics.fmean(tried), "unseen": hand_set},
            "best": ranked,
            "promised_points": promised, "gain_points": gain._asdict(), "sentence": sentence,
            "gains_points": [paired_difference(one["unseen"], hand_set)._asdict() for one in ranked],
            "trials": {"budget": told(study), "front": told(front)},
            "left_early": sum(t.state == LEFT for t in study.trials),
            "front": [{"values": t.values, "setting": t.params} for t in front.best_trials],
            "importance": {"budget": importance(study), "front": importance(front)},
            "figures": {"search: found − hand-set": points(*gain[:3])},
            "cpu_seconds": time.process_time() - start,
        }
    print(sentence)
    print(write("search", data))


if __name__ == "__main__":
    main()
