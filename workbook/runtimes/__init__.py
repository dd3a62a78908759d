"""The runtimes: one trained model on many tool chains and settings, each a file and a way to load it, behind one interface.

How a file is written and loaded stands in settings.py (torch's own ways), exports.py, mobile.py, jaxport.py and embedded.py;
what is timed and compared is decided elsewhere.
"""

import copy
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from workbook.runtimes import bare_c as embedded, exports, jax as jaxport, mobile, pytorch as settings
from workbook.runtimes.exports import Call, Unavailable, missing, to_onnx

__all__ = ["RUNTIMES", "Program", "Runtime", "Unavailable", "at_hand", "cold_start", "logits", "to_onnx"]


@dataclass(frozen=True)
class Program:
    """A model made ready: call it with images like the example. Its file lives in `path` for as long as it does."""

    call: Call
    folder: TemporaryDirectory

    path = property(lambda self: Path(self.folder.name))
    bytes = property(lambda self: sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()))

    def __call__(self, images: Tensor) -> Tensor:
        return self.call(images)


@dataclass(frozen=True)
class Runtime:
    """One way to run a model: `save` writes its file into a folder, `load` makes it ready from there.

    Args:
        what: what it stands for, in a few words.
        save: (model in eval mode, example, calibration or None, folder) → None.
        load: (folder, example) → call(images) → logits.
        precision: of the arithmetic: "float32", "bf16" or "int8"; int8 needs calibration images.
        extra, modules: the extra of pyproject.toml that it needs, and what to find of it; such a one runs on the CPU only.
        fixed_batch: whether the file is made for exactly the example's batch.
        lacks: device → why it cannot run there, or an empty text.
    """

    what: str
    save: Callable[[nn.Module, Tensor, Tensor | None, Path], None]
    load: Callable[[Path, Tensor], Call]
    precision: str = "float32"
    extra: str = ""
    modules: tuple[str, ...] = ()
    fixed_batch: bool = False
    lacks: Callable[[torch.device], str] = lambda device: ""

    def missing(self, device: str | torch.device = "cpu") -> str:
        """Why it cannot run on the device, in one sentence, with the line that installs what is absent; "" where it can."""
        device = torch.device(device)
        if self.extra and device.type != "cpu":
            return f"it runs on the CPU here, not on {device}"
        return missing(self.extra, *self.modules) or self.lacks(device)

    def build(self, model: nn.Module, example: Tensor, calibration: Tensor | None = None) -> Program:
        """Writes the file and loads it.

        Args:
            model: stays untouched.
            example: float32 (batch, channels, height, width), contiguous, with the shape and device to come.
            calibration: float32 (n, channels, height, width), normalized images of the data, needed by int8 only.

        Returns:
            A Program, for as many threads as torch has now. What it does to the images is part of its time.

        Raises:
            Unavailable: this machine cannot run it, or it cannot run this model. ValueError: int8 without calibration images.
        """
        if reason := self.missing(example.device):
            raise Unavailable(reason)
        if self.precision == "int8" and (calibration is None or not len(calibration)):
            raise ValueError("int8 needs calibration images, normalized like the example, got none")
        folder = TemporaryDirectory(prefix="kdlab-", ignore_cleanup_errors=True)
        try:
            self.save(copy.deepcopy(model).to(example.device).eval(), example, calibration, Path(folder.name))
            return Program(self.load(Path(folder.name), example), folder)
        except (Unavailable, ValueError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # exporters fail in many ways
            said = (str(error).strip() or "no word").splitlines()[0]
            raise Unavailable(f"it does not take this model: {type(error).__name__}: {said}") from error


_ONNX = dict(extra="onnx", modules=("onnx", "onnxscript", "onnxruntime"))
_OPENVINO = dict(extra="openvino", modules=("onnx", "onnxscript", "openvino"))
_NNCF = dict(extra="openvino", modules=(*_OPENVINO["modules"], "nncf"))
_EXECUTORCH = dict(extra="executorch", modules=("executorch", "torchao"), fixed_batch=True)

RUNTIMES: Mapping[str, Runtime] = {
    "eager": Runtime("torch as it is", settings.save, settings.eager),
    "channels_last": Runtime("torch, the channels of a pixel side by side", settings.save, settings.channels_last),
    "bf16": Runtime("torch, autocast", settings.save, settings.bf16(settings.eager), "bf16", lacks=settings.bf16_missing),
    "channels_last+bf16": Runtime("torch, both of these", settings.save, settings.bf16(settings.channels_last), "bf16", lacks=settings.bf16_missing),
    "compile": Runtime("torch.compile, when the program starts", settings.save, settings.compile, fixed_batch=True),
    "aotinductor": Runtime("torch's compiler, ahead of time (.pt2)", settings.aoti_save, settings.aoti_load),
    "cuda graph": Runtime("all kernels in one launch", settings.save, settings.cuda_graph, fixed_batch=True, lacks=settings.cuda_missing),
    "onnxruntime": Runtime("servers and desktops", exports.onnx_save, exports.onnx_load, **_ONNX),
    "onnxruntime int8": Runtime("the same, quantized", exports.onnx_int8_save, exports.onnx_load, "int8", **_ONNX),
    "openvino": Runtime("Intel's tool chain", exports.openvino_save, exports.openvino_load("f32"), **_OPENVINO),
    "openvino bf16": Runtime(
        "the same in bf16", exports.openvino_save, exports.openvino_load("bf16"), "bf16",
        lacks=exports.openvino_bf16_missing, **_OPENVINO,
    ),
    "openvino int8": Runtime(
        "the same, quantized by NNCF", exports.openvino_int8_save, exports.openvino_load("f32"), "int8", **_NNCF
    ),
    "executorch": Runtime("phones: XNNPACK", mobile.executorch_save, mobile.executorch_load, **_EXECUTORCH),
    "executorch int8": Runtime(
        "the same, quantized", mobile.executorch_int8_save, mobile.executorch_load, "int8", **_EXECUTORCH
    ),
    "litert": Runtime(
        "phones and boards: TensorFlow Lite's heir", mobile.litert_save, mobile.litert_load, extra="litert",
        modules=("ai_edge_litert",), fixed_batch=True, lacks=mobile.litert_missing,
    ),
    "jax": Runtime("what is lowered for a TPU, by XLA on the CPU", jaxport.save, jaxport.load, extra="jax", modules=("jax",)),
    "bare C": Runtime("no operating system: one C file, one thread", embedded.save_float, embedded.load, lacks=embedded.lacks),
    "bare C int8": Runtime("the same, quantized", embedded.save, embedded.load, "int8", lacks=embedded.lacks),
}


def at_hand(device: str | torch.device = "cpu") -> dict[str, str]:
    """Every runtime's name with why it cannot run on the device, or with "" where it can."""
    return {name: runtime.missing(device) for name, runtime in RUNTIMES.items()}


def logits(call: Call, images: Tensor, batch: int) -> Tensor:
    """All images through a call that was made for exactly `batch` of them.

    Args:
        call: for instance a Program.
        images: float32 (n, channels, height, width); the last part is filled up with its last image.
        batch: >= 1.

    Returns:
        float32 (n, classes).
    """
    with torch.inference_mode():
        parts = [torch.cat([part, part[-1:].expand(batch - len(part), *part.shape[1:])]) for part in images.split(batch)]
        return torch.cat([torch.as_tensor(call(part)).float() for part in parts])[: len(images)]


def cold_start(name: str, folder: str | Path, example: Tensor) -> float:
    """Seconds from a program's file to its first answer in a fresh process that has imported torch and nothing else.

    Importing the runtime's own library is in it. torch's own import is not, and neither is a compiler's work where
    its cache on disk has the result already.

    Args:
        name: out of RUNTIMES.
        folder: the program's path.
        example: as for `build`, on the CPU.

    Returns:
        Seconds.
    """
    starts = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in starts else "spawn")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_first_answer, name, Path(folder), example.numpy(), torch.get_num_threads()).result()


def _first_answer(name: str, folder: Path, images, threads: int) -> float:
    torch.set_num_threads(threads)
    example = torch.from_numpy(images)
    start = time.perf_counter()
    with torch.inference_mode():
        RUNTIMES[name].load(folder, example)(example)
    return time.perf_counter() - start
