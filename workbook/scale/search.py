"""Optuna searches for a setting of distillation, in as many processes as are started.

What there is to choose from, and how a choice is judged, stands in choices.py; the file that processes share in
studies.py. With accuracy as the only objective, hopeless trials are left in the middle; with two objectives Optuna
prunes nothing.

    python -m workbook.scale.search --storage search.db --trials 60        in as many shells as there are cores
"""

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

import optuna
import torch
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from workbook.scale import choices, studies
from workbook.scale.choices import Plan

DONE = (TrialState.COMPLETE, TrialState.PRUNED)


class Enough(Exception):
    """The trials that are wanted have all been begun, the last one a moment ago by another process."""


def run(file: str | Path, plan: Plan, trials: int, **options) -> optuna.Study:
    """Tries settings until the study in the file has so many finished trials, whoever has run them.

    Failed trials do not count. A process that finds nothing left to begin waits until the others are done, and takes
    over what a killed one has left.

    Args:
        file, plan, options: as in `studies.open_study`, which says what is refused.
        trials: >= 1, in all.
    """
    if trials < 1:
        raise ValueError(f"trials must be >= 1, got {trials}")
    study = studies.open_study(file, plan, **options)
    plan, seen = Plan(**study.user_attrs["plan"]), set()
    while True:
        studies.take_over(study, seen)
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        if (finished := sum(state in DONE for state in states)) >= trials:
            return study
        if finished + states.count(TrialState.RUNNING) >= trials:
            time.sleep(0.2)
            continue
        try:
            study.optimize(lambda trial: _value(trial, plan, trials), n_trials=1, catch=(Enough,))
        except (UpdateFinishedTrialError, ValueError) as error:
            # this process was asleep for so long that it was taken for dead, and its setting is another one's by now
            if not isinstance(error, UpdateFinishedTrialError) and "Cannot tell" not in str(error):
                raise


def _value(trial: Trial, plan: Plan, trials: int) -> float | tuple[float, float]:
    before = [other.state for other in trial.study.get_trials(deepcopy=False) if other.number < trial.number]
    if len(before) - before.count(TrialState.FAIL) >= trials:
        raise Enough
    setting = {name: trial.suggest_categorical(name, names) for name, names in plan.names.items()}
    setting["alpha"] = trial.suggest_float("alpha", 0.0, 1.0)
    setting["temperature"] = trial.suggest_float("temperature", 1.0, 16.0, log=True)
    setting["lr"] = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    try:
        for step, students in choices.learn(setting, plan, plan.seeds):
            value = statistics.fmean(choices.accuracies(students, plan.seeds, "val"))
            if not plan.front:
                trial.report(value, step)
                if step < plan.steps and trial.should_prune():
                    raise TrialPruned
    except FloatingPointError:  # the loss is not finite
        raise TrialPruned from None
    return (value, plan.students[setting["student"]]) if plan.front else value


def read(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command's arguments ask for; None takes those of the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", type=Path, required=True, help="the file; made where there is none")
    parser.add_argument("--trials", type=int, default=60, help="finished trials in all, by all processes")
    parser.add_argument("--budget", type=float, default=math.inf, help="µs that a student may take for 64 digits")
    parser.add_argument("--front", action="store_true", help="latency as a second objective")
    names = dict(students=choices.STUDENTS, teachers=choices.TEACHERS, losses=tuple(choices.FROM_LOGITS))
    for name, default in names.items():
        parser.add_argument(f"--{name}", nargs="*", default=default)
    for name, default in (("labelled", 50), ("steps", 300), ("confirm", 0), ("heartbeat", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    return parser.parse_args(arguments)


def main() -> None:
    given = vars(read())
    file, trials, confirm, heartbeat = (given.pop(name) for name in ("storage", "trials", "confirm", "heartbeat"))
    torch.set_num_threads(1)
    try:
        known = dict.fromkeys(given["students"], 0.0) if file.exists() else choices.latencies(given["students"])
        plan = Plan(**given | {"students": known})  # a file that is there has measured them
        study = run(file, plan, trials, heartbeat=heartbeat)
        for trial in study.best_trials:  # one, or the Pareto front
            values = [f"{value:.1f} {unit}" for value, unit in zip(trial.values, ("%", "µs"))]
            print(f"trial {trial.number}:", *values, trial.params)
        if confirm:
            print(choices.judge(study.best_trials[0].params, plan, range(1000, 1000 + confirm))[1])
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on from {file}")
    except StorageInternalError:
        sys.exit(f"{file} was locked by another process for too long; the same command goes on from there")
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
