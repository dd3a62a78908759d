"""The missing-class panel without a browser: it follows a training on the way, and ends on what the training gives."""

import base64
import itertools
import re
import threading
import time
from types import SimpleNamespace

import pytest

from workbook import panels
from workbook.panels import base

CLASSES = ["a", "b", "c"]


def until(condition, what, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("kdlab")]


class Training:
    """Yields five looks; a closed `gate` holds it before each. It notes what was asked, and what was closed early."""

    def __init__(self):
        self.asked, self.closed, self.gate = [], 0, threading.Semaphore(0)
        self.steps, self.error = (10, 20, 30, 40, 50), None
        self.gated = False

    def __call__(self, left_out, temperature):
        self.asked.append((left_out, temperature))
        try:
            for step in self.steps:
                if self.gated:
                    self.gate.acquire()
                if self.error and step == 30:
                    raise self.error
                rise = [1.0] * 3
                rise[left_out] = min(1, step / 50) * 0.9
                yield step, {"alone": [0.0 if c == left_out else 1.0 for c in range(3)], "distilled": rise}
        except GeneratorExit:
            self.closed += 1
            raise


@pytest.fixture
def training():
    return Training()


@pytest.fixture
def panel(training):
    panel = panels.missing_class(training, CLASSES, missing=1)
    yield panel
    training.gate.release(100)
    panel.close()
    assert not ours()


def curves(figure):
    return {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}


def says(panel):
    return re.sub("<.*?>", "", panel.message.value)


def test_it_opens_on_a_finished_run_of_the_calling_thread(training, figures):
    panel = panels.missing_class(training, CLASSES, missing=1, temperature=2.0)
    assert training.asked == [(1, 2.0)] and not ours() and len(figures) == 1  # headless, nothing is drawn on the way
    assert curves(figures[0]) == {"alone": [[s, 0] for s in training.steps],
                                  "distilled": [[s, pytest.approx(s / 50 * 0.9)] for s in training.steps]}
    bars = figures[0].axes[1].patches[1:]  # the first one marks the class
    assert [bar.get_height() for bar in bars] == [1, 0, 1, 1, 0.9, 1]
    assert "No b in training. Recognised of them after step 50: alone 0 %, distilled 90 %" == figures[0].get_suptitle()
    assert says(panel) == "finished after step 50; recognised of the class b: alone 0 %, distilled 90 %"


def test_its_output_holds_the_picture_and_a_text_that_does_not_vary(panel):
    bundle, _ = panel._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == base.png(panel.figure(), 72)
    assert bundle["text/plain"] == "a panel with missing, temperature"


def test_go_draws_each_look_while_the_training_goes_on(panel, training, figures, monkeypatch):
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=itertools.count().__next__))  # each picture is due
    training.gated = True
    panel.controls["missing"].value = 2
    assert training.asked == [(1, 4.0)]  # a choice alone trains nothing
    panel.buttons["go"].click()
    for count, step in enumerate(training.steps[:4], 1):
        training.gate.release()
        until(lambda: len(figures) == count, f"{count} pictures")
        assert curves(figures[-1])["distilled"][-1] == [step, pytest.approx(step / 50 * 0.9)]
        assert figures[-1].axes[0].get_xlim() == (0, 50)  # as long as the run before: the curve has room to grow
        assert says(panel) == "training without any c …" and ours()
    training.gate.release()
    until(lambda: not ours(), "the end")
    assert says(panel) == "finished after step 50; recognised of the class c: alone 0 %, distilled 90 %"
    assert "after step 50: alone 0 %, distilled 90 %" in panel._keys.picture


def test_the_last_picture_is_what_the_headless_run_shows(panel, training):
    headless = panels.missing_class(training, CLASSES, missing=2)
    panel.controls["missing"].value = 2
    panel.buttons["go"].click()
    until(lambda: not ours(), "the end")
    assert bytes(panel.picture.value) == bytes(headless.picture.value)


@pytest.mark.parametrize("end", ["go", "missing", "temperature", "stop", "close", "another"])
def test_a_run_under_way_ends_first(panel, training, end):
    training.gated = True
    panel.buttons["go"].click()
    training.gate.release(2)
    until(lambda: len(panel.looks) == 2, "two looks")
    first, work = ours(), panel._work

    def third_look():
        until(lambda: work.stopped, "the end has been asked for")
        training.gate.release()

    threading.Thread(target=third_look, daemon=True).start()
    match end:
        case "go":
            panel.buttons["go"].click()
        case "missing" | "temperature":
            panel.controls[end].value = 2
        case "stop":
            panel.buttons["stop"].click()
        case "close":
            panel.close()
        case "another":
            panels.missing_class(Training(), CLASSES)
    assert training.closed == 1 and not first[0].is_alive() and len(first) == 1
    assert len(ours()) == (end == "go")
    if end != "go":
        assert says(panel) == "stopped after step 30; Go begins anew"


def test_an_error_on_the_way_is_shown_and_the_panel_stays_usable(panel, training):
    training.error = ValueError("bad <look>")
    panel.buttons["go"].click()
    until(lambda: not ours(), "the end")
    assert panel.message.value == '<b role="alert">⚠ ValueError: bad &lt;look&gt;</b>'
    training.error = None
    panel.buttons["go"].click()
    until(lambda: not ours(), "the end")
    assert says(panel).startswith("finished after step 50")


def test_an_error_at_the_opening_is_raised_because_nobody_may_be_there_to_read_it(training):
    training.error = ValueError("bad look")
    with pytest.raises(ValueError, match="bad look"):
        panels.missing_class(training, CLASSES)
    with pytest.raises(ValueError, match="gave no look; it must yield"):
        panels.missing_class(lambda left_out, temperature: iter(()), CLASSES)
    with pytest.raises(ValueError, match="missing must be in 0 .. 2, got 3"):
        panels.missing_class(training, CLASSES, missing=3)
