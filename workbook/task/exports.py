"""What a student leaves for other machines: ONNX, int8 and LiteRT files, each tried; its labels and a script.

It writes into a folder that it is given; what becomes of that folder stands in handover.py.
"""

import copy
import json
import math
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab import __version__, files
from kdlab.data import Dataset
from kdlab.evaluation import calibration_error
from workbook import runtimes

BATCHES = (1, 2, 7)  # sizes that prove that any size will do
CALIBRATION = 256  # training pictures that int8 is calibrated on

SCRIPT = '''"""Says what is on pictures, python predict.py PICTURE [...]; for each: file, share, class."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(Path(__file__).with_name("student.onnx"), providers=["CPUExecutionProvider"])
facts = session.get_modelmeta().custom_metadata_map
classes, size, mean, std = (json.loads(facts[key]) for key in ("classes", "size", "mean", "std"))
sys.stdout.reconfigure(errors="backslashreplace")  # a console that lacks a letter still gets its answer


def prepared(image):  # as for training, or not at all
    deep, clear = image.mode[0] in "IF", "transparency" in image.info
    bits = str(image.tile[0][3]) if image.tile else ""
    if not deep and image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
        raise ValueError(f"this file has {image.mode}; convert it to RGB of 8 bits first")
    if clear and (deep or bits in ("L;2", "L;4")):
        raise ValueError(f"this file has {image.mode} with a transparent value; convert it to 8 bits first")
    image = ImageOps.exif_transpose(image)
    if deep:  # 16 bits a pixel, or float as 0 .. 1 or as 0 .. 255
        values = np.asarray(image).astype(np.float64)
        unit = 257 if image.mode[0] == "I" else 1 / 255 if values.max() <= 1 else 1
        unsure = image.mode == "F" and 1 < values.max() < 2  # of either range
        if unsure or not ((values >= 0) & (values <= 255 * unit)).all():
            raise ValueError(f"this file has {values.min():g} .. {values.max():g}; convert it to 8 bits first")
        image = Image.fromarray(np.rint(values / unit).astype(np.uint8))
    if clear or image.mode in ("LA", "PA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, GROUND), image.convert("RGBA"))
    return ImageOps.fit(image.convert("RGB" if len(mean) == 3 else "L"), size[::-1], Image.Resampling.BILINEAR)


bad = 0
for file in sys.argv[1:] or sys.exit(__doc__):
    try:
        with Image.open(file) as image:
            pixels = (np.float32(prepared(image)).reshape(*size, -1) / 255 - mean) / std  # (height, width, channels)
    except Exception as error:  # a file that is none, or damaged in one of many ways; the others get their answers
        bad = print(f"{file}: {error}".encode("ascii", "backslashreplace").decode(), file=sys.stderr) or 1
        continue
    logits = session.run(None, {"images": np.float32(pixels).transpose(2, 0, 1)[None]})[0][0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    print(file, f"{shares.max():.4f}", classes[shares.argmax()], sep="\\t")
sys.exit(bad)
'''


@dataclass(frozen=True)
class Judged:
    """Answers against the truth: shares in [0, 1]; `recall` nan for a class without pictures, `counts` how many it has.

    `confused` holds (true class, answer, pictures), the most frequent first; `crowding` (class, share of the answers,
    share of the pictures) where one class is more than half of the answers, and more than 1.5 times as frequent there
    as in the pictures; else None. `guessing` says so where the answers are no better than guesses, or is empty.
    """

    accuracy: float
    balanced: float
    ece: float
    recall: tuple[float, ...]
    counts: tuple[int, ...]
    confused: tuple[tuple[str, str, int], ...]
    crowding: tuple[str, float, float] | None
    guessing: str = ""


@dataclass(frozen=True)
class Export:
    """A file that was run on the test pictures: how it did, and `why` it must not be shipped, or an empty text."""

    file: str
    runtime: str
    judged: Judged
    same: float  # share of the test pictures on which it answers as torch does
    difference: float  # the largest between its logits and torch's, of the batches that prove it
    batches: tuple[int, ...]
    why: str = ""

    ship = property(lambda self: not self.why)


def judge(logits: Tensor, labels: Tensor, classes: tuple[str, ...]) -> Judged:
    """Accuracy, balanced accuracy, calibration error, recall and confusions of logits (n, classes) and labels (n,)."""
    answers, n = logits.argmax(1), len(classes)
    table = torch.bincount(labels * n + answers, minlength=n * n).view(n, n)  # (true, answered)
    counts, said = table.sum(1), table.sum(0)
    recall = (table.diagonal().double() / counts).tolist()
    most = int(said.argmax())
    ours, theirs = int(said[most]) / len(labels), int(counts[most]) / len(labels)
    pairs = [(-int(table[i, j]), i, j) for i, j in table.nonzero().tolist() if i != j]
    accuracy = (answers == labels).double().mean().item()
    balanced = statistics.fmean(share for share in recall if not math.isnan(share))
    return Judged(
        accuracy=accuracy,
        balanced=balanced,
        ece=calibration_error(logits, labels),
        recall=tuple(recall),
        counts=tuple(counts.tolist()),
        confused=tuple((classes[i], classes[j], -count) for count, i, j in sorted(pairs)),
        crowding=(classes[most], ours, theirs) if ours > max(0.5, 1.5 * theirs) else None,
        guessing=_guessing(accuracy, balanced, int(counts.max()) / len(labels), n),
    )


def _guessing(accuracy: float, balanced: float, largest: float, n: int) -> str:
    """Warns below one and a half times 1/n, for few classes 1/n + 0.1; or where the largest class is more often right.

    There a high balanced accuracy speaks for the student, which then knows the small classes.
    """
    line = min(1.5 / n, 1 / n + 0.1)
    if accuracy >= line and (accuracy > largest or balanced >= line):
        return ""
    other = f"guessing gives {1 / n:.1%}" if accuracy < line else f"naming the largest class always gives {largest:.1%}"
    return f"is right on {accuracy:.1%} of the test pictures; {other}: do not use it."


def calibration(dataset: Dataset) -> Tensor:
    """Training pictures in use, evenly spaced (folders come sorted by class), normalized: float32 (n, c, h, w)."""
    used = dataset.in_use
    chosen = used[torch.linspace(0, len(used) - 1, min(len(used), CALIBRATION)).long()]
    return dataset.normalize(dataset.train.images[chosen])


def kept(name: str) -> str:
    """The name under which an export that must not be shipped stays as evidence."""
    return name.replace(".", ".DO-NOT-SHIP.")


def export(
    folder: Path, student: nn.Module, dataset: Dataset, logits: Tensor, ground: str, tolerated: float
) -> tuple[tuple[Export, ...], dict[str, str]]:
    """Writes all files but the card's, and runs those that can run here; see `handover.write`.

    Args:
        student: in eval mode, on the CPU, as the data set.
        logits: torch's for the test pictures, (n, classes).

    Returns:
        What was found of each export, and name → reason for those that are not there.
    """
    files.write_weights(student, folder / "student.safetensors")
    figures = {"mean": [float(x) for x in dataset.mean], "std": [float(x) for x in dataset.std]}
    facts = {"classes": list(dataset.classes), "size": list(dataset.shape[1:]), "channels": dataset.shape[0], **figures}
    labels = json.dumps({**facts, "ground": ground}, ensure_ascii=False, indent=1)
    files.write_whole("labels", folder / "labels.json", labels.encode("utf-8", "backslashreplace"))
    metadata = {name: json.dumps(value) for name, value in facts.items()}
    metadata["producer"] = f"kdlab {__version__}, torch {torch.__version__}"
    found, missing = [], {}
    images, before = dataset.normalize(dataset.test.images), judge(logits, dataset.test.labels, dataset.classes)
    for name, (runtime, batches) in {
        "student.onnx": ("onnxruntime", BATCHES),
        "student-int8.onnx": ("onnxruntime int8", BATCHES),
        "student.tflite": ("litert", (1,)),  # a file for exactly one picture
    }.items():
        if reason := runtimes.RUNTIMES[runtime].why_not("cpu"):
            missing[name] = reason
            continue
        try:
            found.append(_tried(
                name, runtime, batches, folder, student, dataset, images, logits, before.accuracy, tolerated, metadata))
        except runtimes.Unavailable as error:
            missing[name] = str(error)
    if "student.onnx" in missing:
        missing["predict.py"] = "it runs student.onnx, which is not there"
    else:
        script = SCRIPT.replace("GROUND", json.dumps(ground))
        files.write_whole("script", folder / "predict.py", script.encode())
    return tuple(found), missing


def _tried(
    name: str, runtime: str, batches: tuple, folder: Path, student: nn.Module, dataset: Dataset, images: Tensor,
    logits: Tensor, before: float, tolerated: float, metadata: dict[str, str],
) -> Export:
    chain, suffix = runtimes.RUNTIMES[runtime], Path(name).suffix
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as place:
        file = Path(place) / f"model{suffix}"
        try:
            chain.write(copy.deepcopy(student), images[:1], calibration(dataset), Path(place))
            if suffix == ".onnx":
                _describe(file, metadata)
            call = chain.read(Path(place), images[:1])
            answers = runtimes.logits(call, images, 1 if chain.fixed_batch else 64)  # (n, classes)
            some = [torch.arange(n) % len(images) for n in batches]
            proofs = [(torch.as_tensor(call(images[these])), logits[these]) for these in some]
        except (runtimes.Unavailable, OSError):
            raise
        except Exception as error:  # exporters fail in many ways
            said = (str(error).strip() or "no word").splitlines()[0]
            raise runtimes.Unavailable(f"it does not take this student: {type(error).__name__}: {said}") from error
        gap = max((got - wanted).abs().max().item() for got, wanted in proofs)
        judged = judge(answers, dataset.test.labels, dataset.classes)
        same = (answers.argmax(1) == logits.argmax(1)).double().mean().item()
        if name == "student.onnx" and not gap <= 1e-3 * max(1.0, logits.abs().max().item()):
            raise ValueError(f"{name} must answer as torch does, its logits differ by {gap:.2g}; nothing was written")
        lost, why = before - judged.accuracy, ""
        if lost > tolerated + 1e-9:
            why = (f"it is right on {judged.accuracy:.1%} of the test pictures, the student on {before:.1%}; "
                   f"{100 * lost:.1f} points are lost, {100 * tolerated:g} are tolerated")
        name = kept(name) if why else name
        shutil.move(file, folder / name)
    return Export(name, runtime, judged, same, gap, batches, why)


def _describe(file: Path, metadata: dict[str, str]) -> None:
    import onnx

    model = onnx.load(file)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, file)
