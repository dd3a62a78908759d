"""Teacher and student of the demo page in a browser: one picture and 64 at once, as the page itself times them.

Makes the page as `make demo` does, opens it so many times in a headless browser with a fresh profile, lets it measure
(40 samples for each network, in turns, on one thread), and keeps the times and their ratio of each opening.

    python benchmarks/browser.py [--times 9] [--short]      --short opens it twice
"""

import argparse
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

import torch
from provenance import ROOT, write
from turns import ratio

sys.path.insert(0, str(ROOT / "tests" / "helpers"))
import harness  # noqa: E402

ROWS = {"one": "one picture", "many": "64 at once, for each"}
PATIENCE = 300_000  # ms, for starting and measuring
# The page rounds its times to two digits; a ratio here is that of the rounded times.
MICROSECONDS = {"µs": 1.0, "ms": 1000.0}


def page() -> tuple[Path, dict[str, int]]:
    """The page, made anew, and the multiply-adds of its two networks."""
    spec = importlib.util.spec_from_file_location("demo_build", ROOT / "demo" / "build.py")
    demo = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = demo
    spec.loader.exec_module(demo)
    torch.set_num_threads(1)
    made = demo.build()
    work = {role: demo.models.cost(made.networks[role], made.digits.shape).multiply_adds
            for role in ("teacher", "student")}
    return made.page, work


def microseconds(cell: str) -> float:
    """The median in a cell such as "81 µs p95 90 µs"."""
    number, unit = re.match(r"([\d.]+) (µs|ms)", cell).groups()
    return float(number) * MICROSECONDS[unit]


def opened(executable: str, path: Path) -> tuple[dict[str, tuple[float, float]], str]:
    """Microseconds of (teacher, student) for each row, in a browser started for this alone; and its version."""
    with tempfile.TemporaryDirectory() as profile, harness.browser(executable, Path(profile)) as context:
        tab = context.new_page()
        tab.goto(path.as_uri())
        tab.get_by_text("measured on this device, just now").wait_for(timeout=PATIENCE)
        cells = {row: tab.locator(f"#{row} td").all_inner_texts() for row in ROWS}
        return ({row: (microseconds(teacher), microseconds(student)) for row, (teacher, student, _) in cells.items()},
                tab.evaluate("navigator.userAgent"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    if not (executable := harness.find_browser()):
        sys.exit(harness.HOW_TO_GET_ONE)
    path, work = page()
    times = {row: {"teacher": [], "student": []} for row in ROWS}
    for turn in range(2 if given.short else given.times):
        found, agent = opened(executable, path)
        for row, (teacher, student) in found.items():
            times[row]["teacher"].append(teacher)
            times[row]["student"].append(student)
        said = {row: f"{teacher / student:.1f} times" for row, (teacher, student) in found.items()}
        print(f"opening {turn + 1}: {said}", flush=True)
    data = {
        "browser": re.search(r"(Headless)?Chrome/[\d.]+|$", agent).group(),
        "multiply_adds": work,
        "microseconds": {ROWS[row]: found for row, found in times.items()},
        "figures": {
            f"{ROWS[row]}: teacher / student": ratio(found["teacher"], found["student"], goal=None)
            for row, found in times.items()
        },
    }
    for name, found in data["figures"].items():
        print(f"{name}: {found['median']:.1f} [{found['lowest']:.1f}, {found['highest']:.1f}]")
    print(write("browser", data))


if __name__ == "__main__":
    main()
