"""What the workbook costs before it teaches: importing kdlab, the doctor's report, and the whole lesson headless.

Each runs in a fresh process, after torch has been imported there; the report also as `python -m workbook.doctor`, with
torch's import, which is counted alone, too. From `make lab` to the first student is first_student.py's.

    python benchmarks/startup.py [--short] [--lesson]      --lesson runs it, which takes five minutes
"""

import argparse
import subprocess
import sys
import time

from provenance import ROOT, write
from turns import figure, show

ROOMS = "from kdlab import bank, data, devices, evaluation, latency, losses, models, training"
CLOCK = "import torch, time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
REPORT = f"""{ROOMS}
import contextlib, io, time
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    from workbook import doctor
    doctor.report()
print(time.perf_counter() - start)"""


def seconds(code: str) -> float:
    """What the code prints last, run by a fresh Python in the repository's root."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def wall(*arguments: str) -> float:
    """The seconds of a fresh Python with these arguments, from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--lesson", action="store_true")
    given = parser.parse_args()
    seconds(CLOCK.format(ROOMS))  # from the disk into memory
    imports, reports, torches, wholes = [], [], [], []
    for _ in range(3 if given.short else 9):
        imports.append(seconds(CLOCK.format(ROOMS)))
        reports.append(seconds(REPORT))
        torches.append(wall("-c", "import torch"))
        wholes.append(wall("-m", "workbook.doctor"))
    figures = {
        "importing kdlab's rooms after torch": figure(imports, "seconds, at most", 0.15),
        "the doctor's report after that": figure(reports, "seconds, at most", 1.5),
        "a process that imports torch alone": figure(torches, "seconds"),
        "python -m workbook.doctor": figure(wholes, "seconds"),
    }
    if given.lesson:
        start = time.perf_counter()
        lesson = sorted(str(path) for path in (ROOT / "notebooks").glob("0*.ipynb"))
        subprocess.run([sys.executable, "-m", "workbook.run", *lesson], cwd=ROOT, check=True)
        figures["the whole lesson headless"] = figure([(time.perf_counter() - start) / 60], "minutes, at most", 6)
    show(figures)
    print(write("startup", {"figures": figures}))


if __name__ == "__main__":
    main()
