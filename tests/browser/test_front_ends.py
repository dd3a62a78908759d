"""Where else the workbook opens: JupyterLab and Notebook 7 as a hub's user with a space in the name has them."""

import shutil

import harness
import pages
import pytest
from playwright.sync_api import expect

PREFIX = "/user/ana%20maria/"
CELLS = [
    "import torch; from workbook import panels\n"
    "explorer = panels.explorer(torch.eye(3), torch.zeros(3, 1, 8, 8, dtype=torch.uint8), 'abc')\nexplorer",
    "panels.missing_class(lambda left_out, T: iter([(1, {'alone': [0.5] * 3})]), 'abc')",
]
FRONT_ENDS = ["lab/tree", "notebooks"]
# Notebook 7's own as it starts: a setting and, where it is slow, a command that its other part has not brought yet
THEIRS = ("(reading 'schema')", "Command 'filebrowser:open-path' not registered")
LESSON = "notebooks/00_start_here.ipynb"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """One server for both front ends, and a notebook whose panels they open."""
    server = harness.Server(tmp_path_factory.mktemp("hub"), prefix=PREFIX)
    shutil.copy(harness.ROOT / "README.md", server.place)
    yield server, server.write(CELLS)
    server.close()


@pytest.mark.parametrize("under", FRONT_ENDS)
def test_panels_answer_under_a_prefix_with_a_space(context, hub, under):
    notebook = pages.Notebook(context, *hub, under=under)
    page = notebook.page
    notebook.run_all()
    heat, bits = page.locator(".kd-explorer-temperature"), page.locator(".kd-explorer-entropy")
    before, was = bits.inner_text(), notebook.ask("explorer.temperature")
    heat.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.kd-explorer-entropy').innerText !== before", arg=before)
    assert notebook.until(f"explorer.temperature > {was}")
    warmth = page.locator(".kd-missing-temperature")
    told = warmth.locator(".widget-readout").inner_text()
    warmth.locator(".noUi-handle").press("ArrowRight")
    expect(warmth.locator(".widget-readout")).not_to_have_text(told)
    page.locator(".kd-missing-go").click()
    page.locator(".kd-missing-message", has_text="finished after step 1").wait_for()
    harness.eventually(lambda: page.locator(".kd-missing-picture").evaluate("picture => picture.naturalWidth") > 100)
    assert [said for said in notebook.errors if not any(theirs in said for theirs in THEIRS)] == []
    notebook.photograph(f"prefix-{under.partition('/')[0]}")
    page.close()  # the kernel stays for the other front end


@pytest.mark.parametrize("under", FRONT_ENDS)
def test_a_notebooks_links_open_its_neighbour_and_in_jupyterlab_readme_as_a_page(context, hub, under):
    notebook = pages.Notebook(context, hub[0], LESSON, under=under)
    shown = {"01 ": ".jp-Notebook h1:has-text('teacher')"}
    shown |= {"all notebooks": ".jp-MarkdownViewer h2"} if under == "lab/tree" else {}
    for words, place in shown.items():
        anchor = notebook.page.locator(f'.jp-RenderedMarkdown a:has-text("{words}")').first
        anchor.wait_for()
        if under == "notebooks":
            with context.expect_page() as opened:
                anchor.click()
            opened.value.locator(place).first.wait_for()
            assert PREFIX in opened.value.url
            opened.value.close()
        else:
            anchor.click()
            notebook.page.locator(place).first.wait_for()
            notebook.page.evaluate(f"{pages.NOTEBOOK}.close()")
    notebook.page.close()
