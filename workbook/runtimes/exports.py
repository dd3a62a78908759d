"""A trained model as an ONNX or OpenVINO file, and that file loaded again, in float32 and quantized.

Each `…_save` takes (model in eval mode, example, calibration, folder), each `…_load` (folder, example), as
runtimes.Runtime has it; a few lines on the real library.
"""

import contextlib
import copy
import functools
import hashlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

Call = Callable[[Tensor], Tensor]  # images (batch, channels, height, width) → logits (batch, classes)


class Unavailable(RuntimeError):
    """A runtime cannot run here, or not this model; the message is one sentence that says why, or what to install."""


def missing(extra: str, *modules: str) -> str:
    """The line that installs an extra where one of these modules is not there, or an empty text."""
    absent = [module for module in modules if find_spec(module) is None]
    line = f"python -m pip install -c constraints.txt -e '.[{extra}]'"
    return f"{absent[0]} is not installed; in the repository: {line}" if absent else ""


def to_onnx(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """Writes a model as one ONNX file, the weights inside, for batches of any size.

    Opset 20, which ONNX Runtime, onnxruntime-web and OpenVINO all read; input "images", output "logits". Exporting
    takes seconds, so a model that was written before with the same weights is written from memory.

    Args:
        model: stays untouched; what is written is its eval mode.
        example: float32 (batch, channels, height, width), any batch.
        path: where to write.

    Returns:
        The path.

    Raises:
        Unavailable: the extra onnx is not installed.
    """
    if reason := missing("onnx", "onnx", "onnxscript"):
        raise Unavailable(reason)
    path, key = Path(path), _key(model, example)
    if key in _written:
        path.write_bytes(_written[key])
        return path
    still = copy.deepcopy(model).cpu().eval()
    two = torch.zeros(2, *example.shape[1:])  # an example of one image would stay one image
    names = dict(input_names=["images"], output_names=["logits"], dynamic_shapes=({0: "batch"},))
    with quiet():
        torch.onnx.export(still, (two,), path, external_data=False, opset_version=20, verbose=False, **names)
    if key:
        _written[key] = path.read_bytes()
        for old in list(_written)[:-8]:
            del _written[old]
    return path


def _key(model: nn.Module, example: Tensor) -> bytes | None:
    """What tells a model from another; None where a class is not a library's, since a notebook may change it meanwhile."""
    if not all(type(part).__module__.startswith(("torch.nn.", "torchvision.", "kdlab.")) for part in model.modules()):
        return None
    digest = hashlib.blake2b(f"{model} {tuple(example.shape[1:])}".encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.digest()


_written: dict[bytes, bytes] = {}


def onnx_save(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    to_onnx(model, example, folder / "model.onnx")


def onnx_int8_save(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
    """Activations in 8 bits without a sign, weights in 7 with one: without VNNI two products of u8·s8 overflow 16 bits."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    class Reader:  # what onnxruntime asks for the next batch
        parts = iter(calibration.split(32))

        def get_next(self):
            return next(({"images": part.numpy()} for part in self.parts), None)

    written = to_onnx(model, example, folder / "float.onnx")
    types = dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    with quiet():
        quantize_static(written, folder / "model.onnx", Reader(), per_channel=True, reduce_range=True, **types)
    written.unlink()


def onnx_load(folder: Path, example: Tensor) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def openvino_save(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """By way of ONNX, because OpenVINO's own way from a module goes through torch's deprecated trace."""
    _openvino().save_model(_read_onnx(model, example, folder), folder / "model.xml", compress_to_fp16=False)


def openvino_int8_save(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
    """NNCF's post-training quantization, weights in 7 bits as in `onnx_int8_save`."""
    openvino = _openvino()
    with quiet():
        import nncf
        import rich
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

        source = nncf.Dataset(list(calibration.split(1)), lambda image: image.numpy())
        careful = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
        read = _read_onnx(model, example, folder)
        rich.reconfigure(quiet=True, force_jupyter=False)  # or its progress bar becomes a widget of the notebook
        model = nncf.quantize(read, source, subset_size=len(calibration), advanced_parameters=careful)
        rich.reconfigure()
    openvino.save_model(model, folder / "model.xml")


def _read_onnx(model: nn.Module, example: Tensor, folder: Path):
    written = to_onnx(model, example, folder / "float.onnx")
    read = _core().read_model(written.read_bytes())
    written.unlink()
    return read


def openvino_load(precision: str) -> Callable[[Path, Tensor], Call]:
    """A load that computes in "f32" or "bf16"."""

    def load(folder: Path, example: Tensor) -> Call:
        options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": precision}
        options |= {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        request = _core().compile_model(folder / "model.xml", "CPU", options).create_infer_request()
        return lambda images: torch.from_numpy(request.infer([images.numpy()], share_inputs=True)[0])

    return load


def openvino_bf16_missing(device: torch.device) -> str:
    has = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if "BF16" in has else f"OpenVINO finds no bf16 on this CPU, only {', '.join(has[:2])}; it would use FP32"


@functools.cache
def _core():
    """One for the whole process. With each, OpenVINO lays down a stack on which signals are handled, and takes it away with it;
    where a first Core goes before a second, the stack that is left is freed memory, and Ctrl-C ends the process.
    """
    core = _openvino().Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # makes the device's part, which owns the stack, now
    return core


def _openvino():
    """OpenVINO, whose telemetry would otherwise report each import and each quantization over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # as if that package were not installed
    import openvino

    return openvino


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
