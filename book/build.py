"""Makes the book: the whole workbook as a static site, build/book/index.html, that opens from disk and fetches nothing.

Notebooks are shown with the outputs that were committed; nothing is executed. `make book` runs it.

    python book/build.py [--output FOLDER] [--only 00 03] [--without-api]
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import stage

OUTPUT = stage.ROOT / "build" / "book"
NEEDED = ("sphinx", "myst_nb", "furo", "jupyter_server_mathjax")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the site (default: build/book)")
    parser.add_argument("--only", nargs="*", default=(), help="notebooks with code, as 00 03; others as prose")
    parser.add_argument("--without-api", action="store_true", help="leave out the pages from docstrings")
    chosen = parser.parse_args()
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        line = "python -m pip install -c constraints.txt -e '.[book]'"
        print(f"The book cannot be made: {', '.join(missing)} missing; in the repository: {line}", file=sys.stderr)
        return 1
    from sphinx.cmd.build import build_main

    output, begun = chosen.output.resolve(), time.process_time()
    source = output.with_name(output.name + "-source")
    empty = stage.lay_out(source, only=tuple(chosen.only), api=not chosen.without_api, beside=output.parent)
    flags = ["-b", "html", "-q", "-W", "--keep-going", "-c", str(stage.HERE), "-d", f"{source}-read"]
    status = build_main([*flags, str(source), str(output)])
    if empty:
        named = ", ".join(empty)
        print(f"Without outputs, because not executed: {named}; `make outputs` executes them.")
    if status:
        print("The book has faults, which the lines above name; what could be shown is shown.", file=sys.stderr)
        return status
    print(f"{output / 'index.html'}: open it in a browser; it needs no server and no network "
          f"({time.process_time() - begun:.0f} s of computing).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
