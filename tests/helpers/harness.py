"""JupyterLab and a real browser: finds the browser, opens it, and serves a copy of the notebooks; see pages.py.

What a panel should do is in the tests, how fast it does it in benchmarks/live_panel.py; both drive it through this.
"""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
HOW_TO_GET_ONE = (
    "no browser for these tests: install Chromium or Chrome (Debian, Ubuntu: apt-get install chromium), "
    "or run `python -m playwright install chromium`"
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
# A user's settings cannot reach these runs, and none of Lab's questions stands in front of a panel.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
LAB = (
    "--ServerApp.root_dir={place} --ip=127.0.0.1 --ServerApp.port_retries=0 --ServerApp.allow_root=True "
    "--IdentityProvider.token= --LabApp.expose_app_in_browser=True --JupyterNotebookApp.expose_app_in_browser=True"
).split()
PATIENCE = 120  # seconds, for whatever a busy machine does late


def find_browser() -> str | None:
    """The path of the first browser there is: installed ones first, then playwright's own download; None without."""
    found = next(filter(None, map(shutil.which, NAMES)), None) or next(filter(os.path.isfile, PLACES), None)
    if found:
        return found
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.path.isfile(own) else None


def free() -> int:
    """A port that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A JupyterLab of this Python on a free port, with copies of notebooks/ and results/, its own settings and cache.

    Args:
        place: an empty folder; everything that the server reads or writes lies in it.
        module, flags: another server and its own flags, where `{place}` stands for the folder.
        prefix: what stands before each of its addresses, as on a hub, such as "/user/ana%20maria/".
        settings: the user's own.
    """

    def __init__(
        self, place: Path, module: str = "jupyterlab", flags: Sequence[str] = LAB, *, prefix: str = "",
        settings: Mapping[str, dict] = SETTINGS,
    ):
        self.place, self._numbers = place, itertools.count()
        shutil.copytree(ROOT / "notebooks", place / "notebooks", ignore=shutil.ignore_patterns(".*"))
        shutil.copytree(ROOT / "results", place / "results")
        for name, values in settings.items():
            file = place / "config" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        app = "Voila" if module == "voila" else "ServerApp"
        if not any("port_retries" in flag for flag in flags):
            flags = [*flags, f"--{app}.port_retries=0"]  # on another port it would not be found
        if prefix:
            flags = [*flags, f"--{app}.base_url={prefix}"]
        paths = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
                 "IPYTHONDIR": "ipython", "KDLAB_CACHE": "cache", "MPLCONFIGDIR": "matplotlib"}
        env = os.environ | {name: str(place / folder) for name, folder in paths.items()}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", module, *(flag.format(place=place) for flag in flags), "--no-browser"]
        for left in (2, 1, 0):  # a port that is free now may be another process's once the server takes it
            port = free()
            self.url = f"http://127.0.0.1:{port}{prefix.rstrip('/')}"
            self._log = open(place / "server.log", "w")
            self.process = subprocess.Popen([*command, f"--port={port}"], env=env, stdout=self._log, stderr=self._log)
            if self._answers():
                return
            self.close()
            said = (place / "server.log").read_text()
            if "in use" not in said or not left:
                raise RuntimeError(f"{module} did not start:\n{said}")

    def _answers(self) -> bool:
        """Waits until it does, or has ended, or its time is over."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/", timeout=5).close()
                return True
            time.sleep(0.2)
        return False

    def write(self, cells: Sequence[str]) -> str:
        """Writes a notebook of code cells; returns its path in the server."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = f"notebooks/cells-{next(self._numbers)}.ipynb"
        nbformat.write(notebook, self.place / path)
        return path

    def lesson(self, name: str, parameters: dict) -> str:
        """Sets parameters in the copy of one of the workbook's notebooks; returns its path in the server."""
        path = f"notebooks/{name}.ipynb"
        notebook = nbformat.read(self.place / path, 4)
        cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
        nbformat.write(notebook, self.place / path)
        return path

    def close(self) -> None:
        """Ends the server and its kernels."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()


def eventually(claim: Callable[[], object], otherwise: str = "what was waited for has not come") -> object:
    """Asks until the answer is true, and returns it: what another process or thread brings may come late.

    Raises:
        AssertionError: it was not, in PATIENCE seconds.
    """
    end = time.monotonic() + PATIENCE
    while not (value := claim()):
        assert time.monotonic() < end, f"{otherwise}: {value!r} after {PATIENCE} s"
        time.sleep(0.05)
    return value


@contextlib.contextmanager
def browser(executable: str, profile: Path, *flags: str) -> Iterator:
    """A browser with a profile of its own, as playwright's context; while it is open no other asyncio loop can run.

    SLOW_PAGES=8 in the environment makes pages so many times as slow, and tests must hold all the same.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=executable, headless=True, args=[*FLAGS, *flags],
            viewport={"width": 1280, "height": 900},
        )
        context.set_default_timeout(1000 * PATIENCE)
        if (rate := float(os.environ.get("SLOW_PAGES", 1))) > 1:
            opened = context.new_page
            context.new_page = lambda: _slowed(context, opened(), rate)
        try:
            yield context
        finally:
            context.close()


def _slowed(context, page, rate: float):
    """The same page, whose scripts take this many times as long."""
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})
    return page
