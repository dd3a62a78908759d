"""A trained model as ExecuTorch's file for phones, in float32 and quantized, and that file opened, all through XNNPACK.

A file is made for exactly the example's batch; how a program is kept and called stands in base.py.
"""

import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import Call, quiet


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """XNNPACK refuses a batch left open beyond 15."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(model, (example,))
        program = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / "model.pte").write_bytes(program.buffer)


def write_int8(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
    with quiet():
        from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        quantizer = xnnpack.XNNPACKQuantizer()
        quantizer.set_global(xnnpack.get_symmetric_quantization_config(is_per_channel=True))
        two = example[:1].repeat(2, 1, 1, 1)  # an example of one image would stay one image
        exported = torch.export.export(model, (two,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        observed = prepare_pt2e(exported.module(), quantizer)
        for part in calibration.split(32):
            observed(part)
        write(convert_pt2e(observed), example, None, folder)


def read(folder: Path, example: Tensor) -> Call:
    """All programs of a process share one pool of threads, which must not change while one of them is alive."""
    with quiet():
        from executorch.extension.pybindings import portable_lib as pool
        from executorch.runtime import Runtime

        if (now := pool._threadpool_get_thread_count()) != (wanted := torch.get_num_threads()):
            if len(_programs):
                raise Unavailable(f"ExecuTorch has {now} threads for this whole process, and {wanted} were asked for")
            pool._unsafe_reset_threadpool(wanted)
        _programs.add(method := Runtime.get().load_program(folder / "model.pte").load_method("forward"))
    return lambda images: method.execute([images])[0]


_programs: weakref.WeakSet = weakref.WeakSet()  # that are alive
