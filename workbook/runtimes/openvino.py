"""A trained model as OpenVINO's file, in float32 and quantized by NNCF, and that file opened to compute in f32 or bf16.

By way of ONNX, because OpenVINO's own way from a module goes through torch's deprecated trace.
"""

import functools
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from workbook.runtimes.base import Call, quiet
from workbook.runtimes.onnx import to_onnx


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    _openvino().save_model(_converted(model, example, folder), folder / "model.xml", compress_to_fp16=False)


def write_int8(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
    """NNCF's post-training quantization, weights in 7 bits as in onnx.py."""
    openvino = _openvino()
    with quiet():
        import nncf
        import rich
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

        source = nncf.Dataset(list(calibration.split(1)), lambda image: image.numpy())
        careful = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
        converted = _converted(model, example, folder)
        rich.reconfigure(quiet=True, force_jupyter=False)  # or its progress bar becomes a widget of the notebook
        model = nncf.quantize(converted, source, subset_size=len(calibration), advanced_parameters=careful)
        rich.reconfigure()
    openvino.save_model(model, folder / "model.xml")


def read(folder: Path, example: Tensor, precision: str = "f32") -> Call:
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": precision}
    options |= {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = _core().compile_model(folder / "model.xml", "CPU", options).create_infer_request()
    return lambda images: torch.from_numpy(request.infer([images.numpy()], share_inputs=True)[0])


def no_bf16(device: torch.device) -> str:
    has = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if "BF16" in has else f"OpenVINO finds no bf16 on this CPU, only {', '.join(has[:2])}; it would use FP32"


def _converted(model: nn.Module, example: Tensor, folder: Path):
    written = to_onnx(model, example, folder / "float.onnx")
    converted = _core().read_model(written.read_bytes())
    written.unlink()
    return converted


@functools.cache
def _core():
    """One for the whole process: each lays down a stack on which signals are handled, and takes it away with it.

    Where a first Core goes before a second, the stack that is left is freed memory, and Ctrl-C ends the process.
    """
    core = _openvino().Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # makes the device's part, which owns the stack, now
    return core


def _openvino():
    """OpenVINO, whose telemetry would otherwise report each import and each quantization over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # as if that package were not installed
    import openvino

    return openvino
