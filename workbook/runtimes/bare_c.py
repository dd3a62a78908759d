"""A trained student as one C file, float32 or int8, for a machine without an operating system, and what it takes there.

The C file needs a C99 compiler and nothing else: no heap, no libc. Training and timing stand elsewhere.
"""

import ctypes
import math
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import Call
from workbook.runtimes.layers import Layer, chain

FLAGS = "-Os -std=c99 -ffreestanding -fno-asynchronous-unwind-tables".split()
FLAGS += "-Wall -Wextra -Wno-unused-function -Wpedantic -Werror".split()
KERNELS = Path(__file__).with_name("bare_c.c")


@dataclass(frozen=True)
class Size:
    """Bytes of an object file: `code` and `constants` lie in flash; `ram` (static buffers) and `stack` in RAM.

    `stack` adds up all functions' frames: an upper bound, since none calls itself. `undefined` names what the file
    wants from elsewhere, such as memcpy.
    """

    code: int
    constants: int
    ram: int
    stack: int
    undefined: tuple[str, ...]


def source(model: nn.Module, shape: tuple[int, int, int], calibration: Tensor | None = None) -> str:
    """The C file: `void student_run(const float image[], float logits[])` for one normalized image.

    With `calibration`, weights are int8 with one scale per output channel, activations int8 with one scale per layer
    (the largest value seen over 127), sums int32. Sums are brought to the next layer's scale by a fixed-point
    multiplication: a 31-bit factor and a right shift, rounded. Only the image's and the logits' scales are floats.

    Args:
        model: "mlp-…", "cnn-…" or a pair of the article or tutorial, trained; it is not changed.
        shape: (channels, height, width) of one image.
        calibration: float (n, *shape), real images, normalized as those to come; None for float32.

    Raises:
        Unavailable: a layer that has no C here, or one too wide for int32. ValueError: what is not finite.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2, for the fixed-point multiplication.
    """
    layers, sizes = chain(model), [shape]
    for layer in layers:
        sizes.append(tuple(layer(torch.zeros(1, *sizes[-1])).shape[1:]))
    counts = [math.prod(size) for size in sizes]
    peak, tables = _float_tables(layers) if calibration is None else _int8_tables(layers, calibration)
    room, calls, now = [0, 0], [], "image"  # room: values in each of two buffers, from one of which a layer reads
    if calibration is not None:
        room[0], now = counts[0], "buffer0"
        calls.append(f"quantize(image, buffer0, {counts[0]}, {np.float32(127 / peak)!s}f);")
    for i, layer in enumerate(layers):
        into, tail = int(now == "buffer0"), f"weight{i}, bias{i}, scale{i}, {{}}, {len(layer.bias)}"
        if not layer.relu:
            calls.append(f"classify({now}, logits, {tail.format(counts[i])});")
            break
        if layer.weight.dim() == 2:
            calls.append(f"linear({now}, buffer{into}, {tail.format(counts[i])});")
        else:
            channels, height, width = sizes[i]
            calls.append(f"convolve({now}, buffer{into}, {tail.format(channels)}, {height}, {width}, {layer.pool});")
        room[into], now = max(room[into], counts[i + 1]), f"buffer{into}"
    buffers = [f"static value_t buffer{k}[{n}];" for k, n in enumerate(room) if n]
    head = f"void student_run(const float image[{counts[0]}], float logits[{counts[-1]}])"
    start = [f"#define INT8 {int(calibration is not None)}", KERNELS.read_text(encoding="utf-8"), *tables, "", *buffers]
    return "\n".join([*start, "", f"{head};\n{head}\n{{", *(f"    {call}" for call in calls), "}", ""])


def sizes(text: str, compiler: str = "") -> Size:
    """Compiles a C file with -Os, free-standing, and reads off what it takes.

    Args:
        text: of `source`.
        compiler: a command, such as "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb"; $CC or gcc where it is left out. Its
            size and nm are those with the same prefix.

    Raises:
        Unavailable: the compiler is not here. RuntimeError: it refuses the file.
    """
    command = _compiler(compiler)
    with tempfile.TemporaryDirectory() as folder:
        _run([*command, *FLAGS, "-fstack-usage", "-c", "student.c", "-o", "student.o"], folder, text)
        tools = command[0].removesuffix("gcc").removesuffix("cc") if command[0].endswith("cc") else ""
        table = _run([f"{tools}size", "-A", "student.o"], folder).splitlines()
        frames = [int(line.split("\t")[1]) for line in Path(folder, "student.su").read_text().splitlines()]
        undefined = tuple(line.split()[-1] for line in _run([f"{tools}nm", "-u", "student.o"], folder).splitlines())
    sections = {line.split()[0]: int(line.split()[1]) for line in table if line.startswith(".")}
    kinds = (".text", ".rodata", (".bss", ".data"))
    bytes_of = [sum(size for section, size in sections.items() if section.startswith(kind)) for kind in kinds]
    return Size(*bytes_of, sum(frames), undefined)


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: str | Path) -> None:
    """Leaves the compiled student.so and its header student.h in a folder, for `read`; it raises what `source` does.

    Unavailable, too: no compiler is here, or there are more weights than a microcontroller's flash holds.
    """
    if (weights := sum(tensor.numel() for tensor in model.parameters())) > 500_000:
        raise Unavailable(f"a microcontroller's flash holds about 500,000 weights, and this model has {weights:,}")
    text = source(model, tuple(example.shape[1:]), calibration)
    _run([*_compiler(), *FLAGS, "-shared", "-fPIC", "student.c", "-o", "student.so"], folder, text)
    Path(folder, "student.h").write_text(re.search(r"^void student_run.*;\n", text, re.MULTILINE)[0], encoding="utf-8")
    Path(folder, "student.c").unlink()


def write_float(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: str | Path) -> None:
    """`write` for float32, whatever images are at hand."""
    write(model, example, None, folder)


def lacks(device: torch.device) -> str:
    """Why this cannot run on a device of this machine, or an empty text."""
    try:
        _compiler()
    except Unavailable as reason:
        return str(reason)
    return "" if device.type == "cpu" else f"it runs on the CPU, not on {device}"


def read(folder: str | Path, example: Tensor) -> Call:
    """The function that `write` left in a folder, image by image; not for two threads, its buffers are static."""
    shape, text = tuple(example.shape[1:]), Path(folder, "student.h").read_text(encoding="utf-8")
    classes = int(re.search(r"logits\[(\d+)\]", text)[1])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as fresh:  # a loader knows a library by its path
        run = ctypes.CDLL(shutil.copy(Path(folder, "student.so"), fresh)).student_run
    run.argtypes, run.restype = [ctypes.c_void_p, ctypes.c_void_p], None

    def call(images: Tensor) -> Tensor:
        if images.shape[1:] != shape:
            raise ValueError(f"images must be (batch, {', '.join(map(str, shape))}), got {tuple(images.shape)}")
        images, logits = images.detach().to("cpu", torch.float32).contiguous(), torch.empty(len(images), classes)
        for i in range(len(images)):
            run(images.data_ptr() + 4 * i * math.prod(shape), logits.data_ptr() + 4 * i * classes)
        return logits

    return call


def _float_tables(layers: list[Layer]) -> tuple[float, list[str]]:
    tables = []
    for i, layer in enumerate(layers):
        tables += [_array("weight_t", "weight", i, layer.weight), _array("sum_t", "bias", i, layer.bias)]
        tables.append(f"#define scale{i} 0" if layer.relu else _array("float", "scale", i, torch.ones(len(layer.bias))))
    return 1.0, tables


def _int8_tables(layers: list[Layer], calibration: Tensor) -> tuple[float, list[str]]:
    x = calibration.detach().cpu().float()
    if not len(x) or not x.isfinite().all():
        raise ValueError(f"calibration must be at least one finite image, got {tuple(x.shape)}")
    tables, peak = [], x.abs().max().item() or 1.0
    unit = peak / 127  # of the layer's input
    for i, layer in enumerate(layers):
        if (fan_in := layer.weight[0].numel()) > 65_536:
            raise Unavailable(f"int32 holds sums of up to 65,536 products of int8, a layer here has {fan_in}")
        weight, bias = layer.weight.double().flatten(1), layer.bias.double()
        # the second bound keeps a bias below 2^30 where a channel has hardly any weights
        units = torch.maximum(weight.abs().amax(1) / 127, bias.abs() / unit / 2**30).clamp_min(1e-30)  # (out,)
        tables.append(_array("weight_t", "weight", i, (weight / units[:, None]).round().long().flatten()))
        tables.append(_array("sum_t", "bias", i, (bias / units / unit).round().long()))
        if not layer.relu:
            tables.append(_array("float", "scale", i, (units * unit).float()))
            break
        x = layer(x)
        after = (x.max().item() or 1.0) / 127
        factors, exponents = torch.frexp((units * unit / after).clamp(2.0**-31, 2.0**29))  # factors in [0.5, 1)
        pairs = torch.stack([(factors * (2**31 - 1)).long(), 31 - exponents.long()], 1)  # (out, 2)
        tables.append(_array("scale_t", "scale", i, pairs))
        unit = after
    return peak, tables


def _array(kind: str, name: str, layer: int, values: Tensor) -> str:
    """C's text of a table; float32 in the shortest decimals that give the same bits again."""
    if values.is_floating_point():
        words = [f"{x!s}f" for x in values.flatten().numpy()]
    else:
        words = [f"{{{row[0]}, {row[1]}}}" if kind == "scale_t" else str(row) for row in values.tolist()]
    rows = (", ".join(words[i : i + 16]) for i in range(0, len(words), 16))
    return f"static const {kind} {name}{layer}[{len(words)}] = {{\n    " + ",\n    ".join(rows) + "\n};"


def _compiler(command: str = "") -> list[str]:
    words = shlex.split(command or os.environ.get("CC") or "gcc")
    if not shutil.which(words[0]):
        advice = "install it (Debian, Ubuntu: apt install gcc; macOS: xcode-select --install) or name another in CC"
        raise Unavailable(f"the C compiler {words[0]} is not here: {advice}")
    return words


def _run(command: list[str], folder: str | Path, text: str = "") -> str:
    if text:
        Path(folder, "student.c").write_text(text, encoding="utf-8")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[:2000]}")
    return done.stdout
