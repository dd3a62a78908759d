"""What the book takes from README and the notebooks: plans that fit their time, every question, folds and links."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.name[:2]: json.loads(path.read_text()) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def stage():
    """book/stage.py as a module, with shelves.py beside it."""
    sys.path.insert(0, str(ROOT / "book"))
    spec = importlib.util.spec_from_file_location("book_stage", ROOT / "book" / "stage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "book"))


@pytest.fixture
def laid_out(stage, tmp_path, monkeypatch):
    """Lays out a small repository: README, one page of docs, and one notebook of these cells."""

    def lay_out(*cells):
        root = tmp_path / "a repository"
        (root / "docs").mkdir(parents=True)
        (root / "notebooks").mkdir()
        (root / "README.md").write_text(README)
        page = "[one](../README.md), [record](../results/x.json), [`all`](../results/), [![B](https://x/z)](https://x.y)"
        (root / "docs" / "class.md").write_text(page)
        for number in ("00", "20"):
            [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
            (root / "notebooks" / path.name).write_text(json.dumps(NOTEBOOKS[number]))
        (root / "notebooks" / "99_made.ipynb").write_text(json.dumps({"cells": list(cells), "metadata": {}}))
        monkeypatch.setattr(stage, "ROOT", root)
        monkeypatch.setattr(stage.shelves, "plans", lambda file: {})
        monkeypatch.setattr(stage, "MARK", stage.re.compile("^{{(questions|glossary|beside|sidebar)}}$", stage.re.M))
        empty = stage.lay_out(tmp_path / "source", api=False)
        made = json.loads((tmp_path / "source" / "notebooks" / "99_made.ipynb").read_text())
        return tmp_path / "source", made["cells"], empty

    return lay_out


def code(source, *outputs, **metadata):
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": metadata}


PRINTED = {"output_type": "stream", "name": "stdout", "text": "said\n"}


def test_every_plan_fills_its_time_and_takes_no_longer(stage):
    plans = stage.shelves.plans(ROOT / "book" / "plans.toml")
    totals = {name: stage.shelves.plan(plan["steps"], README, NOTEBOOKS)[1] for name, plan in plans.items()}
    over = {name: plans[name]["limit"] - total for name, total in totals.items()}
    assert all(0 <= left <= 10 for left in over.values()), over
    assert {plans[name]["limit"] for name in ("lecture", "session")} == {45, 90}
    assert all(step.get("how") for plan in plans.values() for step in plan["steps"])


def test_a_plans_minutes_are_those_of_the_notebooks_and_of_readme(stage):
    said = {number: row.minutes for number, row in stage.shelves.rows(README).items()}
    assert said == {number: stage.shelves.minutes(notebook)[0] for number, notebook in NOTEBOOKS.items()}
    steps = [{"read": "00"}, {"exercises": "00"}, {"do": "Talk", "minutes": 5}]
    table, total = stage.shelves.plan(steps, README, NOTEBOOKS)
    assert total == 10 + 9 + 5
    assert "| 9 | [00 Start here](notebooks/00_start_here.ipynb): its exercises |" in table


def test_the_list_of_questions_has_every_notebook_once(stage):
    said = stage.shelves.questions(README)
    assert [said.count(f"]({row.path})") for row in stage.shelves.rows(README).values()] == [1] * len(NOTEBOOKS)


def test_what_jupyter_folds_is_folded_and_a_prediction_has_its_choices(laid_out):
    _, cells, empty = laid_out(
        code('guess = panels.prediction("ab")\nguess', PRINTED),
        code("1", PRINTED, jupyter={"outputs_hidden": True}, tags=["check"]),
        code("2", PRINTED | {"text": [" \n", "It is (a).\n"]}),
        {"cell_type": "markdown", "source": "Ask.", "metadata": {"tags": ["instructor"]}},
    )
    asked, folded, shown, note = cells
    assert 'data-letters="ab"' in asked["outputs"][0]["data"]["text/html"]
    assert folded["metadata"]["tags"] == ["check", "hide-output"] and shown["metadata"]["tags"] == []
    assert shown["outputs"][0]["text"] == "It is (a).\n"
    assert note["source"].startswith("<details><summary>For the lecturer</summary>\n\nAsk.")
    assert empty == []


def test_a_notebook_that_was_not_executed_is_named_and_still_laid_out(laid_out):
    _, cells, empty = laid_out(code("1 + 1"))
    assert empty == ["99_made.ipynb"] and cells[0]["source"] == "1 + 1"
    assert "was not executed" in cells[1]["source"]


def test_links_to_what_is_no_page_and_pictures_of_other_hosts_become_words(laid_out):
    source, _, _ = laid_out()
    assert (source / "docs" / "class.md").read_text() == "[one](../README.md), record, `all`, [B](https://x.y)"


def test_demo_and_playground_are_linked_only_where_they_were_made(stage, tmp_path):
    assert "`make demo` makes it" in stage.made_beside(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "index.html").touch()
    said = stage.made_beside(tmp_path)
    assert 'href="../demo/index.html"' in said and "`make demo`" not in said and "`make playground` makes it" in said


def test_the_packages_pages_are_those_of_readmes_rooms(stage):
    pages = stage.api_pages()
    assert {f"kdlab.{path.stem}" for path in (ROOT / "kdlab").glob("[!_]*.py")} <= set(pages)
    assert "automodule:: workbook.methods.dkd" in pages["workbook.methods"]
    assert not [page for page in pages if page.startswith("workbook.exercises")]
    assert "autoclass:: workbook.panels.explorer.Explorer" in pages["workbook.panels"]


def test_the_glossary_names_a_page_for_each_term_that_notebook_20_explains_itself(stage):
    said = stage.shelves.glossary(NOTEBOOKS["20"])
    assert "| here |" not in said and "](notebooks/20_reading_the_article.ipynb)" in said


def test_search_cuts_chinese_into_pairs_and_leaves_english_words_whole(stage):
    pytest.importorskip("sphinx", reason="no book: python -m pip install -e '.[book]'")
    words = importlib.import_module("words").Words({})
    assert words.split("知识蒸馏, the KL散度 of 1 图") == ["知识", "识蒸", "蒸馏", "the", "KL", "散度", "of", "1", "图"]
    assert words.stem("Distilling") == words.stem("distilled")


def test_docstrings_keep_their_tables_and_leave_sections_to_napoleon(stage):
    pytest.importorskip("sphinx", reason="no book: python -m pip install -e '.[book]'")
    docstrings = importlib.import_module("docstrings")
    said = docstrings.plain(["Two:", "    a  1", "    b  2", "Then", "", "Args:", "    shape: of (1, *shape)."])
    assert said[:8] == ["Two:", "", ".. code-block:: text", "", "    a  1", "    b  2", "", "Then"]
    assert said[8:] == ["", "Args:", r"    shape: of (1, \*shape)."]
    assert docstrings.plain(["PLACE/CLASS/* and **options"]) == [r"PLACE/CLASS/\* and **options"]


def test_a_widget_is_shown_as_its_picture():
    render = pytest.importorskip("myst_nb.core.render", reason="no book: python -m pip install -e '.[book]'")
    tree = ast.parse((ROOT / "book" / "conf.py").read_text())
    [said] = [ast.literal_eval(line.value) for line in tree.body
              if ast.unparse(line).startswith("nb_mime_priority_overrides")]
    order = render.get_mime_priority("html", said)
    panel = {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert next(kind for kind in order if kind in panel) == "image/png"
