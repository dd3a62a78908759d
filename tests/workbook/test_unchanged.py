"""The Python version is in what pages get and not in what they save, where the file holds none."""

import asyncio
import copy
import json
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager, FileContentsManager

from workbook import unchanged

ROOT = Path(__file__).parents[2]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@pytest.fixture(params=[AsyncFileContentsManager, FileContentsManager])
def contents(request, tmp_path):
    """jupyter_server's contents manager, asked and watched, as one that waits or as one that does not."""
    manager = request.param(root_dir=str(tmp_path))
    unchanged.watch(manager)
    return manager


def said(answer):
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def write(contents, **metadata):
    notebook = nbformat.v4.new_notebook(metadata=metadata, cells=[nbformat.v4.new_markdown_cell("words", id="one")])
    file = f"{contents.root_dir}/a.ipynb"
    nbformat.write(notebook, file)
    return lambda: json.load(open(file))["metadata"]


def test_a_page_gets_what_its_kernel_will_tell_and_the_file_stays_without(contents):
    kept = write(contents, kernelspec=KERNEL, language_info={"name": "python"})
    for _ in "ab":
        model = said(contents.get("a.ipynb"))
        assert model["content"]["metadata"]["language_info"] == {"name": "python", "version": unchanged.VERSION}
        for _ in "cd":  # saved twice without being read between
            said(contents.save({"type": "notebook", "content": copy.deepcopy(model["content"])}, "a.ipynb"))
            assert kept()["language_info"] == {"name": "python"}


def test_a_hidden_output_is_told_once_and_another_stays(contents):
    write(contents, kernelspec=KERNEL, language_info={"name": "python"})
    content = said(contents.get("a.ipynb"))["content"]
    both, one = {"jupyter": {"outputs_hidden": True}, "collapsed": True}, {"collapsed": True}
    content["cells"] = [nbformat.v4.new_code_cell(id=name, metadata=held) for name, held in (("a", both), ("b", one))]
    said(contents.save({"type": "notebook", "content": content}, "a.ipynb"))
    told = [cell["metadata"] for cell in said(contents.get("a.ipynb"))["content"]["cells"]]
    assert told == [{"jupyter": {"outputs_hidden": True}, "trusted": True}, one | {"trusted": True}]


@pytest.mark.parametrize("metadata", [
    {"kernelspec": KERNEL, "language_info": {"name": "python", "version": "3.0.1"}},
    {"kernelspec": KERNEL | {"name": "another"}, "language_info": {"name": "python"}},
    {"kernelspec": KERNEL},
    {},
])
def test_another_notebook_is_left_as_it_is(contents, metadata):
    kept = write(contents, **metadata)
    model = said(contents.get("a.ipynb"))
    assert model["content"]["metadata"] == metadata
    model["content"]["metadata"]["language_info"] = {"name": "python", "version": "3.9"}
    said(contents.save({"type": "notebook", "content": model["content"]}, "a.ipynb"))
    assert kept()["language_info"]["version"] == "3.9"


def test_folders_files_and_notebooks_without_content_come_as_they_are(contents):
    write(contents)
    said(contents.new({"type": "file", "format": "text"}, "b.txt"))
    assert said(contents.get("a.ipynb", content=False))["content"] is None
    assert said(contents.get("b.txt"))["content"] == "" and len(said(contents.get(""))["content"]) == 2


def test_the_version_is_all_that_the_workbooks_notebooks_lack_of_what_a_kernel_tells():
    told = IPythonKernel.language_info | {"version": unchanged.VERSION}
    assert told == IPythonKernel.language_info and sys.version.startswith(unchanged.VERSION)
    spec = get_kernel_dict()
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        metadata = json.loads(file.read_text())["metadata"]
        assert metadata["language_info"] | {"version": unchanged.VERSION} == told, file.name
        assert metadata["kernelspec"] == {"name": "python3"} | {key: spec[key] for key in ("display_name", "language")}
