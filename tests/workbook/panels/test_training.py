"""The training panel in this process: it replays, runs headless, ends, and keeps what was asked for."""

import json
from types import SimpleNamespace

import pytest
import torch

from kdlab import bank
from workbook import panels
from workbook.panels import base, session


@pytest.fixture
def panel(taught):
    """Makes panels, and closes them afterwards."""
    made = []

    def make(**options):
        digits, known = taught
        made.append(panels.training(digits, options.pop("teachers", {"teacher": known}), **options))
        return made[-1]

    yield make
    for run in made:
        run.close()


def test_a_replayed_run_is_the_same_bit_for_bit(panel, until, tmp_path):
    live = panel(steps=400, seed=3)
    live.start(paused=True)
    # each is turned while it trains, or waits so that no knob comes after the last step, or two before one step
    for at, more, (name, value) in ((40, 60, ("alpha", 0.35)), (90, 60, ("temperature", 2.3)), (150, 60, ("lr", 4e-3))):
        live._session.hold(after=more)
        until(lambda: live._session.step >= at, f"step {at}")
        live.sliders[name].value = value
    live.wait(120)
    assert [sorted(entry) for entry in live.log] == [["alpha", "lr", "step", "temperature"]] * 4
    live.save(tmp_path / "log.json")
    assert session.read(tmp_path / "log.json")[1] == live.log
    for again in (panel(log=tmp_path / "log.json"), panel(log=live.log, steps=400, seed=3)):
        again.wait()
        assert again.history == live.history and again.accuracies == live.accuracies and again.log == live.log
        assert again.sliders["temperature"].value == 2.3  # the controls show what the log turned
    again.start(paused=True)
    again.stop()
    assert not again._session.replays  # the log counts for the first run alone


def test_wait_trains_where_nobody_pressed_start_and_says_the_same(panel, capsys):
    headless, pressed = panel(steps=60), panel(steps=60)
    figure = headless.wait()
    said = capsys.readouterr().out
    pressed.start()
    pressed.wait()
    assert said == capsys.readouterr().out == "the run is finished\n"
    assert headless.history == pressed.history and len(headless.history) == 60
    assert figure.axes[0].lines[0].get_xdata()[-1] == 60 and "50 labelled" in figure.get_suptitle()


def test_wait_has_a_limit_and_lets_a_held_run_go_on(panel, until, capsys):
    run = panel(steps=1_000_000)
    run.start(paused=True)
    until(lambda: run.state == "paused", "paused")
    run.wait(0.2)
    assert capsys.readouterr().out == "the run goes on\n"
    until(lambda: run.history, "a step")


def test_wait_raises_what_ended_the_run(panel, taught):
    digits, known = taught
    few = bank.make(known.logits[:5], digits, indices=torch.arange(5), producer="five")
    run = panel(teachers={"few": few})
    with pytest.raises(IndexError, match="image 5 is not among the 5"):
        run.wait()
    assert run.status.startswith("failed after step 0: IndexError: ")


def test_choices_that_cannot_be_trained_are_said_and_the_panel_stays_usable(panel):
    run = panel(students=("mlp-16", "no-such-net"), steps=10)
    run.choices["student"].value = "no-such-net"
    run.start()
    assert run.state == "failed" and run.status.startswith("failed: ValueError: ") and "no-such-net" in run.status
    with pytest.raises(ValueError, match="no-such-net"):
        run.wait()
    run.choices["student"].value = "mlp-16"
    run.wait()
    assert run.state == "finished"


def test_closing_the_panel_ends_its_thread(panel, until, ours):
    run = panel(steps=1_000_000)
    run.start()
    until(lambda: run.history, "a step")
    assert len(ours()) == 1 and ours()[0].daemon
    run.close()
    assert not ours()


def test_frames_are_paced(panel, monkeypatch):
    run, sent = panel(steps=300), []
    clock = SimpleNamespace(monotonic=lambda: run._session.step / 100)  # a hundred steps a second
    monkeypatch.setattr(base, "time", clock)
    monkeypatch.setattr(run.canvas, "send", lambda header, buffers: sent.append((clock.monotonic(), header["kind"])))
    run.wait()
    drawn = [at for at, kind in sent if kind == "frame"][1:]  # the first one empties the canvas
    between = [b - a for a, b in zip(drawn, drawn[1:-1])]  # the last one comes when the run has ended
    assert len(drawn) > 25 and 0.0999 < min(between) and max(between) < 0.12  # ten a second, for three seconds


def test_what_is_turned_at_once_counts_at_once(panel):
    run = panel(steps=5)
    run.turn(alpha=0.25)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 2"):
        run.turn(alpha=2)
    run.wait()
    assert run.log == [{"step": 1, "alpha": 0.25, "temperature": 4.0, "lr": 0.01}]


def test_reset_puts_back_a_knob_that_code_has_turned(panel):
    run = panel()
    before = run.knobs
    run.turn(alpha=0.2)  # the slider does not move
    run.reset()
    assert run.knobs == before


def test_ended_runs_stay_and_a_pinned_one_survives_reset(panel):
    run = panel(steps=20)
    run.pin()
    assert "there is no ended run to pin yet" in run.status
    run.wait()
    run.sliders["alpha"].value = 0.5
    run.pin("teacher only")
    run.start()
    run.wait()
    seen = [(r["name"], r["alpha"], r["pinned"]) for r in run.finished]
    assert seen == [("teacher only", 1.0, True), ("run 2", 0.5, False)]
    run.reset()
    assert [r["name"] for r in run.finished] == ["teacher only"] and run.sliders["alpha"].value == 1.0
    assert run.history == [] and run.state == "ready"


def test_export_writes_the_run_beside_the_notebook_and_says_so(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = panel(steps=5)
    run.buttons["export"].click()
    assert "there is no run to save" in run.status
    run.wait()
    run.buttons["export"].click()
    assert "written to run-1.json" in run.status and session.read("run-1.json")[0].steps == 5


def test_the_output_holds_a_picture_and_a_text_that_does_not_vary(panel):
    run = panel(steps=5)
    for _ in range(2):
        bundle, _ = run._repr_mimebundle_()
        assert bundle["text/plain"] == "a training panel" and bundle["image/png"]
        assert "application/vnd.jupyter.widget-view+json" in bundle
        run.wait()


def test_one_teacher_needs_no_name(taught):
    digits, known = taught
    run = panels.training(digits, known)
    assert run.choices["teacher"].options == ("teacher",) and run.teachers == {"teacher": known}
    run.close()


def test_every_control_has_a_label_and_a_class(panel):
    run = panel()
    for name, control in (run.sliders | run.choices | run.buttons | {"name": run.name}).items():
        assert control.description and f"kd-{name}" in control._dom_classes
    assert all(button.tooltip for button in run.buttons.values())


def test_a_record_of_another_teacher_is_refused(panel, tmp_path):
    run = panel(steps=5)
    run.wait()
    run.save(path := tmp_path / "run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"teacher": "another"}))
    with pytest.raises(ValueError, match="the teacher 'another', here are teacher"):
        panel(log=path)
