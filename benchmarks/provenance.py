"""Where a measurement comes from, and the file in results/ that it is written to.

Each benchmark brings its own figures; this adds machine, versions, commit, command and date.
"""

import json
import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from kdlab import devices
from workbook.record.sheet import commit_of

ROOT = Path(__file__).resolve().parent.parent
LOAD = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None  # before the benchmark adds its own


def provenance() -> dict:
    """What a reader needs to judge a figure or to make it again.

    Returns:
        machine (processor and accelerators in words, never the host's name), load_before (the system's 1-minute
        load average at the start: near 0 on a machine that had nothing else to do), system, versions, commit
        (None outside a git checkout; "+" behind it where the code differs from it), command (with PATH in place of a
        place on this machine) and date (UTC).
    """
    versions = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy", "kdlab"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    script, *options = sys.argv
    return {
        "machine": "; ".join(dict.fromkeys(devices.describe(name) for name in devices.available())),
        "load_before": LOAD,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": versions,
        "commit": STARTED_FROM,
        "command": " ".join(["python", Path(os.path.relpath(script, ROOT)).as_posix(), *map(_without_a_path, options)]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(name: str, data: dict, folder: str | Path | None = None) -> Path:
    """Writes results/NAME-MACHINE.json, with the provenance first; an earlier record of this machine is replaced.

    Args:
        name: of the benchmark.
        data: its figures, as json can write them.
        folder: where the file goes; None for results/, or for build/bench/ where the command says --short, so that
            a quick look does not replace a careful record.

    Returns:
        The file's path.
    """
    origin = provenance()
    words = re.sub(r"\((r|tm)\)|\b(processor|cpu)\b|@.*?(?=,|$)", " ", origin["machine"].lower())
    folder = Path(folder or ROOT / ("build/bench" if "--short" in sys.argv else "results"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{'-'.join(re.findall('[a-z0-9]+', words))}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"provenance": origin, **data}, indent=1) + "\n")
    os.replace(part, path)
    return path


def _without_a_path(option: str) -> str:
    return "folder:PATH" if option.startswith("folder:") else option


# when the benchmark starts: a long run must not name a commit that came after it
STARTED_FROM = commit_of("kdlab", "benchmarks", "notebooks")
