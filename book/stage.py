"""Lays out what Sphinx reads, in the places that the repository gives it, so that its own links hold.

README, docs and notebooks keep their paths; the book's pages stand at the top. Tables come from shelves.py; how all
of it looks is Sphinx's (conf.py).
"""

import json
import re
import shutil
import sys
from pathlib import Path

import shelves

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.append(str(ROOT))
from workbook.stage import linked as relinked  # noqa: E402

PICTURES = (".github", "notebooks/drawings")
ELSEWHERE = re.compile(r"!\[([^\]]*)\]\(https?:[^)]*\)")    # a picture on another host
PREDICTION = re.compile(r'panels\.prediction\("(\w*)"\)')
# a room of classes that go by another name
RENAMED = re.compile(r"^from (\S+) import (\w+) as (\w+)$", re.M)
MARK = re.compile(r"^\{\{(.+?)\}\}$", re.M)
# pages made beside the book: their folder under build/, their name, what they do, what makes them
BESIDE = {
    "demo": ("The demo", "Draw a digit; teacher and student answer, and T moves both.", "make demo"),
    "playground": ("The playground", "Train a student in the page, and steer it.", "make playground"),
    "slides": ("Slides of the lesson", "The lecture's decks, with speaker notes.", "make slides"),
}
# on the page of a notebook that has no outputs, below its title
NOT_EXECUTED = {"cell_type": "markdown", "id": "not-executed", "metadata": {}, "source":
                "> **Without results.** This notebook was not executed before the book was made: you see its text and "
                "its code. `make outputs`, then `make book`, adds the rest."}
# of the packages what serves beyond these notebooks: neither the checks, nor what one lab or one figure alone needs
LEFT_OUT = {"exercises", "early", "labs"}
FOR_ALL = {"plots": ["general"]}


def lay_out(place: Path, *, only: tuple[str, ...] = (), api: bool = True, beside: Path = ROOT / "build") -> list[str]:
    """Writes everything below `place`, and leaves files alone that would not change.

    Args:
        only: numbers of the notebooks whose code and outputs are taken; of the others their prose. Empty: all.
        api: with pages for the two packages.
        beside: the folder in which demo, playground and slides may lie.

    Returns the notebooks without outputs, which were not executed.
    """
    read = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
            if ".ipynb_checkpoints" not in path.parts}
    by_number = {path.name[:2]: notebook for path, notebook in read.items() if path.parent.name == "notebooks"}
    empty, kept = [], set()

    def put(path: str, text: str) -> None:
        kept.add(place / path)
        write(place / path, text)

    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").rglob("*.md")]:
        put(path.relative_to(ROOT).as_posix(), linked(path.read_text(encoding="utf-8"), path))
    for folder in PICTURES:
        for path in (ROOT / folder).glob("*.*g"):
            kept.add(copy(path, place))
    for path, notebook in read.items():
        told = shown(notebook, path, whole=not only or path.name[:2] in only)
        if not any(cell.get("outputs") for cell in notebook["cells"]):
            empty.append(path.relative_to(ROOT / "notebooks").as_posix())
            told["cells"].insert(1, NOT_EXECUTED)
        put(path.relative_to(ROOT).as_posix(), json.dumps(told, ensure_ascii=False))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makers = {
        "questions": lambda: shelves.questions(readme),
        "glossary": lambda: shelves.glossary(by_number["20"]),
        "beside": lambda: made_beside(beside),
        "sidebar": lambda: sidebar(sorted(kept), place),
        **{f"plan {name}": lambda steps=plan["steps"]: shelves.plan(steps, readme, by_number)[0]
           for name, plan in shelves.plans(HERE / "plans.toml").items()},
    }
    for path in HERE.glob("*.md"):
        put(path.name, MARK.sub(lambda mark: makers[mark[1]](), path.read_text(encoding="utf-8")))
    for name, text in (api_pages() if api else {"index": "# The two packages\n"}).items():
        put(f"api/{name}.md", text)
    for path in place.rglob("*"):
        if path.is_file() and path not in kept and path.suffix in (".md", ".ipynb"):
            path.unlink()
    return empty


def write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def copy(path: Path, place: Path) -> Path:
    target = place / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)
    return target


def linked(text: str, source: Path) -> str:
    """Links to what is no page of the book become words (folders, code, other files of the repository), and so do
    pictures on other hosts.
    """

    def kept(href: str) -> str | None:
        target = href.partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            return href
        path = (source.parent / target).resolve()
        return href if path.suffix in (".md", ".ipynb") and path.is_file() else None

    return relinked(ELSEWHERE.sub(r"\1", text), kept)


def shown(notebook: dict, path: Path, *, whole: bool) -> dict:
    """The notebook as the book shows it: what Jupyter folds is folded, predictions have buttons, notes are folded."""
    cells = []
    for cell in notebook["cells"]:
        source, metadata = "".join(cell["source"]), cell["metadata"]
        tags, hidden = list(metadata.get("tags", [])), metadata.get("jupyter", {})
        if cell["cell_type"] == "markdown":
            source = linked(source, path)
            if "instructor" in tags:
                head = "讲师提示" if path.parent.name == "zh" else "For the lecturer"
                source = f"<details><summary>{head}</summary>\n\n{source}\n\n</details>"
        elif not whole:
            continue
        elif asked := PREDICTION.search(source):
            tags.append("remove-input")
            told = f'<div class="predict" data-letters="{asked[1]}">Write down your prediction before you go on.</div>'
            data = {"text/html": told, "text/plain": "Your prediction"}
            cell = cell | {"outputs": [{"output_type": "display_data", "data": data, "metadata": {}}]}
        elif cell["outputs"]:
            parts = {"output": "outputs_hidden", "input": "source_hidden"}
            tags += [f"hide-{part}" for part, key in parts.items() if hidden.get(key)]
            cell = cell | {"outputs": [begun(output) for output in cell["outputs"]]}
        cells.append(cell | {"source": source, "metadata": {"tags": tags}})
    return notebook | {"cells": cells}


def begun(output: dict) -> dict:
    """An output without the empty line that stands first for JupyterLab, which shows the first of a collapsed one."""
    return output | {"text": "".join(output["text"]).removeprefix(" \n")} if "text" in output else output


def made_beside(build: Path) -> str:
    """What lies beside the book, with a link to what was made and the command for what was not."""
    parts = []
    for folder, (name, does, command) in BESIDE.items():
        pages = sorted((build / folder).glob("*.html"))
        pages = [page for page in pages if page.name == "index.html"] or pages
        named = {page.name: "Open it" if page.stem == "index" else page.stem for page in pages}
        links = ", ".join(f'<a href="../{folder}/{page}">{words}</a>' for page, words in named.items())
        found = f"{links}." if links else f"It is not beside this book yet: `{command}` makes it."
        parts.append(f"**{name}.** {does} {found}")
    return "\n\n".join(parts)


def sidebar(kept: list[Path], place: Path) -> str:
    """The table of contents that Sphinx reads: the book's own pages, a caption for each shelf, what else there is."""
    paths = [path.relative_to(place).with_suffix("").as_posix() for path in kept if path.suffix in (".md", ".ipynb")]
    captions = {"To begin": ["plans", "Questions <questions>", "To try <try>", "glossary"]}
    for digit, shelf in shelves.SHELVES.items():
        captions[shelf] = [path for path in paths if path.startswith(f"notebooks/{digit}")]
    for path in paths:
        if path.startswith("notebooks/") and path.count("/") > 1:
            captions.setdefault({"zh": "中文"}.get(path.split("/")[1], path.split("/")[1]), []).append(path)
    own = {path.stem for path in HERE.glob("*.md")} | {"README"}
    others = [path for path in paths if path.startswith("docs/") or "/" not in path and path not in own]
    captions["The repository"] = ["The README <README>", *others, "api/index"]
    return "\n\n".join(
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])
        for caption, entries in captions.items() if entries
    )


def api_pages() -> dict[str, str]:
    """A page for each room that README's tables name, by what the tables say it is for; a room of files lists each."""
    readme, pages, index = (ROOT / "README.md").read_text(encoding="utf-8"), {}, []
    for package, head in (("kdlab", "Room of `kdlab`"), ("workbook", "Part of `workbook`")):
        index.append(f"\n## {package}\n\n| Room | What for |\n|---|---|")
        for row in readme.split(head)[1].split("\n\n")[0].splitlines()[2:]:
            _, names, use, _ = row.split("|")
            rooms = [room for room in re.findall(r"`(\w+)/?`", names) if room not in LEFT_OUT]
            for room in rooms:
                pages[f"{package}.{room}"] = documented(ROOT / package / room, f"{package}.{room}")
            if rooms:
                index.append("| " + ", ".join(f"[{room}]({package}.{room}.md)" for room in rooms) + f" |{use}|")
    contents = "\n".join(["```{toctree}", ":hidden:", "", *pages, "```"])
    start = "# The two packages\n\nFrom the docstrings: what a name is for, its arguments, the source of a formula.\n"
    return pages | {"index": f"{start}" + "\n".join(index) + f"\n\n{contents}\n"}


def documented(room: Path, name: str) -> str:
    """The page of a module, or of a package with each of its files."""
    files = sorted(file.stem for file in room.glob("*.py") if not file.stem.startswith("_"))
    files = FOR_ALL.get(room.name, files)
    modules = [name, *(f"{name}.{file}" for file in files)]
    if renamed := RENAMED.findall((room / "__init__.py").read_text(encoding="utf-8")) if room.is_dir() else []:
        classes = [f"## {new}\n\n```{{eval-rst}}\n.. autoclass:: {module}.{old}\n```" for module, old, new in renamed]
        head = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :no-members:\n```"
        return "\n\n".join([head, *classes, ""])
    parts = [f"# {name}"]
    for module in modules:
        parts += [f"## {module}"] if module != name else []
        parts.append(f"```{{eval-rst}}\n.. automodule:: {module}\n```")
    return "\n\n".join(parts) + "\n"
