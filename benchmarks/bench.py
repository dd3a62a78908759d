"""Every benchmark in its short form, and one table of the figures; `make bench` calls this.

    python benchmarks/bench.py [NAME ...]

Each runs in a process of its own and leaves its record in build/bench/; the table goes to results/bench-MACHINE.json.
Under ten minutes on two cores; cifar10.py, low_precision.py, rare_class.py and fpga_widths.py take longer, and are not
among them.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from provenance import ROOT, write
from turns import show

NAMES = [
    "startup",
    "timer_agreement",
    "training_speed",
    "libraries",
    "many_students",
    "methods_speed",
    "language",
    "growth",
    "live_panel",
    "headline",
]


def main() -> None:
    if unknown := set(sys.argv[1:]) - set(NAMES):
        sys.exit(f"no benchmark is called {min(unknown)}; there are {', '.join(NAMES)}")
    figures, failed, took = {}, {}, {}
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--short"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        took[name] = time.perf_counter() - start
        print(run.stdout, flush=True)
        if run.returncode:
            failed[name] = f"exit status {run.returncode}"
        else:
            figures |= json.loads(Path(run.stdout.splitlines()[-1]).read_text())["figures"]
    print("== all of them")
    if figures:
        show(figures)
    print("\nseconds:", ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items()))
    print(write("bench", {"figures": figures, "seconds": took, "failed": failed}))
    if failed:
        sys.exit(f"failed: {failed}")


if __name__ == "__main__":
    main()
