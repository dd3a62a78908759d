"""A trained model as LiteRT's file for phones and boards, made in an environment of its own, and that file opened here.

A file is made for exactly the example's batch; how a program is kept and called stands in base.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import Call, quiet

# where `make litert` puts the converter's environment
CONVERTER = Path(os.environ.get("KDLAB_LITERT", Path(sys.prefix).with_name(".venv-litert")))


def no_converter(device: torch.device) -> str:
    there = _converter().exists()
    return "" if there else "LiteRT's converter needs torch < 2.15, so an environment of its own: make litert"


def _converter() -> Path:
    return CONVERTER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: Path) -> None:
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


def read(folder: Path, example: Tensor) -> Call:
    with quiet():
        from ai_edge_litert.interpreter import Interpreter

        run = Interpreter(str(folder / "model.tflite"), num_threads=torch.get_num_threads()).get_signature_runner()
        (given,), (got,) = run.get_input_details(), run.get_output_details()
        run(**{given: example.numpy()})  # the delegate is made, and talks, in the first call
    return lambda images: torch.from_numpy(run(**{given: images.numpy()})[got])
