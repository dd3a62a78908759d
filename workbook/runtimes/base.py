"""What a runtime is: how a model becomes a file and how that file becomes a call; torch's own need no file for it.

The tool chains stand one a file beside this one and know nothing of each other; timing stands in kdlab.latency.
"""

import contextlib
import copy
import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable

Call = Callable[[Tensor], Tensor]  # images (batch, channels, height, width) → logits (batch, classes)


@dataclass(frozen=True, eq=False)
class Program:
    """A model made ready: call it with images like the example.

    `path` is the folder with its file, written when it is first asked for where the call does without one; it goes
    when the program goes. `bytes` counts what lies there.
    """

    call: Call
    folder: Callable[[], TemporaryDirectory]

    path = property(lambda self: Path(self.folder().name))
    bytes = property(lambda self: sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()))

    def __call__(self, images: Tensor) -> Tensor:
        return self.call(images)


@dataclass(frozen=True)
class Runtime:
    """One way to run a model: `write` leaves its file in a folder, `read` makes it ready from there.

    Args:
        what: what it stands for, in a few words.
        write: (model in eval mode, example, calibration or None, folder) → None.
        read: (folder, example) → call(images) → logits.
        use: (model in eval mode, example) → call, where a model in memory needs no file; the model is the call's own.
        precision: of the arithmetic: "float32", "bf16" or "int8"; int8 needs calibration images.
        extra, modules: the extra of pyproject.toml that it needs, and what to find of it; it then runs on the CPU only.
        fixed_batch: whether the program is made for exactly the example's batch.
        lacks: device → why it cannot run there, or an empty text.
    """

    what: str
    write: Callable[[nn.Module, Tensor, Tensor | None, Path], None]
    read: Callable[[Path, Tensor], Call]
    use: Callable[[nn.Module, Tensor], Call] | None = None
    precision: str = "float32"
    extra: str = ""
    modules: tuple[str, ...] = ()
    fixed_batch: bool = False
    lacks: Callable[[torch.device], str] = lambda device: ""

    def why_not(self, device: str | torch.device = "cpu") -> str:
        """Why it cannot run on the device, in one sentence that says what to install; "" where it can."""
        device = torch.device(device)
        if self.extra and device.type != "cpu":
            return f"it runs on the CPU here, not on {device}"
        return not_installed(self.extra, *self.modules) or self.lacks(device)

    def build(self, model: nn.Module, example: Tensor, calibration: Tensor | None = None) -> Program:
        """Makes a model ready, by way of a file where the runtime needs one.

        Args:
            model: stays untouched.
            example: float32 (batch, channels, height, width), contiguous, with the shape and device to come.
            calibration: float32 (n, channels, height, width), normalized images of the data, needed by int8 only.

        Returns:
            A Program, for as many threads as torch has now. What it does to the images is part of its time.

        Raises:
            Unavailable: this machine cannot run it, or it cannot run this model. ValueError: int8 without calibration.
        """
        if reason := self.why_not(example.device):
            raise Unavailable(reason)
        if self.precision == "int8" and (calibration is None or not len(calibration)):
            raise ValueError("int8 needs calibration images, normalized like the example, got none")
        with _refusals():
            own = copy.deepcopy(model).to(example.device).eval()
            written = functools.partial(_written, self.write, own, example, calibration)
            if self.use:
                return Program(self.use(own, example), functools.cache(written))
            folder = written()
            return Program(self.read(Path(folder.name), example), lambda: folder)


def not_installed(extra: str, *modules: str) -> str:
    """The line that installs an extra where one of these modules is not there, or an empty text."""
    absent = [module for module in modules if find_spec(module) is None]
    line = f"python -m pip install -c constraints.txt -e '.[{extra}]'"
    return f"{absent[0]} is not installed; in the repository: {line}" if absent else ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what exporters and their C++ say on each call out of a notebook; errors still raise."""
    level = logging.root.manager.disable
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as sink:
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
                yield
    finally:
        logging.disable(level)
        os.dup2(kept, 2)
        os.close(kept), os.close(nothing)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (Unavailable, ValueError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # exporters fail in many ways
        said = (str(error).strip() or "no word").splitlines()[0]
        raise Unavailable(f"it does not take this model: {type(error).__name__}: {said}") from error


def _written(write: Callable, model: nn.Module, example: Tensor, calibration: Tensor | None) -> TemporaryDirectory:
    folder = TemporaryDirectory(prefix="kdlab-", ignore_cleanup_errors=True)
    with _refusals():
        write(model, example, calibration, Path(folder.name))
    return folder
