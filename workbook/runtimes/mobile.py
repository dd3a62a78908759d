"""A trained model as a file for phones and boards, and that file loaded again: ExecuTorch and LiteRT.

The functions are of the kinds that exports.py describes; both make a file for exactly the example's batch.
"""

import os
import subprocess
import sys
import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from workbook.runtimes.exports import Call, Unavailable, quiet


def executorch_save(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """XNNPACK refuses a batch left open beyond 15."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(model, (example,))
        program = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / "model.pte").write_bytes(program.buffer)


def executorch_int8_save(model: nn.Module, example: Tensor, calibration: Tensor, folder: Path) -> None:
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
        executorch_save(convert_pt2e(observed), example, None, folder)


def executorch_load(folder: Path, example: Tensor) -> Call:
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


# where `make litert` puts the converter's environment
CONVERTER = Path(os.environ.get("KDLAB_LITERT", Path(sys.prefix).with_name(".venv-litert")))


def litert_missing(device: torch.device) -> str:
    there = _converter().exists()
    return "" if there else "LiteRT's converter needs torch < 2.15, so an environment of its own: make litert"


def _converter() -> Path:
    return CONVERTER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def litert_save(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
    """Converts in the other environment."""
    torch.save((model, example), folder / "model.pt")
    code = (
        "import sys, torch, litert_torch; model, example = torch.load(sys.argv[1], weights_only=False); "
        "litert_torch.convert(model, (example,)).export(sys.argv[2])"
    )
    command = [_converter(), "-W", "ignore", "-c", code, folder / "model.pt", folder / "model.tflite"]
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}  # the model's classes are kdlab's
    done = subprocess.run(command, env=os.environ | path, capture_output=True, text=True)
    (folder / "model.pt").unlink()
    if done.returncode:
        raise Unavailable(f"LiteRT's converter failed: {(done.stderr.strip() or '?').splitlines()[-1]}")


def litert_load(folder: Path, example: Tensor) -> Call:
    with quiet():
        from ai_edge_litert.interpreter import Interpreter

        run = Interpreter(str(folder / "model.tflite"), num_threads=torch.get_num_threads()).get_signature_runner()
        (given,), (got,) = run.get_input_details(), run.get_output_details()
        run(**{given: example.numpy()})  # the delegate is made, and talks, in the first call
    return lambda images: torch.from_numpy(run(**{given: images.numpy()})[got])
