"""The student in JAX with torch's weights, and as StableHLO, the form in which XLA takes it to a TPU, a GPU or a CPU.

Translating and lowering only; it runs here on JAX's CPU. Nothing in this file has run on a TPU.
"""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab.latency import Unavailable
from workbook.runtimes.base import not_installed
from workbook.runtimes.layers import chain

PLATFORMS = ("tpu", "cpu", "cuda")
MODULES = ("jax", "optax")  # of the extra


def student(model: nn.Module) -> tuple[Callable, list[dict]]:
    """The same network as a JAX function, batch norm folded in as in `eval` mode.

    Args:
        model: "mlp-…", "cnn-…" or a pair of the article or tutorial; it is not changed.

    Returns:
        (apply, parameters): apply(parameters, images) maps float32 (batch, channels, height, width) to logits (batch,
        classes), for jax.jit, grad and vmap; parameters are numpy arrays, one dict for each layer.

    Raises:
        Unavailable: JAX is not installed, or a layer that cannot be translated.
    """
    jax, layers = _jax(), chain(model)
    exact = dict(precision=jax.lax.Precision.HIGHEST)  # otherwise a TPU multiplies in bfloat16, without a word

    def apply(parameters, x):
        for layer, arrays in zip(layers, parameters, strict=True):
            weight, bias = arrays["weight"], arrays["bias"]
            if weight.ndim == 4:
                orders = ("NCHW", "OIHW", "NCHW")
                x = jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=orders, **exact)
                x = x + bias[:, None, None]  # (batch, out, height, width)
            else:
                x = jax.numpy.dot(x.reshape(x.shape[0], weight.shape[1]), weight.T, **exact) + bias  # (batch, out)
            x = jax.nn.relu(x) if layer.relu else x
            window = (1, 1, layer.pool, layer.pool)
            x = x if layer.pool == 1 else jax.lax.reduce_window(x, -math.inf, jax.lax.max, window, window, "VALID")
        return x

    return apply, [{"weight": layer.weight.numpy(), "bias": layer.bias.numpy()} for layer in layers]


def distillation_loss(student_logits, teacher_logits, labels, alpha: float, temperature: float):
    """`kdlab.losses.distillation_loss` in JAX, with its arguments, by optax; no gradient flows to the teacher."""
    jax = _jax()
    import optax

    log_q, log_p = (jax.nn.log_softmax(logits / temperature) for logits in (student_logits, teacher_logits))
    soft = optax.losses.kl_divergence_with_log_targets(log_q, jax.lax.stop_gradient(log_p)).mean()
    hard = optax.losses.softmax_cross_entropy_with_integer_labels(student_logits, labels).mean()
    return alpha * temperature**2 * soft + (1 - alpha) * hard


def lower(model: nn.Module, shape: tuple[int, int, int], platforms: Sequence[str] = PLATFORMS):
    """The student, weights inside, lowered to StableHLO for several platforms and any batch size.

    Lowering needs none of the platforms' hardware, and proves nothing about a run on them.

    Args:
        model, shape: as in `student`, and (channels, height, width) of one image.
        platforms: out of "tpu", "cpu", "cuda", "rocm".

    Returns:
        jax.export.Exported: `mlir_module()` is its text, `serialize()` its bytes, and `call(images)` runs it here.
    """
    jax, (apply, parameters) = _jax(), student(model)
    images = jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"batch, {', '.join(map(str, shape))}"), "float32")
    return jax.export.export(jax.jit(lambda x: apply(parameters, x)), platforms=list(platforms))(images)


def write(model: nn.Module, example: Tensor, calibration: Tensor | None, folder: str | Path) -> None:
    """Writes student.stablehlo, which any JAX can run on any of PLATFORMS, into a folder."""
    Path(folder, "student.stablehlo").write_bytes(lower(model, tuple(example.shape[1:])).serialize())


def read(folder: str | Path, example: Tensor) -> Callable[[Tensor], Tensor]:
    """The function that `write` left in a folder, on as many threads as torch has now.

    Raises:
        Unavailable: JAX is not installed, or has already begun with another number of threads, for this whole process.
    """
    jax = _jax()
    if (wanted := torch.get_num_threads()) != _threads[0]:
        raise Unavailable(f"JAX has {_threads[0]} threads for this whole process, and {wanted} were asked for")
    program = jax.export.deserialize(bytearray(Path(folder, "student.stablehlo").read_bytes()))
    run, cpu = jax.jit(program.call), jax.devices("cpu")[0]

    def call(images: Tensor) -> Tensor:
        given = jax.device_put(images.detach().cpu().float().numpy(), cpu)
        return torch.from_dlpack(run(given).block_until_ready())

    return call


def _jax():
    if reason := not_installed("jax", *MODULES):
        raise Unavailable(reason)
    import jax.export

    if not _threads:  # JAX's CPU asks this variable for its number of threads, once
        before, os.environ["NPROC"] = os.environ.get("NPROC"), str(torch.get_num_threads())
        jax.devices("cpu")
        _threads.append(torch.get_num_threads())
        os.environ.pop("NPROC") if before is None else os.environ.update(NPROC=before)
    return jax


_threads: list[int] = []  # that JAX began with, once it has
