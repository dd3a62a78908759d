"""Where no widget is shown (GitHub, VS Code before a run, nbconvert) a panel of a committed notebook is its picture."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PANEL = re.compile(r"\bpanels\.(?!prediction\b)\w+\(")
VIEW = "application/vnd.jupyter.widget-view+json"


def shown(path):
    """The outputs of its cells with a panel."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" and PANEL.search(cell.source)]
    return [[output for output in cell.outputs if "data" in output] for cell in cells]


WITH_PANELS = [path for path in NOTEBOOKS if shown(path)]


def test_these_are_the_notebooks_with_panels():
    assert [path.stem[:2] for path in WITH_PANELS] == ["02", "03", "04", "11", "21"]


@pytest.mark.parametrize("path", WITH_PANELS, ids=lambda path: path.stem)
def test_a_page_of_the_committed_notebook_holds_the_picture_of_every_panel(path):
    outputs = shown(path)
    assert all(any("image/png" in output.data and VIEW not in output.data for output in cell) for cell in outputs)
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell("", outputs=cell) for cell in outputs]))
    soup = BeautifulSoup(page, "html.parser")
    pictures = [picture["src"] for picture in soup.select(".jp-OutputArea-output img")]
    assert len(pictures) == len(outputs) and all(src.startswith("data:image/png;base64,") for src in pictures)
