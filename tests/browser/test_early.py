"""The page of the notebook that `make lab` opens joins the kernel that is there already, and starts no other."""

import json
import urllib.request

import harness
import pytest

PATH = "notebooks/00_start_here.ipynb"


@pytest.fixture
def begun(tmp_path):
    """JupyterLab as `make lab` starts it."""
    early = "--ServerApp.jpserver_extensions=workbook.early=True"
    server = harness.Server(tmp_path, flags=[*harness.LAB, early, f"{{place}}/{PATH}"])
    yield server
    server.close()


def test_the_page_joins_the_kernel_that_is_there(context, begun):
    notebook = harness.Notebook(context, begun, PATH)
    assert notebook.until("'torch' in __import__('sys').modules")
    with urllib.request.urlopen(f"{begun.url}/api/sessions") as reply:
        [session] = json.load(reply)
    kernel = notebook.page.evaluate(f"{harness.NOTEBOOK}.sessionContext.session.kernel.id")
    assert session["kernel"]["id"] == kernel and session["path"] == PATH
    notebook.close()
