"""The file of a search: an Optuna study in SQLite, which several processes share and which survives a kill of any.

It is made whole or not at all, says which plan it belongs to, and is refused where it is of another one.
"""

import contextlib
import json
import os
import sqlite3
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import TrialState

from workbook.scale.choices import HAND_SET, Plan

NAME, PATIENCE = "distillation", 60  # seconds that a process waits for a file which another one is writing


def open_study(file: str | Path, plan: Plan, *, seed: int | None = None, heartbeat: int = 10) -> optuna.Study:
    """The study in a file; where there is none one is made, with the hand-set setting as its first trial if it fits.

    Args:
        plan: what is searched. A file that is there keeps its own latencies, and must have been made for all the rest.
        seed: of the sampler; None draws one, as it must where processes share a study: each tries settings of its own.
        heartbeat: seconds, >= 1, between signs of life; a trial that misses three of them has failed.

    ValueError: the file is of another search or another program, is damaged, or is locked. OSError: it cannot be made.
    """
    file = Path(file)
    if not file.exists():
        _make(file, plan, heartbeat)
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", PATIENCE, uri=True)) as database:
            database.execute("SELECT study_name FROM studies").fetchall()  # Optuna would make its tables in any file
        sampler, pruner = optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner()
        storage = _storage(file, heartbeat)
        study = optuna.load_study(study_name=NAME, storage=storage, sampler=sampler, pruner=pruner)
        there, here = study.user_attrs["plan"], json.loads(json.dumps(asdict(plan)))
    except (KeyError, sqlite3.Error) as error:
        why = "another process has locked it" if "locked" in str(error) else "it is damaged, or another program's"
        raise ValueError(f"{file} cannot be the file of this search: {why}") from None
    for name, given in here.items():
        was, given = ((", ".join(x) if name == "students" else x) for x in (there[name], given))
        if was != given:
            raise ValueError(f"{file} is the file of another search, with {name} {was} in place of {given}")
    return study


def take_over(study: optuna.Study, seen: set[int]) -> None:
    """Fails the trials of processes that give no sign of life, and puts their settings in the queue, twice at most.

    Optuna leaves alone what was killed before its first sign of life. So an old trial gets one from here, when it is
    seen for the first time; `seen` keeps those, for one process.
    """
    storage = study._storage
    grace = timedelta(seconds=3 * storage.get_heartbeat_interval())
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if trial.number not in seen and datetime.now() - trial.datetime_start > grace:
            storage.record_heartbeat(trial._trial_id)
            seen.add(trial.number)
    with _quiet():
        fail_stale_trials(study)


def _make(file: Path, plan: Plan, heartbeat: int) -> None:
    """Makes the file beside its place, and links it there: it is whole from its first moment on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.touch()  # an OSError where it cannot be
    storage, ways = _storage(part, heartbeat), ["maximize", "minimize"]
    study = optuna.create_study(study_name=NAME, storage=storage, directions=ways[: 1 + plan.front])
    study.set_user_attr("plan", asdict(plan))
    if all(HAND_SET[name] in names for name, names in plan.names.items()):
        study.enqueue_trial(HAND_SET)
    storage.remove_session()
    storage.engine.dispose()
    try:
        with contextlib.suppress(FileExistsError):  # another process was faster: its file is the study
            os.link(part, file)
    finally:
        part.unlink()


def _storage(file: Path, heartbeat: int) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with _quiet():
        return RDBStorage(
            f"sqlite:///{file}", {"connect_args": {"timeout": PATIENCE}}, heartbeat_interval=heartbeat,
            grace_period=3 * heartbeat, heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna warns that its heartbeat is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
