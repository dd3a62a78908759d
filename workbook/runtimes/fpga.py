"""The student in fixed-point arithmetic as hls4ml writes it for an FPGA, emulated bit by bit here by g++.

No synthesis: clock, latency and the share of the chip come from the vendor's tools, and nothing here guesses them.
"""

import contextlib
import copy
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import Call, not_installed


def build(
    model: nn.Module, example: Tensor, calibration: Tensor | None = None, *, width: int = 32, integer: int = 12
) -> Call:
    """Translates a student to C++ for high-level synthesis, compiles its emulation, and returns that as a function.

    Every weight, activation and sum is ap_fixed<width, integer>: `integer` bits before the point, the sign among them,
    the others behind it. What does not fit wraps around, what is finer is cut off, as hls4ml has it by default.

    Args:
        model: "mlp-…" or "cnn-…", trained; it is not changed.
        example, calibration: images, for their shape; not used, since one format holds for everything.
        width, integer: bits of a number, and those before its point; 1 <= integer < width.

    Returns:
        A call, on the CPU; the first one reads the weights.

    Raises:
        Unavailable: hls4ml or g++ is not here. ValueError: bits that do not fit.

    Source: Duarte et al. 2018, arXiv:1804.06913 (hls4ml).
    """
    if not 1 <= integer < width:
        raise ValueError(f"need 1 <= integer < width, got width {width} and integer {integer}")
    if reason := not_installed("fpga", "hls4ml"):
        raise Unavailable(reason)
    if not shutil.which("g++"):
        raise Unavailable("the emulation needs g++, which is not here (Debian, Ubuntu: apt install g++)")
    import hls4ml

    layers, shape = list(copy.deepcopy(model).cpu().eval()), tuple(example.shape[1:])
    flat = isinstance(layers[0], nn.Flatten)  # hls4ml's own flattening of an image would expect the channels last
    network = nn.Sequential(*layers[flat:])
    place = tempfile.TemporaryDirectory(prefix="kdlab-fpga-")
    options = dict(backend="Vitis", default_precision=f"ap_fixed<{width},{integer}>")
    with contextlib.redirect_stdout(io.StringIO()):
        inputs = (example[0].numel(),) if flat else shape
        config = hls4ml.utils.config_from_pytorch_model(network, inputs, granularity="model", **options)
        project = hls4ml.converters.convert_from_pytorch_model(
            network, hls_config=config, backend="Vitis", output_dir=str(Path(place.name)), io_type="io_parallel"
        )
        project.compile()

    def call(images: Tensor, place=place) -> Tensor:  # the folder lives as long as the function
        images = images.detach().cpu().float()
        images = images.flatten(1) if flat else images  # hls4ml turns the channels to the end itself
        logits = project.predict(np.ascontiguousarray(images.numpy()))
        return torch.from_numpy(np.array(logits, dtype=np.float32)).view(len(images), -1)

    return call
