"""A figure in prose has a source: what the same notebook shows, or a record in results/, and it agrees with it.

figures.toml holds, for each notebook, the words around a figure and where it comes from:

    "eleven points" = "record: headline | gains_points | soft targets | mean"
    "80 %" = "shown: student alone: 79.9%"    # stands in an output of this notebook
    "5 % of the runs" = "stated: what p5 means"    # a definition, a setting, arithmetic, a published figure
    "+0.2 points" = "tested: test_readme_quotes_cifar10_as_recorded"    # in tests/test_results.py

What needs one: intervals, "9 of 10", and numbers with a unit of a result. Questions, code and
references are left out. README's tables are tests/test_results.py's, the seconds of a title are README's; what stands
in a page of docs/ between "from the record" and "end" is written from it, and its test compares the whole of it.
"""

import json
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = tomllib.loads((Path(__file__).parent / "figures.toml").read_text())

PAGES = {"README": ROOT / "README.md"} | {f"docs/{path.stem}": path for path in sorted((ROOT / "docs").glob("*.md"))}

WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
WORDS = {word: float(number) for number, word in enumerate(WORDS)} | {"twenty": 20.0, "fifty": 50.0}
NUMBER = rf"(?:[+−-]?\b\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(WORDS)})\b)"
UNIT = r"(?:%|percent\b|points?\b|times\b|[mµn]?s\b|seconds?\b|milliseconds?\b|[kMG]B\b|GFLOP|[nµm]J\b)"
FIGURE = re.compile(rf"\[{NUMBER}, {NUMBER}\]|{NUMBER} of {NUMBER}|{NUMBER}[  -]?{UNIT}", re.I)
LEFT_OUT = (
    r"```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|`[^`\n]*`|^>.*$"  # code, formulas, questions
    r"|\*\*References\.?\*\*.*?(?:\n\n|\Z)|!\[[^\]]*\]|\]\([^)]*\)"
)
MORE, LESS = r"more than|over|at least|above|from", r"less than|under|below|at most|within"
ABOUT = r"about|nearly|roughly|almost|some"


def prose(source):
    """The text of a markdown cell that makes statements, on one line."""
    return re.sub(r"\s+", " ", re.sub(LEFT_OUT, " ", source, flags=re.S | re.M)).strip()


def numbers(text):
    """The numbers of a text, in digits or words, each with its count of decimals."""
    for found in re.finditer(NUMBER, text, re.I):
        digits = found.group().replace(",", "").replace("−", "-").lower()
        yield WORDS.get(digits) if digits in WORDS else float(digits), len(digits.partition(".")[2])


def agrees(phrase, source):
    """Whether each number of the phrase is one of the source's, rounded; or its bound, where the phrase names one."""
    given = [abs(value) for value, _ in numbers(source)]
    given += [100 * value for value in given if value <= 1]  # a share, where the phrase has percent
    for value, decimals in numbers(phrase):
        value, room = abs(value), 0.5001 * 10**-decimals
        if re.search(rf"\b(?:{MORE})\b", phrase, re.I):
            fits = any(value <= other for other in given)
        elif re.search(rf"\b(?:{LESS})\b", phrase, re.I):
            fits = any(value >= other for other in given)
        else:
            room = max(room, 0.1 * value) if re.search(rf"\b(?:{ABOUT})\b", phrase, re.I) else room
            fits = any(abs(value - other) <= room for other in given)
        if not fits:
            return False
    return True


def shown(nb):
    """What the notebook's cells print and show, on one line."""
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return re.sub(r"\s+", " ", " ".join(texts))


def recorded(path):
    """A value of a record as text: "FILE | key | key"; the file by how its name starts, in every such record."""
    name, *keys = (part.strip() for part in path.split("|"))
    found = [json.loads(file.read_text()) for file in sorted((ROOT / "results").glob(f"{name}-*.json"))]
    for key in keys:
        found = [value[int(key)] if isinstance(value, list) else value[key] for value in found]
    return " ".join(map(str, found))


def told(nb):
    """The prose of a notebook's cells after its title."""
    return [prose(cell.source) for cell in nb.cells[1:] if cell.cell_type == "markdown"]


def problems(cells, outputs, sources):
    """Figures without a source, phrases that the prose does not have, sources that are not there or do not agree."""
    found = []
    for phrase, source in sources.items():
        kind, _, where = source.partition(": ")
        if not any(phrase in cell for cell in cells):
            found.append(f"the prose no longer has {phrase!r}")
        if kind == "shown" and re.sub(r"\s+", " ", where) not in outputs:
            found.append(f"no output shows {where!r}, the source of {phrase!r}")
        if kind == "tested" and f"def {where}(" not in (ROOT / "tests/test_results.py").read_text():
            found.append(f"there is no {where}, the test of {phrase!r}")
        if kind in ("shown", "record") and not agrees(phrase, where if kind == "shown" else recorded(where)):
            found.append(f"{phrase!r} is not {where!r}")
    for text in cells:
        covered = [span for phrase in sources for span in occurrences(phrase, text)]
        for start, end in (found.span() for found in FIGURE.finditer(text)):
            if not any(low <= start and end <= high for low, high in covered):
                found.append(f"no source for {text[max(0, start - 40) : end + 25]!r}")
    return found


def occurrences(phrase, text):
    return [(found.start(), found.end()) for found in re.finditer(re.escape(phrase), text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_figure_in_prose_has_a_source_that_agrees(path):
    nb = nbformat.read(path, 4)
    found = problems(told(nb), shown(nb), SOURCES.get(path.stem, {}))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_on_a_page_has_a_source_that_agrees(name):
    text = re.sub(r"<!-- from the record.*?<!-- end -->", "", PAGES[name].read_text(), flags=re.S)
    text = re.sub(r"^\|.*$", "", text, flags=re.M)
    found = problems([prose(text)], "", SOURCES.get(name, {}))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_title_gives_readmes_minutes_and_seconds(path):
    title = nbformat.read(path, 4).cells[0].source
    minutes, seconds = re.search(r"(\d+) minutes to read · (\d+) s to run", title).groups()
    [row] = [line for line in (ROOT / "README.md").read_text().splitlines() if f"(notebooks/{path.name})" in line]
    assert [part.strip() for part in row.split("|")[3:5]] == [minutes, seconds]


def test_the_sources_name_notebooks_that_are_there():
    assert set(SOURCES) <= {path.stem for path in NOTEBOOKS} | set(PAGES)


def small(markdown, output):
    title, text = nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_markdown_cell(markdown)
    run = nbformat.v4.new_code_cell("run", outputs=[nbformat.v4.new_output("stream", text=output)])
    return nbformat.v4.new_notebook(cells=[title, run, text])


@pytest.mark.parametrize("prose, source, complaint", [
    ("It gains 12 points.", {}, "no source for"),
    ("It wins nine of ten.", {}, "no source for"),
    ("An interval of [+1.2, +3.4].", {}, "no source for"),
    ("It gains 12 points.", {"12 points": "shown: gain +12.4"}, ""),
    ("It gains 12 points.", {"12 points": "shown: gain +12.6"}, "is not"),
    ("It gains 12 points.", {"12 points": "shown: gain +99"}, "no output shows"),
    ("It gains twelve points.", {"12 points": "shown: gain +12.4"}, "no longer has"),
    ("It gains more than ten points.", {"more than ten points": "shown: gain +12.4"}, ""),
    ("It gains more than 13 points.", {"more than 13 points": "shown: gain +12.4"}, "is not"),
    ("> **Predict.** It gains (a) 12 points, (b) 2 points.", {}, ""),
    ("p5: 5 % of the runs are faster.", {"5 % of the runs": "stated: what p5 means"}, ""),
    ("Eleven points over ten seeds.", {"Eleven points": "record: headline | gains_points | soft targets | mean"}, ""),
    ("It gains 12 points.", {"12 points": "tested: test_of_nothing"}, "there is no"),
    ("Nine points over ten seeds.", {"Nine points": "record: headline | gains_points | soft targets | mean"}, "is not"),
])
def test_a_figure_without_its_source_is_found(prose, source, complaint):
    nb = small(prose, "gain +12.4\ngain +12.6\n")
    found = problems(told(nb), shown(nb), source)
    assert complaint in " ".join(found) if complaint else not found
