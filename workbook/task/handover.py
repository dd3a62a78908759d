"""A student handed over: one folder with its weights, its exports, a script that runs them, and a card.

Every export that can run here is run on the test pictures before it goes out. What the card says stands in card.py.
"""

import copy
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import ImageColor
from torch import Tensor, nn

from kdlab import files, latency, models
from kdlab.data import Dataset
from kdlab.evaluation import predict
from kdlab.latency import Unavailable
from workbook import runtimes
from workbook.task import card
from workbook.task.card import Facts
from workbook.task.exports import Export, Judged, calibration, export, judge, kept
from workbook.task.page import quoted

__all__ = ["Facts", "Report", "write"]

EXPORTS = ("student.onnx", "student-int8.onnx", "student.tflite")
OURS = {"student.safetensors", *EXPORTS, *map(kept, EXPORTS), "labels.json", "predict.py", "card.md", "card.html"}
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints", "__pycache__"}
# seconds each to build, up to ten: more than all others together
SLOW = ("compile", "aotinductor", "openvino int8", "executorch", "executorch int8", "jax")

@dataclass(frozen=True, eq=False)
class Report:
    """What was handed over and found; `files` maps a name to (bytes, SHA-256), `missing` one to what to do about it."""

    folder: Path
    student: Judged
    cost: models.Cost
    teacher_accuracy: float | None
    agreement: float | None
    exports: tuple[Export, ...]
    missing: dict[str, str]
    tolerated: float
    rows: tuple[latency.Row, ...]
    unseen: tuple[str, ...] = ()  # classes without a training picture in use
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What must be read before anything is shipped, a sentence each."""
        told = [f"The student {self.student.guessing}"] if self.student.guessing else []
        told += [f"DO NOT SHIP {export.file}: {export.why}." for export in self.exports if export.why]
        crowds: dict[str, tuple[str, Judged]] = {}  # a class → who names it most, and how often: the first of them
        for name, judged in [("The student", self.student), *((e.file, e.judged) for e in self.exports)]:
            if judged.crowding:
                crowds.setdefault(judged.crowding[0], (name, judged))
        told += [f"{name} answers {quoted(kind)} for {judged.crowding[1]:.0%} of the test pictures; "
                 f"{judged.crowding[2]:.0%} of them are." for kind, (name, judged) in crowds.items()]
        return told + ([f"Never seen by the student: {', '.join(map(quoted, self.unseen))}."] if self.unseen else [])

    def __str__(self) -> str:
        lines = [f"{name:30} {size / 1e3:8,.1f} kB" for name, (size, _) in self.files.items()]
        lines += [f"{e.file}: {e.judged.accuracy:.1%} on the test pictures; in batches of "
                  f"{', '.join(map(str, e.batches))} within {e.difference:.1g} of torch's logits" for e in self.exports]
        text = "\n".join([*lines, *(f"no {name}: {why}" for name, why in self.missing.items()), *self.warnings])
        return text.translate(dict.fromkeys((0x2068, 0x2069)))  # a terminal shows what isolates directions as boxes


def write(
    folder: str | Path, student: nn.Module, dataset: Dataset, facts: Facts = Facts(), *,  # noqa: B008
    teacher: nn.Module | Tensor | None = None, ground: str = "white", tolerated: float = 0.02,
    timed: Iterable[str] | None = None, seconds: float = 5.0,
) -> Report:
    """Writes the folder for an engineer: weights, ONNX, int8, LiteRT where they can be made, labels, script and card.

    Beside it first, and renamed when it is whole: an older hand-over stays until then.

    Args:
        folder: new, empty, or an older hand-over, which it replaces.
        student: of this data set's shape and classes; it is not changed.
        dataset: int8 is calibrated on its training pictures in use, and every export judged on its test pictures.
        facts: what the notebook knows; what is left out is said to be missing.
        teacher: on the data set's device, or its logits (n, classes) for the test pictures; for accuracy and agreement.
        ground: the colour behind transparent pictures, as `workbook.task.picture` took it.
        tolerated: how much of the accuracy, in 0..1, an export may lose before it is marked "do not ship".
        timed: names of `workbook.runtimes.RUNTIMES`; None for those at hand that are quick to build, () for none.
        seconds: after so many no other runtime is built for timing.

    Raises:
        ValueError: the student does not fit the data set; no test pictures; the folder holds other files; an ONNX file
            that answers otherwise than torch. OSError: the folder cannot be written. Nothing was changed there.
    """
    if not 0 <= tolerated < 1:
        raise ValueError(f"tolerated must be a share in 0 .. 1, such as 0.02 for two points, got {tolerated}")
    ImageColor.getrgb(ground)  # ValueError for what is no colour
    _free(folder := Path(folder).expanduser().resolve())
    if isinstance(teacher, nn.Module):
        teacher = predict(teacher, dataset, "test")
    student, dataset = copy.deepcopy(student).cpu().eval(), dataset.to("cpu")
    logits, labels = _fitting(student, dataset), dataset.test.labels  # (n, classes), (n,)
    agreement, right = None, facts.teacher_accuracy
    if teacher is not None:
        if teacher.shape != logits.shape:
            raise ValueError(f"the teacher's logits must be {tuple(logits.shape)}, those of the test pictures, "
                             f"got {tuple(teacher.shape)}")
        answers = teacher.argmax(1).cpu()
        agreement, right = ((answers == x).double().mean().item() for x in (logits.argmax(1), labels))
    beside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        exports, missing = export(beside, student, dataset, logits, ground, tolerated)
        opened = {e.runtime: partial(_opened, beside / e.file, runtimes.RUNTIMES[e.runtime].read) for e in exports}
        rows = _timed(student, dataset, opened, timed, seconds)
        judged, cost = judge(logits, labels, dataset.classes), models.cost(student, dataset.shape)
        used = dataset.train.labels[dataset.in_use].bincount(minlength=len(dataset.classes)).tolist()
        unseen = tuple(name for name, count in zip(dataset.classes, used) if not count)
        report = Report(folder, judged, cost, right, agreement, exports, missing, tolerated, rows, unseen)
        report.files.update({file.name: _digest(file) for file in sorted(beside.iterdir())})
        for name, content in card.pages(report, facts, dataset, logits).items():
            files.write_whole("card", beside / name, content.encode("utf-8", "backslashreplace"))
            report.files[name] = _digest(beside / name)
        beside.chmod(0o755)  # a temporary folder is for its owner alone
        _replace(beside, folder)
    except OSError as error:
        raise OSError(f"could not write the hand-over {folder}: {error}; nothing was changed there") from error
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)
    return report


def _fitting(student: nn.Module, dataset: Dataset) -> Tensor:
    if not len(dataset.test):
        raise ValueError("a hand-over is judged on test pictures, and the data set has none")
    try:
        logits = predict(student, dataset, "test")
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"the student does not take the data set's pictures, {dataset.shape}: {said}") from None
    if logits.shape != (len(dataset.test), len(dataset.classes)):
        got = tuple(logits.shape)
        raise ValueError(f"the student must give {len(dataset.classes)} logits, one for each class, got {got}")
    if not logits.isfinite().all():
        raise ValueError("the student's logits for the test pictures must be finite, and some are not")
    return logits


def _timed(
    student: nn.Module, dataset: Dataset, opened: dict[str, Callable], names: Iterable[str] | None, seconds: float
) -> tuple[latency.Row, ...]:
    """One picture on one thread; a runtime that is not at hand, or whose turn came too late, says so in its row."""
    until = time.perf_counter() + seconds
    slow = SLOW if names is None else ()
    if not (builders := runtimes.builders(names)):
        return ()
    builders |= {name: build for name, build in opened.items() if name in builders}  # what goes out is what is timed

    def in_time(name: str, build: Callable) -> Callable:
        def checked(*what):
            if name in slow and not runtimes.RUNTIMES[name].why_not("cpu"):
                raise Unavailable("it takes seconds to build, and is timed where it is asked for")
            if time.perf_counter() > until:
                raise Unavailable(f"the {seconds:g} seconds for timing were over")
            return build(*what)

        return checked

    variants = {name: in_time(name, build) for name, build in builders.items()}
    options = dict(batches=[1], calibration=calibration(dataset), min_runs=60, min_seconds=0.1)
    return tuple(latency.sweep({"student": student}, dataset.shape, variants=variants, **options))


def _opened(file: Path, read: Callable, model: nn.Module, example: Tensor, calibration: Tensor) -> Callable:
    with tempfile.TemporaryDirectory(prefix="kdlab-", ignore_cleanup_errors=True) as place:
        return read(Path(shutil.copy(file, Path(place) / f"model{file.suffix}")).parent, example)


def _free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for the hand-over")
    others = sorted({file.name for file in folder.iterdir()} - OURS - LITTER) if folder.exists() else []
    if others:
        raise ValueError(f"{folder} holds {others[0]}, which is no hand-over's; name a new or an empty folder")


def _replace(beside: Path, folder: Path) -> None:
    """An older folder steps aside for the new one, and back where that fails."""
    aside = beside.with_name(f"{beside.name}-older")
    try:
        if folder.exists():
            folder.rename(aside)
        beside.rename(folder)
    except BaseException:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _digest(file: Path) -> tuple[int, str]:
    return file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
