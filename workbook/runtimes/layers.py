"""A small network as a plain list of layers, for those who write it down in another language.

bare_c.py and jax.py start from here; both promise what the layers themselves compute.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kdlab.latency import Unavailable

SQUARE = dict(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1, padding_mode="zeros")

HALVING = dict(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or a matrix with batch norm folded in, and whether a ReLU and a pooling of 2 or 1 follow.

    These two give the same in either order.
    """

    weight: Tensor  # (out, in, 3, 3) or (out, in)
    bias: Tensor  # (out,)
    relu: bool
    pool: int

    def __call__(self, x: Tensor) -> Tensor:
        if self.weight.dim() == 2:
            x = F.linear(x.flatten(1), self.weight, self.bias)
        else:
            x = F.conv2d(x, self.weight, self.bias, padding=1)
        x = x.relu() if self.relu else x
        return F.max_pool2d(x, 2) if self.pool == 2 else x


def chain(model: nn.Module) -> list[Layer]:
    """Takes a model apart, in eval mode and on the CPU, batch norm folded into the convolution before it.

    Args:
        model: "mlp-…", "cnn-…" or a pair of the article or the tutorial; it is not changed.

    Returns:
        Its layers in order; the last one is a matrix without a ReLU and gives the logits.

    Raises:
        Unavailable: another kind of model. ValueError: weights that are not finite.
    """
    rest = list(copy.deepcopy(model).cpu().float().eval()) if isinstance(model, nn.Sequential) else [model]
    rest = [module for module in rest if not isinstance(module, (nn.Flatten, nn.Dropout))]
    layers = []

    def then(kind: type) -> nn.Module | None:
        return rest.pop(0) if rest and isinstance(rest[0], kind) else None

    while rest:
        module = rest.pop(0)
        square = isinstance(module, nn.Conv2d) and all(getattr(module, k) == v for k, v in SQUARE.items())
        if square and (norm := then(nn.BatchNorm2d)):
            module = fuse_conv_bn_eval(module, norm)
        pool = then(nn.MaxPool2d) if square else None
        relu = then(nn.ReLU) is not None
        pool = pool or (then(nn.MaxPool2d) if square else None)
        fits = relu == bool(rest) and (isinstance(module, nn.Linear) or (square and relu))  # the last one gives logits
        if not fits or (pool and any(getattr(pool, k) != v for k, v in HALVING.items())):
            known = "mlp-…, cnn-…, and the pairs of the article and the tutorial"
            raise Unavailable(f"{type(module).__name__} at this place cannot be translated; {known} can")
        bias = torch.zeros(len(module.weight)) if module.bias is None else module.bias.detach()
        if not (module.weight.isfinite().all() and bias.isfinite().all()):
            raise ValueError(f"weights must be finite, those of layer {len(layers)}, {module}, are not")
        layers.append(Layer(module.weight.detach(), bias, relu, 2 if pool else 1))
    return layers
