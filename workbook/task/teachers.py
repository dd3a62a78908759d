"""A teacher from anywhere, by one string: a name, a checkpoint, a model, an ONNX or torch.export file, or a bank.

What it is shown and how its answers are read stands in adapter.py, how files are opened in foreign.py; training and
distilling are kdlab's.
"""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import torch
from torch import Tensor, nn

from kdlab import bank, models
from kdlab.bank import Bank
from kdlab.data import Dataset
from workbook.task import foreign
from workbook.task.adapter import FLOOR, Teacher, refuse_probabilities
from workbook.task.answers import Report, average, differs, report
from workbook.task.foreign import Facts, nearest

__all__ = ["Report", "Teacher", "average", "load", "load_weights", "report"]

BANK = "kdlab_bank"  # the key of a bank's metadata: kdlab/bank.py
CHECKPOINTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
PROGRAMS = {".onnx": foreign.OnnxFile, ".pt2": foreign.ExportedFile}
NOTATION = (
    "a teacher is a model's name (resnet20), NAME:CHECKPOINT (resnet18:teacher.pth), NAME:WEIGHTS of torchvision "
    "(resnet18:DEFAULT), a checkpoint that says its arch, model.onnx, model.pt2, or a bank.safetensors; facts may "
    "follow, as in resnet18:teacher.pth?size=48&norm=imagenet"
)
OWN = ("mlp-512-512", "cnn-16-32-64", "article-teacher", "article-student", "tutorial-teacher", "tutorial-student",
       *(f"resnet{depth}" for depth in (8, 20, 32, 44, 56, 110)), "resnet8x4")


def load(
    source: str | Path | nn.Module | Bank, dataset: Dataset, *, arch: str | None = None,
    size: int | tuple[int, int] | None = None, mean=None, std=None, classes=None, probabilities: bool = False,
    seed: int = 0,
) -> Teacher | Bank:
    """A teacher in the data set's terms, which `kdlab.bank.fill`, `kdlab.evaluate` and `kdlab.distil` take as it is.

    The string says which:
        "resnet20"                a model of `kdlab.models` or torchvision, new and untrained: train its `.model`
        "resnet18:DEFAULT"        torchvision's, with weights by their name there (a download), size, mean, std, classes
        "resnet18:teacher.pth"    a checkpoint (.safetensors, or what torch.save wrote: .pt, .pth, …) for that model
        "teacher.pth"             a checkpoint that holds its `arch`, or with arch=
        "teacher.onnx"            an ONNX file, by ONNX Runtime (extra onnx)
        "teacher.pt2"             a torch.export file; torch unpickles parts of it, so from where one trusts
        "answers.safetensors"     a bank that `kdlab.bank.write` or another machine wrote
    Facts may follow after "?", joined by "&": size=48 (or 48x64), mean=0.5,0.5,0.5, std=…, norm=imagenet for both,
    classes=cat,dog (or a file of them, .json or .txt), arch=…, probabilities=1. Each can be an argument, too, which
    goes first; then come the string's, the file's own, and those of labels.json beside it. What nobody says is taken as
    the data set's. `print(teacher)` tells every step and who said so.

    Args:
        source: such a string, a path, a module that maps images to logits (a tensor, the first of a tuple, or
            `logits` of a dict or object), or a Bank.
        dataset: whose normalized images the teacher will be given, and whose classes, in their order, it answers with.
        arch: the model that a checkpoint is for, a name of `kdlab.models.build`.
        size: the teacher's, in pixels, one number or (height, width); images are scaled bilinearly with antialiasing.
        mean, std: the teacher's, of pixels in 0..1, one figure or three; where it takes 0..255 they are 0 and 1/255.
        classes: the teacher's names in the order of its logits, as `workbook.task.foreign.names` takes them; columns
            are then chosen by name, exactly, or else whatever the case, spaces, _ and -.
        probabilities: whether it answers with probabilities, of which the logarithm is taken: softmax(log p / T) is
            proportional to p^(1/T). p below the format's least value is taken for it; `.floored` is their share.
        seed: of the weights of a new model.

    Returns:
        A Teacher on the data set's device, or a Bank on the CPU, checked against the training split.

    Raises:
        ValueError: what was given cannot be used; the message says what was given, what was expected, and what to do.
        FileNotFoundError: there is no such file or model; the nearest names are told. ConnectionError: weights that
            cannot be fetched. kdlab.latency.Unavailable: ONNX Runtime is not installed.
    """
    given = dict(arch=arch, size=size, mean=mean, std=std, classes=classes)
    said = foreign.facts(given, "given")
    if isinstance(source, Bank):
        if why := differs(source, source, dataset, "train"):
            raise ValueError(f"this bank cannot teach {dataset.name}: {why}")
        return _answers(source, "this bank", probabilities)
    if isinstance(source, nn.Module):
        name = type(source).__name__
        return Teacher(source, dataset, said, name=f"this {name}", probabilities=probabilities)
    text, options = _options(str(source))
    probabilities = probabilities or options.pop("probabilities", "0") not in ("0", "", "false", "False")
    said = foreign.facts(options, "the string") | said
    name, path = _split(text)
    if path is None:
        return _named(name, dataset, said, seed, probabilities)
    if not path.is_file():
        there = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        raise FileNotFoundError(f"there is no file {path}{nearest(path.name, there)}; {NOTATION}")
    if path.suffix == ".safetensors":
        with foreign.opened(path) as file:
            if BANK in (file.metadata() or {}):
                return _answers(bank.read(path, dataset), str(path), probabilities)
    if path.suffix in PROGRAMS:
        program = PROGRAMS[path.suffix](path)
        takes = {key: (value, path.name) for key, value in program.takes.items() if value is not None}
        said = foreign.beside(path) | program.facts | said
        for fact in ("size", "channels"):
            if fact in takes and fact in said and said[fact][0] != takes[fact][0]:
                told, by = said[fact]
                raise ValueError(f"{path} was made for {fact} {takes[fact][0]}, and {by} says {told}; leave {fact} out")
        return Teacher(program, dataset, said | takes, name=path.name, probabilities=probabilities)
    state, own = foreign.read_checkpoint(path)
    said = foreign.beside(path) | own | said
    model, name = _filled(name, path, state, said, dataset)
    return Teacher(model, dataset, said, name=f"{path.name}, {name}", probabilities=probabilities)


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Puts a checkpoint's weights into a model, plain or compiled, all of them or none, and returns it.

    The file may be .safetensors or what torch.save wrote, read with `weights_only=True`, plain or under `state_dict` or
    `model`; prefixes such as `module.` and `_orig_mod.` are taken off.

    Raises:
        ValueError: the file is damaged or holds more than weights; or keys are missing, unexpected or of another shape,
            which the message names; the model stays as it was.
    """
    state, _ = foreign.read_checkpoint(Path(path).expanduser())
    return foreign.fitted(model, state, str(path))


def _answers(answers: Bank, name: str, probabilities: bool) -> Bank:
    """A bank whose rows are logits; those of probabilities are refused, or made logits."""
    if not probabilities:
        refuse_probabilities(answers.logits.flatten(0, -2), name)
        return answers
    floored = (answers.logits < FLOOR[torch.float32]).double().mean().item()
    said = f"{answers.producer}; log of probabilities, {floored:.2%} floored"
    return replace(answers, logits=answers.logits.clamp_min(FLOOR[torch.float32]).log(), producer=said)


def _options(text: str) -> tuple[str, dict[str, str]]:
    """What stands before "?", and the facts after it."""
    text, mark, query = text.partition("?") if not Path(text).expanduser().is_file() else (text, "", "")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if norm := options.pop("norm", ""):
        if norm != "imagenet":
            raise ValueError(f"norm must be imagenet, got {norm!r}; or give mean and std")
        options = {key: json.dumps(value) for key, value in foreign.IMAGENET.items()} | options
    known = ("arch", "size", "mean", "std", "classes", "probabilities")
    if strange := next((key for key in options if key not in known), "") or (mark and not options and "?"):
        example = "as in size=48&norm=imagenet"
        raise ValueError(f"{strange!r} is no fact of a teacher; there are {', '.join(known)} and norm, {example}")
    return text, options


def _split(text: str) -> tuple[str, Path | None]:
    """The model's name and the file in a source; a name with torchvision's weights stays whole."""
    path = Path(text).expanduser()
    head, colon, tail = text.partition(":")
    if colon and len(head) > 1 and not path.is_file():  # one letter is a drive
        file = Path(tail).expanduser()
        return (head, file) if file.suffix or file.is_file() else (text, None)
    is_file = path.is_file() or path.suffix in (*CHECKPOINTS, *PROGRAMS) or len(path.parts) > 1
    return ("", path) if is_file else (text, None)


def _named(text: str, dataset: Dataset, said: Facts, seed: int, probabilities: bool) -> Teacher:
    """A new model, or one of torchvision's with its weights."""
    name, _, weights = text.partition(":")
    if weights:
        return _pretrained(name, weights, dataset, said, probabilities)
    model = _build(name, dataset.shape, len(dataset.classes), seed)
    if said:
        told = ", ".join(said)
        raise ValueError(f"{name} is built new for {dataset.name}, so {told} cannot be given; write NAME:CHECKPOINT")
    known = {"channels": (dataset.shape[0], "its name"), "classes": (tuple(dataset.classes), "built for it")}
    return Teacher(model, dataset, known, name=name, trained=False)


def _build(name: str, shape: tuple, classes: int, seed: int = 0) -> nn.Module:
    try:
        return models.build(name, shape, classes, seed=seed)
    except ValueError as error:
        if not str(error).startswith("no model is called"):
            raise
        said = f"no model and no file is called {name!r}{nearest(name, _known())}"
        raise FileNotFoundError(f"{said}; {NOTATION}") from None


def _known() -> list[str]:
    from torchvision import models as theirs

    return [*OWN, *theirs.list_models(module=theirs)]


def _pretrained(name: str, weights: str, dataset: Dataset, said: Facts, probabilities: bool) -> Teacher:
    from torchvision import models as theirs

    if name not in theirs.list_models(module=theirs):
        raise FileNotFoundError(f"torchvision has no classifier {name!r}{nearest(name, _known())}; {NOTATION}")
    there = theirs.get_model_weights(name)
    if weights not in there.__members__:
        raise FileNotFoundError(f"{name} has the weights {', '.join(there.__members__)}, got {weights!r}; {NOTATION}")
    chosen, where = there[weights], "torchvision"
    shown = chosen.transforms()
    own = foreign.facts({"classes": chosen.meta["categories"], "size": shown.crop_size[0], "mean": list(shown.mean),
                         "std": list(shown.std)}, where)
    try:
        model = theirs.get_model(name, weights=chosen)
    except OSError as error:
        raise ConnectionError(f"the weights {weights} of {name} cannot be fetched: {error}") from None
    return Teacher(model, dataset, own | said, name=f"{name}:{weights}", probabilities=probabilities)


def _filled(
    name: str, path: Path, state: dict[str, Tensor], said: Facts, dataset: Dataset
) -> tuple[nn.Module, str]:
    """A new model with the weights of a checkpoint, for as many channels and classes as these say."""
    name = name or said.get("arch", ("",))[0]
    if not name:
        raise ValueError(f"{path} holds weights and does not say of which model; write NAME:{path}, or give arch=NAME")
    size = said.get("size", (dataset.shape[1:],))[0]
    first = next((tensor for tensor in state.values() if tensor.dim() == 4), None)  # the first convolution
    depth = dataset.shape[0] if first is None or first.shape[1] not in (1, 3) else first.shape[1]
    shape, classes = (depth, *size), len(dataset.classes)
    try:
        model = _build(name, shape, classes)
    except ValueError as error:
        raise ValueError(f"{error}; give size=, the pixels that this teacher was trained with") from None
    mine = model.state_dict()
    state = foreign.stripped(state, set(mine))
    counts = {len(state[key]) for key in mine.keys() & state.keys() if state[key].shape != mine[key].shape
              and state[key].dim() and len(mine[key]) == classes and state[key].shape[1:] == mine[key].shape[1:]}
    if len(counts) == 1 and min(counts) > 1:  # the last layer's
        model = _build(name, shape, counts.pop())
    return foreign.fitted(model, state, f"{path} for {name}"), name
