"""Docstrings as this house writes them, as reStructuredText: tables keep their columns, a lone asterisk is one.

What stands under `Args:` and its like is napoleon's.
"""

import inspect
import re

from sphinx.util.inspect import stringify_signature

SECTIONS = {"Args:", "Raises:", "Returns:", "Yields:", "Attributes:"}
LONE = re.compile(r"(?<=[\s(,])\*(?=\w)(?![^*]*\*)|(?<=/)\*")    # (1, *shape), train/CLASS/*


def plain(lines: list[str]) -> list[str]:
    """The lines of a docstring, with what is indented outside a section as it stands."""
    made, mode, before = [], "", ""
    for line in lines:
        if line.strip() and not line.startswith("    "):
            made += [""] if mode == "literal" and made[-1].strip() else []
            mode, before = "", line.strip()
        elif line.strip() and not mode:
            mode = "section" if before in SECTIONS else "literal"
            made += ["", ".. code-block:: text", ""] if mode == "literal" else []
        made.append(line if mode == "literal" else LONE.sub(r"\\*", line))
    return made


def signature(made: type) -> str:
    """What a class takes, where autodoc sees no more than its metaclass's *args: that of a widget."""
    taken = inspect.signature(made.__init__)
    return stringify_signature(taken.replace(parameters=[*taken.parameters.values()][1:],
                                             return_annotation=inspect.Signature.empty), unqualified_typehints=True)
