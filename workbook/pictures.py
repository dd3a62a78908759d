"""A notebook's pictures, for a page that is larger than the notebook: in words, and enlarged so that they stay sharp.

The notebook keeps its own pictures. They are of few pixels, so that its file stays small.
"""

import ast
import base64
import io
import mimetypes
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from PIL import Image, ImageFilter

HERE = Path(__file__).parent
SAID = ("title", "xlabel", "ylabel")  # what a figure says of itself, by the names that workbook.plots gives it
SHAPES = re.compile(r", uint8 \([^)]*\)|[:,] [^;:]*→[^;.]*|`")  # of arguments, in a docstring
OUTSIDE = re.compile(r"(!\[[^\]]*\]\()(\.\./[^)\s]+)")  # a picture in Markdown that lies outside the notebook's folder
TIMES = 3  # as many pixels in each direction
STEEP = 2.0  # how much steeper an edge becomes; with 3 thin letters look uneven, by eye


class Pictures(Preprocessor):
    """Gives each picture that a cell made a text alternative, and enlarges it.

    Its metadata keep the size that it had, as `width` and `height`.
    """

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """The same notebook, with other pictures."""
        values = parameters(nb)
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    small = base64.b64decode(output.data["image/png"])
                    width, height = Image.open(io.BytesIO(small)).size
                    told = {"alt": alternative(cell.source, values), "width": width, "height": height}
                    output.data["image/png"] = base64.b64encode(enlarged(small)).decode()
                    output.metadata["image/png"] = NotebookNode(told)
        return nb, resources


def embedded(source: str, folder: Path) -> str:
    """Markdown that holds the pictures which lie outside the notebook's folder: nbconvert embeds only those within."""

    def data(found: re.Match) -> str:
        file = folder / found[2]
        if not file.is_file():
            return found[0]
        kind = mimetypes.guess_type(file.name)[0]
        return f"{found[1]}data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"

    return OUTSIDE.sub(data, source)


def enlarged(png: bytes, times: int = TIMES) -> bytes:
    """A picture of drawn lines and letters with more pixels, whose edges are as sharp as the new pixels allow.

    Between the darkest and the lightest of a pixel's neighbours, the smoothly enlarged picture is made steeper: a ramp
    of one old pixel becomes one of about a new one. Values stay between those of the neighbours: nothing rings.
    Colours are in the end the 256 that fit the picture best.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    small = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    size = (small.width * times, small.height * times)
    around = small, small.filter(ImageFilter.MinFilter(3)), small.filter(ImageFilter.MaxFilter(3))
    smooth, low, high = (np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=float) for image in around)
    share = (smooth - low) / np.maximum(high - low, 1)
    sharp = low + (high - low) * np.clip((share - 0.5) * STEEP + 0.5, 0, 1)
    file = io.BytesIO()
    Image.fromarray(sharp.round().astype("uint8")).quantize(256).save(file, "PNG", optimize=True)
    return file.getvalue()


def alternative(source: str, values: Mapping[str, object] | None = None) -> str:
    """What the picture that a cell makes shows: its title, how its figures are drawn, and its axes.

    Args:
        source: the cell's.
        values: of names that may stand in a title, such as the notebook's parameters; "…" for any other.
    """
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M))
    except SyntaxError:  # another language's cell, or unfinished
        return ""
    told = {name: _text(node, values or {}) for name, node in _named(tree)}
    title, *axes = (told.get(name, "").strip() for name in SAID)
    kind = _kind(source)
    axes = f"Axes: {'; '.join(filter(None, axes))}." if any(axes) else ""
    return " ".join(part if part.endswith((".", "?")) else f"{part}." for part in (title, kind, axes) if part)


def parameters(nb: NotebookNode) -> dict[str, object]:
    """The notebook's parameters as its cells set them, those of a run with others included."""
    tags = {"parameters", "injected-parameters"}
    sources = [cell.source for cell in nb.cells if tags & set(cell.metadata.get("tags", []))]
    found = re.findall(r"^(\w+) *= *(-?[\d.]+|\"[^\"]*\") *(?:#.*)?$", "\n".join(sources), re.M)
    return {name: ast.literal_eval(value) for name, value in found}


def _named(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Titles and axes, whether a cell gives them at once or by a variable of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SAID:
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.keyword) and node.arg in SAID and not isinstance(node.value, ast.Name):
            yield node.arg, node.value


def _text(node: ast.AST, values: Mapping[str, object]) -> str:
    """A literal text, or an f-string with the values that are known."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, values) for part in node.values)
    if isinstance(node, ast.FormattedValue) and getattr(node.value, "id", "") in values:
        return format(values[node.value.id], _text(node.format_spec, values) if node.format_spec else "")
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _kind(source: str) -> str:
    """How the panel or the last figure of this cell is drawn: the first sentence of its docstring."""
    if panel := re.search(r"\bpanels\.(\w+)\(", source):
        return next(iter(_docs(HERE / "panels" / f"{panel[1]}.py").values()), "")
    for module, name in reversed(re.findall(r"\b(?:(\w+)\.)?(\w+)\(", source)):
        drawn = {file.stem: docs[name] for file in (HERE / "plots").glob("*.py") if name in (docs := _docs(file))}
        if drawn:
            return drawn.get(module.replace("plots", "general"), next(iter(drawn.values())))
    return ""


@cache
def _docs(file: Path) -> dict[str, str]:
    """The first lines of the docstrings of a module (its name is "") and of its public functions."""
    if not file.is_file():
        return {}
    tree = ast.parse(file.read_text("utf-8"))
    nodes = {"": tree} | {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    docs = {name: ast.get_docstring(node) for name, node in nodes.items() if not name.startswith("_")}
    lines = {name: text.split("\n")[0] for name, text in docs.items() if text}
    return {name: short if len(short := SHAPES.sub("", line)) >= 30 else line for name, line in lines.items()}
