"""What README and the notebooks say of themselves, as the book's tables: shelves, minutes, plans, glossary.

Nothing here is typed a second time; how the pages are laid out is stage.py's.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROW = re.compile(r"^\| \[(\d\d) (.+?)\]\((notebooks/.+?\.ipynb)\) \| (.+?) \| (\d+) \| (\d+) \|$", re.M)
SHELVES = {"0": "The lesson", "1": "Labs", "2": "Methods", "3": "Beyond one machine"}
READ = re.compile(r"^\*(\d+) minutes to read", re.M)
EXERCISE = re.compile(r"^##+ Exercise.*\((\d+) minutes", re.M)


@dataclass(frozen=True)
class Row:
    """A notebook's row of README: its number, title, path, question, and how long it is read and runs."""

    number: str
    title: str
    path: str
    question: str
    minutes: int
    seconds: int


def rows(readme: str) -> dict[str, Row]:
    """The notebooks of README's tables, by number."""
    return {found[0]: Row(*found[:4], int(found[4]), int(found[5])) for found in ROW.findall(readme)}


def rowed(kind: str, lines: list[str]) -> str:
    """A table whose rows book.css sets as paragraphs where the page is as narrow as a phone."""
    return "\n".join([f'<div class="rows {kind}">', "", *lines, "", "</div>"])


def questions(readme: str) -> str:
    """A table for each shelf: the question first, then the notebook that answers it."""
    parts = []
    for digit, shelf in SHELVES.items():
        lines = ["| Question | Notebook | Minutes |", "|---|---|---|"]
        for row in rows(readme).values():
            if row.number.startswith(digit):
                lines.append(f"| {row.question} | [{row.number} {row.title}]({row.path}) | {row.minutes} |")
        parts.append(f"## {shelf}\n\n" + rowed("questions", lines))
    return "\n\n".join(parts)


def minutes(notebook: dict) -> tuple[int, int]:
    """Minutes to read it, by its title, and minutes for its exercises, by their headings."""
    prose = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    [read] = READ.findall(prose)
    return int(read), sum(map(int, EXERCISE.findall(prose)))


def plans(file: Path) -> dict[str, dict]:
    """The plans as they are written down: `limit` in minutes, and `steps`, each for a notebook or in words."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def plan(steps: list[dict], readme: str, notebooks: Mapping[str, dict]) -> tuple[str, int]:
    """A plan's table, and its minutes.

    Args:
        steps: `read = "03"` takes the notebook's minutes, `exercises = "03"` those of its exercises, `do = "…"` has
            `minutes` of its own; `how` says what happens.
        notebooks: by number.
    """
    known, lines, total = rows(readme), ["| Minutes | What | How |", "|---|---|---|"], 0
    for step in steps:
        number = step.get("read") or step.get("exercises")
        if number:
            row, (read, exercises) = known[number], minutes(notebooks[number])
            takes = read if "read" in step else exercises
            what = f"[{row.number} {row.title}]({row.path})" + ("" if "read" in step else ": its exercises")
        else:
            takes, what = step["minutes"], step["do"]
        total += takes
        lines.append(f"| {takes} | {what} | {step.get('how', '')} |")
    lines.append(f"| **{total}** | **together** | |")
    return rowed("plan", lines), total


def glossary(notebook: dict) -> str:
    """The table of terms of notebook 20, as it stands there, with links seen from the book's first page."""
    [cell] = [text for cell in notebook["cells"] if (text := "".join(cell["source"])).startswith("## Glossary")]
    table = rowed("terms", [line for line in cell.splitlines() if line.startswith("|")])
    table = table.replace("| here |", "| [20](20_reading_the_article.ipynb) |")
    return re.sub(r"\]\((\d\d_\w+\.ipynb)", r"](notebooks/\1", table)
