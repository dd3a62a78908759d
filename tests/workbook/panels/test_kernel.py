"""Panels and trainings in a real kernel: steered by the messages that a front end sends, and interrupted."""

import time

import pytest
from cells import TAUGHT
from jupyter_client.manager import KernelManager
from kernels import again

from workbook.kernels import ThisPython

SETUP = TAUGHT + """
run = panels.training(digits, {"teacher": known, "few": few}, steps=1_000_000)
print({name: c.model_id for name, c in (run.sliders | run.choices | run.buttons | {"canvas": run.canvas}).items()})
"""


class Person:
    """Works in a kernel: runs cells, and sends what a front end sends when a slider moves or a button is pressed."""

    def __init__(self):
        again(self.start)
        self.open()

    def start(self):
        self.manager = KernelManager()
        self.manager._kernel_spec = ThisPython().kernel_spec
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def open(self):
        self.ids = eval(self.cell(SETUP).splitlines()[-1])

    def cell(self, code, once_it_prints=lambda: None):
        """What the code printed."""
        printed, request = [], self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                if not printed:
                    once_it_prints()
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
        end = time.monotonic() + 120
        while (found := self.ask(expression)) != value:
            assert time.monotonic() < end, f"{expression} is still {found!r}"
            time.sleep(0.01)


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
    person.sees("len(run.history) > 0")
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
    person.sees("run.state", "paused")
    assert person.ask("time.sleep(0.2) or (run._session.step, run.state)") == (held + 1, "paused")
    person.press("pause")
    person.sees(f"run._session.step > {held + 20}")
    assert person.ask("run.state") == "training"


def test_step_alone_begins_a_run_with_one_step(person):
    person.press("step")
    person.sees("run._session is not None and run._session.step", 1)
    person.sees("run.state", "paused")
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
    person.cell("old = run; other = panels.training(digits, {'teacher': known}, steps=10)")
    assert person.ask("old.state, ours()") == ("stopped", [])


def test_an_error_is_shown_and_the_panel_stays_usable(person):
    person.choose("teacher", 1)
    person.press("start")
    person.sees("run.state", "failed")
    assert "IndexError: image 5 is not among the 5" in person.ask("run.status")
    person.sees("ours()", [])  # it has said so a moment before its end
    person.choose("teacher", 0)
    person.press("start")
    person.sees("run.state", "training")


def test_start_on_labels_that_are_already_bad_shows_the_error_and_the_panel_stays_usable(person):
    person.cell("kept, digits.train.labels[:] = digits.train.labels.clone(), 99  # labels that no class has")
    person.press("start")
    person.sees("run.state", "failed")
    assert "99" in person.ask("run.status") and "Error: " in person.ask("run.status")
    person.sees("ours()", [])
    person.press("reset")  # which shows everything anew, bad labels and all
    person.sees("run.state", "ready")
    person.cell("digits.train.labels[:] = kept")
    person.press("start")
    person.sees("run.state", "training")


def test_a_front_end_that_appears_gets_the_pictures(person):
    person.press("step")
    person.sees("run._session is not None and run._session.step", 1)
    while person.client.iopub_channel.msg_ready():
        person.client.get_iopub_msg(timeout=60)
    person.send("canvas", method="custom", content={"kind": "ready"})
    seen = {}
    while {"setup", "frame", "runs"} - seen.keys() or seen["frame"][0]["step"] == 0:  # one of before may come late
        message = person.client.get_iopub_msg(timeout=120)
        content = message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}
        if "kind" in content:
            seen[content["kind"]] = content, message["buffers"]
    header, buffers = seen["frame"]
    assert header["step"] == 1 and [len(b) // 4 for b in buffers] == [4, 0, 4, 2 * 3 * 10]  # one step, no accuracy yet
    assert len(seen["setup"][1][0]) == 3 * 64  # three pictures of 8 x 8


def test_interrupting_a_training_says_so_keeps_the_model_and_the_next_cell_works(person):
    person.cell("""
from kdlab import training
model = models.build("mlp-32", digits.shape, 10)
training.finish(training.train(model, digits, steps=1))  # the first optimizer of a process imports for seconds""")

    long = """
seen = []
model.register_forward_hook(lambda *_: seen.append(1) or (len(seen) == 20 and print("under way", flush=True)) or None)
history = training.finish(training.train(model, digits, steps=1_000_000, batch_size=64))"""
    begun, said = person.cell(long, person.manager.interrupt_kernel).splitlines()
    assert said.startswith("stopped after step ") and said.endswith("; the model keeps that state")
    stopped, recorded = int(said.split()[3][:-1]), person.ask("len(history)")
    assert begun == "under way" and recorded >= 19
    assert stopped - recorded in (0, 1)  # the last step may have been finished, and not yet recorded
    assert person.ask("model.training") is False
    person.cell("more = training.finish(training.train(model, digits, steps=5))")
    assert person.ask("len(more), all(p.isfinite().all().item() for p in model.parameters())") == (5, True)
