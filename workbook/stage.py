"""A notebook's cells as slides, computed from the form that every notebook has.

What a slide looks like, and how much fits on one, is left to workbook/slides (a template, a style, a script).
"""

import re
from collections.abc import Callable, Iterator

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

LINES = 12  # of a code cell that can be read from the last row: the limit that tests/notebooks holds
PRINTED = 16  # lines of text that a cell printed; more is for a screen of one's own
BEHIND = re.compile(r"panels\.prediction\(|parameters\.check\(|doctor\.environment\(")  # no listener needs these cells
PIECE = re.compile(r"(^```.*?^```|^#{1,3} [^\n]*|(?:^>[^\n]*\n?)+|<details>.*?</details>)", re.M | re.S)
FOLD = re.compile(r"<details><summary>(.*?)</summary>(.*)</details>", re.S)
LINK = re.compile(r"```.*?```|`[^`\n]*`|(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", re.S)  # or code, which holds none
LABEL = re.compile(r"^\*\*([^*\n]+?)[.:。：]\*\* *(\w?)", re.M)  # **Pitfalls.** and its like, which close a notebook
HANDS = {  # what a lecturer does at a question, and what the stored run answers
    "en": ("Ask for a show of hands, then go on.", " In the stored run: "),
    "zh": ("请大家举手表决，然后继续。", "保存的运行结果："),
}


class Stage(Preprocessor):
    """Cells that nbconvert's SlidesExporter makes slides of, each with the slide type that its place asks for.

    Headings, questions, answers and explanations begin slides: no answer shares one with its question. Lecturer's
    notes, hints and solutions become speaker notes. Set-up, checks and what is long are left out. A cell's own
    `slideshow` metadata goes before: skip, notes, slide, subslide.

    Args:
        decks: the notebooks, without suffix, whose decks lie beside this one; links to other files lose their target.
        language: of what is said to the lecturer here: "en" or "zh".
    """

    def __init__(self, decks: frozenset[str] = frozenset(), language: str = "en", **options):
        super().__init__(**options)
        self._decks, self._hands = decks, HANDS[language]
        self._question = ""  # on the stage: "" none, "asked", "answered" (its code is shown, or more)
        self._begins = False  # what follows an explanation begins a slide

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """The notebook with the stage's cells in place of its own."""
        nb.cells = _without_lone_headings(list(self._staged(nb.cells)))
        return nb, resources

    def _staged(self, cells: list[NotebookNode]) -> Iterator[NotebookNode]:
        self._question, self._begins = "", False
        hints, last = _exercises(cells), len(cells) - 1
        for number, cell in enumerate(cells):
            own = cell.metadata.get("slideshow", {}).get("slide_type")
            if own == "skip":
                continue
            if own == "notes" or {"instructor", "solution"} & set(cell.metadata.get("tags", [])):
                yield _markdown(linked(cell.source, self._target), "notes")
            elif cell.cell_type == "code":
                yield from self._code(cell, own)
            elif number == 0:
                yield from _title(linked(cell.source, self._target))
            else:
                source = LABEL.sub(_headed, cell.source) if number == last else cell.source
                asked = _asked(cells[number + 1 :], *self._hands)
                told = self._text(linked(source, self._target), own, asked=asked, hints=number in hints)
                yield from _together(told) if number == last else told

    def _code(self, cell: NotebookNode, own: str | None) -> Iterator[NotebookNode]:
        panel = "panels." in cell.source
        outputs = [output for output in cell.outputs if _is_shown(output, panel)]
        behind = {"check", "parameters"} & set(cell.metadata.get("tags", [])) or BEHIND.search(cell.source)
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        bare = panel or len(cell.source.splitlines()) > LINES  # what it shows is shown, its code is not
        if behind or hidden or ((bare or cell.outputs) and not outputs):
            return
        begins = self._begins or self._question == "asked"
        self._begins, self._question = False, self._question and "answered"
        shown = cell.copy()
        shown.outputs = outputs
        shown.metadata = NotebookNode(
            slideshow=NotebookNode(slide_type="slide" if begins or own in ("slide", "subslide") else "-"),
            transient=NotebookNode(remove_source=bare),
        )
        yield shown

    def _text(self, source: str, own: str | None, *, asked: str, hints: bool) -> Iterator[NotebookNode]:
        self._begins = self._begins or own in ("slide", "subslide")
        introduced = False  # words or a heading stand before it in this cell
        for piece in filter(str.strip, PIECE.split(source)):
            fold, opens = FOLD.match(piece), "-" if introduced and not self._begins else "slide"
            introduced, begins = not fold, bool(fold) and not hints
            if re.match(r"#{1,3} ", piece):
                yield _markdown("## " + piece.lstrip("# "), "slide")
            elif piece.startswith(">") and asked:
                self._question = "asked"
                yield _markdown(_options(piece), opens, kind="predict")
                yield _markdown(asked, "notes")
            elif fold and hints:
                yield _markdown(f"**{fold[1]}**\n\n{fold[2]}", "notes")
            elif fold and fold[1].rstrip().endswith(("?", "？")):
                yield _markdown(f'<p class="question">{fold[1]}</p>', opens, kind="question")
                yield _markdown(fold[2], "fragment")
            elif fold and self._question:
                self._question = ""
                yield _markdown(f'<p class="label">{fold[1]}</p>\n\n{fold[2]}', "slide", kind="explain")
            elif fold:
                yield _markdown(f"## {fold[1]}\n\n{fold[2]}", "slide")
            else:
                yield _markdown(piece, "slide" if self._begins else "-")
            self._begins = begins

    def _target(self, href: str) -> str | None:
        name = href.removesuffix(".ipynb")
        if href.endswith(".ipynb") and name in self._decks:
            return f"{name}.html"
        return href if re.match(r"https?:", href) else None


def linked(source: str, target: Callable[[str], str | None]) -> str:
    """Markdown whose links lead where `target` says of each; where it says None, the link's words stay."""

    def link(found: re.Match) -> str:
        if found[2] is None:
            return found[0]
        where = target(found[2])
        return f"[{found[1]}]({where})" if where else found[1]

    return LINK.sub(link, source)


def _markdown(source: str, slide_type: str, kind: str = "") -> NotebookNode:
    slideshow = NotebookNode(slide_type=slide_type, data=NotebookNode(kind=kind) if kind else NotebookNode())
    return new_markdown_cell(source.strip(), metadata=NotebookNode(slideshow=slideshow))


def _title(source: str) -> Iterator[NotebookNode]:
    """Title and first paragraph; the minutes as a note; what follows on slides of its own; no links to neighbours."""
    paragraphs = source.split("\n\n")
    minutes = [text for text in paragraphs if re.match(r"\*[^*].*\*$", text, re.S)]
    rest = [text for text in paragraphs[1:] if text not in minutes and not re.match(r"\[?(← )?\d\d · .* · ", text)]
    yield _markdown("\n\n".join([paragraphs[0], *rest[:1]]), "slide", kind="title")
    yield _markdown("\n\n".join(minutes), "notes")
    if rest[1:]:
        yield _markdown("\n\n".join(rest[1:]), "slide")


def _without_lone_headings(cells: list[NotebookNode]) -> list[NotebookNode]:
    """A heading with nothing below it goes on the slide that follows, or goes where that has one of its own."""
    kept = []
    for number, cell in enumerate(cells):
        following = [other for other in cells[number + 1 :] if other.metadata.slideshow.slide_type != "notes"][:1]
        if re.fullmatch(r"## .*", cell.source) and following and following[0].metadata.slideshow.slide_type == "slide":
            if following[0].source.startswith("## "):
                continue
            cell.metadata.slideshow.data = following[0].metadata.slideshow.data
            following[0].metadata.slideshow.slide_type = "-"
        kept.append(cell)
    return kept


def _together(cells: Iterator[NotebookNode]) -> Iterator[NotebookNode]:
    """The short sections that close a notebook, in a row: how many fit on a slide, the browser knows."""
    for place, cell in enumerate(cells):
        if place and cell.source.startswith("## "):
            cell.metadata.slideshow.slide_type = "-"
        yield cell


def _headed(label: re.Match) -> str:
    return f"## {label[1]}\n\n{label[2].upper()}"


def _asked(following: list[NotebookNode], ask: str, told: str) -> str:
    """What a lecturer needs at a question that is asked next, its answer included; "" where none is asked."""
    codes = [cell for cell in following if cell.cell_type == "code"]
    if not codes or "panels.prediction(" not in codes[0].source:
        return ""
    answers = next((cell.outputs for cell in codes if ".answer(" in cell.source), [])
    said = "".join(output.get("text", "") for output in answers).strip().split("\n")[-1].removeprefix("It is ")
    return ask + (told + said if said else "")


def _options(quote: str) -> str:
    """A question's answers (a), (b), (c), each on a line of its own, and what is asked after them."""
    letters = re.findall(r"\(([a-f])\)", quote)
    if letters[:2] != ["a", "b"] or letters != sorted(set(letters)):
        return quote
    place = quote.rindex("(" + letters[-1] + ")")
    last = re.sub(r"(?<=[.?])\s+(?:> *)?(?=[A-Z])|(?<=[。？])\s*(?:> *)?(?=\w)", "<br/>", quote[place:], count=1)
    return re.sub(r"\s*(?:\n> *)?\(([a-f])\)", r"<br/>**(\1)**", quote[:place] + last)


def _is_shown(output: NotebookNode, panel: bool) -> bool:
    """A picture, or text that can be read from a seat; of a panel its picture or nothing."""
    data = output.get("data", {})
    if any(mime.startswith("image/") for mime in data):
        return True
    text = output.get("text") or data.get("text/markdown") or data.get("text/plain", "")
    return bool(text.strip()) and len(text.splitlines()) <= PRINTED and not (data and panel)


def _exercises(cells: list[NotebookNode]) -> set[int]:
    """The numbers of all cells of sections that hold an exercise: what is folded there is a hint."""
    sections = []
    for number, cell in enumerate(cells):
        if not sections or (cell.cell_type == "markdown" and re.match(r"#{1,3} ", cell.source)):
            sections.append([])
        sections[-1].append(number)
    tagged = {number for number, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])}
    return {number for section in sections if tagged & set(section) for number in section}
