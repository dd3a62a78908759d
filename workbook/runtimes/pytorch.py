"""torch's own ways to run a model: eager, channels last, bfloat16, compiled, one CUDA graph.

Each maps (model, example) to a call and may change the model, which is its own; AOTInductor alone needs a file.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab import devices
from kdlab.latency import Unavailable
from workbook.runtimes.base import Call, quiet


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    torch.save(model, folder / "model.pt")


def read(use: Callable[[nn.Module, Tensor], Call], folder: Path, example: Tensor) -> Call:
    return use(torch.load(folder / "model.pt", weights_only=False), example)


def eager(model: nn.Module, example: Tensor) -> Call:
    return model


def channels_last(model: nn.Module, example: Tensor) -> Call:
    model = model.to(memory_format=torch.channels_last)
    return lambda images: model(images.contiguous(memory_format=torch.channels_last))


def bf16(use: Callable[[nn.Module, Tensor], Call], model: nn.Module, example: Tensor) -> Call:
    """Autocast around the forward pass of another one; each call casts the weights anew."""
    run, dtype = use(model, example), devices.autocast_dtype(example.device)

    def call(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype):
            return run(images)

    return call


def no_bf16(device: torch.device) -> str:
    here = devices.autocast_dtype(device)
    return "" if here else f"{devices.describe(device)} would only imitate bf16, slower than float32"


def compiled(model: nn.Module, example: Tensor) -> Call:
    """torch.compile for exactly this shape, in one graph and already compiled when it returns."""

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


def write_compiled(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """Compiled ahead of time, for any batch, into a library in a .pt2 file that runs without the model's Python."""
    batch = ({0: torch.export.Dim("batch", min=1, max=1 << 16)},)
    two = example[:1].expand(2, *example.shape[1:]).contiguous()  # an example of one image would stay one image
    with _compiler("AOTInductor"):
        exported = torch.export.export(model, (two,), dynamic_shapes=batch)
        torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / "model.pt2"))


def read_compiled(folder: Path, example: Tensor) -> Call:
    with quiet():
        return torch._inductor.aoti_load_package(str(folder / "model.pt2"))


def cuda_graph(model: nn.Module, example: Tensor) -> Call:
    """Records the kernels of one forward pass and replays them as one launch, for exactly the example's batch.

    Written after torch.cuda.graph's documentation; it has not yet run on a GPU in this repository's hands.
    """
    kept = example.clone()
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


def no_cuda(device: torch.device) -> str:
    return "" if device.type == "cuda" else f"it needs an NVIDIA GPU, and this is for the {device.type.upper()}"
