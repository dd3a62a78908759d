"""The Chinese lesson says what the English one says: the same code and outputs, figures, formulas, names and links.

CHECKS holds one function a rule, for a cell and its translation. Each is tried on every pair of cells, and on one that
breaks just this rule. Whether the Chinese is good, no test says.
"""

import copy
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from kernels import again
from markdown_it import MarkdownIt
from nbclient import NotebookClient

from workbook import parameters, translated
from workbook.kernels import ThisPython

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSON = sorted(path.name for path in translated.FOLDER.glob("*.ipynb"))
CODE, FORMULA = r"```.*?```|`[^`]+`|<code>.*?</code>", r"\$\$.*?\$\$|\$[^$\n]+\$"
LINK = r"\]\(([^)\s]+)\)"
ORIGINAL, GLOSSARY = "../{}", "../20_reading_the_article.ipynb"  # what the title links to besides
STAY = {"logits", "softmax", "alpha", "FPGA"}  # of the glossary: Chinese texts write these, too
HAN = r"[\u4e00-\u9fff]"


def cells(name):
    """The Markdown cells of a notebook of the lesson: id → English, Chinese."""
    original, translation = (nbformat.read(folder / name, 4) for folder in (NOTEBOOKS, translated.FOLDER))
    chinese = {cell.id: cell.source for cell in translation.cells}
    return {c.id: (c.source, chinese[c.id]) for c in original.cells if c.cell_type == "markdown"}


PAIRS = {f"{name[:2]} {i}": pair for name in LESSON for i, pair in cells(name).items()}


def terms():
    """The glossary of notebook 20: its Chinese words, its English words, a row each."""
    [table] = [c.source for c in nbformat.read(NOTEBOOKS / GLOSSARY[3:], 4).cells if "| 中文 | English |" in c.source]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")][1:]
    return [tuple(word.strip().split(", ") for word in row) for row in rows]


TERMS = terms()


def written(text):
    """A cell without code, formulas and the targets of its links."""
    return re.sub(rf"{CODE}|{FORMULA}|{LINK}", " ", text, flags=re.S)


def differ(kind, english, chinese):
    """A sentence on what only one of two lists holds; none where they hold the same, in any order."""
    absent, added = Counter(english) - Counter(chinese), Counter(chinese) - Counter(english)
    return f"{kind}: missing {list(absent.elements())}, added {list(added.elements())}" if absent or added else ""


def chinese(english, said):
    """Text is Chinese, except where there is no text."""
    words = re.sub(r"<[^>]*>", "", written(english))
    if re.search(r"[a-z]{4}", words) and not re.search(HAN, said):
        return "not in Chinese"


def figures(english, said):
    """Digits agree, 1.8 million and 180 万, too; a number in words (eleven, 十一) is the translator's."""
    return differ("figures", numbers(english), numbers(said))


def numbers(text):
    found = re.findall(r"(\d+(?:,\d{3})*(?:\.\d+)?)(?:\s+(million|thousand|万))?", written(text))
    scale = {"million": 10**6, "thousand": 10**3, "万": 10**4}
    return [f"{round(float(digits.replace(',', '')) * scale.get(unit, 1), 6):.10g}" for digits, unit in found]


def code(english, said):
    return differ("code", *([" ".join(c.split()) for c in re.findall(CODE, t, re.S)] for t in (english, said)))


def formulas(english, said):
    return differ("formulas", *(re.findall(FORMULA, re.sub(CODE, "", t, flags=re.S), re.S) for t in (english, said)))


def links(english, said):
    """A link to the lesson leads to its Chinese notebook, any other to where the English one leads."""
    theirs = [to for to in re.findall(LINK, english) if not to.startswith("zh/")]
    meant = [to if ":" in to or to.split("#")[0] in LESSON else f"../{to}" for to in theirs]
    own = [to for to in re.findall(LINK, said) if to != GLOSSARY and to[3:] not in LESSON]
    return differ("links", meant, own)


def form(english, said):
    """The same folds, headings, lists, pictures, rows of tables, options and emphasis that ends where it should."""
    parts = r"</?[a-z]+>|^#+ |^> |^[-*] |^\d\. |!\[|^\||\([a-d]\)"
    bare = (re.sub(rf"{CODE}|{FORMULA}|\n>", "", text, flags=re.S) for text in (english, said))
    shape = (re.findall(parts, text, re.M) for text in bare)
    loose = re.findall(r".{0,8}\*.{0,8}", shown(said))
    return differ("form", *shape) or (f"emphasis does not close: {loose}" if loose else "")


def shown(text):
    """The text as a reader sees it, without code and formulas."""
    inline = [t for t in MarkdownIt().enable("table").parse(re.sub(FORMULA, "", text, flags=re.S)) if t.children]
    return " ".join(part.content for token in inline for part in token.children if part.type == "text")


def words(english, said):
    """A term of the glossary is its Chinese word."""
    english, said = plain(english), plain(said)
    for chinese, names in TERMS:
        used = [name for name in names if re.search(rf"\b{name}s?\b", english, re.I)]
        if used and not any(word in said for word in [*chinese, *(name for name in used if name in STAY)]):
            return f"the glossary has {' or '.join(chinese)} for {used[0]}"


def plain(text):
    """What is written, without references: titles of works stay as they are."""
    return re.sub(r"\*\*(References|参考文献)\W.*?(\n\n|\Z)", " ", written(text), flags=re.S)


CHECKS = [chinese, figures, code, formulas, links, form, words]


def test_the_whole_lesson_is_there():
    assert LESSON == sorted(path.name for path in NOTEBOOKS.glob("0*.ipynb"))


@pytest.mark.parametrize("name", LESSON)
def test_the_code_and_its_outputs_are_the_english_ones(name):
    original, translation = (nbformat.read(folder / name, 4) for folder in (NOTEBOOKS, translated.FOLDER))
    nbformat.validate(translation)
    updated = translated.update(original, translation)
    theirs = {cell.id: cell for cell in translation.cells}
    differs = [cell.id for cell in updated.cells if cell != theirs.get(cell.id)]
    assert updated == translation, f"python -m workbook.translated copies these cells: {differs}"


@pytest.mark.parametrize("name", LESSON)
def test_every_cell_is_translated_from_the_english_text_of_now(name):
    behind = translated.behind(*(nbformat.read(folder / name, 4) for folder in (NOTEBOOKS, translated.FOLDER)))
    assert not behind, f"the English text of these cells has changed: {behind}; translate, then --done"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_translation_keeps_the_rule(check):
    found = {name: check(*pair) for name, pair in PAIRS.items()}
    assert not any(found.values()), "\n".join(f"{name}: {problem}" for name, problem in found.items() if problem)


@pytest.mark.parametrize("name", LESSON)
def test_links_lead_somewhere_and_the_title_to_its_original(name):
    said = [said for _, said in cells(name).values()]
    local = [to.split("#")[0] for text in said for to in re.findall(LINK, text) if ":" not in to]
    assert not [to for to in local if not (translated.FOLDER / to).exists()]
    assert f"]({ORIGINAL.format(name)})" in said[0] and f"]({GLOSSARY})" in said[0]


def test_every_term_of_the_glossary_stands_beside_its_english_word_once():
    english, said = (" ".join(plain(pair[side]) for pair in PAIRS.values()) for side in (0, 1))
    lacking = []
    for chinese, names in TERMS:
        used = [name for name in names if re.search(rf"\b{name}\b", english, re.I)]
        one, other = "|".join(chinese), "|".join(used)
        beside = rf"({one})\**（[^）]*({other})|({other})\**（[^）]*({one})"
        if used and not re.search(beside, said, re.I):
            lacking.append(used[0])
    assert not lacking


def test_its_page_has_the_minutes_and_seconds_of_readme_and_its_links_lead_somewhere():
    page, readme = ((folder / "README.md").read_text("utf-8") for folder in (translated.FOLDER, NOTEBOOKS.parent))
    row = r"^\| \[.*?\]\((?:notebooks/)?(0\d_\w+\.ipynb)\) .*\| (\d+) \| (\d+) \|$"
    rows = re.findall(row, page, re.M)
    assert [name for name, *_ in rows] == LESSON
    assert rows == re.findall(row, readme, re.M)
    assert all((translated.FOLDER / to.split("#")[0]).exists() for to in re.findall(LINK, page))


GOOD = (
    "# Soft targets\n\n> **Predict.** At `T` = 4 the teacher, $p_i$, gives (a) 80 %.\n\n[02](02_soft_targets.ipynb)",
    "# 软目标\n\n> **预测。** 当 `T` = 4 时，教师 $p_i$ 给出 (a) 80 %。\n\n[02](02_soft_targets.ipynb)",
)
BREAKS = [
    (chinese, GOOD[1], GOOD[0], "not in Chinese"),
    (figures, "80 %", "90 %", "missing ['80'], added ['90']"),
    (figures, "80 %", "百分之八十", "missing ['80']"),
    (code, "`T`", "`t`", "missing ['`T`']"),
    (formulas, "$p_i$", "$p_j$", "missing ['$p_i$']"),
    (links, "(02_soft", "(../02_soft", "missing ['02_soft_targets.ipynb']"),
    (links, "[02](02_soft_targets.ipynb)", "02", "missing ['02_soft_targets.ipynb']"),
    (form, "(a) ", "", "missing ['(a)']"),
    (form, "# 软", "软", "missing ['# ']"),
    (form, "。** ", "。**", "does not close"),
    (words, "教师", "老师", "has 教师 for teacher"),
    (words, "软目标", "柔和的目标", "软目标 or 软标签 for soft targets"),
]


@pytest.mark.parametrize("check, old, new, sentence", BREAKS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_broken_translation_is_caught(check, old, new, sentence):
    assert not check(*GOOD)
    assert old in GOOD[1]
    assert sentence in (check(GOOD[0], GOOD[1].replace(old, new)) or "nothing was found")


@pytest.fixture
def two(tmp_path):
    """A folder with an English notebook and its translation; and a function that rewrites a cell of one."""
    prose, code = nbformat.v4.new_markdown_cell("A teacher."), nbformat.v4.new_code_cell("1 + 1")
    made = nbformat.v4.new_notebook(cells=[prose, code])
    made.cells[0].id, made.cells[1].id = "said", "run"
    english, chinese = tmp_path / "00.ipynb", tmp_path / "zh" / "00.ipynb"
    chinese.parent.mkdir()

    def rewrite(path, number, source):
        notebook = nbformat.read(path, 4) if path.exists() else copy.deepcopy(made)
        notebook.cells[number].source = source
        nbformat.write(notebook, path)

    rewrite(english, 0, "A teacher.")
    rewrite(chinese, 0, "一个教师。")
    assert translated.main(["--done", "said"], chinese.parent) == 0
    return english, chinese, rewrite


def test_a_changed_english_sentence_names_its_cell_until_it_is_translated(two, capsys):
    english, chinese, rewrite = two
    rewrite(english, 0, "A better teacher.")
    assert translated.main([], chinese.parent) == 1
    assert "zh/00.ipynb: cell said waits" in capsys.readouterr().out
    assert nbformat.read(chinese, 4).cells[0].source == "一个教师。"
    rewrite(chinese, 0, "一个更好的教师。")
    assert translated.main(["--done", "said"], chinese.parent) == translated.main([], chinese.parent) == 0


def test_changed_code_is_copied_and_the_prose_stays(two):
    english, chinese, rewrite = two
    rewrite(english, 1, "2 + 2")
    rewrite(chinese, 1, "3 + 3")
    assert translated.main([], chinese.parent) == 0
    assert [cell.source for cell in nbformat.read(chinese, 4).cells] == ["一个教师。", "2 + 2"]


def test_an_unknown_cell_is_one_sentence(two, capsys):
    with pytest.raises(SystemExit):
        translated.main(["--done", "sad"], two[1].parent)
    assert "no cell in zh/ has the id sad" in capsys.readouterr().err


def test_a_chinese_notebook_runs_in_the_folder_of_its_original(tmp_path, monkeypatch):
    monkeypatch.chdir(translated.FOLDER)
    for _ in range(2):  # the set-up cell, run again
        parameters.check({})
        assert Path.cwd() == NOTEBOOKS
    monkeypatch.chdir(tmp_path)
    parameters.check({})
    assert Path.cwd() == tmp_path


@pytest.mark.slow
def test_its_code_finds_the_records(monkeypatch):
    """Three cells of 03, run in its folder as JupyterLab does: parameters, set-up, and one that reads ../results."""
    notebook = nbformat.read(translated.FOLDER / "03_distil_a_student.ipynb", 4)
    wanted = ["seeds = ", "parameters.check", "../results"]
    notebook.cells = [next(c for c in notebook.cells if c.cell_type == "code" and part in c.source) for part in wanted]
    resources = {"metadata": {"path": str(translated.FOLDER)}}
    monkeypatch.setenv("TQDM_DISABLE", "1")
    options = dict(resources=resources, kernel_manager_class=ThisPython, timeout=600)
    again(lambda: NotebookClient(notebook, **options).execute())
    assert notebook.cells[2].execution_count == 3
