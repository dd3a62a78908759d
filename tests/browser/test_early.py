"""`make lab`: the page joins the kernel that is there already, asks nothing, and leaves the notebook as it was."""

import json
import urllib.request

import harness
import pages
import pytest

PATH = "notebooks/00_start_here.ipynb"
ASKED = ".Toastify__toast, .jp-Dialog"


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """JupyterLab as `make lab` starts it, for a user who has set nothing."""
    flags = [*harness.LAB, "--ServerApp.jpserver_extensions=workbook.early=True", f"{{place}}/{PATH}"]
    server = harness.Server(tmp_path_factory.mktemp("lab"), flags=flags, settings={})
    yield server
    server.close()


@pytest.fixture(scope="module")
def notebook(context, begun):
    notebook = pages.Notebook(context, begun, PATH)
    yield notebook
    notebook.close()


def test_the_page_joins_the_kernel_that_is_there(notebook, begun):
    assert notebook.until("'torch' in __import__('sys').modules")
    with urllib.request.urlopen(f"{begun.url}/api/sessions") as reply:
        [session] = json.load(reply)
    kernel = notebook.page.evaluate(f"{pages.NOTEBOOK}.sessionContext.session.kernel.id")
    assert session["kernel"]["id"] == kernel and session["path"] == PATH


def test_a_class_is_asked_nothing_and_finds_no_unsaved_changes(notebook, begun):
    page, before = notebook.page, (harness.ROOT / PATH).read_bytes()
    page.evaluate("window.jupyterapp.restored")
    page.evaluate(f"{pages.NOTEBOOK}.sessionContext.session.kernel.info")
    page.wait_for_timeout(500)
    assert page.locator(ASKED).all_inner_texts() == []
    assert page.locator(".lm-TabBar-tab.jp-mod-current").first.is_visible()
    assert not page.locator(".jp-mod-dirty").count()
    notebook.photograph("make-lab")
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    assert (begun.place / PATH).read_bytes() == before, "saving the notebook that nobody changed changed its file"
    page.evaluate(f"{pages.NOTEBOOK}.content.model.sharedModel.setMetadata('mark', 1)")
    page.locator(".jp-mod-dirty").first.wait_for()  # that is how it would look
