"""Files of others, opened: what a checkpoint, an ONNX file or a torch.export file holds, and what it says of itself.

Nothing here executes what a checkpoint holds. What a teacher makes of these files stands in teachers.py.
"""

import ast
import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from kdlab.losses import as_logits
from workbook.runtimes.base import not_installed

# What a fact is called in files: first the words of this workbook's own hand-over folder, then those of other tools.
KEYS = {
    "classes": ("classes", "class_names", "class_to_idx", "names", "labels", "id2label", "character"),
    "size": ("size", "image_size", "input_size", "img_size", "imgsz"),
    "channels": ("channels",),
    "mean": ("mean",),
    "std": ("std",),
    "arch": ("arch", "architecture", "model_name"),
    "accuracy": ("accuracy", "best_accuracy", "test_accuracy", "val_accuracy", "best_acc", "best_acc1", "acc1", "acc"),
}
INSIDE = ("state_dict", "model_state_dict", "model_state", "model", "net", "state_dict_ema", "model_ema", "ema")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
Facts = dict[str, tuple]  # what is known of a teacher: the name of a fact → (its value, who says so)


def facts(record: Mapping, where: str) -> Facts:
    """What a record says of a teacher, each fact beside `where` it was said; unknown keys and None are passed over.

    Raises:
        ValueError: under this workbook's own word stands what cannot be read; under another tool's it is passed over.
    """
    found: Facts = {}
    for fact, keys in KEYS.items():
        for key in keys:
            if fact not in found and record.get(key) is not None:
                try:
                    found[fact] = (_READ[fact](record[key]), where)
                except (ValueError, TypeError, OSError) as error:
                    if key == keys[0]:
                        raise ValueError(f"{where}: {key}={str(record[key])[:80]!r} cannot be read: {error}") from None
    return found


def beside(path: Path) -> Facts:
    """What labels.json in the file's folder says, or nothing."""
    labels = path.with_name("labels.json")
    if not labels.is_file():
        return {}
    record = json.loads(labels.read_text("utf-8"))
    whole = isinstance(record, Mapping) and any(isinstance(record.get(key), (list, Mapping)) for key in KEYS["classes"])
    return facts(record if whole else {"classes": record}, str(labels))


def names(value) -> tuple[str, ...]:
    """Class names in the order of the logits.

    Args:
        value: a list; {name: index} or {index: name}, indices 0 .. n - 1 in any order; a file of these as JSON, or with
            a name a line; or such a text itself, commas or lines between the names.
    """
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith((".json", ".txt"))):
        return names(Path(value).expanduser().read_text("utf-8"))
    if isinstance(value, str):
        for parse in (json.loads, ast.literal_eval):
            try:
                parsed = parse(value)
            except (ValueError, SyntaxError):
                continue
            if isinstance(parsed, (list, tuple, Mapping)):
                return names(parsed)
        return tuple(part.strip() for part in re.split(r"\n" if "\n" in value.strip() else ",", value.strip()))
    if isinstance(value, Mapping):
        if isinstance(value.get("classes"), (list, Mapping)):
            return names(value["classes"])
        by_index = all(isinstance(key, int) or str(key).isdigit() for key in value) and not all(
            isinstance(item, int) for item in value.values())
        pairs = [(int(a), b) if by_index else (int(b), a) for a, b in value.items()]
        if sorted(index for index, _ in pairs) != list(range(len(pairs))):
            raise ValueError(f"the indices of {len(pairs)} classes must be 0 .. {len(pairs) - 1}, each once")
        return tuple(str(name) for _, name in sorted(pairs, key=lambda pair: pair[0]))
    return tuple(str(name) for name in value)


def names_file(value: str, path: Path | None) -> str | Path:
    """The classes as they are; or a file of them, from here or from beside the checkpoint."""
    if not value.endswith((".json", ".txt")):
        return value
    places = [Path(value).expanduser(), *([path.parent / value] if path else [])]
    if found := next((place for place in places if place.is_file()), None):
        return found
    looked = " and ".join(dict.fromkeys(str(place.absolute().parent) for place in places))
    raise FileNotFoundError(f"classes={value}: there is no such file; looked in {looked}")


def _size(value) -> tuple[int, int]:
    parts = re.split(r"[x,\s]+", value.strip("[]() ")) if isinstance(value, str) else value
    numbers = [int(x) for x in (parts if isinstance(parts, (list, tuple)) else [parts])]
    height, width = (numbers * 2 if len(numbers) == 1 else numbers)[-2:]  # 48; height, width; or channels before them
    if min(height, width) < 1:
        raise ValueError("a size is height and width in pixels, each >= 1")
    return height, width


def _figures(value) -> tuple[float, ...]:
    parts = re.split(r"[,\s]+", value.strip("[]() ")) if isinstance(value, str) else value
    parts = parts.tolist() if isinstance(parts, Tensor) else parts
    figures = tuple(float(x) for x in (parts if isinstance(parts, (list, tuple)) else [parts]))
    if len(figures) not in (1, 3) or not all(abs(x) < float("inf") for x in figures):
        raise ValueError("mean and std have one figure, or one for each of three channels")
    return figures


def _share(value) -> float:
    share = float(value)
    return share / 100 if share > 1 else share  # many scripts write percent


_READ = {"classes": names, "size": _size, "channels": int, "mean": _figures, "std": _figures, "arch": str,
         "accuracy": _share}


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Facts]:
    """The weights by name in a .safetensors file or in what torch.save wrote, and what the file says of itself.

    Raises:
        ValueError: damaged; or more than tensors and plain values in it, as in a pickled model: nothing is executed.
    """
    if path.suffix == ".safetensors":
        with opened(path) as file:
            return {key: file.get_tensor(key) for key in file.keys()}, facts(file.metadata() or {}, path.name)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign file raises many kinds
        said = str(error)
        if blocked := re.search(r"GLOBAL ([\w.]+)", said):
            raise ValueError(
                f"{path} holds more than weights ({blocked[1]}), and loading that would run code from the file;"
                " where it was made, save the weights alone by torch.save(model.state_dict(), path), or as safetensors"
            ) from None
        if "TorchScript" in said or "torch.jit" in said:
            raise ValueError(f"{path} is a TorchScript program; save its state_dict, or export it to ONNX") from None
        raise ValueError(no_checkpoint(path) or f"{path} is not a readable checkpoint: {type(error).__name__}: "
                         f"{said[:120]}") from None
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} must hold a state_dict, got {type(content).__name__}; save model.state_dict()")
    places = [key for key in INSIDE if isinstance(content.get(key), Mapping)]
    inside = places[0] if places else None
    state = {key: value for key, value in (content[inside] if inside else content).items()}
    weights = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not weights:
        raise ValueError(f"{path} holds no weights; its keys are {few(content)}; save model.state_dict()")
    known = facts({key: value for key, value in content.items() if key != inside}, path.name)
    others = [key for key in places[1:] if any(isinstance(value, Tensor) for value in content[key].values())]
    return weights, known | ({"weights": (f"those under {inside}; left: {few(others)}", path.name)} if others else {})


def no_checkpoint(path: Path) -> str:
    """A sentence for what was never a checkpoint, such as a page that was saved in its place, or an empty text."""
    with path.open("rb") as file:
        head = file.read(24)
    if not head:
        return f"{path} is no checkpoint: it is empty; download or copy it again"
    if head[8:9] == b"{" and path.suffix != ".safetensors":
        return f"{path} is no checkpoint of torch: it looks like safetensors; call it {path.stem}.safetensors"
    if head[:2] == b"PK" or head[:1] == b"\x80" or (path.suffix == ".safetensors" and head[8:9] == b"{"):
        return ""  # damaged
    text = head.decode("utf-8", "replace")
    return f"{path} is no checkpoint: it begins with {text!r}; download it again, or name the file of the weights"


def opened(path: Path):
    """A safetensors file, to be closed by `with`; ValueError for a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        raise ValueError(no_checkpoint(path) or f"{path} is not a readable safetensors file: {error}") from None


def few(keys, n: int = 3) -> str:
    keys = [str(key) for key in keys]
    return ", ".join(keys[:n]) + (f", … {len(keys) - n} more" if len(keys) > n else "")


def nearest(name: str, known) -> str:
    """The names that are like this one, ready for a message, or an empty text."""
    known = list(known)
    longer = [other for other in known if name and other.startswith(name)]
    close = (longer or difflib.get_close_matches(name, known, n=3, cutoff=0.6))[:3]
    return f" (nearest: {', '.join(close)})" if close else ""


class Opened(nn.Module):
    """A program from a file as a module: float (n, channels, height, width) → its answers (n, …), n of any number.

    `takes` says what it wants: channels and size (None: any), dtype; `batch` is what it is made for, or None.
    """

    takes: dict
    batch: int | None

    def train(self, mode: bool = True) -> "Opened":
        return super().train(False)  # it was written in one mode, and has no other

    def call(self, images: Tensor) -> Tensor:
        """The answers to one batch, of `batch` images where that is fixed."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        if self.batch is None:
            return self.call(images)
        answers = []
        for part in images.split(self.batch):
            lacking = self.batch - len(part)  # filled up with the last image, whose answers are cut off again
            answers.append(self.call(torch.cat([part, part[-1:].expand(lacking, -1, -1, -1)]))[: len(part)])
        return torch.cat(answers)


class OnnxFile(Opened):
    """An ONNX classifier, run by ONNX Runtime on the CPU: one input of four dimensions, channels first or last."""

    def __init__(self, path: Path):
        super().__init__()
        if reason := not_installed("onnx", "onnxruntime"):
            raise Unavailable(reason)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class for each status
            raise ValueError(f"{path} is not an ONNX file that ONNX Runtime opens: {str(error)[:200]}") from None
        inputs, outputs = self.session.get_inputs(), [output.name for output in self.session.get_outputs()]
        if len(inputs) != 1:
            given = few(x.name for x in inputs)
            raise ValueError(f"{path} takes {len(inputs)} inputs ({given}), and a teacher takes images alone")
        dtypes = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(uint8)": torch.uint8}
        shape = [side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape]
        if len(shape) != 4 or inputs[0].type not in dtypes:
            wanted = "float32, float16 or uint8 images of four dimensions"
            raise ValueError(f"{path} takes {inputs[0].type} {inputs[0].shape}, and a teacher takes {wanted}")
        self.last = shape[3] in (1, 3) and shape[1] not in (1, 3)  # channels
        self.input, self.output = inputs[0].name, "logits" if "logits" in outputs else outputs[0]
        self.batch, size = shape[0], tuple(shape[1:3] if self.last else shape[2:])
        self.takes = {"channels": shape[3 if self.last else 1], "size": size if all(size) else None,
                      "dtype": dtypes[inputs[0].type]}
        self.facts = facts(self.session.get_modelmeta().custom_metadata_map, path.name)

    def call(self, images: Tensor) -> Tensor:
        given = images.permute(0, 2, 3, 1) if self.last else images
        answer = self.session.run([self.output], {self.input: given.contiguous().cpu().numpy()})[0]
        if getattr(answer, "dtype", None) is None or answer.dtype.kind != "f":
            got = getattr(answer, "dtype", type(answer).__name__)
            raise ValueError(f"the output {self.output!r} must hold logits or probabilities, got {got}")
        return torch.from_numpy(answer).to(images.device)


class ExportedFile(Opened):
    """A program that torch.export.save wrote, of one input of four dimensions."""

    def __init__(self, path: Path):
        super().__init__()
        try:
            program = torch.export.load(path)
        except Exception as error:  # a foreign file raises many kinds
            raise ValueError(f"{path} is not a torch.export file: {type(error).__name__}: {str(error)[:120]}") from None
        inputs = [node.meta["val"] for node in program.graph.nodes
                  if node.op == "placeholder" and node.name in program.graph_signature.user_inputs]
        if len(inputs) != 1 or inputs[0].dim() != 4:
            raise ValueError(f"{path} takes {len(inputs)} inputs, and a teacher takes images of four dimensions")
        self.batch, channels, *size = [side if isinstance(side, int) else None for side in inputs[0].shape]
        self.takes = {"channels": channels, "size": tuple(size) if all(size) else None, "dtype": inputs[0].dtype}
        self.facts: Facts = {}
        self.device, self.program = inputs[0].device, [program.module()]  # in a list, not a part: its eval() raises

    def call(self, images: Tensor) -> Tensor:
        return as_logits(self.program[0](images.to(self.device))).to(images.device)
