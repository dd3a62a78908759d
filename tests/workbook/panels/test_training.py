"""The training panel without a browser: in this process, and in a real kernel that is steered by comm messages."""

import json
import threading
import time

import pytest
import torch
from cells import TAUGHT
from jupyter_client.manager import KernelManager

from kdlab import bank, data, losses, models, training
from workbook.panels import frames, training as steer
from workbook.panels.session import Thinned
from workbook.run import ThisPython

SETUP = TAUGHT + """
run = steer.panel(digits, {"teacher": known, "few": few}, steps=1_000_000)
print({name: c.model_id for name, c in (run.sliders | run.choices | run.buttons | {"canvas": run.canvas}).items()})
"""


@pytest.fixture(scope="module")
def taught():
    """The digits, and a teacher's bank."""
    digits = data.load("digits")
    torch.manual_seed(0)
    teacher = models.build("mlp-64", digits.shape, 10)
    training.finish(training.train(teacher, digits, steps=60, batch_size=64))
    return digits, bank.fill(teacher, digits)


@pytest.fixture
def panel(taught):
    """Makes panels, and closes them afterwards."""
    made = []

    def make(**options):
        digits, known = taught
        made.append(steer.panel(digits, options.pop("teachers", {"teacher": known}), **options))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("kdlab")]


class Person:
    """Works in a kernel: runs cells, and sends what a front end sends when a slider moves or a button is pressed."""

    def __init__(self):
        self.manager = KernelManager()
        self.manager._kernel_spec = ThisPython().kernel_spec
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.open()

    def open(self):
        self.ids = eval(self.cell(SETUP).splitlines()[-1])

    def cell(self, code):
        """What the code printed."""
        printed, request = [], self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed).strip()

    def send(self, name, **sent):
        content = {"comm_id": self.ids[name], "data": sent}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content))

    def move(self, name, value):
        self.send(name, method="update", state={"value": value}, buffer_paths=[])

    def choose(self, name, index):
        self.send(name, method="update", state={"index": index}, buffer_paths=[])

    def press(self, name):
        self.send(name, method="custom", content={"event": "click"})

    def ask(self, expression):
        return eval(self.cell(f"print(repr(({expression})))"))

    def sees(self, expression, value=True):
        until(lambda: self.ask(expression) == value, f"{expression} is {value}")


@pytest.fixture(scope="module")
def shared():
    person = Person()
    yield person
    person.client.stop_channels()
    person.manager.shutdown_kernel(now=True)


@pytest.fixture
def person(shared):
    shared.press("reset")
    shared.sees("run.state", "ready")
    return shared


def test_the_loop_uses_a_moved_slider_while_other_cells_run(person):
    person.press("start")
    person.sees("run.state", "training")
    for name, value, index in (("alpha", 0.25, "alpha"), ("temperature", 8.0, "temperature"), ("lr", 0.003, "lr")):
        person.move(name, value)
        person.sees(f"run.log[-1][{index!r}]", value)
    last = person.ask("run.history[-1].alpha, run.history[-1].temperature")
    assert last == (0.25, 8.0)
    assert person.ask("run.log[0]") == {"step": 1, "alpha": 1.0, "temperature": 4.0, "lr": 0.01}
    before = person.ask("run._session.step")
    assert person.cell("print(sum(range(10)))") == "45"  # a second cell runs, and the training goes on meanwhile
    person.sees(f"run._session.step > {before}")


def test_pause_holds_step_makes_one_and_resume_goes_on(person):
    person.press("start")
    person.sees("run._session.step > 20")
    person.press("pause")
    person.sees("run.state", "paused")
    held = person.ask("run._session.step")
    assert person.ask("time.sleep(0.3) or run._session.step") == held
    person.press("step")
    person.sees("run._session.step", held + 1)
    assert person.ask("time.sleep(0.2) or (run._session.step, run.state)") == (held + 1, "paused")
    person.press("pause")
    person.sees(f"run._session.step > {held + 20}")
    assert person.ask("run.state") == "training"


def test_step_alone_begins_a_run_with_one_step(person):
    person.press("step")
    person.sees("run._session is not None and run._session.step", 1)
    assert person.ask("time.sleep(0.2) or (run._session.step, run.state)") == (1, "paused")


def test_stop_ends_the_thread_and_keeps_what_was_trained(person):
    person.press("start")
    person.sees("len(run.accuracies) > 0")
    person.press("stop")
    person.sees("run.state", "stopped")
    assert person.ask("ours()") == [] and person.ask("len(run.finished)") == 1
    assert person.ask("run.finished[0]['state']") == "stopped"


def test_starting_again_ends_the_run_before(person):
    person.press("start")
    person.sees("run._session is not None and run._session.step > 20")
    person.cell("first = run._session")
    person.press("start")
    person.sees("run._session is not first and run._session.step > 0")
    assert person.ask("first.ended, first.state, len(ours())") == (True, "stopped", 1)


def test_running_the_cell_again_ends_the_panels_run(person):
    person.press("start")
    person.sees("run.state", "training")
    person.cell("old = run; other = steer.panel(digits, {'teacher': known}, steps=10)")
    assert person.ask("old.state, ours()") == ("stopped", [])


def test_an_error_is_shown_and_the_panel_stays_usable(person):
    person.choose("teacher", 1)
    person.press("start")
    person.sees("run.state", "failed")
    assert "IndexError: image 5 is not among the 5" in person.ask("run.status") and person.ask("ours()") == []
    person.choose("teacher", 0)
    person.press("start")
    person.sees("run.state", "training")


def test_start_on_labels_that_are_already_bad_shows_the_error_and_the_panel_stays_usable(person):
    person.cell("kept, digits.train.labels[:] = digits.train.labels.clone(), 99  # labels that no class has")
    person.press("start")
    person.sees("run.state", "failed")
    assert "99" in person.ask("run.status") and "Error: " in person.ask("run.status") and person.ask("ours()") == []
    person.press("reset")  # which shows everything anew, bad labels and all
    person.sees("run.state", "ready")
    person.cell("digits.train.labels[:] = kept")
    person.press("start")
    person.sees("run.state", "training")


def test_a_front_end_that_appears_gets_the_pictures(person):
    person.press("step")
    person.sees("run._session is not None and run._session.step", 1)
    while person.client.iopub_channel.msg_ready():
        person.client.get_iopub_msg(timeout=1)
    person.send("canvas", method="custom", content={"kind": "ready"})
    seen = {}
    while {"setup", "frame", "runs"} - seen.keys():
        message = person.client.get_iopub_msg(timeout=10)
        content = message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}
        if "kind" in content:
            seen[content["kind"]] = content, message["buffers"]
    header, buffers = seen["frame"]
    assert header["step"] == 1 and [len(b) // 4 for b in buffers] == [4, 0, 4, 2 * 3 * 10]  # one step, no accuracy yet
    assert len(seen["setup"][1][0]) == 3 * 64  # three pictures of 8 x 8


def test_a_restart_leaves_nothing_behind(person):
    person.press("start")
    person.sees("run.state", "training")
    person.manager.restart_kernel(now=False)
    person.client.wait_for_ready(timeout=60)
    assert person.cell("import threading; print([t.name for t in threading.enumerate() if 'kdlab' in t.name])") == "[]"
    person.open()
    person.press("start")
    person.sees("run.state", "training")


def test_a_replayed_run_is_the_same_bit_for_bit(panel, tmp_path, one_thread):
    live = panel(steps=600, seed=3)
    live.start()
    for at, (name, value) in {60: ("alpha", 0.35), 150: ("temperature", 2.3), 260: ("lr", 0.0041)}.items():
        until(lambda: live._session.step >= at, f"step {at}")
        live.sliders[name].value = value
    live.wait(60)
    assert [sorted(entry) for entry in live.log] == [["alpha", "lr", "step", "temperature"]] * 4
    live.save(tmp_path / "log.json")
    assert steer.load_log(tmp_path / "log.json") == live.log
    plain = panel(steps=600, seed=3)
    plain.wait()
    for again in (panel(log=tmp_path / "log.json"), panel(log=live.log, steps=600, seed=3)):
        again.wait()
        assert again.history == live.history and again.accuracies == live.accuracies and again.log == live.log
        assert again.history != plain.history
        assert again.sliders["temperature"].value == 2.3  # the controls show what the log turned


def test_wait_trains_where_nobody_pressed_start_and_says_the_same(panel, capsys, one_thread):
    headless, pressed = panel(steps=120), panel(steps=120)
    figure = headless.wait()
    said = capsys.readouterr().out
    pressed.start()
    pressed.wait()
    assert said == capsys.readouterr().out == "the run is finished\n"
    assert headless.history == pressed.history and len(headless.history) == 120
    assert figure.axes[0].lines[0].get_xdata()[-1] == 120 and "50 labelled" in figure.get_suptitle()


def test_wait_has_a_limit_and_lets_a_held_run_go_on(panel, capsys):
    run = panel(steps=1_000_000)
    run.start(paused=True)
    until(lambda: run.state == "paused", "paused")
    run.wait(0.2)
    assert capsys.readouterr().out == "the run goes on\n" and run.history


def test_wait_raises_what_ended_the_run(panel, taught):
    digits, known = taught
    few = bank.make(known.logits[:5], digits, indices=torch.arange(5), producer="five")
    run = panel(teachers={"few": few})
    with pytest.raises(IndexError, match="image 5 is not among the 5"):
        run.wait()


def test_closing_the_panel_ends_its_thread(panel):
    run = panel(steps=1_000_000)
    run.start()
    until(lambda: run.history, "a step")
    assert len(ours()) == 1 and ours()[0].daemon
    run.close()
    assert not ours()


def test_curves_stay_bounded_and_keep_their_newest_point():
    curve = Thinned(limit=100)
    for number in range(1, 10_001):
        curve.add(number)
        assert len(curve.entries()) <= 101 and curve.entries()[-1] == number
    assert curve.entries()[:-1] == list(range(1, 10_001, 128))


def test_a_frame_does_not_grow_with_the_run_and_frames_are_paced(panel, monkeypatch, one_thread):
    run, sent = panel(steps=1500, evaluate_every=2), []
    monkeypatch.setattr(run.canvas, "send", lambda header, buffers: sent.append((time.monotonic(), header, buffers)))
    run.wait()
    drawn = [(at, [len(b) // 4 for b in buffers]) for at, header, buffers in sent if header["kind"] == "frame"]
    most = frames.POINTS + 1
    assert all(losses <= 4 * most and found <= 2 * most for _, (losses, found, *_) in drawn)
    between = [b - a for (a, _), (b, _) in zip(drawn, drawn[1:-1])]  # the last one comes when the run has ended
    assert len(drawn) > 3 and min(between) > 1 / 15


def test_the_gradients_share_is_what_autograd_says(taught):
    digits, known = taught
    student = torch.randn(8, 10, generator=torch.Generator().manual_seed(1), requires_grad=True)
    teacher, labels = known.logits[:8], digits.train.labels[:8]
    soft, = torch.autograd.grad(losses.soft_loss(student, teacher, 3.0), student)
    hard, = torch.autograd.grad(losses.hard_loss(student, labels), student)
    share = 0.7 * soft.norm() / (0.7 * soft.norm() + 0.3 * hard.norm())
    assert losses.gradient_share(student, teacher, labels, 0.7, 3.0) == pytest.approx(share.item(), abs=1e-5)
    assert losses.gradient_share(student, teacher, labels, 0.0, 3.0) == 0


def test_the_images_shown_are_unseen_uncertain_and_of_different_classes(taught):
    digits, known = taught
    looked = frames.telling(known, digits, 50)
    certain = losses.soft_targets(known.logits, 1.0).amax(1)
    assert looked.min() >= 50 and len(set(digits.train.labels[looked].tolist())) == 3
    assert certain[looked].max() < certain.median()


def test_ended_runs_stay_and_a_pinned_one_survives_reset(panel):
    run = panel(steps=60)
    run.wait()
    run.sliders["alpha"].value = 0.5
    run.pin("teacher only")
    run.start()
    run.wait()
    assert [(r["name"], r["alpha"], r["pinned"]) for r in run.finished] == [("teacher only", 1.0, True), ("run 2", 0.5, False)]
    run.reset()
    assert [r["name"] for r in run.finished] == ["teacher only"] and run.sliders["alpha"].value == 1.0
    assert run.history == [] and run.state == "ready"


def test_the_output_holds_a_picture_and_a_text_that_does_not_vary(panel):
    run = panel(steps=60)
    for _ in range(2):
        bundle = run._repr_mimebundle_()
        assert bundle["text/plain"] == "a training panel" and bundle["image/png"]
        assert "application/vnd.jupyter.widget-view+json" in bundle
        run.wait()


def test_one_teacher_needs_no_name(taught):
    digits, known = taught
    run = steer.panel(digits, known)
    assert run.choices["teacher"].options == ("teacher",) and run.teachers == {"teacher": known}
    run.close()


def test_every_control_has_a_label_and_a_class(panel):
    run = panel()
    for name, control in (run.sliders | run.choices | run.buttons | {"name": run.name}).items():
        assert control.description and f"kd-{name}" in control._dom_classes
    assert all(button.tooltip for button in run.buttons.values())


@pytest.mark.parametrize("damage, sentence", [
    (lambda record: record.pop("seed"), "KeyError: 'seed'"),
    (lambda record: record["log"].pop(0), "must rise from 1"),
    (lambda record: record["log"][1].update(alpha=3), r"alpha must be in \[0, 1\], got 3"),
    (lambda record: record.update(teacher="another"), "the teacher 'another', here are teacher"),
])
def test_a_record_that_does_not_fit_is_refused(panel, tmp_path, damage, sentence):
    run = panel(steps=10)
    run.wait()
    run.log.append({"step": 5, "alpha": 0.5, "temperature": 1.0, "lr": 0.01})
    run.save(path := tmp_path / "run.json")
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=sentence):
        panel(log=path)
