"""A notebook that is open in a browser: runs its cells as a person would, and asks its kernel."""

import ast
import contextlib
from collections.abc import Sequence
from pathlib import Path

from harness import ROOT, Server, eventually

NOTEBOOK = "window.jupyterapp?.shell?.currentWidget"


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
            f"{NOTEBOOK}.sessionContext.session?.kernel?.status)")

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

    def until(self, expression: str):
        """Asks until the value is true, and returns it; AssertionError: it was not, in harness.PATIENCE seconds."""
        return eventually(lambda: self.ask(expression), expression)

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
