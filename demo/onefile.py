"""One HTML file out of a page's parts, which fetches nothing; head, colours and a few numbers are both pages' own."""

from collections.abc import Mapping
from pathlib import Path

from kdlab import files

HERE = Path(__file__).parent
SHARED = {"head": "head.html", "base": "base.css", "numbers": "numbers.js"}


def write(folder: Path, output: Path, parts: Mapping[str, str]) -> Path:
    """Writes output/index.html: the folder's page.html with a part in place of each {{name}}; returns its path.

    The parts are those given, those of both pages, and the scripts and the style sheet that lie in the folder.
    """
    page = (folder / "page.html").read_text(encoding="utf-8")
    paths = {name: HERE / "shared" / file for name, file in SHARED.items()}
    paths |= {path.stem: path for pattern in ("*.js", "*.css") for path in folder.glob(pattern)}
    read = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    for name, content in (read | dict(parts)).items():
        mark = f"{{{{{name}}}}}"
        assert page.count(mark) == 1, f"{folder.name}/page.html must hold {mark} once"
        page = page.replace(mark, content)
    files.write_whole("page", output / "index.html", page.encode())
    return output / "index.html"
