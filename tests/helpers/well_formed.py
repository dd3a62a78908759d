"""A tiny notebook that keeps the workbook's template, for tests that run it or break it on purpose.

It needs no torch, so that a kernel starts in a second.
"""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

QUESTION = "<details><summary>{}</summary>An answer.</details>"

PARAMETERS = """seed: int = 0  # >= 0
alpha: float = 1.0  # 0.0 .. 1.0
temperature: float = 4.0  # > 0.0: how soft
dataset: str = "digits"  # "digits" or text: such as folder:PATH"""

SETUP = """from workbook import parameters; parameters.check(globals())
import random
random.seed(seed)"""

STUB = """def double(x):
    return None  # your line here"""

CHECK = """answer = double(21)
right = "✓ double(21) is 42" if answer == 42 else "✗ double(21) must be 42"
print("not attempted" if answer is None else right)"""

SOLUTION = """<details><summary>Solution</summary>

```python
def double(x):
    return 2 * x
```
</details>"""


def notebook(before: str = "", after: str = "") -> NotebookNode:
    """The notebook, not yet executed.

    Args:
        before, after: file names of the neighbours that its title links to; "" where there is none.
    """
    links = " · ".join(f"[{name}]({name})" for name in (before, after) if name)
    cells = [
        new_markdown_cell(f"# A title\n\nOne sentence. 1 min on 2 cores. {links} · [all](../README.md)"),
        new_markdown_cell("## What you will be able to do\n\n- one\n- two\n- three"),
        _code(PARAMETERS, "parameters"),
        new_code_cell(SETUP),
        _code('def environment():\n    print("Python")\n\n\nenvironment()', "nbval-ignore-output"),
        new_markdown_cell("**Predict.** Which is larger? (a) this, (b) that"),
        new_code_cell("f'{alpha * temperature:g}'", metadata={"jupyter": {"outputs_hidden": True}}),
        new_markdown_cell("<details><summary>Explain</summary>\n\nIt is a product.\n</details>"),
        new_markdown_cell("## Exercise (1 min, easy)\n\nDouble a number."),
        _code(STUB, "exercise"),
        _code(CHECK, "check"),
        new_markdown_cell(SOLUTION, metadata={"tags": ["solution"]}),
        new_markdown_cell("## What you have seen\n\n" + "\n\n".join(map(QUESTION.format, ("One?", "Two?", "Three?")))),
        new_code_cell('print("alpha times temperature is a number:", isinstance(alpha * temperature, float))'),
        new_markdown_cell("### References\n\nHinton et al. 2015, arXiv:1503.02531"),
    ]
    cells[0].metadata["slideshow"] = {"slide_type": "slide"}
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=cells)


def _code(source: str, tag: str) -> NotebookNode:
    return new_code_cell(source, metadata={"tags": [tag]})
