"""Says what is installed and at hand here, what is missing, and what to do about each missing thing.

It must speak where all else fails, so torch and the other rooms are imported late; it installs and downloads nothing.
"""

import contextlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from importlib import metadata
from importlib.util import find_spec, module_from_spec
from pathlib import Path

from kdlab import __version__

Line = tuple[str, str, str]  # a key of MARKS, what was found, what to do about it
MARKS = {"ok": "✓ ok      ", "missing": "✗ missing ", "wrong": "✗ wrong   ", "optional": "– optional"}
PIP = "in the repository: python -m pip install -c constraints.txt -e"
INSTALL = f"make lab, or {PIP} '.[test]'"
KNOWN_BAD = {"ipykernel": " (7.0 breaks widget updates from threads)"}


def environment() -> None:
    """Prints three lines for a notebook's set-up cell: versions, devices, CPU threads."""
    import torch

    from kdlab import devices

    print(f"Python {platform.python_version()}, torch {torch.__version__}, kdlab {__version__}")
    print("Devices: " + "; ".join(f"{name} ({devices.describe(name)})" for name in devices.available()))
    print(f"CPU threads in torch: {torch.get_num_threads()} of {devices.cores()} cores")


def examine() -> list[Line]:
    """Looks at everything that the lesson needs, in about 2 s, which are torch's import, and without the network.

    Returns:
        Lines of (state, finding, advice). With "missing" or "wrong" the lesson could not run; with "optional" a part
        of it is skipped; with "ok" there is no advice.
    """
    lines = [("ok", f"Python {platform.python_version()} in {Path(sys.prefix).name}", "")]
    try:
        from packaging.requirements import Requirement

        lines += _packages([Requirement(text) for text in metadata.requires("kdlab") or []])
        needed = next(r for r in map(Requirement, metadata.requires("torchvision") or []) if r.name == "torch")
        pairs = needed.specifier.contains(metadata.version("torch"), prereleases=True)
    except (metadata.PackageNotFoundError, ModuleNotFoundError) as error:
        if error.name in ("torch", "torchvision"):
            return lines + _front_end() + _compiler()
        advice = f"use the Python in .venv/bin, or install: {INSTALL}"
        return lines + [("missing", f"{error.name} is not installed in this Python", advice)]
    lines += _torch("" if pairs else f"torchvision wants {needed}")
    return lines + _front_end() + _compiler()


def report() -> int:
    """Prints what `examine` finds, a mark and a word for each line.

    Returns:
        0 where the lesson can run, 1 where it could not.
    """
    lines = examine()
    print(f"kdlab {__version__}: the doctor's report")
    for (state, finding, advice), (_, _, following) in zip(lines, lines[1:] + [("", "", "")], strict=True):
        print(textwrap.fill(finding, 110, initial_indent=f"{MARKS[state]} ", subsequent_indent=" " * 11))
        if advice and advice != following:  # once for several lines with the same remedy
            print(f"           → {advice}")
    bad = sum(state in ("missing", "wrong") for state, _, _ in lines)
    print(f"The lesson could not run here: mend what is marked ✗ ({bad})." if bad else "The lesson can run here.")
    return 1 if bad else 0


def _packages(wanted: list) -> list[Line]:
    """One line for all packages that fit, one for each that does not; an extra other than lab is optional, one line."""
    fitting, others, seen = [], [], {"kdlab"}
    for extra in ("", "lab", *sorted({*metadata.metadata("kdlab").get_all("Provides-Extra", [])} - {"lab"})):
        absent, optional = [], extra not in ("", "lab")
        target = extra if extra in ("bench", "dashboard", "demo") else "devices"  # the other extras are runtimes
        advice = INSTALL if extra in ("", "lab", "test") else f"make {target}, or {PIP} '.[{extra}]'"
        for need in wanted:
            if need.name in seen or (need.marker and not need.marker.evaluate({"extra": extra})):
                continue
            seen.add(need.name)
            try:
                version = metadata.version(need.name)
            except metadata.PackageNotFoundError:
                absent.append(need.name)
                continue
            if need.specifier.contains(version, prereleases=True):
                fitting.append(f"{need.name} {version}")
            else:
                known = KNOWN_BAD.get(need.name, "")
                finding = f"{need.name} {version} is installed, kdlab wants {need.specifier}{known}"
                others.append(("optional" if optional else "wrong", finding, advice))
        if absent and optional:
            be = "is" if len(absent) == 1 else "are"
            others.append(("optional", f"{', '.join(absent)} {be} not installed (extra {extra!r})", advice))
        elif absent:
            others += [("missing", f"{name} is not installed", advice) for name in absent]
    return [("ok", ", ".join(fitting), "")] * bool(fitting) + others


def _torch(mismatch: str) -> list[Line]:
    """What needs a torch that works: that torch and torchvision fit together, the devices, the data sets."""
    both = f"torch {metadata.version('torch')} and torchvision {metadata.version('torchvision')}"
    try:
        torch = importlib.import_module("torch")
        if "torchvision" not in sys.modules and not _operators():
            importlib.import_module("torchvision")  # for the reason that it gives itself
    except Exception as error:  # builds that do not fit fail in many ways: RuntimeError, ImportError, OSError
        mismatch = f"{type(error).__name__}: {error}".splitlines()[0]
    if mismatch:
        advice = "install both anew, in one command and from one index: make clean lab"
        return [("wrong", f"{both} do not fit together ({mismatch})", advice)]
    from kdlab import data, devices

    lines = [("ok", f"device {name}: {devices.describe(name)}", "") for name in devices.available()]
    if len(lines) == 1 and _driver():
        advice = "make clean lab TORCH_INDEX=pypi; the lesson also runs on the CPU"
        lines.append(("optional", f"an NVIDIA GPU is here, and torch {torch.__version__} cannot use it", advice))
    lines.append(("ok", f"{torch.get_num_threads()} CPU threads in torch, {devices.cores()} cores", ""))
    lines.append(("ok", "data: digits and glyphs (nothing to download), folder:PATH for your own images", ""))
    kept = (data.cache_dir() / "cifar-10-batches-py").is_dir()  # torchvision names it
    cache = str(data.cache_dir()).replace(str(Path.home()), "~")  # the report may stand in a committed notebook
    advice = f"workbook.task.load('cifar10') fetches 170 MB into {cache} (KDLAB_CACHE names another folder)"
    found = ("ok", f"data: cifar10 in {cache}", "")
    return lines + [found if kept else ("optional", "data: cifar10 has not been downloaded", advice)]


def _operators() -> bool:
    """Whether torchvision's compiled operators load into this torch: what it asks first, without its models.

    These take a second or two to import, and are as they were installed. Nothing of torchvision stays imported.
    """
    try:
        sys.modules["torchvision"] = module_from_spec(find_spec("torchvision"))
        return importlib.import_module("torchvision.extension")._has_ops()
    except Exception:  # another torchvision, or one that does not fit
        return False
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]


def _driver() -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=5).returncode == 0
    return False


def _front_end() -> list[Line]:
    if find_spec("jupyter_core"):
        from jupyter_core.paths import jupyter_path

        for folder in jupyter_path("labextensions"):
            found = Path(folder, "@jupyter-widgets", "jupyterlab-manager", "package.json")
            if found.is_file():
                return [("ok", f"widgets' front-end {json.loads(found.read_text())['version']} for JupyterLab", "")]
    advice = "python -m pip install jupyterlab_widgets where JupyterLab starts from, then reload the page"
    return [("missing", "widgets' front-end for JupyterLab (sliders would stand there as text)", advice)]


def _compiler() -> list[Line]:
    names = filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++", "cl"))
    found = next(filter(None, map(shutil.which, names)), None)
    if found and Path(sysconfig.get_path("include"), "Python.h").is_file():
        return [("ok", f"C++ compiler for torch.compile: {Path(found).name}", "")]
    advice = "Debian, Ubuntu: apt install g++ python3-dev; macOS: xcode-select --install; all else works without"
    return [("optional", f"torch.compile needs {'Python.h' if found else 'a C++ compiler'}, which is not here", advice)]


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a console without ✓ still shows the words
    sys.exit(report())
