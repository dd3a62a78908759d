"""Prints the badges that open the workbook on Binder and on Colab, for a repository whose address you name.

    python .github/badges.py OWNER/NAME [BRANCH]        or    make badges REPOSITORY=OWNER/NAME

The address stands nowhere in this repository, because a copy of it has another. Colab opens one notebook without the
files beside it: COLAB is the cell to run there first, and `colab` fills in the address.
"""

import re
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
FIRST = "notebooks/00_start_here.ipynb"
COLAB = """\
!git clone -q --depth 1 --branch {branch} https://github.com/{repository} /content/kdlab
%pip install -q -e /content/kdlab "anywidget>=0.9.13"
%cd /content/kdlab/notebooks
import sys; sys.path.insert(0, "/content/kdlab")"""


def targets(repository: str, branch: str = "main", notebook: str = FIRST) -> dict[str, str]:
    """The addresses by the host's name; ValueError: a repository that is not OWNER/NAME, or a notebook not here."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+", repository):
        raise ValueError(f"name the repository as OWNER/NAME, as in its address on GitHub, got {repository!r}")
    if not re.fullmatch(r"[A-Za-z0-9][\w./-]*", branch):
        raise ValueError(f"name a branch or a tag, got {branch!r}")
    if not (ROOT / notebook).is_file():
        raise ValueError(f"there is no {notebook} here")
    binder = f"https://mybinder.org/v2/gh/{repository}/{quote(branch, safe='')}?labpath={quote(notebook, safe='')}"
    return {"Binder": binder, "Colab": f"https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}"}


def badges(repository: str, branch: str = "main") -> str:
    """The Markdown of both."""
    pictures = {
        "Binder": "https://mybinder.org/badge_logo.svg",
        "Colab": "https://colab.research.google.com/assets/colab-badge.svg",
    }
    links = targets(repository, branch).items()
    return "\n".join(f"[![Open the first notebook on {host}]({pictures[host]})]({link})" for host, link in links)


def colab(repository: str, branch: str = "main") -> str:
    """The cell that Colab needs before the notebook's own."""
    return COLAB.format(repository=repository, branch=branch)


if __name__ == "__main__":
    try:
        print(badges(*sys.argv[1:3]), "On Colab, this cell comes first:", colab(*sys.argv[1:3]), sep="\n\n")
    except (TypeError, ValueError) as wrong:
        sys.exit(str(wrong) if isinstance(wrong, ValueError) else __doc__)
