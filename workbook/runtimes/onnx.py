"""A trained model as an ONNX file, in float32 and quantized by ONNX Runtime, and that file opened by ONNX Runtime.

OpenVINO and the demo page start from `to_onnx`; how a program is kept and called stands in base.py.
"""

import copy
import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import Call, not_installed, quiet


def to_onnx(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """Writes a model as one ONNX file, the weights inside, for batches of any size.

    Opset 20, which ONNX Runtime, onnxruntime-web and OpenVINO all read; input "images", output "logits". Exporting
    takes seconds, so a model that was written before with the same weights is written from memory.

    Args:
        model: stays untouched; what is written is its eval mode.
        example: float32 (batch, channels, height, width), any batch.
        path: where to write; it is returned.

    Raises:
        Unavailable: the extra onnx is not installed.
    """
    if reason := not_installed("onnx", "onnx", "onnxscript"):
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
    """What tells a model from another; None where a class is not a library's: a notebook may change it meanwhile."""
    if not all(type(part).__module__.startswith(("torch.nn.", "torchvision.", "kdlab.")) for part in model.modules()):
        return None
    digest = hashlib.blake2b(f"{model} {tuple(example.shape[1:])}".encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.digest()


_written: dict[bytes, bytes] = {}


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    to_onnx(model, example, folder / "model.onnx")


def write_int8(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
    """Activations are u8, weights s8 of 7 bits: without VNNI the sum of two products of u8·s8 overflows 16 bits."""
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


def read(folder: Path, example: Tensor) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
