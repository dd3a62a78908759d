"""The copies of the notebooks, and what the stage makes of one: from files alone, without a browser."""

import json
import re

import harness
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbook import copies, decks
from workbook.stage import Stage

NOTEBOOKS = sorted((harness.ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = re.compile(r"<summary>(?:One s|S)olution</summary>")


SOURCES = [nbformat.from_dict(json.loads(path.read_text("utf-8"))) for path in NOTEBOOKS]
for cell in [cell for nb in SOURCES for cell in nb.cells]:
    cell.source = "".join(cell.source)  # a file holds a list of lines


def tags(cell):
    return set(cell.metadata.get("tags", []))


def codes(nb, tag=""):
    return [cell.source for cell in nb.cells if cell.cell_type == "code" and (not tag or tag in tags(cell))]


@pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in NOTEBOOKS])
def test_a_student_gets_every_stub_and_hint_and_neither_solution_nor_lecturers_note(source):
    made = copies.copied("student", source)
    assert not {"solution", "instructor"} & set().union(*map(tags, made.cells))
    text, whole = ("\n".join(cell.source for cell in nb.cells) for nb in (made, source))
    assert not SOLUTIONS.search(text) and "lecturer.*" not in text.lower()
    assert text.count("<summary>Hint") == whole.count("<summary>Hint")
    assert codes(made) == codes(source) and codes(made, "exercise") == codes(source, "exercise")


@pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in NOTEBOOKS])
def test_an_instructor_gets_everything_and_times_and_notes_gathered(source):
    made = copies.copied("instructor", source)
    [gathered] = [cell for cell in made.cells if cell.get("id") == "gathered"]
    assert [c for c in made.cells if c is not gathered] == source.cells
    assert "?" not in gathered.source.split("\n")[0]  # minutes and seconds stand in every title
    for note in [cell for cell in source.cells if "instructor" in tags(cell)]:
        words = " ".join(note.source.split("*", 2)[2].split()[:9])
        assert words in gathered.source


@pytest.mark.parametrize("kind", copies.KINDS)
def test_links_pictures_and_records_are_there_in_the_copys_folder(kind, tmp_path, capsys):
    chosen = [path for path in NOTEBOOKS if path.name[:2] in ("00", "03")]
    folder = tmp_path / "a copy"
    assert copies.main([kind, "--out", str(folder), *map(str, chosen)]) == 0
    assert capsys.readouterr().out == f"2 notebooks and an overview: {folder / 'README.md'}\n"
    for path in chosen:
        for cell in nbformat.read(folder / "notebooks" / path.name, 4).cells:
            bare = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source if cell.cell_type == "markdown" else "", flags=re.S)
            for href in re.findall(r"\]\(([^)\s]+)\)", bare):
                assert re.match("https?:", href) or (folder / "notebooks" / href.split("#")[0]).exists(), href
    assert any((folder / "results").glob("headline-*.json"))  # which a cell of 03 reads
    page = (folder / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((notebooks/[^)]+)\)", page) == [f"notebooks/{path.name}" for path in chosen]
    assert "| 10 | 9 | 10 |" in page  # notebook 00: minutes to read, of exercises, seconds to run
    assert ("What rooms get wrong" in page) == ("Run everything once" in page) == (kind == "instructor")


def test_hints_that_share_a_cell_with_the_solution_stay():
    folds = "<details><summary>Hint 1</summary>\n\nh\n</details>\n<details><summary>Solution</summary>\n\ns\n</details>"
    nb = new_notebook(cells=[new_markdown_cell(folds, metadata={"tags": ["solution"]})])
    hint, solution = copies.Hints().preprocess(nb, {})[0].cells
    assert ("Hint 1" in hint.source, tags(hint)) == (True, set())
    assert ("Hint 1" in solution.source, tags(solution)) == (False, {"solution"})


def test_what_is_refused_is_refused_in_a_sentence_and_leaves_the_folder_as_it_was(tmp_path, capsys):
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    for command in (lambda arguments: copies.main(["student", *arguments]), decks.main):
        for notebook, said in (("none.ipynb", "is not there"), ("broken.ipynb", "is no notebook")):
            with pytest.raises(SystemExit) as refused:
                command(["--out", str(tmp_path / "out"), str(tmp_path / notebook)])
            assert refused.value.code == 2
            assert f"{notebook} {said}" in capsys.readouterr().err.strip().split("\n")[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.ipynb", "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_copy_does_not_go_over_its_source(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Mine")]), tmp_path / "notebooks" / "mine.ipynb")
    with pytest.raises(ValueError, match="lies in .* name another folder with --out"):
        copies.build("student", [tmp_path / "notebooks" / "mine.ipynb"], tmp_path)


def test_a_deck_of_a_notebook_without_outputs_is_made_and_says_so(tmp_path, capsys):
    cells = [new_markdown_cell("# Mine"), new_code_cell("1 + 1"), new_markdown_cell("![drawn](../a.svg)")]
    (tmp_path / "zh").mkdir()
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    nbformat.write(new_notebook(cells=cells), tmp_path / "zh" / "mine.ipynb")
    assert decks.main(["--out", str(tmp_path / "my slides"), str(tmp_path / "zh" / "mine.ipynb")]) == 0
    assert "mine.ipynb has no outputs, so its deck shows no results" in capsys.readouterr().out
    deck = (tmp_path / "my slides" / "mine.html").read_text("utf-8")
    assert '<html lang="zh">' in deck and "所有讲义" in deck and "Mine" in deck
    assert 'src="data:image/svg+xml;base64' in deck and "../a.svg" not in deck
    assert '<li lang="zh"><a href="mine.html">Mine<' in (tmp_path / "my slides" / "index.html").read_text("utf-8")


def test_what_fails_half_way_leaves_nothing_behind(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "README.md").write_text("the last one")
    with pytest.raises(OSError), copies.whole(tmp_path / "copy", []) as draft:
        (draft / "README.md").write_text("half")
        raise OSError("the disk is full")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert (tmp_path / "copy" / "README.md").read_text() == "the last one"


def staged(*cells, language="en"):
    times, neighbours = "*5 minutes to read · 3 s to run*", "[← 01 · A](01_a.ipynb) · [x](../README.md)"
    title = new_markdown_cell(f"# T\n\nlead\n\n{times}\n\n{neighbours}")
    found = Stage(frozenset({"02_b"}), language).preprocess(new_notebook(cells=[title, *cells]), {})[0].cells
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in found]


def printed(text):
    return [new_output("stream", text=text)]


def test_the_stage_parts_question_code_answer_and_explanation():
    question = new_markdown_cell("## S\n\nwords\n\n> **Predict.** It is (a) one, (b) two.")
    ask = new_code_cell('guess = panels.prediction("ab")\nguess')
    helper, run = new_code_cell("def f(): ..."), new_code_cell("f()", outputs=printed("It is (b)."))
    explain = new_markdown_cell("<details><summary>Explain</summary>\n\n(b).\n</details>")
    after = new_markdown_cell("More, in [02](02_b.ipynb) and [09](09_z.ipynb).")
    assert staged(question, ask, helper, run, explain, after) == [
        ("slide", "# T\n\nlead"), ("notes", "*5 minutes to read · 3 s to run*"), ("slide", "## S"), ("-", "words"),
        ("-", "> **Predict.** It is<br/>**(a)** one,<br/>**(b)** two."),
        ("notes", "Ask for a show of hands, then go on."), ("slide", "def f(): ..."), ("-", "f()"),
        ("slide", '<p class="label">Explain</p>\n\n\n\n(b).'), ("slide", "More, in [02](02_b.html) and 09."),
    ]


def test_the_stage_leaves_out_what_no_listener_needs_and_obeys_metadata():
    left_out = [
        new_markdown_cell("## Set-up"), new_code_cell("from workbook import parameters; parameters.check(globals())"),
        new_code_cell("x = 1\n" * 13), new_code_cell("check.f(f)", metadata={"tags": ["check"]}),
        new_code_cell("y", metadata={"slideshow": {"slide_type": "skip"}}),
        new_code_cell("panels.explorer(x)", outputs=[new_output("execute_result", {"text/plain": "a panel with x"})]),
    ]
    apart = new_markdown_cell("apart", metadata={"slideshow": {"slide_type": "slide"}})
    found = staged(*left_out, new_markdown_cell("## Next\n\nwords"), apart)
    assert found[2:] == [("slide", "## Next"), ("-", "words"), ("slide", "apart")]


def test_a_lecturer_has_the_answer_and_what_is_asked_after_the_options_has_its_line():
    question = new_markdown_cell("> **Predict.** It is (a) one, (b) two. And then?")
    run = new_code_cell('guess.answer("b")', outputs=printed("words\n \nIt is (b)."))
    found = staged(question, new_code_cell('panels.prediction("ab")'), run)
    assert ("notes", "Ask for a show of hands, then go on. In the stored run: (b).") in found
    assert any(source.endswith("**(b)** two.<br/>And then?") for _, source in found)
    question = new_markdown_cell("> **预测。** 它是 (a) 一，(b) 二。然后呢？")
    found = staged(question, new_code_cell('panels.prediction("ab")'), run, language="zh")
    assert ("notes", "请大家举手表决，然后继续。保存的运行结果：(b).") in found
    assert any(source.endswith("**(b)** 二。<br/>然后呢？") for _, source in found)


def test_what_closes_a_notebook_shares_a_slide():
    found = staged(new_markdown_cell("**Pitfalls.** One.\n\n**Next:** two."))
    assert [kind for kind, source in found if source.startswith("## ")] == ["slide", "-"]
    assert found[-1] == ("-", "Two.")
