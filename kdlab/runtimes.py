"""The runtimes: one trained model on many tool chains and settings, each a file and a way to load it, behind one interface.

What another tool chain's file needs stands in exports.py; what is timed and compared is decided elsewhere.
"""

import contextlib
import copy
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from kdlab import devices, exports
from kdlab.exports import Call, Unavailable, missing, quiet, to_onnx

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
            Unavailable: this machine cannot run it. ValueError: int8 without calibration images.
        """
        if reason := self.missing(example.device):
            raise Unavailable(reason)
        if self.precision == "int8" and (calibration is None or not len(calibration)):
            raise ValueError("int8 needs calibration images, normalized like the example, got none")
        folder = TemporaryDirectory(prefix="kdlab-", ignore_cleanup_errors=True)
        self.save(copy.deepcopy(model).to(example.device).eval(), example, calibration, Path(folder.name))
        return Program(self.load(Path(folder.name), example), folder)


def _pickle(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    torch.save(model, folder / "model.pt")


def _eager(folder: Path, example: Tensor) -> Call:
    return torch.load(folder / "model.pt", weights_only=False)


def _channels_last(folder: Path, example: Tensor) -> Call:
    model = _eager(folder, example).to(memory_format=torch.channels_last)
    return lambda images: model(images.contiguous(memory_format=torch.channels_last))


def _bf16(load: Callable[[Path, Tensor], Call]) -> Callable[[Path, Tensor], Call]:
    """Autocast around the forward pass of another one; each call casts the weights anew."""

    def load_bf16(folder: Path, example: Tensor) -> Call:
        model, dtype = load(folder, example), devices.autocast_dtype(example.device)

        def call(images: Tensor) -> Tensor:
            with torch.autocast(images.device.type, dtype):
                return model(images)

        return call

    return load_bf16


def _bf16_missing(device: torch.device) -> str:
    here = devices.autocast_dtype(device)
    return "" if here else f"{devices.describe(device)} would only imitate bf16, slower than float32"


def _compile(folder: Path, example: Tensor) -> Call:
    """torch.compile for exactly this shape, in one graph and already compiled when it returns."""
    model = _eager(folder, example)

    def forward(images: Tensor) -> Tensor:
        return model(images)

    # dynamo counts recompilations per code object, and quietly runs eager after eight: each call gets its own
    forward.__code__ = forward.__code__.replace()
    call = torch.compile(forward, fullgraph=True, dynamic=False)
    with _compiler("compile"), torch.inference_mode():
        call(example)
    return call


@contextlib.contextmanager
def _compiler(name: str) -> Iterator[None]:
    """Compilers fail in many ways, and each is a fact about this machine."""
    try:
        with quiet():
            yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "No working C++ compiler" in reason:
            reason = "no C++ compiler was found; install g++ or clang++"
        raise Unavailable(f"{name} does not work here: {reason}") from None


def _aoti_save(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """Compiled ahead of time, for any batch, into a library in a .pt2 file that runs without the model's Python."""
    batch = ({0: torch.export.Dim("batch", min=1, max=1 << 16)},)
    two = example[:1].expand(2, *example.shape[1:]).contiguous()  # an example of one image would stay one image
    with _compiler("AOTInductor"):
        exported = torch.export.export(model, (two,), dynamic_shapes=batch)
        torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / "model.pt2"))


def _aoti_load(folder: Path, example: Tensor) -> Call:
    return torch._inductor.aoti_load_package(str(folder / "model.pt2"))


def _cuda_graph(folder: Path, example: Tensor) -> Call:
    """Records the kernels of one forward pass and replays them as one launch, for exactly the example's batch.

    Written after torch.cuda.graph's documentation; it has not yet run on a GPU in this repository's hands.
    """
    model, kept = _eager(folder, example), example.clone()
    with torch.cuda.device(example.device), torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # a graph must not record what happens in the first calls only
            for _ in range(3):
                model(kept)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph := torch.cuda.CUDAGraph()):
            answer = model(kept)

    def call(images: Tensor) -> Tensor:
        kept.copy_(images)
        graph.replay()
        return answer.clone()  # the next replay writes over it

    return call


def _cuda_missing(device: torch.device) -> str:
    return "" if device.type == "cuda" else f"it needs an NVIDIA GPU, and this is for the {device.type.upper()}"


_ONNX = dict(extra="onnx", modules=("onnx", "onnxscript", "onnxruntime"))
_OPENVINO = dict(extra="openvino", modules=("onnx", "onnxscript", "openvino"))
_NNCF = dict(extra="openvino", modules=(*_OPENVINO["modules"], "nncf"))
_EXECUTORCH = dict(extra="executorch", modules=("executorch", "torchao"), fixed_batch=True)

RUNTIMES: Mapping[str, Runtime] = {
    "eager": Runtime("torch as it is", _pickle, _eager),
    "channels_last": Runtime("torch, the channels of a pixel side by side", _pickle, _channels_last),
    "bf16": Runtime("torch, autocast", _pickle, _bf16(_eager), "bf16", lacks=_bf16_missing),
    "channels_last+bf16": Runtime("torch, both of these", _pickle, _bf16(_channels_last), "bf16", lacks=_bf16_missing),
    "compile": Runtime("torch.compile, when the program starts", _pickle, _compile, fixed_batch=True),
    "aotinductor": Runtime("torch's compiler, ahead of time (.pt2)", _aoti_save, _aoti_load),
    "cuda graph": Runtime("all kernels in one launch", _pickle, _cuda_graph, fixed_batch=True, lacks=_cuda_missing),
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
    "executorch": Runtime("phones: XNNPACK", exports.executorch_save, exports.executorch_load, **_EXECUTORCH),
    "executorch int8": Runtime(
        "the same, quantized", exports.executorch_int8_save, exports.executorch_load, "int8", **_EXECUTORCH
    ),
    "litert": Runtime(
        "phones and boards: TensorFlow Lite's heir", exports.litert_save, exports.litert_load, extra="litert",
        modules=("ai_edge_litert",), fixed_batch=True, lacks=exports.litert_missing,
    ),
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
