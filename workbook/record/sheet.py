"""The record while it is made: where it comes from, and a file that is whole after every part of a section.

What is measured stands in the sections, one a file beside this one.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from kdlab import devices
from kdlab.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
ARCHIVED = "$Format:%H$"  # `git archive` puts its commit here, as .gitattributes asks it to


class LeftOut(Exception):
    """A section cannot be measured here; the message is one sentence that says why."""


class Stopped(BaseException):
    """Somebody ended the run: SIGTERM or Ctrl-C."""


@dataclass(frozen=True)
class Size:
    """How much the sections train: images and epochs, and how many seeds each pair of runs gets."""

    batches: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    train: int = 50_000
    test: int = 10_000
    epochs: int = 10  # of the tutorial's five trainings
    seeds: int = 5
    teacher_epochs: int = 7  # of ResNet-20
    student_images: int = 10_000
    student_epochs: int = 15  # of ResNet-8
    strong: tuple[tuple[str, int], ...] = (("resnet20x4", 8), ("resnet20x4", 16), ("resnet20x4", 24))  # and its epochs
    students: tuple[int, ...] = (25, 250, 2500)


SIZES = {
    "full": Size(),
    "small": Size(
        batches=(1, 4, 16, 64, 256), train=1280, test=500, epochs=1, seeds=2, teacher_epochs=1, student_images=640,
        student_epochs=2, strong=(("resnet8", 1),), students=(25, 250),
    ),
    "trial": Size(
        batches=(1, 16), train=256, test=200, epochs=1, seeds=2, teacher_epochs=1, student_images=128, student_epochs=1,
        strong=(("resnet8", 1),), students=(25,),
    ),
}


class Clock:
    """Seconds that are left of the run's minutes, for whoever asks before he begins something."""

    def __init__(self, minutes: float):
        self.start, self.total = time.monotonic(), 60 * minutes
        self.share = 1.0  # of the total, when the section that runs now must have ended

    def left(self) -> float:
        return self.start + self.share * self.total - time.monotonic()

    def need(self, seconds: float, what: str) -> None:
        """LeftOut where so many seconds are no longer left for it."""
        if seconds > self.left():
            raise LeftOut(f"{what} needs about {seconds:.0f} s, and {max(0.0, self.left()):.0f} s are left for it")


class Sheet:
    """A record in a file: `data` begins with the provenance, and each section adds what it has found.

    Args:
        path: where it is written; FileExistsError where a file is, OSError where none can be.
        head: what stands before the sections.
        clock: of the run.
    """

    def __init__(self, path: Path, head: dict, clock: Clock):
        if path.exists():
            raise FileExistsError(f"{path} is there already; name another file, or move it away")
        self.path, self.clock, self.data = path, clock, head | {"sections": {}}
        self.write()

    def write(self) -> None:
        write_whole("record", self.path, (json.dumps(self.data, indent=1) + "\n").encode())

    def run(self, name: str, share: float, section: Callable[[], Iterator[dict]]) -> None:
        """Lets a section work until so much of the run's time is over, and writes whatever it yields.

        A section yields all that it has found so far. What it cannot do it says by `LeftOut`; any other error is
        written down with its traceback, and the run goes on.
        """
        start, self.clock.share = time.monotonic(), share
        said = self.data["sections"][name] = {"seconds": 0.0, "said": "begun, and not ended"}
        print(f"{name} …", flush=True)
        try:
            if self.clock.left() <= 0:
                raise LeftOut("the minutes are over")
            for found in section():
                self.data[name] = found
                self.write()
            said["said"] = "done"
        except LeftOut as reason:
            said["said"] = f"left out: {reason}"
        except Stopped:
            said["said"] = "stopped before its end"
            raise
        except Exception as error:
            said["said"] = f"failed: {type(error).__name__}: {first_line(error)}"
            said["traceback"] = traceback.format_exc().replace(str(ROOT), ".")
        finally:
            said["seconds"] = round(time.monotonic() - start, 1)
            self.write()
            print(f"   {said['said']}, {said['seconds']} s", flush=True)


def stop_at_signals() -> None:
    """From here on SIGTERM, like Ctrl-C, raises `Stopped`."""

    def stop(number, frame):
        raise Stopped(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def provenance(device: torch.device, options: list[str], commit: str | None = None) -> dict:
    """Machine, device, driver, system, versions, commit, command and date of a record; no host's name, no path.

    Args:
        device: that is measured.
        options: of the command line; of a path its last part is kept.
        commit: of this copy of the repository, where neither git nor `git archive` can tell it.
    """
    versions = {"python": platform.python_version(), "cuda": torch.version.cuda}
    for package in ("torch", "torchvision", "numpy"):
        versions[package] = metadata.version(package)
    short = [Path(option).name if os.sep in option else option for option in options]
    return {
        "machine": devices.describe("cpu"),
        "device": devices.describe(device),
        "driver": _driver() if device.type == "cuda" else None,
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": versions,
        "commit": commit or commit_of("kdlab", "workbook"),
        "command": " ".join(["python", "-m", "workbook.record", *short]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _driver() -> str:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        said = []
    return said[0] if said else "unknown"


def commit_of(*folders: str) -> str | None:
    """The short commit of this copy of the repository, with a + where tracked files in these folders differ from it.

    None outside a git checkout that `git archive` did not make.
    """
    if not ARCHIVED.startswith("$"):
        return ARCHIVED[:12]
    git = ["git", "-C", str(ROOT)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *folders]).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() + ("+" if changed else "")


def first_line(error: BaseException) -> str:
    """Of what an error says, or its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def complain(sentence: object) -> int:
    """Says on stderr why nothing was measured; the exit status of a command that was asked for what it cannot do."""
    print(sentence, file=sys.stderr)
    return 2
