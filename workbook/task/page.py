"""Plain blocks set as Markdown, and as one HTML page that opens from a disk, on a phone and in the dark.

A block is ("h", text), ("p", text), ("code", text), ("list", texts), ("table", header, rows) or
("figure", name, words).
All text is text: what a class is called never becomes markup.
"""

import base64
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from html import escape

from matplotlib.figure import Figure

ALARM = "Read this first"  # the heading of what a page frames
# columns by their names: I, l and 1 must look different
LOOKS = {"SHA-256": "digest", **dict.fromkeys(("class", "true class", "answer"), "name")}
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de; --code: #f3f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171b; --soft: #a2abb5; --line: #3a424b; --code: #20252b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.2rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: .2rem 0 .6rem; } h2 { font-size: 1.15rem; margin: 1.8rem 0 .5rem; }
.wide { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: start; vertical-align: top; border-bottom: 1px solid var(--line);
  unicode-bidi: isolate; }
th { color: var(--soft); font-weight: 600; } td.number, th.number { text-align: right; }
td.digest { font: .75rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere; min-width: 14rem; }
td.name { text-align: left; font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace, system-ui; }
pre { background: var(--code); padding: .7rem .9rem; border-radius: 6px; overflow-x: auto; font-size: .875rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; } figure { flex: 1 1 20rem; margin: 0;
  max-width: 34rem; } img { width: 100%; height: auto; background: #fff; border-radius: 6px; display: block; }
figcaption { color: var(--soft); font-size: .875rem; margin-top: .3rem; }
.alarm { border: 2px solid #d55e00; border-radius: 6px; padding: 0 1rem .4rem; } .alarm h2 { margin-top: .8rem; }
ul { padding-left: 1.2rem; margin: .5rem 0; } li { margin: .2rem 0; }
"""


def visible(text: str) -> str:
    """Text on one line: breaks, control characters and what would turn the direction are written as escapes."""
    turns = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067"
    hidden = (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in turns for c in text)
    return "".join(c.encode("unicode_escape").decode() if hide else c for c, hide in zip(text, hidden))


def quoted(name: str) -> str:
    """A name inside a sentence, kept apart from it where it is written from right to left."""
    turned = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in name)
    return f"“\u2068{visible(name)}\u2069”" if turned else f"“{visible(name)}”"


def markdown(title: str, blocks: Iterable[tuple], figures: Mapping[str, Figure]) -> str:
    """The blocks as Markdown with GitHub's tables; of a figure the words that stand below it."""
    parts = [f"# {_plain(title)}"]
    for kind, *content in blocks:
        if kind == "h":
            parts.append(f"## {_plain(content[0])}")
        elif kind == "p":
            parts.append(_plain(content[0]))
        elif kind == "code":
            parts.append(f"```\n{content[0]}\n```")
        elif kind == "list":
            parts.append("\n".join(f"- {_plain(line)}" for line in content[0]))
        elif kind == "table":
            head, rows = content
            lines = [head, [":--" if left else "--:" for left in _texts(head, rows)], *rows]
            cells = [[*map(_plain, line)] if i != 1 else line for i, line in enumerate(lines)]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in cells))
        elif kind == "figure":
            parts.append(f"*In card.html: {_plain(content[1])}.*")
    return "\n\n".join(parts) + "\n"


def html(title: str, blocks: Iterable[tuple], figures: Mapping[str, Figure]) -> str:
    """The blocks as a page that needs nothing beside itself: figures are inside, and no address is asked for anything.

    Figures that follow each other stand side by side where there is room; the list below the heading ALARM is framed.
    """
    body, alarm = [], False
    for kind, *content in blocks:
        if alarm and kind != "list":
            body.append("</section>")
            alarm = False
        if kind == "h":
            if content[0] == ALARM:
                body.append('<section class="alarm">')
                alarm = True
            body.append(f"<h2>{_safe(content[0])}</h2>")
        elif kind == "p":
            body.append(f"<p>{_safe(content[0])}</p>")
        elif kind == "code":
            body.append(f"<pre>{escape(content[0])}</pre>")
        elif kind == "list":
            body.append("<ul>" + "".join(f"<li>{_safe(line)}</li>" for line in content[0]) + "</ul>")
        elif kind == "table":
            body.append(_table(*content))
        elif kind == "figure":
            words = _safe(content[1])
            picture = f'<img alt="{words}" src="data:image/png;base64,{_png(figures[content[0]])}">'
            body.append(f"<figure>{picture}<figcaption>{words}.</figcaption></figure>")
    text = re.sub(r"((?:<figure>(?:(?!</figure>).)*</figure>\n?)+)", r'<div class="figures">\1</div>', "\n".join(body))
    named, screen = _safe(title), '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<head><meta charset="utf-8">{screen}<title>{named}</title><style>{STYLE}</style></head>'
    return f'<!DOCTYPE html>\n<html lang="en">{head}\n<body><h1>{named}</h1>\n{text}\n</body></html>\n'


def _texts(head, rows) -> list[bool]:
    """Which columns are words: the others hold figures and stand to the right."""
    figure = re.compile(r"[\[<≤+−-]?\d[\d.,]*( ?%| kB)?$")
    columns = [[row[i] for row in rows] for i in range(len(head))]
    return [not column or head[i] in LOOKS or not all(map(figure.match, column)) for i, column in enumerate(columns)]


def _table(head, rows) -> str:
    texts = _texts(head, rows)
    looks = [LOOKS.get(name, "" if text else "number") for name, text in zip(head, texts)]
    mark = [f' class="{look}"' if look else "" for look in looks]
    first = "".join(f"<th{m}>{_safe(name)}</th>" for m, name in zip(mark, head))
    cells = [[f'<td{m} dir="auto">{_safe(text)}</td>' for m, text in zip(mark, row)] for row in rows]
    rest = "".join(f"<tr>{''.join(row)}</tr>\n" for row in cells)
    return f'<div class="wide"><table><thead><tr>{first}</tr></thead>\n<tbody>{rest}</tbody></table></div>'


def _png(figure: Figure) -> str:
    with io.BytesIO() as content:
        figure.savefig(content, format="png", dpi=144, metadata={"Software": None})
        return base64.b64encode(content.getvalue()).decode()


def _safe(text: str) -> str:
    return escape(visible(text))


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", visible(text)) or " "
