"""From `make lab` to the first trained student on the page: what a person waits for, in a browser, with its parts.

The environment is set up, and the browser is open, with a fresh profile. `make lab` starts on a free port; as soon as
the server answers, the browser opens the address that `make lab` opens; as soon as the notebook's kernel answers,
Shift-Enter is pressed for each cell of 00 up to the one that distils a student. Nothing is saved. The first student
learns from labels, in one cell with its teacher; the distilled one follows.

    python benchmarks/first_student.py [--short] [--rounds 3]      --short does it once

Where this may be done (Linux, as root) one more round comes first, "cold": with no file in the system's memory.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from provenance import ROOT, write
from turns import figure, show

sys.path.insert(0, str(ROOT / "tests" / "helpers"))
import harness  # noqa: E402
import pages  # noqa: E402

LESSON = "notebooks/00_start_here.ipynb"
PATIENCE = 120  # seconds for each part
# Each part ends where its cell has a number, and its picture is drawn where it has one. They are found by their words.
CELLS = {
    "imports": "import torch",
    "the digits, shown": "data.load(",
    "a student alone and its teacher trained": "finish(train(",
    "a student distilled": "finish(distil(",
}
PARTS = ["the server answers", "the notebook is shown", "its kernel answers", *CELLS]
FIRST, DISTILLED = "make lab to the first student on the page", "make lab to the distilled student"
DROP = Path("/proc/sys/vm/drop_caches")
# A save would change the notebook that is measured.
SETTINGS = harness.SETTINGS | {"@jupyterlab/docmanager-extension/plugin": {"autosave": False}}
CELL = f"{pages.NOTEBOOK}.content.widgets[place]"
DONE = f"""place => {CELL}.model.executionCount && {CELL}.model.outputs.toJSON().every(output =>
    !output.data?.['image/png'] || [...{CELL}.node.querySelectorAll('.jp-OutputArea-output img')].some(
        image => image.complete && image.naturalWidth))"""


@contextlib.contextmanager
def lab(place: Path) -> Iterator[tuple[str, str]]:
    """`make lab` without its browser, with settings of its own in a folder; gives the address of 00, and its token."""
    for name, values in SETTINGS.items():
        file = place / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port = harness.free()
    token = secrets.token_hex(16)
    flags = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
             "--ServerApp.allow_root=True", "--LabApp.expose_app_in_browser=True"]
    env = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    env |= {"JUPYTER_CONFIG_DIR": str(place), "ARGS": " ".join(flags)}
    with open(place / "server.log", "w") as log:
        process = subprocess.Popen(["make", "lab"], cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            yield f"http://127.0.0.1:{port}", token
        except BaseException:
            print((place / "server.log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # make, and the server, which ends its kernels
            process.wait(20)


def answers(url: str, token: str) -> None:
    """Waits until the server does."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(f"{url}/api/status?token={token}", timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def one_round(executable: str) -> dict[str, float]:
    """Seconds of each part."""
    with tempfile.TemporaryDirectory() as folder:
        profile, place = Path(folder, "profile"), Path(folder, "config")
        with harness.browser(executable, profile) as context:
            page = context.new_page()
            page.set_default_timeout(1000 * PATIENCE)
            marks = [time.perf_counter()]
            with lab(place) as (url, token):
                answers(url, token)
                marks.append(time.perf_counter())
                page.goto(f"{url}/lab/tree/{LESSON}?token={token}", wait_until="commit")
                page.wait_for_selector(".jp-Notebook .jp-CodeCell")
                marks.append(time.perf_counter())
                page.wait_for_function(
                    f"['idle', 'busy'].includes({pages.NOTEBOOK}?.sessionContext?.session?.kernel?.status)")
                marks.append(time.perf_counter())
                places = press(page)
                for cell in places:
                    page.wait_for_function(DONE, arg=cell)
                    marks.append(time.perf_counter())
                page.evaluate(f"{pages.NOTEBOOK}.sessionContext.shutdown()")
    return dict(zip(PARTS, (b - a for a, b in zip(marks, marks[1:])), strict=True))


def press(page) -> list[int]:
    """Forgets the committed outputs, presses Shift-Enter as often as it takes, and returns where the CELLS stand."""
    places = page.evaluate(f"""words => {{
        const content = {pages.NOTEBOOK}.content;
        for (const cell of content.widgets) if (cell.model.type === 'code') cell.model.clearExecution();
        content.activeCellIndex = 0;
        content.mode = 'command';
        content.node.focus();
        return words.map(word => content.widgets.findIndex(
            cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().includes(word)));
    }}""", list(CELLS.values()))
    assert min(places) >= 0 and places == sorted(places), f"{LESSON} no longer has these cells: {CELLS}"
    for _ in range(places[-1] + 1):
        page.keyboard.press("Shift+Enter")
    return places


def forget_files() -> bool:
    """Empties the system's memory of files, where it may be; says whether."""
    if not os.access(DROP, os.W_OK):
        return False
    os.sync()
    try:
        DROP.write_text("3")
    except OSError:
        return False
    return True


def totals(parts: dict[str, float]) -> dict[str, float]:
    """From `make lab` to the student that learnt from labels, and to the one that learnt from its teacher."""
    return {FIRST: sum(parts.values()) - parts[PARTS[-1]], DISTILLED: sum(parts.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if not (executable := harness.find_browser()):
        sys.exit(harness.HOW_TO_GET_ONE)
    subprocess.run(["make", ".venv/installed"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    cold, rounds = None, []
    if not given.short and forget_files():
        cold = one_round(executable)
        print("cold:", {name: round(value, 2) for name, value in (cold | totals(cold)).items()}, flush=True)
    for _ in range(1 if given.short else given.rounds):
        rounds.append(one_round(executable))
        print({name: round(value, 2) for name, value in (rounds[-1] | totals(rounds[-1])).items()}, flush=True)
    figures = {
        name: figure([totals(one)[name] for one in rounds], "seconds, at most", 12 if name == FIRST else None)
        for name in (FIRST, DISTILLED)
    }
    figures |= {f"of these: {name}": figure([one[name] for one in rounds], "seconds") for name in PARTS}
    if cold:
        figures[f"cold: {FIRST}"] = figure([totals(cold)[FIRST]], "seconds")
    show(figures)
    print(write("first_student", {"figures": figures, "rounds": rounds, "cold": cold}))


if __name__ == "__main__":
    main()
