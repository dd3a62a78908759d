"""A teacher from anywhere, by one string: a name, a checkpoint, a model, an ONNX or torch.export file, or a bank.

What it is shown and how its answers are read stands in adapter.py, how files are opened in foreign.py; training and
distilling are kdlab's.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from torch import Tensor, nn

from kdlab import bank, models
from kdlab.bank import Bank
from kdlab.data import Dataset
from workbook.task import foreign
from workbook.task.adapter import Teacher
from workbook.task.answers import Report, average, differs, report, taught
from workbook.task.foreign import Facts, few, nearest

__all__ = ["Report", "Teacher", "average", "load", "load_weights", "report"]

BANK = "kdlab_bank"  # the key of a bank's metadata: kdlab/bank.py
CHECKPOINTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
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
    classes=cat,dog (or a file of them, .json or .txt, here or beside the checkpoint), arch=…, probabilities=1. Each
    can be an argument, too, which goes first; then come the string's, the file's own, and those of labels.json beside
    it. What nobody says is taken as the data set's. `print(teacher)` tells every step and who said so.

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
        return taught(source, "this bank", probabilities)
    if isinstance(source, nn.Module):
        name = type(source).__name__
        return Teacher(source, dataset, said, name=f"this {name}", probabilities=probabilities)
    text, options = _options(str(source))
    probabilities = probabilities or options.pop("probabilities", "0") not in ("0", "", "false", "False")
    name, path = _split(text)
    if "classes" in options:
        options["classes"] = foreign.names_file(options["classes"], path)
    said = foreign.facts(options, "the string") | said
    if path is None:
        return _named(name, dataset, said, seed, probabilities)
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix in (*CHECKPOINTS, *PROGRAMS))
        best = min(inside, key=lambda file: (file.suffix != ".onnx", len(file.name)), default=None)  # not the int8
        raise FileNotFoundError(f"{path} is a folder; " + (f"did you mean {best}?" if best else NOTATION))
    if not path.is_file():
        there = [file.name for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
        raise FileNotFoundError(f"there is no file {path}{nearest(path.name, there)}; {NOTATION}")
    if path.suffix == ".safetensors":
        with foreign.opened(path) as file:
            if BANK in (file.metadata() or {}):
                return taught(bank.read(path, dataset), str(path), probabilities)
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
    model, name, said = _filled(name, path, state, said, dataset)
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
    return fitted(model, state, str(path))


def stripped(state: Mapping[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The same weights under plain names: without `_orig_mod.`, and prefixes that all keys have and `wanted` lacks."""
    state = dict(state)
    while state and not wanted & state.keys():
        prefix = next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in state)), "")
        if not prefix:
            break
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    if any("_orig_mod." in key for key in state) and not any("_orig_mod." in key for key in wanted):
        return stripped({key.replace("_orig_mod.", ""): tensor for key, tensor in state.items()}, wanted)
    return state


def nested(state: Mapping[str, Tensor], wanted: set[str]) -> list[str]:
    """The prefixes after which all of `wanted` stand among others; none where they stand as they are."""
    one = max(wanted, key=len, default="")
    found = [key.removesuffix(one) for key in state if one and key.endswith(f".{one}")]
    return [p for p in found if all(p + key in state for key in wanted)] if not wanted <= state.keys() else []


def fitted(model: nn.Module, state: Mapping[str, Tensor], what: str) -> nn.Module:
    """The model with these weights, the device and dtype its own; it may be a compiled one.

    Raises:
        ValueError: names every kind of misfit, the first few keys of each and how many; the model stays as it was.
    """
    mine = {key.replace("_orig_mod.", ""): (key, tensor) for key, tensor in model.state_dict().items()}
    state = stripped(state, set(mine))
    shapes = {key: (tuple(state[key].shape), tuple(mine[key][1].shape)) for key in state.keys() & mine.keys()}
    wrong = [f"{key} {a} in place of {b}" for key, (a, b) in sorted(shapes.items()) if a != b]
    absent, strange = [key for key in mine if key not in state], [key for key in state if key not in mine]
    kinds = {"missing": absent, "unexpected": strange}
    said = [f"{len(keys)} {kind} ({few(keys)})" for kind, keys in kinds.items() if keys]
    said += [f"{len(wrong)} of another shape ({few(wrong)})"] if wrong else []
    if said:
        places = " and after ".join(nested(state, set(mine)))
        hint = f"; all keys fit after the prefix {places}: save the weights of that part alone" if places else ""
        kind = type(model).__name__
        raise ValueError(f"{what} does not fit this {kind}: {', '.join(said)}{hint}; nothing was loaded")
    model.load_state_dict({mine[key][0]: tensor for key, tensor in state.items()})
    return model


def _options(text: str) -> tuple[str, dict[str, str]]:
    """What stands before "?", and the facts after it; a file's name may hold a "?" itself."""
    cuts = [len(text), *(i for i in range(len(text) - 1, -1, -1) if text[i] == "?")]
    cut = next((i for i in cuts if _is_file(text[:i])), cuts[-1])
    text, mark, query = text[:cut], text[cut : cut + 1], text[cut + 1 :]
    options = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))  # C++ is a class, too
    if norm := options.pop("norm", ""):
        if norm != "imagenet":
            raise ValueError(f"norm must be imagenet, got {norm!r}; or give mean and std")
        options = {key: json.dumps(value) for key, value in foreign.IMAGENET.items()} | options
    known = ("arch", "size", "mean", "std", "classes", "probabilities")
    if strange := next((key for key in options if key not in known), "") or (mark and not options and "?"):
        example = "as in size=48&norm=imagenet"
        if "classes" in options:
            example += "; names of classes that hold & or ? stand in a file, a name a line: classes=names.txt"
        raise ValueError(f"{strange!r} is no fact of a teacher; there are {', '.join(known)} and norm, {example}")
    return text, options


def _split(text: str) -> tuple[str, Path | None]:
    """The model's name and the file in a source; a name with torchvision's weights stays whole."""
    path = Path(text).expanduser()
    head, colon, tail = text.partition(":")
    if colon and len(head) > 1 and not path.is_file():  # one letter is a drive
        if not tail.strip():
            raise ValueError(f"{text!r} has no file after the colon; write {head} for a new model; {NOTATION}")
        file = Path(tail).expanduser()
        return (head, file) if file.suffix or file.exists() else (text, None)
    is_file = path.is_file() or path.suffix in (*CHECKPOINTS, *PROGRAMS) or len(path.parts) > 1
    return ("", path) if is_file else (text, None)


def _is_file(text: str) -> bool:
    head, _, tail = text.partition(":")
    return any(os.path.isfile(os.path.expanduser(x)) for x in (text, tail if len(head) > 1 else ""))


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
        if Path(name).is_dir():
            raise FileNotFoundError(f"{name} is a folder and no model; name the file in it; {NOTATION}") from None
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
) -> tuple[nn.Module, str, Facts]:
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
    state = stripped(state, set(mine))
    if len(places := nested(state, set(mine))) == 1:
        inner = {key.removeprefix(places[0]): x for key, x in state.items() if key.startswith(places[0])}
        told = f"those after the prefix {places[0]}; left: {few(k for k in state if not k.startswith(places[0]))}"
        before = f"{said['weights'][0]}; " if "weights" in said else ""
        state, said = inner, said | {"weights": (before + told, path.name)}
    counts = {len(state[key]) for key in mine.keys() & state.keys() if state[key].shape != mine[key].shape
              and state[key].dim() and len(mine[key]) == classes and state[key].shape[1:] == mine[key].shape[1:]}
    if len(counts) == 1 and min(counts) > 1:  # the last layer's
        model = _build(name, shape, counts.pop())
    return fitted(model, state, f"{path} for {name}"), name, said
