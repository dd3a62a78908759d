"""The decks in a browser, opened from disk: what a lecturer shows, slide by slide."""

import re

import harness
import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from playwright.sync_api import expect

from workbook import decks

LESSON = sorted((harness.ROOT / "notebooks").glob(decks.LESSON))
LEGIBLE = 16  # px on a stage of 1280 x 720
HANDY = 18  # px on one of 720 in width, a phone's: 10 on its screen

# every slide in turn, as soon as it is shown: its text, what is cut, and its smallest letters (formulas apart);
# `lowest` is the height, in pixels, below which a figure is too small
WALK = """(lowest) => {
  const found = [];
  for (let i = 0; i < Reveal.getTotalSlides(); i++) {
    Reveal.slide(i);
    const slide = Reveal.getCurrentSlide(), cut = [];
    let smallest = 99;
    for (const part of slide.querySelectorAll("*:not(aside, aside *, .MathJax *)")) {
      const box = part.getBoundingClientRect();
      const inside = box.left > -1 && box.top > -1 && box.right < innerWidth + 1 && box.bottom < innerHeight + 1;
      if (!inside) cut.push(part.outerHTML.slice(0, 90));
      if (part.matches(".figure img") && box.height < lowest) cut.push("a figure of " + box.height);
      const words = [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (words) smallest = Math.min(smallest, parseFloat(getComputedStyle(part).fontSize));
    }
    const notes = [...slide.querySelectorAll("aside.notes")].map((note) => note.textContent).join(" ");
    const figures = slide.querySelectorAll("img").length;
    const parts = [...slide.querySelectorAll(":scope > :not(h2, aside)")];
    const below = parts.map((part) => part.textContent).join("").length;
    const printed = parts[0]?.matches(".jp-OutputArea-output:not(.figure)") && !parts[1]?.matches(".figure");
    if (printed) cut.push("printed, apart from its code: " + parts[0].textContent);
    for (const picture of slide.querySelectorAll("img")) {
      if (picture.alt.length < 30 || picture.alt.startsWith("No description")) cut.push("no words: " + picture.alt);
    }
    found.push({text: slide.innerText, raw: slide.textContent, cut, smallest, notes, figures, below});
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The lesson's decks, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("a lecture") / "my slides"
    assert decks.build(LESSON, folder) == []
    return folder


@pytest.fixture(scope="module")
def page(context):
    """A stage of 1280 x 720; no request leaves the disk, and no script fails."""
    page, wrong = context.new_page(), []
    page.set_viewport_size({"width": 1280, "height": 720})
    page.on("request", lambda asked: wrong.append(asked.url) if re.match("(https?|wss?|ftp):", asked.url) else None)
    page.on("requestfailed", lambda asked: wrong.append(asked.url) if asked.url != "about:blank" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    page.close()
    assert not wrong, wrong


@pytest.fixture(scope="module")
def slides(page, folder):
    """What each deck shows, slide by slide."""
    found = {}
    for notebook in LESSON:
        page.goto((folder / f"{notebook.stem}.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        found[notebook] = page.evaluate(WALK, 80)
    return found


def squeezed(text):
    return re.sub(r"[\W_]+", "", re.sub(r"\$[^$]*\$", "", text))


def test_nothing_is_cut_on_any_slide(slides):
    cut = {f"{notebook.stem} {i + 1}": one["cut"] for notebook, deck in slides.items() for i, one in enumerate(deck)}
    assert not {slide: parts for slide, parts in cut.items() if parts}


def test_every_letter_can_be_read_and_no_slide_is_empty(slides):
    for notebook, deck in slides.items():
        for number, one in enumerate(deck, 1):
            assert one["smallest"] >= LEGIBLE, f"{notebook.stem} {number}: {one['smallest']} px"
            assert one["figures"] or one["below"] > 20, f"{notebook.stem} {number} is empty: {one['text']!r}"
            assert one["notes"] or not one["figures"], f"{notebook.stem} {number}: a picture without a word on it"


@pytest.mark.parametrize("notebook", LESSON, ids=lambda path: path.stem)
def test_each_answer_comes_after_the_slide_of_its_question(slides, notebook):
    cells, texts = nbformat.read(notebook, 4).cells, [squeezed(one["raw"]) for one in slides[notebook]]
    asked = [i for i, cell in enumerate(cells) if "**Predict.**" in cell.source]
    assert asked
    for i in asked:
        question = squeezed(re.sub(r"^> ", "", cells[i].source.split("> **Predict.**")[1], flags=re.M))[:60]
        [place] = [number for number, text in enumerate(texts) if question in text]
        folds = [cell.source for cell in cells[i + 1 :] if cell.source.startswith("<details><summary>Explain")]
        answer = squeezed(folds[0].split("</summary>")[1].split("\n\n")[1].split("$")[0])[:40]
        told = min(number for number, text in enumerate(texts) if answer in text)
        assert told > place
        assert "It is (" not in slides[notebook][place]["raw"]
        assert "Ask for a show of hands" in slides[notebook][place]["notes"]  # where the lecturer needs it


def test_the_lecturers_notes_are_the_speakers_and_not_on_the_slides(slides):
    for notebook, deck in slides.items():
        notes = squeezed(" ".join(one["notes"] for one in deck))
        shown = squeezed(" ".join(one["text"] for one in deck))
        for cell in nbformat.read(notebook, 4).cells:
            if not {"instructor", "solution"} & set(cell.metadata.get("tags", [])):
                continue
            said = re.sub(r"</?(details|summary)>", "", cell.source.removeprefix("*Lecturer.*").split("\n\n")[0])
            words = squeezed(said)[:50]
            assert words in notes and words not in shown


def test_formulas_are_set_and_panels_are_pictures_or_nothing(slides):
    for deck in slides.values():
        shown = " ".join(one["text"] for one in deck)
        assert not re.search(r"\$\$|\\frac|a panel with|Your prediction|not attempted|checks? passed", shown)


def test_a_lecturers_evening(page, context, folder):
    """From the page that the command names to a deck, by the arrow key to its last slide, and to the next deck."""
    page.goto((folder / "index.html").as_uri())
    assert [link.text_content()[:2] for link in page.locator("li a").all()] == [path.name[:2] for path in LESSON]
    page.get_by_role("link", name="00 · Start here").click()
    page.wait_for_selector("body[data-ready]")
    left = [page.locator(part).bounding_box()["x"] for part in ("section.present h1", ".home")]
    assert left[0] == pytest.approx(left[1], abs=1)  # off the coloured edge
    total = page.evaluate("Reveal.getTotalSlides()")
    page.evaluate("Reveal.slide(Reveal.getTotalSlides() - 4)")
    for _ in range(6):  # a question's answer takes a key of its own
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == total - 1
    page.get_by_role("link", name="01 · Train a teacher").click()
    page.wait_for_url("**/01_train_a_teacher.html*", wait_until="commit")
    page.wait_for_selector("body[data-ready]")  # else the next test cuts its loading short


def test_the_key_s_opens_the_notes_of_a_deck_on_disk_and_the_window_with_the_keyboard_leads(page, context, tmp_path):
    note = new_markdown_cell("*Lecturer.* Ask first.", metadata={"tags": ["instructor"]})
    title, one, *more = map(new_markdown_cell, ("# Mine", *(f"## Page {n}\n\nwords" for n in "12345")))
    nbformat.write(new_notebook(cells=[title, one, note, *more]), tmp_path / "mine.ipynb")
    decks.build([tmp_path / "mine.ipynb"], tmp_path / "my slides")
    page.goto((tmp_path / "my slides" / "mine.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    with context.expect_page() as opened:
        page.keyboard.press("s")
    for _ in range(4):  # at once: the notes are still loading
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    current = opened.value.frame_locator("#current-slide iframe")
    expect(current.locator("section.present")).to_contain_text("Page 4")
    page.wait_for_timeout(1000)  # what the notes say late
    assert page.evaluate("Reveal.getIndices().h") == 4
    notes = opened.value.locator(".speaker-controls-notes")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(notes).to_contain_text("Ask first.")
    page.evaluate("window.dispatchEvent(new Event('blur'))")  # playwright's pages never lose the keyboard
    opened.value.keyboard.press("ArrowRight")
    expect(notes).to_be_hidden()
    page.wait_for_function("Reveal.getIndices().h === 2")
    opened.value.close()


# wide tables; long names of files, in what a browser with its bars leaves of a phone
@pytest.mark.parametrize(("deck", "height"), [("02_soft_targets", 844), ("03_distil_a_student", 664)])
def test_a_phone_held_upright_gets_pages_of_its_own_shape(page, folder, deck, height):
    page.goto("about:blank")  # a deck that is open loads itself anew when it is turned
    page.set_viewport_size({"width": 390, "height": height})
    page.goto((folder / f"{deck}.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    found, wide = page.evaluate(WALK, 30), page.locator("section.present").bounding_box()["width"]
    page.goto("about:blank")
    page.set_viewport_size({"width": 1280, "height": 720})
    assert wide == pytest.approx(390, abs=1)
    for number, one in enumerate(found, 1):
        assert not one["cut"] and one["smallest"] >= HANDY, f"{deck} {number}: {one['smallest']} px, {one['cut']}"
