"""The dashboard for a lecture (`make dashboard`): voila shows notebook 02 without its code, and the explorer answers."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from harness import ROOT

PATIENCE = 240_000  # ms: voila runs the whole notebook before it shows the page


@pytest.fixture
def url(tmp_path):
    """voila's address of notebook 02, with fewer pictures and steps."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip("voila is not installed: make dashboard")
    name = "02_soft_targets.ipynb"
    notebook = nbformat.read(ROOT / "notebooks" / name, 4)
    next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])).source += "\npictures, steps = 1000, 100"
    nbformat.write(notebook, tmp_path / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    env = os.environ | {"TQDM_DISABLE": "1", "KDLAB_CACHE": str(tmp_path / "cache"), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "voila", str(tmp_path), "--no-browser", f"--port={address.rpartition(':')[2]}",
               "--ExecutePreprocessor.timeout=600"]
    with open(tmp_path / "voila.log", "w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    said = (tmp_path / "voila.log").read_text()
                    assert process.poll() is None and time.monotonic() < end, f"voila did not start:\n{said}"
                    time.sleep(0.2)
            yield f"{address}/voila/render/{name}"
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_voila_shows_the_explorer_without_code(context, url):
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, timeout=PATIENCE)
    slider, bits = page.locator(".kd-explorer-temperature"), page.locator(".kd-explorer-entropy")
    slider.wait_for(timeout=PATIENCE)
    before = bits.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.kd-explorer-entropy').innerText !== before", arg=before)
    assert not page.get_by_text("live.explorer(").count(), "the code is shown"
    assert not page.get_by_text("model not found").count() and not errors
    page.close()
