"""The notebooks as files: the template, the size, the links, and nothing left over from a machine.

CHECKS holds one function a rule. Each is tried on every notebook, and on a notebook that breaks just this rule.
"""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from well_formed import notebook

from workbook import run as workbook
from workbook.parameters import OutOfRange, read

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp)/|[A-Z]:\\Users")
RESULT = re.compile(r"^(?!<Figure).*(It is|True|False|\d\.\d|\d ?%)")  # in the first line of what a cell shows
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=[\"']([^\"']+)[\"']")


def codes(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def text(cell):
    """What a code cell printed or showed, without pictures."""
    shown = []
    for output in cell.get("outputs", []):
        shown.append(output.get("text", ""))
        shown += [str(value) for mime, value in output.get("data", {}).items() if not mime.startswith("image/")]
    return "\n".join(shown)


def title(nb, path):
    first = nb.cells[0]
    shelf = sorted(other.name for other in path.parent.glob("*.ipynb"))
    place = shelf.index(path.name)
    wanted = shelf[max(place - 1, 0) : place] + shelf[place + 1 : place + 2]
    absent = [name for name in wanted if f"({name}" not in first.source]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        return "the first cell must be markdown and start with '# ' and the title"
    if not re.search(r"\d\s*(s|min|minutes?|seconds?)\b", first.source):
        return "the title cell must say how many minutes the notebook takes"
    if not re.search(r"\]\((\.\./README\.md|00_start_here\.ipynb)", first.source) and path.name[:2] != "00":
        return "the title cell must link to all notebooks: ../README.md or 00_start_here.ipynb"
    if first.metadata.get("slideshow", {}).get("slide_type") != "slide":
        return "the title cell must be a slide"
    return f"the title cell must link to its neighbours {absent}" if absent else ""


def aims(nb, path):
    second = nb.cells[1].source
    count = len(re.findall(r"^(?:[-*]|\d\.) ", second, re.M))
    if "What you will be able to do" not in second or not 3 <= count <= 5:
        return f"the second cell must say 'What you will be able to do' in 3 to 5 points, it has {count}"


def parameters(nb, path):
    tagged = [cell for cell in nb.cells if "parameters" in tags(cell)]
    if len(tagged) != 1 or tagged[0] is not codes(nb)[0]:
        return f"the first code cell must be the only one tagged parameters, there are {len(tagged)}"
    bare = [line for line in lines(tagged[0]) if "#" not in line]
    if bare or len(lines(tagged[0])) > 8:
        return f"the parameters must be at most 8 lines, each with its range in a comment; without: {bare}"


def ranges(nb, path):
    for parameter in read(codes(nb)[0].source, typed=False):
        if not parameter.range:
            return f"the comment beside {parameter.name} must begin with a range that workbook.parameters can read"
        try:
            parameter.demand(parameter.default, path.parent)
        except OutOfRange as outside:
            return f"a default must be within its range: {outside}"
    if not codes(nb)[1].source.split("\n")[0].endswith("parameters.check(globals())"):
        return "the set-up must begin with: from workbook import parameters; parameters.check(globals())"


def setup(nb, path):
    if "import" not in codes(nb)[1].source or len(lines(codes(nb)[1])) > 5:
        return "the second code cell must be the set-up: imports, at most 5 lines"
    if not any("environment()" in cell.source and "nbval-ignore-output" in tags(cell) for cell in codes(nb)[1:4]):
        return "the set-up must print environment() in a cell tagged nbval-ignore-output"


def hidden(cell):
    return cell.metadata.get("jupyter", {}).get("outputs_hidden", False)


def prediction(nb, path):
    """Until the Explain or the next heading, what the cells after a Predict show waits, collapsed, for the reader."""
    asked, questions = False, 0
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            if "**Explain.**" in cell.source:
                return f"the explanation in cell {number} must be folded: <details><summary>Explain</summary>"
            ended = headings(cell) or "<summary>Explain</summary>" in cell.source
            asked, before = asked and not ended, questions
            questions += "**Predict.**" in cell.source
            asked = asked or questions > before
        elif asked and cell.outputs and "panels.prediction(" not in cell.source and not hidden(cell):
            return f"the answer in cell {number} must wait: its metadata needs jupyter.outputs_hidden"
        elif asked and hidden(cell) and re.search(RESULT, text(cell).lstrip("\n").split("\n")[0]):
            return f"JupyterLab shows the first line of what cell {number} hides, so it must be a heading, no result"
        elif len(re.findall(r"""\.answer\(["']\w["']\)""", cell.source)) == 1:
            return f"the code in cell {number} gives the answer away: it must be worked out"
    if not questions:
        return "the reader must be asked to predict something"


def exercises(nb, path):
    stubs = [i for i, cell in enumerate(nb.cells) if "exercise" in tags(cell)]
    if not stubs:
        return "there must be an exercise: a stub tagged exercise, a check tagged check, a solution tagged solution"
    for first, following in zip(stubs, stubs[1:] + [len(nb.cells)], strict=True):
        rest = nb.cells[first + 1 : following]
        check = next((cell for cell in rest if cell.cell_type == "code"), None)
        if check is None or "check" not in tags(check):
            return f"the code cell after the exercise in cell {first} must be its check"
        if "not attempted" not in text(check):
            return f"the check of the exercise in cell {first} must say 'not attempted' of the stub"
        solutions = [cell.source for cell in rest if "solution" in tags(cell) and cell.cell_type == "markdown"]
        if len(solutions) != 1 or "<details>" not in solutions[0] or "```python" not in solutions[0]:
            return f"the exercise in cell {first} must be followed by one solution in a <details> block"


def closing(nb, path):
    heads = [(i, h) for i, cell in enumerate(nb.cells) if cell.cell_type == "markdown" for h in headings(cell)]
    place = next((i for i, h in heads if h == "What you have seen"), None)
    if place is None or any("exercise" in tags(cell) for cell in nb.cells[place:]):
        return "a section 'What you have seen' must close the notebook, after the exercises"
    late = [h for i, h in heads if i > place and not re.match("Pitfalls|References|Next", h)]
    if late:
        return f"after 'What you have seen' only Pitfalls, References and Next may follow, got {late}"
    if sum(cell.source.count("<details><summary>") for cell in nb.cells[place:]) < 3:
        return "'What you have seen' must ask three questions or more, each answer folded in <details><summary>"
    compared = [cell for cell in nb.cells[place:] if "nbval-ignore-output" not in tags(cell)]
    if not any(text(cell).strip() for cell in compared):
        return "'What you have seen' must print its invariants in a cell whose output is compared"


def headings(cell):
    return [h.strip() for h in re.findall(r"^#{2,3} (.+)$", re.sub(r"```.*?```", "", cell.source, flags=re.S), re.M)]


def executed(nb, path):
    counts = [cell.execution_count for cell in codes(nb)]
    if counts != list(range(1, len(counts) + 1)):
        return f"the notebook must be executed from top to bottom in one go, its counts are {counts}"


def size(nb, path):
    if path.stat().st_size > 150_000:
        return f"the file must stay under 150 kB, it has {path.stat().st_size / 1000:.0f}"


def short_cells(nb, path):
    """On stage, which is where no slide is skipped, a cell can be read from the last row."""
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            off = cell.metadata.get("slideshow", {}).get("slide_type") == "skip"
            count, width = len(cell.source.splitlines()), max(map(len, cell.source.splitlines()), default=0)
            if count > (25 if off else 12):
                return f"cell {number} must stay within 12 lines, or 25 where its slide is skipped, it has {count}"
            if width > 100:
                return f"the lines of cell {number} must stay within 100 characters, one has {width}"


def alternatives(nb, path):
    told = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    if any(len(alt) < 30 for text in told for alt in re.findall(r"!\[(.*?)\]\(", text)):
        return "a picture's text must say what it shows to those who do not see it, in 30 characters or more"


def links(nb, path):
    found = [a or b for cell in nb.cells if cell.cell_type == "markdown" for a, b in LINK.findall(cell.source)]
    local = [link.split("#")[0] for link in found if not re.match(r"[a-z]+:|#|//", link)]
    dead = [link for link in local if link and not (path.parent / link).exists()]
    return f"links must lead somewhere, these do not: {dead}" if dead else ""


def machine_paths(nb, path):
    for number, cell in enumerate(nb.cells):
        found = MACHINE.search(cell.source) or MACHINE.search(text(cell))
        if found:
            return f"cell {number} must not name a place on one machine, it has {found.group()}"


def metadata(nb, path):
    extra = set(nb.metadata) - {"kernelspec", "language_info"}
    inside = {key for cell in nb.cells for key in cell.metadata} - {"tags", "slideshow", "editable", "jupyter"}
    folds = {"outputs_hidden", "source_hidden"}
    inside |= {key for cell in nb.cells for key in cell.metadata.get("jupyter", {})} - folds
    if extra or inside:
        return f"tools must leave nothing in the metadata, there is {sorted(extra | inside)}"


def widget_ids(nb, path):
    mimes = {mime for cell in codes(nb) for output in cell.outputs for mime in output.get("data", {})}
    if any("widget" in mime for mime in mimes):
        return "widget views must not be stored, they need a running kernel: make outputs leaves them out"


def clean_outputs(nb, path):
    for number, output in [(i, out) for i, cell in enumerate(nb.cells) for out in cell.get("outputs", [])]:
        if output.output_type == "error" or output.get("name") == "stderr":
            return f"cell {number} must have neither an error nor text on stderr"


CHECKS = [title, aims, parameters, ranges, setup, prediction, exercises, closing, executed, size, short_cells, links]
CHECKS += [alternatives, machine_paths, metadata, widget_ids, clean_outputs]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_keeps_the_rule(path, check):
    nb = nbformat.read(path, 4)
    nbformat.validate(nb)
    problem = check(nb, path)
    assert not problem, f"{path.name}: {problem}"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with three notebooks, the middle one executed as `make outputs` does it."""
    folder = tmp_path_factory.mktemp("house") / "notebooks"
    folder.mkdir()
    (folder.parent / "README.md").write_text("map")
    nbformat.write(notebook("", "01_b.ipynb"), folder / "00_a.ipynb")
    nbformat.write(notebook("00_a.ipynb", "02_c.ipynb"), folder / "01_b.ipynb")
    nbformat.write(notebook("01_b.ipynb", ""), folder / "02_c.ipynb")
    workbook.refresh(folder / "01_b.ipynb")
    return folder


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_well_formed_notebook_passes(shelf, check):
    path = shelf / "01_b.ipynb"
    assert not check(nbformat.read(path, 4), path)


def output(nb, number, **fields):
    nb.cells[number].outputs.append(nbformat.from_dict(fields))


def swap(nb, number, old, new):
    assert old in nb.cells[number].source
    nb.cells[number].source = nb.cells[number].source.replace(old, new)


def untag(nb, number):
    del nb.cells[number].metadata["tags"]


# cells of well_formed.notebook: 0 title, 1 aims, 2 parameters, 3 set-up, 4 environment, 5 predict, 6 run, 7 explain,
# 8 exercise text, 9 stub, 10 check, 11 solution, 12 seen, 13 invariants, 14 references
BREAKS = [
    (title, lambda nb: swap(nb, 0, "# A", "A"), "start with '# '"),
    (title, lambda nb: swap(nb, 0, "1 min", "soon"), "minutes"),
    (title, lambda nb: swap(nb, 0, "(00_a.ipynb)", "(x)"), "neighbours ['00_a.ipynb']"),
    (title, lambda nb: swap(nb, 0, "(02_c.ipynb)", "(x)"), "neighbours ['02_c.ipynb']"),
    (title, lambda nb: swap(nb, 0, "(../README.md)", "(x)"), "all notebooks"),
    (title, lambda nb: nb.cells[0].metadata.clear(), "slide"),
    (aims, lambda nb: swap(nb, 1, "- three", ""), "it has 2"),
    (aims, lambda nb: nb.cells.insert(1, nb.cells[5]), "What you will be able to do"),
    (parameters, lambda nb: untag(nb, 2), "there are 0"),
    (parameters, lambda nb: nb.cells[3].metadata.update(tags=["parameters"]), "there are 2"),
    (parameters, lambda nb: nb.cells.insert(2, nb.cells[3]), "first code cell"),
    (parameters, lambda nb: swap(nb, 2, "  # > 0.0: how soft", ""), "temperature: float = 4.0"),
    (parameters, lambda nb: swap(nb, 2, "seed", "a = 1  # 1\n" * 5 + "seed"), "at most 8"),
    (ranges, lambda nb: swap(nb, 2, "> 0.0", "above 0"), "beside temperature"),
    (ranges, lambda nb: swap(nb, 2, "> 0.0", "> 4.0"), "temperature = 4.0 is out of range; it must be > 4.0"),
    (ranges, lambda nb: swap(nb, 2, "0.0 .. 1.0", "0 .. 1"), "alpha = 1.0 is not a whole number"),
    (ranges, lambda nb: swap(nb, 3, "parameters.check(globals())", ""), "must begin with"),
    (setup, lambda nb: swap(nb, 3, "import random", "import os\nimport re\nimport io\nimport abc"), "at most 5"),
    (setup, lambda nb: untag(nb, 4), "nbval-ignore-output"),
    (prediction, lambda nb: swap(nb, 5, "Predict", "Look"), "predict"),
    (prediction, lambda nb: nb.cells[6].metadata.clear(), "cell 6 must wait"),
    (prediction, lambda nb: nb.cells[6].outputs[0].data.update({"text/plain": "4.5"}), "first line"),
    (prediction, lambda nb: swap(nb, 6, "f'", "guess.answer('a')\nf'"), "gives the answer away"),
    (prediction, lambda nb: nb.cells[7].update(source="**Explain.** It is a product."), "cell 7 must be folded"),
    (exercises, lambda nb: untag(nb, 9), "must be an exercise"),
    (exercises, lambda nb: untag(nb, 10), "must be its check"),
    (exercises, lambda nb: nb.cells[10].outputs.clear(), "not attempted"),
    (exercises, lambda nb: untag(nb, 11), "one solution"),
    (exercises, lambda nb: swap(nb, 11, "<details>", ""), "<details>"),
    (closing, lambda nb: swap(nb, 12, "seen", "done"), "must close"),
    (closing, lambda nb: nb.cells.insert(9, nb.cells.pop(12)), "after the exercises"),
    (closing, lambda nb: swap(nb, 14, "### References", "## One more idea"), "One more idea"),
    (closing, lambda nb: nb.cells[13].metadata.update(tags=["nbval-ignore-output"]), "invariants"),
    (executed, lambda nb: nb.cells[6].update(execution_count=9), "[1, 2, 3, 9"),
    (executed, lambda nb: nb.cells[6].update(execution_count=None), "None"),
    (closing, lambda nb: swap(nb, 12, "<details><summary>Three?", "Three?"), "three questions"),
    (short_cells, lambda nb: swap(nb, 6, "f'", "#\n" * 12 + "f'"), "it has 13"),
    (short_cells, lambda nb: swap(nb, 6, "f'", "#" * 101 + "\nf'"), "one has 101"),
    (alternatives, lambda nb: swap(nb, 7, "product", "![picture](x.svg)"), "30 characters"),
    (links, lambda nb: swap(nb, 7, "product", "[product](gone.md#part)"), "gone.md"),
    (links, lambda nb: swap(nb, 7, "product", "<img src='gone.png'>"), "gone.png"),
    (machine_paths, lambda nb: swap(nb, 7, "product", "/home/me/product"), "cell 7"),
    (machine_paths, lambda nb: output(nb, 4, output_type="stream", name="stdout", text="in /tmp/x"), "cell 4"),
    (metadata, lambda nb: nb.metadata.update(widgets={"state": {}}), "widgets"),
    (metadata, lambda nb: nb.cells[3].metadata.update(papermill={"duration": 1}), "papermill"),
    (widget_ids, lambda nb: output(nb, 6, output_type="display_data", metadata={}, data={
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}), "widget views"),
    (clean_outputs, lambda nb: output(nb, 6, output_type="error", ename="E", evalue="", traceback=[]), "cell 6"),
    (clean_outputs, lambda nb: output(nb, 6, output_type="stream", name="stderr", text="hm"), "cell 6"),
]


@pytest.mark.parametrize("check, damage, sentence", BREAKS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_broken_notebook_is_caught(shelf, check, damage, sentence):
    path = shelf / "01_b.ipynb"
    nb = copy.deepcopy(nbformat.read(path, 4))
    damage(nb)
    assert sentence in (check(nb, path) or "nothing was found")


def test_a_notebook_that_is_too_big_is_caught(tmp_path):
    path = tmp_path / "00_big.ipynb"
    path.write_text(" " * 150_001)
    assert "it has 150" in size(None, path)


def test_every_rule_has_a_notebook_that_breaks_it():
    assert {check for check, _, _ in BREAKS} | {size} == set(CHECKS)
