"""JupyterLab in a real browser: finds the browser, serves a copy of the notebooks, opens one, runs it, asks its kernel.

What a panel should do is in the tests, how fast it does it in benchmarks/live_panel.py; both drive it through this.
"""

import ast
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
from collections.abc import Iterator, Mapping, Sequence
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
NOTEBOOK = "window.jupyterapp?.shell?.currentWidget"


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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}{prefix.rstrip('/')}"
        if prefix:
            flags = [*flags, f"--{'Voila' if module == 'voila' else 'ServerApp'}.base_url={prefix}"]
        paths = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
                 "IPYTHONDIR": "ipython", "KDLAB_CACHE": "cache", "MPLCONFIGDIR": "matplotlib"}
        env = os.environ | {name: str(place / folder) for name, folder in paths.items()}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._log = open(place / "server.log", "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *(flag.format(place=place) for flag in flags), "--no-browser",
             f"--port={port}"],
            env=env, stdout=self._log, stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.close()
                    raise RuntimeError(f"{module} did not start:\n{(place / 'server.log').read_text()}") from None
                time.sleep(0.2)

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


@contextlib.contextmanager
def browser(executable: str, profile: Path, *flags: str) -> Iterator:
    """A browser with a profile of its own, as playwright's context; while it is open no other asyncio loop can run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=executable, headless=True, args=[*FLAGS, *flags],
            viewport={"width": 1280, "height": 900},
        )
        context.set_default_timeout(30_000)
        try:
            yield context
        finally:
            context.close()


class Notebook:
    """A notebook that is open in JupyterLab, with its kernel.

    Args:
        context: what `browser` gives.
        server: the Server.
        source: the sources of its code cells, or a notebook's path in the server.
        under: what opens it: "lab/tree", or "notebooks" for Notebook 7.

    Attributes:
        page: playwright's page.
        errors: what JavaScript threw and nobody caught, and what was logged as an error about a widget.
    """

    def __init__(self, context, server: Server, source: Sequence[str] | str, *, under: str = "lab/tree"):
        path = source if isinstance(source, str) else server.write(source)
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._logged)
        self.page.goto(f"{server.url}/{under}/{path}?reset")
        self._wait_for_kernel()
        if under == "lab/tree":
            self.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")

    def _logged(self, message) -> None:
        if message.type == "error" and any(word in message.text.lower() for word in ("anywidget", "widget", "kd-")):
            self.errors.append(message.text)

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_function(
            f"{NOTEBOOK}?.sessionContext?.isReady && ['idle', 'busy'].includes("
            f"{NOTEBOOK}.sessionContext.session?.kernel?.status)", timeout=60_000)

    def run_all(self, timeout: float = 120.0) -> None:
        """Runs all cells and waits until the last one has an execution number.

        Raises:
            AssertionError: a cell raised, with what it said.
        """
        self.start_all()
        self.wait_all(timeout)

    def start_all(self) -> None:
        """Runs all cells, and does not wait for them."""
        self.page.evaluate(f"""() => {{
            for (const cell of {NOTEBOOK}.content.widgets)
                if (cell.model.type === 'code') cell.model.clearExecution();
            window.jupyterapp.commands.execute('notebook:run-all-cells');
        }}""")

    def wait_all(self, timeout: float = 120.0) -> None:
        """Waits until every cell with code has an execution number, or one has raised."""
        self.page.wait_for_function(f"""() => {{
            const models = {NOTEBOOK}.content.widgets.map(c => c.model).filter(m => m.type === 'code');
            const cells = models.filter(m => m.sharedModel.getSource().trim());
            const raised = m => m.outputs.toJSON().some(o => o.output_type === 'error');
            return cells.every(m => m.executionCount) || cells.some(raised);
        }}""", timeout=1000 * timeout)
        raised = self.page.evaluate(f"""() => {NOTEBOOK}.content.widgets
            .filter(c => c.model.type === 'code').flatMap(c => c.model.outputs.toJSON())
            .filter(o => o.output_type === 'error').map(o => o.ename + ': ' + o.evalue)""")
        assert not raised, raised

    def add(self, code: str) -> int:
        """Adds a cell at the end, runs it as a person would, and waits for its number; returns its place."""
        place = self.start(code)
        self.wait(place)
        return place

    def start(self, code: str) -> int:
        """Adds a cell at the end and runs it, without waiting; returns its place."""
        return self.page.evaluate(f"""code => {{
            const content = {NOTEBOOK}.content, model = content.model.sharedModel;
            model.insertCell(model.cells.length, {{cell_type: 'code', source: code}});
            const place = model.cells.length - 1;
            content.deselectAll();
            content.activeCellIndex = place;
            window.jupyterapp.commands.execute('notebook:run-cell');
            return place;
        }}""", code)

    def again(self, place: int) -> None:
        """Runs the cell at this place again, and waits for it."""
        self.page.evaluate(f"""place => {{
            const content = {NOTEBOOK}.content;
            content.widgets[place].model.clearExecution();
            content.deselectAll();
            content.activeCellIndex = place;
            window.jupyterapp.commands.execute('notebook:run-cell');
        }}""", place)
        self.wait(place)

    def wait(self, place: int) -> None:
        """Waits until the cell at this place has an execution number."""
        self.page.wait_for_function(f"place => {NOTEBOOK}.content.widgets[place]?.model.executionCount", arg=place)

    def finished(self, place: int) -> bool:
        """Whether the cell at this place has an execution number."""
        return bool(self.page.evaluate(f"place => {NOTEBOOK}.content.widgets[place].model.executionCount", place))

    def text(self, place: int) -> str:
        """What the cell at this place printed, and the message of what it raised."""
        outputs = self.page.evaluate(f"place => {NOTEBOOK}.content.widgets[place].model.outputs.toJSON()", place)
        return "".join(
            "".join(o["text"]) if o["output_type"] == "stream" else f"{o['ename']}: {o['evalue']}"
            for o in outputs if o["output_type"] in ("stream", "error"))

    def ask(self, expression: str):
        """The value of an expression in the kernel, as a Python literal; no cell, nothing scrolls.

        Raises:
            AssertionError: the expression raised.
        """
        said = self.page.evaluate(f"""async expression => {{
            const kernel = {NOTEBOOK}.sessionContext.session.kernel;
            const asked = {{value: `(${{expression}})`}};
            const future = kernel.requestExecute({{code: '', user_expressions: asked, store_history: false}});
            const reply = await future.done;
            const value = reply.content.user_expressions.value;
            if (value.status === 'ok') return {{ok: value.data['text/plain']}};
            return {{error: `${{value.ename}}: ${{value.evalue}}`}};
        }}""", expression)
        assert "ok" in said, f"{expression} raised {said['error']}"
        return ast.literal_eval(said["ok"])

    def until(self, expression: str, timeout: float = 15.0):
        """Asks until the value is true, and returns it.

        Raises:
            AssertionError: it was not, in that time.
        """
        end = time.monotonic() + timeout
        while not (value := self.ask(expression)):
            assert time.monotonic() < end, f"{expression} is still {value!r} after {timeout:g} s"
            self.page.wait_for_timeout(50)
        return value

    def restart(self) -> None:
        """Restarts the kernel, and waits until it is there."""
        self.page.evaluate(f"{NOTEBOOK}.sessionContext.restartKernel()")
        self._wait_for_kernel()
        assert self.ask("'kdlab' in globals()") is False

    def show(self, words: str) -> None:
        """Scrolls to the first cell whose source contains these words."""
        self.page.evaluate(f"""words => {{
            const content = {NOTEBOOK}.content;
            const place = content.widgets.findIndex(c => c.model.sharedModel.getSource().includes(words));
            if (place < 0) throw new Error('no cell contains ' + words);
            content.activeCellIndex = place;
            content.scrollToItem(place, 'start');
        }}""", words)

    def photograph(self, name: str, selector: str | None = None) -> Path:
        """Writes build/screenshots/NAME.png: of the first element that fits the selector, or of the window."""
        path = ROOT / "build" / "screenshots" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.page.locator(selector).first if selector else self.page).screenshot(path=str(path))
        return path

    def close(self) -> None:
        """Ends the kernel and closes the page."""
        with contextlib.suppress(Exception):  # a page that has crashed has nothing to end
            self.page.evaluate(f"{NOTEBOOK}.sessionContext.shutdown()")
        self.page.close()
