"""One notebook, executed by papermill in a folder of its own, on whatever machine this is called.

Which notebooks, where and how often is left to workbook/scale/grid.py.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import papermill

from workbook.kernels import ThisPython, retried


def execute(notebook: str, values: dict, files: dict[str, bytes], starting: Callable[[], None] = lambda: None) -> dict:
    """Executes one of the files, a notebook, in a new folder that holds nothing but them.

    Args:
        notebook, files: what the files hold, by their places in the folder; the notebook's place.
        values: for its parameters.
        starting: called before each start of a kernel.

    Returns:
        took_seconds; said, what was printed last; traceback, "" where nothing failed; recorded, the JSON objects that
        were shown, as one; copy, the executed notebook's text, which has outputs up to the cell that failed.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of names whose comment holds a ":" or "="
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place, copy = Path(folder, "files", notebook), Path(folder, "copy.ipynb")
        for name, content in files.items():
            to = Path(folder, "files", name)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
        options = dict(kernel_name="python3", language="python", kernel_manager_class=ThisPython, progress_bar=False)
        options |= dict(store_widget_state=False, coalesce_streams=True)
        options |= dict(resources={"metadata": {"path": str(place.parent)}})  # its folder; cwd= would move the worker
        fault = None
        try:
            retried(lambda: papermill.execute_notebook(place, copy, values, **options), lambda died: starting())
        except Exception as error:  # whatever a notebook does is told, and ends nothing else
            fault = error
        text = (copy if copy.is_file() else place).read_text(encoding="utf-8")
    recorded, said = {}, ""
    for cell in nbformat.reads(text, 4).cells:
        for output in cell.get("outputs", ()):
            said = output.text.strip() if output.get("name") == "stdout" else said
            shown = output.get("data", {}).get("application/json")
            recorded |= shown if isinstance(shown, dict) else {}
    traceback = f"{type(fault).__name__}: {fault}" if fault else ""
    if isinstance(fault, papermill.PapermillExecutionError):
        traceback = f"{fault.ename}: {fault.evalue}\n{fault}"
    took = time.perf_counter() - begun
    return dict(took_seconds=took, said=said, traceback=traceback.strip(), recorded=recorded, copy=text)
