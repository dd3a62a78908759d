"""The book in a browser, from a folder with a space in its name: a learner's first ten minutes, search, phone, dark.

It is built with the prose of all notebooks, whose links it follows, and with the outputs of the first one and of the
one that shows a card.
"""

import os
import re
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from types import SimpleNamespace

import harness
import pytest
from playwright.sync_api import expect

DESK, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
TOUCHED = "article summary, .theme-toggle, .predict button"
OWN = "^(file|data|blob|about):"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The book's folder, and what its build said."""
    output = tmp_path_factory.mktemp("a book") / "book"
    command = [sys.executable, "book/build.py", "--only", "00", "05", "--without-api", "--output", str(output)]
    env = os.environ | {"PYTHONPATH": str(harness.ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=harness.ROOT, env=env, capture_output=True, text=True, timeout=600)
    if "cannot be made" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip(done.stderr.strip())
    return SimpleNamespace(folder=output, done=done)


@pytest.fixture(scope="module")
def opened(context, built):
    page = context.new_page()
    said = SimpleNamespace(elsewhere=[], errors=[])
    page.on("request", lambda request: re.match(OWN, request.url) or said.elsewhere.append(request.url))
    page.on("pageerror", lambda error: said.errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and said.errors.append(message.text))
    yield page, said
    page.close()


@pytest.fixture
def visit(opened, built):
    """Opens a page of the book at a desk's size; at the end nothing was asked of another host, and nothing failed."""
    page, said = opened
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")

    def go(path):
        if page.url != (address := (built.folder / path).as_uri()):
            page.goto(address)
        return page

    yield go
    assert not said.elsewhere and not said.errors


class Links(HTMLParser):
    """What a page names, and the names that it has."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.ids, self.fetched = [], {""}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id"))
        target = found.get("href") or found.get("src")
        if target:
            self.targets.append(target)
            if tag != "a":
                self.fetched.append(target)


def test_it_is_built_without_a_warning(built):
    assert built.done.returncode == 0, built.done.stderr
    assert not built.done.stderr


def test_every_link_and_anchor_leads_somewhere_and_nothing_is_fetched_from_a_host(built):
    pages = {path.resolve(): Links(path.read_text(encoding="utf-8")) for path in built.folder.rglob("*.html")
             if "_static" not in path.parts}
    shown = {path.stem for path in pages if path.parent.name == "notebooks"}
    assert shown == {path.stem for path in harness.ROOT.glob("notebooks/*.ipynb")}
    lost = []
    for path, links in pages.items():
        assert not [target for target in links.fetched if re.match("https?:|//", target)]
        for target in links.targets:
            address = urllib.parse.urlsplit(target)
            if address.scheme or target.startswith("../demo/"):
                continue
            file = (path.parent / urllib.parse.unquote(address.path)).resolve() if address.path else path
            names = pages[file].ids if file in pages else {""}
            if not file.is_file() or urllib.parse.unquote(address.fragment) not in names:
                lost.append(f"{path.name}: {target}")
    assert not lost


def test_a_learners_first_ten_minutes(visit):
    page = visit("index.html")
    page.locator("article").get_by_role("link", name="Start here").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("00 · Start here")
    answers = page.get_by_text("It is (b).")
    expect(answers.first).to_be_hidden()    # to predict first, results are folded
    explained = page.get_by_text("With seed 25 it closes more than half of the gap.")
    expect(explained).to_be_hidden()

    asked = page.locator(".predict").first
    asked.get_by_role("button", name="(b)").click()
    expect(asked.get_by_role("button", name="(b)")).to_have_attribute("aria-pressed", "true")
    expect(asked.get_by_role("status")).to_contain_text("You said (b)")
    expect(answers.first).to_be_hidden()
    page.get_by_text("Show the output").locator("visible=true").first.click()
    expect(answers.first).to_be_visible()
    page.locator("summary", has_text="Explain").first.click()
    expect(explained).to_be_visible()

    page.locator("a.next-page").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("01 · Train a teacher")
    page.locator("details", has=page.locator(".math")).first.locator("summary").click()
    expect(page.locator(".MathJax").first).to_be_visible()  # with the fonts beside the page
    assert not page.locator(".MathJax_Error").count()


@pytest.mark.parametrize(("word", "found"), [
    ("calibration", "01_train_a_teacher"), ("KL divergence", "21_conventions"), ("T²", "11_the_alpha_temperature_map"),
    ("软目标", "zh/02_soft_targets"),
])
def test_search_finds_a_notebook_by_a_word_within_it(visit, word, found):
    page = visit("index.html")
    page.locator("input[name=q]").first.fill(word)
    page.keyboard.press("Enter")
    expect(page.locator(f"#search-results a[href*='{found}.html']").first).to_be_visible()


def test_a_card_that_a_cell_shows_has_its_tables(visit):
    page = visit("notebooks/05_your_own_task.html")
    expect(page.locator(".cell_output table", has_text="agreement with the teacher")).to_have_count(1)


def test_figures_are_the_pictures_that_were_committed(visit):
    page = visit("notebooks/00_start_here.html")
    pictures = page.locator(".cell_output img")
    assert pictures.count() == 4
    assert pictures.evaluate_all("all => all.filter(one => one.naturalWidth < 100).length") == 0


def test_in_the_dark_drawings_stand_on_white(visit):
    page = visit("notebooks/00_start_here.html")
    page.emulate_media(color_scheme="dark")
    grounds = page.locator("article img").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert set(grounds) == {"rgb(255, 255, 255)"}
    ground, ink = page.evaluate("['backgroundColor', 'color'].map(key => getComputedStyle(document.body)[key])")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60 < 150 < min(map(int, re.findall(r"\d+", ink)[:3]))


@pytest.mark.parametrize("path", ["notebooks/00_start_here", "notebooks/05_your_own_task", "index", "plans", "README"])
def test_a_phone_is_not_scrolled_sideways(visit, path):
    page = visit(f"{path}.html")
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    heights = page.locator(TOUCHED).evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert min(height for height in heights if height) >= 36    # a finger's
    sizes = page.locator("article pre").evaluate_all("all => all.map(one => getComputedStyle(one).fontSize)")
    assert set(sizes) <= {"13px"}    # also of code that is folded


def test_on_a_phone_a_table_of_sentences_is_read_row_by_row(visit):
    page = visit("README.html")
    page.set_viewport_size(PHONE)
    table = page.locator("article table", has_text="What is distillation?")
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")
    asked = table.locator("td", has_text="What is distillation?")
    assert asked.get_attribute("data-head") == "Question"
    assert asked.evaluate("one => one.clientWidth") > 300    # in place of a column of two words
    figures = page.locator("article table", has_text="wrong classes shuffled")
    assert not figures.evaluate("one => one.classList.contains('worded')")


def test_printed_sentences_break_and_columns_do_not_and_a_figure_opens_alone(visit):
    page = visit("notebooks/00_start_here.html")
    for words, kept in {"the doctor's report": "pre", "torch 2": "pre-wrap"}.items():
        printed = page.locator(".cell_output pre", has_text=words).first
        assert printed.evaluate("one => getComputedStyle(one).whiteSpace") == kept
    alone = page.locator(".cell_output a.alone").first
    assert alone.get_attribute("href") == alone.locator("img").evaluate("one => one.src")
