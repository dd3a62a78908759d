"""A search with Optuna: processes share its file, a killed one costs nothing, other seeds judge its choice."""

import collections
import dataclasses
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

from kdlab import data, evaluate
from workbook.scale import choices, search, studies
from workbook.scale.choices import HAND_SET, Plan

ROOT = Path(__file__).parents[3]
TIMES = {"mlp-4": 50.0, "mlp-32": 60.0, "cnn-4": 500.0}  # µs, as if they had been measured
SMALL = Plan(TIMES, 100.0, ["mlp-8", "mlp-16"], ["KD", "logit MSE"], labelled=20, steps=8, seeds=[0, 1])
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """The hand-set setting with a small teacher."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HAND_SET, "teacher", "mlp-8")
        yield


@pytest.fixture(scope="module")
def done(quick, tmp_path_factory):
    """A search of six trials that has come to its end."""
    return search.run(tmp_path_factory.mktemp("done") / "search.db", SMALL, 6, seed=0)


def finished(study):
    return [trial for trial in study.trials if trial.state in FINISHED]


def test_a_search_tries_as_many_settings_as_asked_and_only_students_within_the_budget(done):
    assert len(done.trials) == len(finished(done)) == 6
    assert {trial.params["student"] for trial in done.trials} == {"mlp-4", "mlp-32"}
    assert all(trial.params.keys() == HAND_SET.keys() for trial in done.trials)


def test_the_hand_set_setting_is_tried_first(done, tmp_path):
    study = studies.open_study(tmp_path / "search.db", SMALL)
    assert study.trials[0].state == TrialState.WAITING and study.trials[0].system_attrs["fixed_params"] == HAND_SET
    other = dataclasses.replace(SMALL, losses=["DKD"])
    assert not studies.open_study(tmp_path / "other.db", other).trials  # it is not among what may be chosen


def test_a_trials_value_is_the_mean_accuracy_on_validation_images_of_the_searchs_seeds(done):
    best = done.best_trial
    assert best.value == statistics.fmean(choices.scores(best.params, SMALL))
    *_, (_, students) = choices.learn(best.params, SMALL, SMALL.seeds)
    by_hand = [100 * evaluate(one, choices.parts(s), split="val").accuracy for one, s in zip(students, SMALL.seeds)]
    assert best.value == statistics.fmean(by_hand)


def test_a_second_start_tries_only_what_is_missing(done, tmp_path):
    file = tmp_path / "search.db"
    first = search.run(file, SMALL, 3, seed=1)
    again = search.run(file, SMALL, 5, seed=2)
    assert len(first.trials) == 5 == len(again.trials) == len(search.run(file, SMALL, 4).trials)
    assert len({trial.params["lr"] for trial in again.trials}) == 5


def test_the_test_images_are_the_same_for_all_seeds_and_no_search_uses_them(done, tmp_path, monkeypatch):
    whole, real = data.load("digits", seed=0), choices.parts
    for seed in (0, 1, 1000):
        assert torch.equal(real(seed).test.images, whole.test.images)
        pool = torch.cat([real(seed).train.images, real(seed).val.images]).flatten(1)
        assert len(real(seed).train) == 800 and len(real(seed).val) == 200
        assert torch.equal(pool.sort(0).values, whole.train.images.flatten(1).sort(0).values)
    monkeypatch.setattr(choices, "parts", lambda seed: dataclasses.replace(real(seed), test=whole.test.subset([])))
    blind = search.run(tmp_path / "blind.db", SMALL, 3, seed=0)
    assert [(t.params, t.value) for t in blind.trials] == [(t.params, t.value) for t in done.trials[:3]]


def test_a_hopeless_trial_is_left_in_the_middle(tmp_path, monkeypatch):
    trained = []

    def learn(setting, plan, seeds):
        trained.append(0)
        for quarter in range(1, 5):
            trained[-1] = quarter
            yield quarter * 2, len(trained)

    monkeypatch.setattr(choices, "learn", learn)
    # each trial is worse than all before it
    monkeypatch.setattr(choices, "accuracies", lambda number, seeds, split: [100.0 - number])
    study = search.run(tmp_path / "search.db", SMALL, 6)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED]
    assert trained == [4] * 5 + [1] and study.best_trial.number == 0


def test_a_loss_that_is_not_finite_ends_a_trial_and_not_the_search(tmp_path, monkeypatch):
    def learn(setting, plan, seeds):
        yield 2, []
        raise FloatingPointError

    monkeypatch.setattr(choices, "learn", learn)
    monkeypatch.setattr(choices, "accuracies", lambda *given: [10.0])
    for front in (False, True):
        study = search.run(tmp_path / f"{front}.db", dataclasses.replace(SMALL, front=front), 1)
        assert [trial.state for trial in study.trials] == [TrialState.PRUNED]


def test_with_two_objectives_latency_is_the_second_and_nothing_is_pruned(tmp_path):
    plan = dataclasses.replace(SMALL, front=True, budget=float("inf"), seeds=[0])
    study = search.run(tmp_path / "search.db", plan, 5, seed=0)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert all(trial.values[1] == TIMES[trial.params["student"]] for trial in study.trials)
    for one in study.best_trials:  # nobody is as good in both and better in one
        assert not any(o.values[0] >= one.values[0] and o.values[1] <= one.values[1] and o.values != one.values
                       for o in study.trials)


SHARED = {"steps": 300, "labelled": 100, "seeds": "0", "teachers": "mlp-8", "students": "mlp-32", "losses": "KD"}
WHOLE = Plan({"mlp-32": 0.0}, teachers=["mlp-8"], losses=["KD"], labelled=100, steps=300, seeds=[0])


# The command, whose trials wait for a file before they train.
GATED = """
import pathlib, runpy, sys, time
from workbook.scale import choices
gate, learn = pathlib.Path(sys.argv.pop(1)), choices.learn
def waits(*given):
    while not gate.exists():
        time.sleep(0.05)
    yield from learn(*given)
choices.learn = waits
runpy.run_module("workbook.scale.search", run_name="__main__")"""


def start(gate, file, trials):
    options = [part for name, value in SHARED.items() for part in (f"--{name}", value)]
    run = [sys.executable, "-c", GATED, gate, "--storage", file, "--trials", trials, "--heartbeat", 2, *options]
    run = [str(part) for part in run]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(run, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_two_processes_share_a_study_and_what_a_killed_one_left_is_done_by_the_other(tmp_path):
    file, gate, trials = tmp_path / "folder" / "search.db", tmp_path / "gate", 5
    processes = [start(gate, file, trials) for _ in range(2)]

    def wait(for_it):
        while not for_it():
            assert all(process.poll() is None for process in processes), [p.communicate() for p in processes]
            time.sleep(0.1)

    wait(file.exists)
    study = studies.open_study(file, WHOLE)
    running = [TrialState.RUNNING]
    wait(lambda: [len(trial.params) for trial in study.get_trials(states=running)] == [6, 6])  # both are at work
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    gate.touch()
    said, errors = processes[1].communicate(timeout=500)
    assert processes[1].returncode == 0, errors
    processes[0].communicate()
    gate.unlink()
    states = collections.Counter(trial.state for trial in study.trials)
    assert sum(states[state] for state in FINISHED) == trials, states  # none lost, and none too many
    assert not states[TrialState.RUNNING] and not states[TrialState.WAITING]
    [left] = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    [again] = [trial for trial in study.trials if trial.system_attrs.get("failed_trial") == left.number]
    assert again.params == left.params and again.state in FINISHED
    assert len({trial.params["lr"] for trial in finished(study)}) == trials  # and none twice
    assert f"trial {study.best_trial.number}: {study.best_value:.1f} %" in said
    assert sorted(tmp_path.rglob("*")) == [file.parent, file]


def test_a_trial_whose_process_was_killed_before_its_first_sign_of_life_is_tried_again(tmp_path):
    study = studies.open_study(tmp_path / "search.db", SMALL)
    with pytest.warns(UserWarning, match="Heartbeat"):  # so that there is none
        lost = study.ask().number  # nothing more comes of it
    study = search.run(tmp_path / "search.db", SMALL, 3, heartbeat=1)
    [left] = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert left.number == lost and len(finished(study)) == 3
    assert [trial.params for trial in finished(study)].count(HAND_SET) == 1  # which was the lost one's


def test_who_slept_and_was_taken_for_dead_goes_on_and_its_trial_is_not_counted_twice(tmp_path, monkeypatch):
    real, slept = choices.learn, []

    def learn(setting, plan, seeds):
        if not slept:  # the first trial's process gives no sign of life, and another one takes over
            slept.append(setting)
            other = studies.open_study(tmp_path / "search.db", SMALL)
            [mine] = [trial for trial in other.trials if trial.state == TrialState.RUNNING]
            monkeypatch.setattr(type(other._storage._backend), "_get_stale_trial_ids", lambda *_: [mine._trial_id])
            studies.take_over(other, set())
            monkeypatch.undo()
            monkeypatch.setattr(choices, "learn", learn)
        return real(setting, plan, seeds)

    monkeypatch.setattr(choices, "learn", learn)
    study = search.run(tmp_path / "search.db", SMALL, 3)
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 1 and len(finished(study)) == 3
    assert [trial.params for trial in finished(study)].count(slept[0]) == 1


def test_a_process_that_comes_a_moment_too_late_adds_no_trial(tmp_path, monkeypatch):
    file, real = tmp_path / "search.db", studies.take_over

    def late(study, seen):
        if len(study.trials) < 2:
            real(study, seen)
        else:  # another process begins the last trial after this one has looked
            monkeypatch.setattr(studies, "take_over", real)
            states = study.get_trials(deepcopy=False)
            monkeypatch.setattr(type(study), "get_trials", lambda *_, **__: (monkeypatch.undo(), states[:1])[1])

    search.run(file, SMALL, 2)
    monkeypatch.setattr(studies, "take_over", late)
    study = search.run(file, SMALL, 2)
    assert len(finished(study)) == 2 and [trial.state for trial in study.trials][2:] == [TrialState.FAIL]


def test_two_processes_that_make_the_file_at_once_have_one_study(tmp_path, monkeypatch):
    file, real = tmp_path / "search.db", os.link

    def link(one, other):  # another process is faster by a moment
        monkeypatch.setattr(os, "link", real)
        studies.open_study(file, dataclasses.replace(SMALL, students=TIMES | {"mlp-4": 1.0}))
        real(one, other)

    monkeypatch.setattr(os, "link", link)
    pids = iter((1, 2))
    monkeypatch.setattr(os, "getpid", lambda: next(pids))
    study = studies.open_study(file, SMALL)
    assert study.user_attrs["plan"]["students"]["mlp-4"] == 1.0 and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("changed, said", [
    ({"students": {}}, "there is nothing to choose from: give one or more students"),
    ({"losses": []}, "give one or more losses"),
    ({"teachers": ["mlp-x"]}, "no model is called 'mlp-x'; there are mlp-W-W"),
    ({"students": {"mlpp-8": 1.0}}, "no model is called 'mlpp-8'"),
    ({"losses": ["KD", "KLD"]}, "no loss is called 'KLD'; there are KD, logit MSE, DKD"),
    ({"budget": 20.0}, "no student meets a budget of 20 µs; mlp-4, the fastest, takes 50"),
    ({"labelled": 801}, "labelled must be in 1 .. 800 and steps >= 4, got 801 and 8"),
    ({"steps": 3}, "got 20 and 3"),
])
def test_a_plan_that_cannot_be_is_refused_in_a_sentence(changed, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **changed)


@pytest.mark.parametrize("changed, said", [
    ({"steps": 9}, "with steps 8 in place of 9"),
    ({"front": True}, "with front False in place of True"),
    ({"students": {"mlp-4": 50.0}}, "with students mlp-4, mlp-32, cnn-4 in place of mlp-4"),
    ({"seeds": (0, 2)}, r"with seeds \[0, 1\] in place of \[0, 2\]"),
])
def test_the_file_of_another_search_is_refused(done, tmp_path, changed, said):
    studies.open_study(tmp_path / "search.db", SMALL)
    with pytest.raises(ValueError, match=f"search.db is the file of another search, {said}"):
        studies.open_study(tmp_path / "search.db", dataclasses.replace(SMALL, **changed))


@pytest.mark.parametrize("kind, said", [
    ("text", "it is damaged, or another program's"), ("database", "it is damaged, or another program's"),
    ("locked", "another process has locked it"),
])
def test_a_file_that_is_none_of_a_search_is_refused_and_left_as_it_is(tmp_path, monkeypatch, kind, said):
    monkeypatch.setattr(studies, "PATIENCE", 0.1)
    file = tmp_path / "other.db"
    if kind == "text":
        file.write_text("a shopping list\n" * 99)
    else:
        if kind == "locked":
            studies.open_study(file, SMALL)
        database = sqlite3.connect(file, isolation_level=None)
        database.execute("CREATE TABLE letters (a)")
        database.execute("BEGIN EXCLUSIVE") if kind == "locked" else database.close()
    content = file.read_bytes()
    with pytest.raises(ValueError, match=f"other.db cannot be the file of this search: {said}"):
        studies.open_study(file, SMALL)
    assert file.read_bytes() == content and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("found, hand_set, said", [
    ([92.0, 93.0, 95.0], [90.0, 91.0, 92.0], "Its choice is better than the hand-set one."),
    ([88.0, 90.0, 89.0], [90.0, 91.5, 91.0], "Its choice is worse than the hand-set one."),
    ([90.0, 93.0, 91.0], [91.0, 90.0, 91.0], "not shown to be better than the hand-set one: the interval holds zero."),
    ([90.0, 91.0, 92.0], [90.0, 91.0, 92.0], "no better than the hand-set one: their students are equally good."),
])
def test_the_verdict_says_what_the_interval_says(found, hand_set, said):
    gain, sentence = choices.verdict(found, hand_set, 4.25)
    assert sentence.endswith(said) and sentence.startswith("The search promised +4.2 points; ")
    assert f"{gain.mean:+.1f} points [{gain.low:+.1f}, {gain.high:+.1f}] on 3 seeds that it never saw" in sentence


def test_a_choice_is_judged_on_seeds_that_its_search_has_not_seen(done):
    gain, sentence = choices.judge(done.best_params, SMALL, [7, 8])
    lists = [choices.scores(setting, SMALL, [7, 8]) for setting in (done.best_params, HAND_SET)]
    promised = done.best_value - statistics.fmean(choices.scores(HAND_SET, SMALL))
    assert gain.pairs == 2 and (gain, sentence) == choices.verdict(*lists, promised)
    tested = choices.learn(HAND_SET, SMALL, [7, 8])
    *_, (_, students) = tested
    assert lists[1] == [100 * evaluate(one, choices.parts(s)).accuracy for one, s in zip(students, [7, 8])]
    with pytest.raises(ValueError, match="on seeds that its search has not seen, and 1 is one of them"):
        choices.scores(HAND_SET, SMALL, [1, 2])


def test_latencies_are_measured_once_for_each_student_and_kept_in_the_file(tmp_path):
    found = choices.latencies(["mlp-4", "cnn-8"], seconds=0.01)
    assert list(found) == ["mlp-4", "cnn-8"] and 1 < found["mlp-4"] < found["cnn-8"] < 1e6
    for students in (found, dict.fromkeys(found, 9.0)):  # who comes later may have measured others
        plan = dataclasses.replace(SMALL, students=students, budget=1e6)
        assert studies.open_study(tmp_path / "search.db", plan).user_attrs["plan"]["students"] == found


@pytest.mark.parametrize("arguments, said", [
    (["--trials", "0"], "trials must be >= 1, got 0"),
    (["--budget", "0.001"], "no student meets a budget of 0.001 µs"),
    (["--losses"], "give one or more losses"),
    (["--losses", "KLD"], "no loss is called 'KLD'"),
    (["--heartbeat", "0"], "heartbeat"),
])
def test_the_command_says_what_is_wrong_in_one_sentence_and_leaves_no_file(tmp_path, monkeypatch, arguments, said):
    file = tmp_path / "search.db"
    monkeypatch.setattr(sys, "argv", ["search", "--storage", str(file), "--students", "mlp-4", *arguments])
    with pytest.raises(SystemExit, match=said) as end:
        search.main()
    assert "\n" not in str(end.value) and not file.exists()


def test_a_place_where_no_file_can_be_is_refused_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "note").write_text("no folder")
    place = str(tmp_path / "note" / "search.db")
    monkeypatch.setattr(sys, "argv", ["search", "--storage", place, "--students", "mlp-4"])
    monkeypatch.setattr(choices, "latencies", lambda names: dict.fromkeys(names, 1.0))
    with pytest.raises(SystemExit, match="note") as end:
        search.main()
    assert "\n" not in str(end.value) and [place.name for place in tmp_path.iterdir()] == ["note"]


def test_the_command_prints_its_choice_and_the_verdict(tmp_path, monkeypatch, capsys):
    arguments = ["--students", "mlp-4", "--teachers", "mlp-8", "--losses", "KD", "--steps", "8", "--seeds", "0"]
    arguments += ["--storage", str(tmp_path / "s.db"), "--trials", "2", "--confirm", "2"]
    monkeypatch.setattr(sys, "argv", ["search", *arguments])
    search.main()
    printed = capsys.readouterr().out
    assert printed.startswith("trial ") and "The search promised" in printed.splitlines()[-1]


def test_ctrl_c_and_a_file_that_stays_locked_end_the_command_with_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["s", "--storage", str(tmp_path / "s.db"), "--students", "mlp-4"])
    for error in (KeyboardInterrupt, search.StorageInternalError):
        def stops(*_, error=error, **__):
            raise error

        monkeypatch.setattr(search, "run", stops)
        with pytest.raises(SystemExit, match="the same command goes on from"):
            search.main()
