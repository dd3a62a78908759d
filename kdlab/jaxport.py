"""The student in JAX with torch's weights, and as StableHLO, the form in which XLA takes it to a TPU, a GPU or a CPU.

Translating and lowering only; it runs here on JAX's CPU. Nothing in this file has run on a TPU.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kdlab.embedded import chain
from kdlab.latency import Unavailable

PLATFORMS = ("tpu", "cpu", "cuda")


def student(model: nn.Module) -> tuple[Callable, list[dict]]:
    """The same network as a JAX function, batch norm folded in as in `eval` mode.

    Args:
        model: "mlp-…", "cnn-…" or a pair of the article or tutorial; it is not changed.

    Returns:
        (apply, parameters): apply(parameters, images) maps float32 (batch, channels, height, width) to logits
        (batch, classes); parameters are numpy arrays, one dict for each layer. jax.jit, grad and vmap take apply.

    Raises:
        Unavailable: JAX is not installed. ValueError: a layer that cannot be translated.
    """
    jax = _jax()
    layers = chain(model)
    # a TPU would otherwise multiply in bfloat16, and parity would be lost there without a word
    exact = dict(precision=jax.lax.Precision.HIGHEST)

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
            if layer.pool > 1:
                window = (1, 1, layer.pool, layer.pool)
                x = jax.lax.reduce_window(x, -math.inf, jax.lax.max, window, window, "VALID")
        return x

    return apply, [{"weight": layer.weight.numpy(), "bias": layer.bias.numpy()} for layer in layers]


def distillation_loss(student_logits, teacher_logits, labels, alpha: float, temperature: float):
    """kdlab's loss in JAX: alpha · T² · KL(teacher_T ‖ student_T) + (1 − alpha) · cross-entropy(labels).

    Args:
        student_logits, teacher_logits: float (batch, classes). No gradient flows to the teacher.
        labels: integers (batch,).
        alpha: in [0, 1].
        temperature: > 0.

    Returns:
        A scalar, in nats.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2, with batchmean reduction.
    """
    jax = _jax()
    log_q = jax.nn.log_softmax(student_logits / temperature)  # (batch, classes)
    log_p = jax.nn.log_softmax(jax.lax.stop_gradient(teacher_logits) / temperature)
    soft = temperature**2 * (jax.numpy.exp(log_p) * (log_p - log_q)).sum(-1).mean()
    picked = jax.numpy.take_along_axis(jax.nn.log_softmax(student_logits), labels[:, None], axis=-1)  # (batch, 1)
    return alpha * soft - (1 - alpha) * picked.mean()


def lower(model: nn.Module, shape: tuple[int, int, int], platforms: Sequence[str] = PLATFORMS):
    """The student, weights inside, lowered to StableHLO for several platforms and any batch size.

    Lowering needs none of the platforms' hardware, and proves nothing about a run on them.

    Args:
        model: as in `student`.
        shape: (channels, height, width) of one image.
        platforms: out of "tpu", "cpu", "cuda", "rocm".

    Returns:
        jax.export.Exported: `mlir_module()` is the program's text, `serialize()` the bytes that
        jax.export.deserialize reads on another machine, `call(images)` runs it on this one's platform.

    Raises:
        Unavailable, ValueError: as in `student`.
    """
    jax = _jax()
    from jax import export

    apply, parameters = student(model)
    images = jax.ShapeDtypeStruct(export.symbolic_shape(f"batch, {', '.join(map(str, shape))}"), "float32")
    return export.export(jax.jit(lambda x: apply(parameters, x)), platforms=list(platforms))(images)


def build(model: nn.Module, example: Tensor, calibration: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """The lowered student, through its bytes and back, on JAX's CPU; logits as a torch tensor. `calibration` is not used."""
    jax = _jax()
    program = jax.export.deserialize(lower(model, tuple(example.shape[1:])).serialize())
    run, cpu = jax.jit(program.call), jax.devices("cpu")[0]

    def call(images: Tensor) -> Tensor:
        return torch.from_dlpack(run(jax.device_put(images.detach().cpu().float().numpy(), cpu)))

    return call


def _jax():
    try:
        import jax
        import jax.export
    except ImportError:
        line = "python -m pip install -c constraints.txt -e '.[jax]'"
        raise Unavailable(f"jax is not installed; in the repository: {line}") from None
    return jax
