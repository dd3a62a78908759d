"""A question in JupyterLab: its answer waits, collapsed, and comes back to what the reader chose."""

import nbformat
import pytest
from pages import Notebook

ASK = "from workbook import panels\nguess = panels.prediction('abc')\nguess"
RUN = "guess.answer('b')"
HIDDEN = """place => window.jupyterapp.shell.currentWidget.content.widgets[place].outputHidden"""


@pytest.fixture(scope="module")
def opened(context, server, lab):
    """A notebook as committed: executed by nobody, the answer among its outputs."""
    path = server.write([ASK, RUN])
    committed = nbformat.read(server.place / path, 4)
    committed.cells[1].metadata = {"jupyter": {"outputs_hidden": True}}
    committed.cells[1].outputs = [nbformat.v4.new_output("stream", text=" \nIt is (b).\n")]
    nbformat.write(committed, server.place / path)
    notebook = Notebook(context, server, path)
    lab.opened.append(notebook)
    return notebook


def test_an_answer_waits_until_its_cell_is_run_and_names_what_was_chosen(opened):
    assert opened.page.evaluate(HIDDEN, 1)
    assert "It is" not in opened.page.locator(".jp-Notebook").inner_text()
    opened.again(0)
    opened.page.locator(".kd-prediction-choice button", has_text="(c)").click()
    opened.until("guess.value == 'c'")
    opened.again(1)
    assert not opened.page.evaluate(HIDDEN, 1)
    assert opened.text(1).splitlines()[1] == "You predicted (c). It is (b)."


def test_a_letter_typed_on_a_button_stays_there(opened):
    button = opened.page.locator(".kd-prediction-choice button", has_text="(a)")
    button.focus()
    button.press("b")  # which in JupyterLab's command mode inserts a cell
    button.press("Enter")
    opened.until("guess.value == 'a'")
    assert opened.page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets.length") == 2
