"""What panels share: errors are shown, the picture is part of the output, and work in a thread is held and ended."""

import base64
import io
import threading
import time

import ipywidgets as widgets
import pytest
from matplotlib.figure import Figure
from PIL import Image

from workbook.panels import base


@pytest.fixture
def panel():
    return base.Panel("some", {"level": widgets.IntSlider(3)}, {"Draw": lambda: None})


def test_a_shown_figure_is_the_panels_picture(panel):
    panel.show(figure := Figure((2, 1)))
    assert Image.open(io.BytesIO(panel.picture.value)).size == (180, 90) and panel.figure() is figure


def test_a_button_calls_what_it_was_given_and_nothing_happens_before():
    pressed = []
    panel = base.Panel("some", {}, {"Go": lambda: pressed.append("go"), "Stop": lambda: pressed.append("stop")})
    assert not pressed and not panel.picture.value
    panel.buttons["stop"].click()
    assert pressed == ["stop"] and "kd-some-stop" in panel.buttons["stop"]._dom_classes


def test_what_is_said_and_what_went_wrong_are_escaped(panel):
    panel.fail(ValueError("two is too <many>"))
    assert panel.message.value == '<b role="alert">⚠ ValueError: two is too &lt;many&gt;</b>'
    panel.say("a <b>")
    assert panel.message.value == '<div role="status">a &lt;b&gt;</div>'


def test_a_panel_holds_what_keeps_its_keys_from_jupyterlab(panel):
    assert "kd-panel" in panel._dom_classes and isinstance(panel.children[-1], base.Keys)


def test_a_screen_reader_hears_the_titles_of_the_figure(panel):
    for level in (3, 7):
        figure = Figure((2, 1))
        figure.suptitle("above")
        for ax, title in zip(figure.subplots(1, 2), ("left", f"level {level}")):
            ax.set_title(title, loc="left")
        panel.show(figure)
        assert panel.children[-1].picture == f"figure. above. left. level {level}"


def test_the_output_holds_a_picture_and_a_text_that_does_not_vary(panel):
    for size in ((2, 1), (1, 1)):
        panel.show(Figure(size))
        bundle, _ = panel._repr_mimebundle_()
        kept = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        live = Image.open(io.BytesIO(panel.picture.value))
        assert kept.size == (72 * size[0], 72 * size[1]) and live.size == (90 * size[0], 90 * size[1])
        assert "application/vnd.jupyter.widget-view+json" in bundle and bundle["text/plain"] == "a panel with level"


def test_work_is_held_stepped_resumed_and_ended():
    done, waited = [], threading.Event()

    def do():
        while work.allowed(waited.set):
            done.append(len(done))
            time.sleep(0.001)

    def holds():
        assert waited.wait(60)
        waited.clear()
        return len(done)

    work = base.Work(do, "test")
    work.start(held=True)
    assert holds() == 0
    work.hold(after=1)
    assert holds() == 1
    work.hold(False)
    while len(done) < 5:
        time.sleep(0.001)
    work.hold()
    assert holds() >= 5 and any(thread.name == "kdlab test" and thread.daemon for thread in threading.enumerate())
    work.stop()
    assert not any(thread.name == "kdlab test" for thread in threading.enumerate())


@pytest.mark.parametrize("cost, drawn", [(0.0, 10), (0.1, 5), (0.3, 2)])  # in one second, of which half may go by
def test_pictures_come_no_faster_than_their_rate_and_leave_time(monkeypatch, cost, drawn):
    clock, seen, pace = [0.0], [], base.Pace(10, 0.5)
    monkeypatch.setattr(base.time, "monotonic", lambda: clock[0])

    def draw():
        seen.append(clock[0])
        clock[0] += cost

    while clock[0] < 0.995:
        pace.draw(draw)
        clock[0] += 0.01
    assert abs(len(seen) - drawn) <= 1
    pace.draw(draw, now=True)
    assert seen[-1] > 0.99


def test_opening_a_panel_ends_what_earlier_ones_of_its_kind_run():
    class Kind(widgets.VBox):
        def stop(self):
            ended.append(self)

    class Another(Kind):
        pass

    ended = []
    first, *others = (kind([]) for kind in (Kind, Another, Kind))
    for opened in (first, *others):
        base.alone(opened)
    assert ended == [first]
    base._OPEN.clear()
