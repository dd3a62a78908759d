"""The card of a student that goes out: what it is, how good, what it costs and what nobody knows of it.

Written once as plain blocks, which page.py sets as Markdown and as HTML; nothing is measured here.
"""

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

from torch import Tensor

from kdlab import devices
from kdlab.data import Dataset
from kdlab.evaluation import Gain
from workbook.plots.calibration import reliability
from workbook.plots.task import readable, recall
from workbook.runtimes import RUNTIMES
from workbook.task import page

if TYPE_CHECKING:
    from workbook.task.handover import Report

UNKNOWN = "not told"
CONFUSIONS = 8


@dataclass(frozen=True)
class Facts:
    """What only the notebook knows; an empty one is said to be missing.

    Args:
        name, teacher: of student and teacher, as `kdlab.models` builds them.
        teacher_accuracy: in [0, 1], on the test pictures, where `write` is not handed the teacher.
        gains: what was compared → a paired difference in points of accuracy, distilled minus alone.
        chosen: how this student was chosen, and on which part of the data.
        split: how the parts were made.
        data: a name for the data, in place of the data set's own.
        notes: sentences for the card.
    """

    name: str = ""
    teacher: str = ""
    teacher_accuracy: float | None = None
    gains: Mapping[str, Gain] = field(default_factory=dict)
    chosen: str = ""
    split: str = ""
    data: str = ""
    notes: tuple[str, ...] = ()


def pages(report: "Report", facts: Facts, dataset: Dataset, logits: Tensor) -> dict[str, str]:
    """ "card.md" and "card.html", the same blocks twice; the page has the figures inside.

    Args:
        report: what was found.
        facts, dataset: as `handover.write` got them.
        logits: the student's for the test pictures, (n, classes).
    """
    figures = {
        "recall": recall(dataset.classes, report.student.recall, report.student.counts, title="Recall of each class"),
        "calibration": reliability({"student": (logits, dataset.test.labels)}, title="Calibration"),
    }
    figures["calibration"].set_size_inches(5.4, 4.8)  # letters stay legible on a phone
    whole = f"Model card: {facts.name or 'student'}", list(_blocks(report, facts, dataset)), figures
    return {"card.md": page.markdown(*whole), "card.html": page.html(*whole)}


def _blocks(report: "Report", facts: Facts, dataset: Dataset) -> Iterable[tuple]:
    judged, cost, classes = report.student, report.cost, dataset.classes
    channels, height, width = dataset.shape
    if report.warnings:
        yield "h", page.ALARM
        yield "list", report.warnings
    yield "p", (f"A network that tells {len(classes)} classes apart in pictures of {height}×{width} pixels and "
                f"{channels} channel{'s'[: channels != 1]}.")
    yield "table", ("", "on the test pictures"), [
        ("accuracy", f"{judged.accuracy:.1%}"), ("balanced accuracy", f"{judged.balanced:.1%}"),
        ("calibration error, 15 bins", f"{judged.ece:.3f}"),
        ("agreement with the teacher", UNKNOWN if report.agreement is None else f"{report.agreement:.1%}"),
        ("parameters", f"{cost.parameters:,}"), ("multiply-adds a picture", f"{cost.multiply_adds:,}"),
        ("weights", f"{cost.bytes / 1e3:,.1f} kB")]
    if "student.onnx" not in report.missing:
        yield "h", "How to use it"
        yield "code", "python -m pip install onnxruntime pillow numpy\npython predict.py picture.png"
        yield "p", ("It prints file, share and class. student.onnx takes “images”, float32 (any number, channels, "
                    "height, width), (value / 255 − mean) / std, and gives “logits”. Its metadata holds classes, size, "
                    "mean and std; the pictures are prepared as in predict.py.")
    yield "h", "How it came about"
    yield "list", [
        f"Student: {facts.name or UNKNOWN}.", f"Teacher: {homeless(facts.teacher) or UNKNOWN}, accuracy "
        + (UNKNOWN if report.teacher_accuracy is None else f"{report.teacher_accuracy:.1%}") + " on the test pictures.",
        f"Chosen: {facts.chosen or UNKNOWN}.", *facts.notes]
    if facts.gains:
        yield "table", ("distilled minus alone", "gain (points)", "95% interval", "pairs won"), [
            (name, f"{g.mean:+.1f}", f"[{g.low:+.1f}, {g.high:+.1f}]", f"{g.wins} of {g.pairs}")
            for name, g in facts.gains.items()]
        yield "p", "Pairs share a seed: first weights and batches. An interval that holds 0 shows no gain."
    else:
        yield "p", "What distillation gained: not told."
    yield "h", "The data"
    name = homeless(facts.data or dataset.name)
    parts = {part: split for part in ("train", "val", "test") if (split := getattr(dataset, part, None)) is not None}
    yield "list", [f"Name: {name}.", f"Split: {facts.split or UNKNOWN}.",
                   f"Used for training: {len(dataset.in_use):,} of {len(dataset.train):,} pictures."]
    parts["train"] = dataset.train.subset(dataset.in_use)
    held = {part: split.labels.bincount(minlength=len(classes)).tolist() for part, split in parts.items()}
    yield "table", ("#", "class", *(f"{part} pictures" + " in use" * (part == "train") for part in parts), "recall"), [
        (f"{i + 1}", one, *(f"{counts[i]:,}" for counts in held.values()),
         f"{judged.recall[i]:.1%}" if judged.counts[i] else "no pictures") for i, one in enumerate(classes)]
    yield "h", "Where it is right, and how sure it is"
    shown = "The share of each class's test pictures that are recognised, the worst first"
    if any(label == f"#{i + 1}" for i, label in enumerate(readable(classes)[0])):
        shown += "; a number stands for a name that no font here can write, see the table above"
    yield "figure", "recall", shown
    yield "figure", "calibration", "Accuracy against confidence in ten bins, and how often each confidence is given"
    if judged.confused:
        yield "table", ("true class", "answer", "pictures", "of its class"), [
            (true, said, f"{count}", f"{count / judged.counts[classes.index(true)]:.0%}")
            for true, said, count in judged.confused[:CONFUSIONS]]
    yield "h", "The exports, each run on the test pictures"
    head = ("file", "accuracy", "balanced", "same answer as torch", "largest difference of logits", "verdict")
    yield "table", head, [
        (e.file, f"{e.judged.accuracy:.1%}", f"{e.judged.balanced:.1%}", f"{e.same:.1%}",
         f"{e.difference:.2g} (batches {', '.join(map(str, e.batches))})",
         "keeps the student's accuracy" if e.ship else "DO NOT SHIP")
        for e in report.exports]
    yield "p", ("An export keeps the student's accuracy, whatever that is, where it loses at most "
                f"{100 * report.tolerated:g} points of it; what loses more must not be shipped. A class "
                "is warned of at the top where it is more than half of the answers, and more than "
                "1.5 times as frequent there as in the pictures.")
    if report.missing:
        yield "list", [f"Not made: {name}. {why}." for name, why in report.missing.items()]
    timed = [(row.variant, row.timing) for row in report.rows if row.timing]
    yield "h", "Latency of one picture on one thread"
    if timed:
        yield "table", ("runtime", "what it is", "p50 (ms)", "p95 (ms)", "calls"), [
            (name, RUNTIMES[name].what, f"{1e3 * t.median:.3f}", f"{1e3 * t.p95:.3f}", f"{t.runs}")
            for name, t in timed]
    skipped = [f"{row.variant}: {row.skipped}." for row in report.rows if not row.timing]
    if skipped or not timed:
        yield "list", [f"Not timed: {line}" for line in skipped] or ["Not timed: nothing was asked for."]
    yield "h", "Files"
    yield "table", ("file", "bytes", "SHA-256"), [
        (name, f"{size:,}", digest) for name, (size, digest) in report.files.items() if not name.startswith("card.")]
    yield "h", "What this card does not say"
    yield "list", [
        "How it does on other pictures: from another camera, in another light, of things that are none of its classes. "
        "It always names one of its classes.",
        "What another teacher would bring: there was one. Seeds vary the student alone.",
        "Whether the test pictures resemble the training pictures too much, as frames of one film do.",
        "How fast it is elsewhere: the latencies are this machine's, while it had other work or not."]
    wanted = ("kdlab", "torch", "onnx", "onnxruntime", "numpy", "pillow")
    versions = [f"{name} {metadata.version(name)}" for name in wanted if _there(name)]
    yield "h", "Made"
    yield "p", (f"{datetime.now(UTC):%Y-%m-%d} (UTC) on {devices.describe('cpu')}; {platform.system()} "
                f"{platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}.")


def homeless(text: str) -> str:
    """A teacher's or a data set's name, in which of every path on somebody's disk the last part alone is left."""
    if re.match(r"https?://", text):
        return text
    text = re.sub(r"\b[A-Za-z]:(?=[\\/])", "", text)  # a drive
    return "".join(_last(part) for part in re.split(r"([:?&=;]|, )", text))


def _last(part: str) -> str:
    path = re.match(r"\s*(~|\.{0,2}[\\/])", part) or re.search(r"\.\w+\s*$", part) or not re.search(r"\s", part)
    return re.split(r"[\\/]", part.rstrip("\\/ "))[-1] if path and re.search(r"[\\/]", part) else part


def _there(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
