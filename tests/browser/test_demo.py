"""The demo page in a browser: torch's numbers, nothing from the network, and a drawing that is read."""

import importlib.util
import os
import re
from types import SimpleNamespace

import harness
import pytest
import torch
from playwright.sync_api import expect

from kdlab import losses
from kdlab.evaluation import predict
from workbook.runtimes import Unavailable

WINDOW = {"width": 1280, "height": 900}
# strokes of a hand, as corners in a square of 100
STROKES = {
    0: ["50,5 25,20 20,50 25,80 50,95 75,80 80,50 75,20 50,5"],
    1: ["35,25 55,5 55,95"],
    2: ["22,25 35,8 60,8 72,25 65,45 25,92 80,92"],
    3: ["25,12 50,5 70,18 65,38 45,48 68,58 74,78 50,95 24,86"],
    4: ["55,5 20,60 80,60", "62,35 62,95"],
    5: ["75,8 30,8 27,45 55,40 74,58 68,84 45,95 22,86"],
    6: ["65,5 38,25 25,60 32,88 55,95 72,78 62,58 40,58 27,72"],
    7: ["20,8 78,8 55,50 45,95"],
    8: ["50,48 28,30 35,8 62,8 70,28 50,48 28,68 32,90 55,96 72,85 70,64 50,48"],
    9: ["70,30 55,8 30,15 28,40 50,48 70,30 68,60 55,95"],
}


@pytest.fixture(scope="module")
def demo():
    """demo/build.py as a module."""
    refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    spec = importlib.util.spec_from_file_location("demo_build", harness.ROOT / "demo" / "build.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        refuse(f"no demo page: {error}")
    return module


@pytest.fixture(scope="module")
def made(demo):
    """The page as `make demo` makes it, and its networks."""
    refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return demo.build()
    except (demo.CannotBuild, Unavailable) as error:  # no npm, or no onnx: one sentence
        refuse(f"no demo page: {error}")
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def opened(context, made):
    """The page, started and measured, and what it asked for and complained about."""
    page = context.new_page()
    page.set_viewport_size(WINDOW)
    said = SimpleNamespace(requests=[], errors=[])
    outside = re.compile("^(https?|wss?|ftp):")
    page.route(outside, lambda route: (said.requests.append(route.request.url), route.abort()))
    page.on("request", lambda request: said.requests.append(request.url))
    page.on("pageerror", lambda error: said.errors.append(str(error)))
    page.on("console", lambda message: message.type in ("error", "warning") and said.errors.append(message.text))
    page.goto(made.page.as_uri())
    expect(page.locator("#progress")).to_have_text("measured on this device, just now")
    yield page, said
    page.close()


@pytest.fixture
def page(opened):
    """The opened page, with the first picture, the first student, T = 4, and no complaint at the end."""
    page, said = opened
    page.get_by_role("radio").first.check()
    page.locator("[name=which][value=student]").check()
    page.get_by_role("button", name="T = 4").click()
    yield page
    assert not said.errors


def shares(page, role):
    cells = page.locator(f"#bars .{role}").locator("xpath=../../span")
    return torch.tensor(cells.evaluate_all("all => all.map(cell => Number(cell.dataset.p))"), dtype=torch.float64)


def settled(page):
    """Waits until what is shown is the networks' answer to the last picture."""
    expect(page.locator("#bars")).to_have_attribute("aria-busy", "false")


def says(page, role):
    return page.locator(f"#{role}-says").inner_text()


def pick(page, made, place):
    radio = page.locator(".pictures input").nth(place)
    label = radio.get_attribute("aria-label")[-1]
    radio.check()
    settled(page)
    expect(page.locator("#truth")).to_have_text(f"In truth: {label}.")
    return label


def draw(page, digit):
    page.get_by_role("button", name="Clear").click()
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    for stroke in STROKES[digit]:
        points = [[float(v) / 100 for v in point.split(",")] for point in stroke.split()]
        places = [(box["x"] + (0.2 + 0.6 * x) * box["width"], box["y"] + (0.2 + 0.6 * y) * box["height"])
                  for x, y in points]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=3)
        page.mouse.up()
    settled(page)
    expect(page.locator("#truth")).to_have_text("Your own drawing; you know the truth.")


def torch_logits(made, name, place):
    return predict(made.networks[name], made.digits, "test", indices=made.pictures[[place]])[0].double()


def test_nothing_is_fetched_but_the_page_itself(opened, made):
    _, said = opened
    first, *others = said.requests
    assert first == made.page.as_uri()
    assert all(url.startswith(("blob:", "data:")) for url in others), others
    assert not said.errors
    text = made.page.read_text()
    assert "default-src 'none'" in text and not re.search(r"<(?:link|script|img)[^>]+(?:src|href)=.https?:", text)


def test_every_offered_picture_gives_torchs_answers(page, made):
    for place in range(20):
        pick(page, made, place)
        for role, name in (("teacher", "teacher"), ("student", "student")):
            z = torch_logits(made, name, place)
            assert says(page, role) == str(int(z.argmax()))
            torch.testing.assert_close(shares(page, role), losses.soft_targets(z, 4.0), rtol=1e-3, atol=1e-4)


def test_the_teacher_reads_the_first_picture_of_each_digit_right(page, made):
    right = 0
    for place in range(10):
        label = pick(page, made, place)
        assert label == str(place)
        right += says(page, "teacher") == label
    assert right >= 9


@pytest.mark.parametrize("name", ["few", "alone"])
def test_the_other_students_answer_as_torch_does(page, made, name):
    page.locator(f"[name=which][value={name}]").check()
    for place in (3, 12):
        pick(page, made, place)
        torch.testing.assert_close(
            shares(page, "student"), losses.soft_targets(torch_logits(made, name, place), 4.0), rtol=1e-3, atol=1e-4
        )


def test_the_temperature_moves_the_bars_as_softmax_says_and_never_the_answer(page, made):
    pick(page, made, 12)
    slider, before = page.get_by_label("Temperature T"), says(page, "teacher")
    entropies = []
    for keys, temperature in (("Home", 0.25), ("End", 32.0)):
        slider.press(keys)
        assert page.locator("#shown").inner_text() == f"{temperature:.2f}"
        for role in ("teacher", "student"):
            expected = losses.soft_targets(torch_logits(made, role, 12), temperature)
            torch.testing.assert_close(shares(page, role), expected, rtol=1e-2, atol=1e-4)
        p = shares(page, "teacher")
        entropies.append(float(re.search(r"[\d.]+", page.locator("#teacher-entropy").inner_text())[0]))
        bits = float(torch.special.entr(p).sum() / torch.log(torch.tensor(2.0)))
        assert entropies[-1] == pytest.approx(bits, abs=0.006)
        width = page.locator("#bars .bar.teacher").nth(int(p.argmax())).evaluate("bar => parseFloat(bar.style.width)")
        assert width == pytest.approx(100 * float(p.max()), abs=0.01)
        assert says(page, "teacher") == before
    assert entropies[0] < entropies[1]
    slider.press("ArrowLeft")
    assert page.locator("#shown").inner_text() == f"{2**4.95:.2f}"


def test_agreement_is_told_in_words(page, made):
    z = {name: [int(torch_logits(made, name, i).argmax()) for i in range(20)] for name in made.networks}
    page.locator("[name=which][value=alone]").check()
    same = [a == b for a, b in zip(z["teacher"], z["alone"])]
    for place in (same.index(True), same.index(False)):
        pick(page, made, place)
        expect(page.locator("#agree .words")).to_have_text("they agree" if same[place] else "they differ")


def test_drawn_digits_are_read(page):
    teacher, student = [], []
    for digit in STROKES:
        draw(page, digit)
        teacher.append(says(page, "teacher"))
        student.append(says(page, "student"))
    assert sum(a == str(b) for a, b in zip(teacher, STROKES)) >= 8, teacher
    assert sum(a == str(b) for a, b in zip(student, STROKES)) >= 7, student


def test_a_drawing_has_the_ink_and_the_place_of_the_data_sets_digits(page, made):
    draw(page, 0)
    seen = page.locator("#seen").evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 8, 8).data]")
    ink = torch.tensor(seen).view(8, 8, 4)[..., 3].double() * 16 / 255  # alpha is the count of black pixels
    usual = made.digits.train.images.double().sum((1, 2, 3)).mean() * 16 / 255
    assert float(ink.sum()) == pytest.approx(float(usual), rel=0.1)
    assert ink[0].sum() > 0 and ink[7].sum() > 0  # from the first row to the last
    weights = torch.arange(8.0, dtype=torch.float64) + 0.5
    assert float((ink.sum(0) * weights).sum() / ink.sum()) == pytest.approx(4.0, abs=0.5)


def test_undo_takes_a_stroke_back_and_clear_everything(page):
    draw(page, 4)
    page.get_by_role("button", name="Undo stroke").click()
    page.get_by_role("button", name="Undo stroke").click()
    expect(page.locator("#agree .words")).to_have_text("no picture yet")
    expect(page.get_by_role("button", name="Undo stroke")).to_be_disabled()
    expect(page.locator("#hint")).to_be_visible()
    assert says(page, "teacher") == "–"


def test_the_keyboard_reaches_pictures_temperature_and_students(page):
    page.locator(".pictures input").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#truth")).to_have_text("In truth: 1.")
    for element in page.locator("input, button, canvas[role=img]").all():
        name = element.get_attribute("aria-label") or element.evaluate("e => (e.labels?.[0] ?? e).textContent.trim()")
        assert name, element


def test_times_of_this_device_are_shown_with_their_ratio(page):
    for row in ("one", "many"):
        teacher, student, ratio = page.locator(f"#{row} td").all_inner_texts()
        for text in (teacher, student):
            assert re.fullmatch(r"[\d.]+ (µs|ms)\s+p95 [\d.]+ (µs|ms)", text), text
        assert re.fullmatch(r"[\d.]+×", ratio) and float(ratio[:-1]) > 0
    page.get_by_role("button", name="Measure again").click()
    expect(page.locator("#progress")).to_contain_text("measuring")
    expect(page.locator("#progress")).to_have_text("measured on this device, just now")


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(page, width, scheme):
    page.set_viewport_size(WINDOW | {"width": width})
    page.emulate_media(color_scheme=scheme)
    page.locator(".pictures input").nth(12).check()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    path = harness.ROOT / "build" / "screenshots" / f"demo-{width}-{scheme}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    page.set_viewport_size(WINDOW)
    page.emulate_media(color_scheme="light")


def test_without_npm_one_sentence_says_how_to_get_it(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    sentence = "comes from npm, which is not here; install Node.js, or .*demo"
    with pytest.raises(demo.CannotBuild, match=sentence) as caught:
        demo.runtime(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_not_the_pinned_one_is_refused_and_removed(demo, tmp_path):
    package = tmp_path / f"onnxruntime-web-{demo.VERSION}.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(demo.CannotBuild, match="not the file that it should be"):
        demo.runtime(tmp_path)
    assert not package.exists()
