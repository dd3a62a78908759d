"""The runtimes: one trained model on many tool chains and settings, behind one interface.

Each stands in a file of its name, the interface in base.py; what is timed and compared is decided elsewhere.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from kdlab.latency import Unavailable
from workbook.runtimes import bare_c, executorch, jax, litert, onnx, openvino, pytorch
from workbook.runtimes.base import Call, Program, Runtime
from workbook.runtimes.onnx import to_onnx

__all__ = ["RUNTIMES", "Program", "Runtime", "Unavailable", "at_hand", "builders", "cold_start", "logits", "to_onnx"]

_CHANNELS = pytorch.channels_last
_ONNX = dict(extra="onnx", modules=("onnx", "onnxscript", "onnxruntime"))
_OPENVINO = dict(extra="openvino", modules=("onnx", "onnxscript", "openvino"))
_NNCF = dict(extra="openvino", modules=(*_OPENVINO["modules"], "nncf"))
_EXECUTORCH = dict(extra="executorch", modules=("executorch", "torchao"), fixed_batch=True)
_LITERT = dict(extra="litert", modules=("ai_edge_litert",), fixed_batch=True, lacks=litert.no_converter)
_JAX = dict(extra="jax", modules=jax.MODULES)
_HALF = dict(precision="bf16", lacks=pytorch.no_bf16)


def _torch(what: str, use: Callable, **options) -> Runtime:
    return Runtime(what, pytorch.write, partial(pytorch.read, use), use, **options)


RUNTIMES: Mapping[str, Runtime] = {
    "eager": _torch("torch as it is", pytorch.eager),
    "channels_last": _torch("torch, the channels of a pixel side by side", _CHANNELS),
    "bf16": _torch("torch, autocast", partial(pytorch.bf16, pytorch.eager), **_HALF),
    "channels_last+bf16": _torch("torch, both of these", partial(pytorch.bf16, _CHANNELS), **_HALF),
    "compile": _torch("torch.compile, when the program starts", pytorch.compiled, fixed_batch=True),
    "aotinductor": Runtime("torch's compiler, ahead of time (.pt2)", pytorch.write_compiled, pytorch.read_compiled),
    "cuda graph": _torch("all kernels in one launch", pytorch.cuda_graph, fixed_batch=True, lacks=pytorch.no_cuda),
    "onnxruntime": Runtime("servers and desktops", onnx.write, onnx.read, **_ONNX),
    "onnxruntime int8": Runtime("the same, quantized", onnx.write_int8, onnx.read, precision="int8", **_ONNX),
    "openvino": Runtime("Intel's tool chain", openvino.write, openvino.read, **_OPENVINO),
    "openvino bf16": Runtime(
        "the same in bf16", openvino.write, partial(openvino.read, precision="bf16"), precision="bf16",
        lacks=openvino.no_bf16, **_OPENVINO,
    ),
    "openvino int8": Runtime(
        "the same, quantized by NNCF", openvino.write_int8, openvino.read, precision="int8", **_NNCF
    ),
    "executorch": Runtime("phones: XNNPACK", executorch.write, executorch.read, **_EXECUTORCH),
    "executorch int8": Runtime(
        "the same, quantized", executorch.write_int8, executorch.read, precision="int8", **_EXECUTORCH
    ),
    "litert": Runtime("phones and boards: TensorFlow Lite's heir", litert.write, litert.read, **_LITERT),
    "jax": Runtime("what is lowered for a TPU, by XLA on the CPU", jax.write, jax.read, **_JAX),
    "bare C": Runtime(
        "no operating system: one C file, one thread", bare_c.write_float, bare_c.read, lacks=bare_c.lacks
    ),
    "bare C int8": Runtime("the same, quantized", bare_c.write, bare_c.read, precision="int8", lacks=bare_c.lacks),
}


def at_hand(device: str | torch.device = "cpu") -> dict[str, str]:
    """Every runtime's name with why it cannot run on the device, or with "" where it can."""
    return {name: runtime.why_not(device) for name, runtime in RUNTIMES.items()}


def builders(names: Iterable[str] | None = None) -> dict[str, Callable[..., Program]]:
    """Name → build, as `kdlab.latency.sweep` takes its variants, or all of them; ValueError for a wrong name."""
    names = list(RUNTIMES if names is None else names)
    if unknown := [name for name in names if name not in RUNTIMES]:
        raise ValueError(f"no runtime is called {unknown[0]!r}; there are {', '.join(RUNTIMES)}")
    return {name: RUNTIMES[name].build for name in names}


def logits(call: Call, images: Tensor, batch: int) -> Tensor:
    """All images, float32 (n, channels, height, width), through a call that was made for exactly `batch` of them.

    The last part is filled up with its last image. Returns float32 (n, classes).
    """
    with torch.inference_mode():
        full = torch.cat([images, images[-1:].expand(-len(images) % batch, *images.shape[1:])])
        return torch.cat([torch.as_tensor(call(part)).float() for part in full.split(batch)])[: len(images)]


def cold_start(name: str, folder: str | Path, example: Tensor) -> float:
    """Seconds from a program's file to its first answer in a fresh process that has imported torch and nothing else.

    Importing the runtime's own library is in it. torch's own import is not, and neither is a compiler's work where
    its cache on disk has the result already.

    Args:
        name: out of RUNTIMES.
        folder: the program's path.
        example: as for `build`, for its shape.

    Raises:
        RuntimeError: there was no answer; the message says why.
    """
    if not _host or _host[0].poll() is not None:
        command = [sys.executable, "-c", "from workbook.runtimes import answer_orders; answer_orders()"]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        _host[:] = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=os.environ | path)]
    order = json.dumps([name, str(folder), list(example.shape), torch.get_num_threads()])
    print(order, file=_host[0].stdin, flush=True)
    answer = next((line for line in _host[0].stdout if line.startswith(order)), order).removeprefix(order).strip()
    try:
        return float(answer)
    except ValueError:
        raise RuntimeError(f"{name} gave no answer in a process of its own: {answer or 'no word'}") from None


_host: list[subprocess.Popen] = []


def answer_orders() -> None:
    """What the process of `cold_start` does: a fork of it for each order; it ends with whoever gives the orders."""
    with contextlib.suppress(KeyboardInterrupt):  # an interrupt, or the end, of the notebook reaches it, too
        for order in map(str.strip, sys.stdin):
            if hasattr(os, "fork") and (forked := os.fork()):
                if status := os.waitpid(forked, 0)[1]:
                    print(f"\n{order} the process ended with status {status}", flush=True)
                continue
            name, folder, shape, threads = json.loads(order)
            torch.set_num_threads(threads)
            example, start = torch.zeros(shape), time.perf_counter()
            try:
                with torch.inference_mode():
                    RUNTIMES[name].read(Path(folder), example)(example)
                answer = time.perf_counter() - start
            except Exception as error:  # whatever it is, who asked hears of it
                answer = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"\n{order} {answer}", flush=True)  # among what the runtimes themselves say
            break
    os._exit(0)  # at once, without what torch does at its end
