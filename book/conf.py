"""How Sphinx makes the book of what `stage.py` laid out: themes, outputs as committed, formulas and search without a
network, and the docstrings of both packages.

`python book/build.py` runs it; by hand, behind that: python -m sphinx -b html -c book build/book-source build/book
"""

import importlib.util
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from docstrings import plain, signature  # noqa: E402
from words import Words  # noqa: E402

MATHJAX = Path(importlib.util.find_spec("jupyter_server_mathjax").origin).parent / "static"
# of its 12 MB what a page asks for
PARTS = ("MathJax.js", "LICENSE", "config", "extensions", "jax/element", "jax/input", "jax/output/HTML-CSS", "fonts")

project = html_title = "Knowledge distillation"
author = "the workbook's authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = []
language = "en"

# Markdown as Jupyter reads it: formulas between dollars, and none of MyST's own signs within prose
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target", "myst_role"]
myst_heading_anchors = 4
myst_update_mathjax = False
# a notebook may begin an aside one level deeper; two rooms may have a class of one name
suppress_warnings = ["myst.header", "ref.python"]

# notebooks as they were committed; a widget is its picture
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"    # a card that a cell shows may have tables
nb_mime_priority_overrides = [("html", "image/png", 1), ("html", "image/svg+xml", 2)]
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"

# docstrings: what stands between backticks is code, and a link where it names something documented
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False    # not those of torch.nn.Module
autodoc_preserve_defaults = True
autodoc_mock_imports = ["flwr"]    # it has an environment of its own
add_module_names = False
python_use_unqualified_type_names = True
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = [str(HERE / "static")]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_copy_source = False
html_search_language = Words.lang
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c9e", "color-brand-content": "#0b5c9e"},
    "dark_css_variables": {"color-brand-primary": "#7cb8ee", "color-brand-content": "#7cb8ee"},
}
mathjax_path = "mathjax/MathJax.js"
mathjax2_config = {
    "config": ["TeX-AMS-MML_HTMLorMML-full.js"],
    "jax": ["input/TeX", "output/HTML-CSS"],
    "tex2jax": {"inlineMath": [["\\(", "\\)"]], "processClass": "math", "ignoreClass": "document"},
    "HTML-CSS": {"availableFonts": [], "preferredFont": None, "webFont": "STIX-Web", "imageFont": None,
                 "styles": {"@font-face": {"font-family": "MathJax_Blank", "src": "local('MathJax_Blank')"}}},
    "menuSettings": {"assistiveMML": False, "explorer": False, "collapsible": False},
    "messageStyle": "none",
    "showMathMenu": False,
}


def copy_mathjax(app, error):
    """MathJax beside the pages, from the installed package."""
    for part in () if error else PARTS:
        source, target = MATHJAX / part, Path(app.outdir) / "_static" / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("a11y"))
        else:
            shutil.copy2(source, target)


def read_docstring(app, what, name, obj, options, lines):
    lines[:] = plain(lines)


def read_signature(app, what, name, obj, options, said, returns):
    return (signature(obj), None) if what == "class" and (said or "").startswith("(*args: ") else None


def name_language(app, pagename, templatename, context, doctree):
    """What is Chinese says so, to a screen reader and to what chooses the glyphs."""
    if pagename.startswith("notebooks/zh/"):
        context["language"] = "zh-CN"


def setup(app):
    app.add_search_language(Words)
    app.connect("html-page-context", name_language)
    app.connect("build-finished", copy_mathjax)
    app.connect("autodoc-process-docstring", read_docstring, priority=100)
    app.connect("autodoc-process-signature", read_signature)
