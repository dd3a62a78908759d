"""A notebook's parameters: read with their ranges from the cell that names them, and refused where they are outside.

Which cell that is, and what becomes of a notebook that is refused, is left to whoever asks.

The comment beside a parameter is its range; after a colon it says whatever helps a person:

    seeds = 5               # 2 .. 20: whole numbers, because its ends are; as well >= 0, > 0, <= 9, < 9
    alpha = 1.0             # 0.0 .. 1.0: any numbers, because its ends have a point
    device = "auto"         # "auto", "cpu" or "cuda": one of these
    compiler = ""           # text: whatever stands in quotes
    log = ""                # "" or a file: one that is there, seen from the notebook's folder
    batches = [1, 64]       # each >= 1: a list, not empty, with a range for each of its values
    skip = []               # 0 or more, each text but "eager": a list that may be empty, of any text but one
    alphas = [0, 0.5, 1]    # from 0 to 1, rising, 2 or more >= 0.5, each 0.0 .. 1.0: a list of which more is asked
    fleet = [["eager", 2]]  # 2 or more, each [text, >= 1.0]: a list of lists
    widths = [(8, 4)]       # each falling [2 .. 32, 1 .. 31]: a list of falling ones; tuples are lists here
"""

import ast
import contextlib
import io
import itertools
import math
import operator
import os
import re
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Rule = Callable[[str, object, Path], None]  # a name, its value, the notebook's folder; OutOfRange where it is outside

SIGNS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
FAULTS = {"a file": "not there", "text": "excepted", None: "not one of these"}  # of a text, by what may be written
ORDERS = {"rising": operator.lt, "falling": operator.gt}
NUMBER, NAME = r"-?\d+(?:\.\d+)?", r'"[^"]*"'
BOUNDS = rf"(?P<low>{NUMBER}) \.\. (?P<high>{NUMBER})|(?P<sign>[<>]=?) (?P<end>{NUMBER})"
NAMES = rf"(?P<names>{NAME}(?:(?:, | or ){NAME})*)"
TEXT = rf"(?:{NAMES} or )?(?P<kind>text|a file)(?: but (?P<but>{NAME}))?"
ROW = r"(?:(?P<order>rising|falling) )?\[(?P<items>.+)\]"
LIST = r'(?P<clauses>(?:[^,"[]+, )*)each (?P<item>.+)'


class OutOfRange(ValueError):
    """One sentence with a parameter's name, value and range; a notebook shows no more than that."""

    def _render_traceback_(self) -> list[str]:
        return [f"OutOfRange: {self}"]


@dataclass(frozen=True)
class Parameter:
    """A name; its default, None where that is no literal; its range as the comment says it, "" where none is read."""

    name: str
    default: object
    range: str
    rule: Rule

    def demand(self, value: object, folder: str | Path = ".") -> None:
        """Raises OutOfRange for a value outside the range; a file is looked for from the folder."""
        self.rule(self.name, value, Path(folder))


def read(source: str, *, typed: bool = True) -> list[Parameter]:
    """The parameters that a cell assigns, in their order; SyntaxError where it is not Python.

    With `typed`, a default such as 1.0 makes numbers of a range whose ends are whole. That is for a cell which nobody
    has edited since: there the type of a default is its author's.
    """
    comments, found = {}, []
    statements = [node for node in ast.parse(source).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.string.strip("# ")
    for node in statements:
        lines = range(node.lineno, node.end_lineno + 1)
        comment = " ".join(comments[line] for line in lines if line in comments)
        for target in getattr(node, "targets", None) or [node.target]:
            if isinstance(target, ast.Name):
                found.append(_parameter(target.id, node.value, comment, typed))
    return found


def check(namespace: Mapping) -> None:
    """Raises OutOfRange for the first parameter of a running notebook that is outside its range.

    The ranges are those that the cells run so far have in their comments, the last one for each name. The values are
    those of now, because papermill sets them in a cell without comments. Where no cells are known, nothing is refused.

    A translation stands one folder below its original; its kernel first goes there, so that `../results` is the same.

    Args:
        namespace: the notebook's `globals()`, in which IPython keeps the cells that were run, as `In`.
    """
    if all(Path(folder, "00_start_here.ipynb").is_file() for folder in (".", "..")):
        os.chdir("..")
    ranged = {}
    for source in namespace.get("In", ()):
        with contextlib.suppress(SyntaxError, tokenize.TokenError):
            ranged |= {parameter.name: parameter for parameter in read(source, typed=False) if parameter.range}
    for name in (name for name in ranged if name in namespace):
        ranged[name].demand(namespace[name])


def _parameter(name: str, node: ast.expr | None, comment: str, typed: bool) -> Parameter:
    try:
        default = ast.literal_eval(node)
    except (TypeError, ValueError):
        default = None
    said = re.match(rf'((?:{NAME}|[^":])*)(?::|$)', comment)
    text = said[1] if said else ""
    rule = _rule(text, typed and _pointed(default))
    return Parameter(name, default, text if rule else "", rule or (lambda *_: None))


def _pointed(value: object) -> bool:
    return any(map(_pointed, value)) if isinstance(value, list | tuple) else isinstance(value, float)


def _rule(text: str, pointed: bool) -> Rule | None:
    """What a range asks of a value; None where the text is no range."""
    for form, made in ((BOUNDS, _bounds), (NAMES, _words), (TEXT, _words), (ROW, _row), (LIST, _list)):
        if found := re.fullmatch(form, text):
            return made(found.groupdict(), text, pointed)
    return None


def _refuse(name: str, value: object, fault: str, wanted: str) -> None:
    raise OutOfRange(f"{name} = {value!r} is {fault}; it must be {wanted}")


def _bounds(found: dict, text: str, pointed: bool) -> Rule:
    whole, inside = not pointed and not re.search(r"\d\.\d", text), _inside(found)

    def rule(name: str, value: object, folder: Path) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not abs(value) < math.inf:
            _refuse(name, value, "not a whole number" if whole else "not a number", text)
        if not inside(value):
            _refuse(name, value, "out of range", text)

    return rule


def _inside(found: dict) -> Callable[[float], bool]:
    if found["sign"]:
        return lambda value: SIGNS[found["sign"]](value, float(found["end"]))
    return lambda value: found["low"] is None or float(found["low"]) <= value <= float(found["high"])


def _words(found: dict, text: str, pointed: bool) -> Rule:
    names, kind = re.findall(NAME, found["names"] or ""), found.get("kind")

    def rule(name: str, value: object, folder: Path) -> None:
        if not isinstance(value, str):
            _refuse(name, value, "not text", text)
        quoted = f'"{value}"'
        taken = kind == "text" and quoted != found["but"] or kind == "a file" and (folder / value).is_file()
        if not taken and quoted not in names:
            _refuse(name, value, FAULTS[kind], text)

    return rule


def _row(found: dict, text: str, pointed: bool) -> Rule | None:
    rules = [_rule(item, pointed) for item in found["items"].split(", ")]

    def rule(name: str, values: object, folder: Path) -> None:
        if not isinstance(values, list | tuple) or len(values) != len(rules):
            _refuse(name, values, f"not a list of {len(rules)}", text)
        for place, (demand, value) in enumerate(zip(rules, values)):
            demand(f"{name}[{place}]", value, folder)
        if found["order"] and not _claim(found["order"])(values):
            _refuse(name, values, f"not {found['order']}", text)

    return rule if all(rules) else None


def _list(found: dict, text: str, pointed: bool) -> Rule | None:
    each, clauses = _rule(found["item"], pointed), found["clauses"].split(", ")[:-1]
    clauses = clauses if " or more" in found["clauses"] else ["1 or more", *clauses]
    claims = [_claim(clause) for clause in clauses]

    def rule(name: str, values: object, folder: Path) -> None:
        if not isinstance(values, list | tuple):
            _refuse(name, values, "not a list", f"a list, {text}")
        for place, value in enumerate(values):
            each(f"{name}[{place}]", value, folder)
        for clause, holds in zip(clauses, claims):
            if not holds(values):
                _refuse(name, values, f'not "{clause}"', f"a list, {text}")

    return rule if each and all(claims) else None


def _claim(clause: str) -> Callable[[list], bool] | None:
    """What a clause before "each" says of the whole list; None where it is none."""
    if clause in ORDERS:
        return lambda values: all(itertools.starmap(ORDERS[clause], itertools.pairwise(values)))
    if found := re.fullmatch(rf"from ({NUMBER}) to ({NUMBER})", clause):
        return lambda values: [*values[:1], *values[-1:]] == [float(found[1]), float(found[2])]
    if found := re.fullmatch(rf"(?P<count>\d+) or more(?: (?:{BOUNDS}))?", clause):
        inside = _inside(found.groupdict())
        return lambda values: sum(map(inside, values)) >= int(found["count"])
    return None
