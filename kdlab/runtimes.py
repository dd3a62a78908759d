"""The same trained model on other tool chains, each behind one small interface.

Every entry is a few lines on the real library. What is timed and compared is decided elsewhere.
"""

import copy
import importlib
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class Unavailable(RuntimeError):
    """A runtime cannot run on this machine; the message is one sentence that says why or what to install."""


def to_onnx(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """Writes a model as one ONNX file, the weights inside, for batches of any size.

    Opset 20, which ONNX Runtime, onnxruntime-web and OpenVINO all read. Input "images", output "logits".

    Args:
        model: stays untouched; what is written is its eval mode.
        example: float32 (batch, channels, height, width) of any batch.
        path: where to write, ending in .onnx.

    Returns:
        The path.

    Raises:
        Unavailable: the extra is not installed.
    """
    needed("onnx", "onnx", "onnxscript")
    model = copy.deepcopy(model).cpu().eval()
    example = example.cpu().expand(2, *example.shape[1:]) if len(example) == 1 else example.cpu()  # a 1 stays a 1
    names = dict(input_names=["images"], output_names=["logits"], dynamic_shapes=({0: "batch"},))
    with _quiet():
        torch.onnx.export(model, (example,), Path(path), external_data=False, opset_version=20, verbose=False, **names)
    return Path(path)


def needed(extra: str, *modules: str) -> None:
    """Raises Unavailable with the line that installs the extra where one of these modules is not there."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            line = f"python -m pip install -c constraints.txt -e '.[{extra}]'"
            raise Unavailable(f"{module} is not installed; in the repository: {line}") from None


class _quiet(warnings.catch_warnings):
    """Keeps exporters from saying on each call what their authors should hear."""

    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("ignore")
        self.loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *error):
        for logger, level in zip(self.loggers, self.levels):
            logger.setLevel(level)
        super().__exit__(*error)
