"""A student's first weights, from a teacher of another shape: every k-th layer, sliced channels, two thin matrices.

Each function returns new layers and leaves the given ones as they are; training them is left to kdlab.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def every(layers: Sequence, k: int) -> list:
    """Every k-th of some layers, counted back from the last, which is always among them.

    Args:
        layers: in the network's order.
        k: 1 .. their number; 1 takes all.

    Source: Sanh et al. 2019, arXiv:1910.01108, section 3 (one layer out of two).
    """
    if not 1 <= k <= len(layers):
        raise ValueError(f"k must be 1 .. {len(layers)}, the number of layers, got {k}")
    return list(layers[(len(layers) - 1) % k :: k])


def stacked(layers: Sequence[nn.Linear]) -> nn.Sequential:
    """Copies of linear layers as a network, a ReLU between each two; ValueError where two of them do not fit."""
    parts: list[nn.Module] = [nn.Flatten()]
    for number, layer in enumerate(layers):
        before = layers[number - 1].out_features if number else layer.in_features
        if before != layer.in_features:
            told = f"layer {number} takes {layer.in_features} numbers, and the one before it gives {before}"
            raise ValueError(f"{told}; only layers of one width can be left out")
        parts += [*([nn.ReLU()] if number else []), copy.deepcopy(layer)]
    return nn.Sequential(*parts)


@torch.no_grad()
def sliced(first: nn.Module, second: nn.Module, keep: Tensor, norm: nn.Module | None = None) -> tuple[nn.Module, ...]:
    """Two consecutive layers without some of the channels between them: the same answers as with those at zero.

    Args:
        first, second: nn.Linear or nn.Conv2d; between them may be what treats each channel alone: ReLU, pooling,
            flattening.
        keep: int64 (k,), the channels of the first that stay, in this order, each once.
        norm: the batch norm between them, or None.

    Returns:
        The smaller first and second, and the smaller norm where one is given.

    Source: Xu et al. 2024, arXiv:2311.18823 (weight selection).
    """
    channels, inputs = first.weight.shape[0], second.weight.shape[1]
    places = keep.tolist()
    if not places or len(set(places)) < len(places) or min(places) < 0 or max(places) >= channels:
        raise ValueError(f"keep must be different channels out of 0 .. {channels - 1}, got {places}")
    if getattr(first, "groups", 1) != 1 or getattr(second, "groups", 1) != 1:
        raise ValueError("grouped convolutions mix no channels between groups, and are not sliced here")
    if inputs % channels:
        raise ValueError(f"the second layer takes {inputs} numbers, which the first's {channels} channels cannot be")
    each = torch.arange(inputs).view(channels, -1)  # (channels, inputs of each): more than one after flattening
    one = _resized(first, first.weight[keep], None if first.bias is None else first.bias[keep])
    two = _resized(second, second.weight[:, each[keep].flatten()], second.bias)
    if norm is None:
        return one, two
    thin = copy.deepcopy(norm)
    thin.num_features = len(places)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(thin, name).data = getattr(norm, name).detach()[keep].clone()
    return one, two, thin


@torch.no_grad()
def factorised(linear: nn.Linear, rank: int, inputs: Tensor | None = None) -> nn.Sequential:
    """One linear layer as two with `rank` numbers between them: the nearest such pair.

    Args:
        linear: weight (out, in).
        rank: 1 .. min(out, in); at the upper end the answers are the same.
        inputs: float (n, in), examples of what enters the layer, to be nearest in the answers to them; None to be
            nearest in the weights.

    Returns:
        nn.Sequential of (in → rank, no bias) and (rank → out, the given bias).

    Source: Eckart, Young 1936 (the nearest); Denton et al. 2014, arXiv:1404.0736 (for networks).
    """
    out, into = linear.weight.shape
    if not 1 <= rank <= min(out, into):
        raise ValueError(f"rank must be 1 .. {min(out, into)} for a layer of {into} to {out} numbers, got {rank}")
    answers = linear.weight if inputs is None else linear.weight @ inputs.T  # (out, in or n)
    main = torch.linalg.svd(answers, full_matrices=False)[0][:, :rank]  # (out, rank), the directions that vary most
    down = _resized(linear, main.T @ linear.weight, None)
    return nn.Sequential(down, _resized(linear, main, linear.bias))


def _resized(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    new = copy.deepcopy(layer)
    kind = "features" if isinstance(layer, nn.Linear) else "channels"
    setattr(new, f"out_{kind}", weight.shape[0])
    setattr(new, f"in_{kind}", weight.shape[1])
    new.weight = nn.Parameter(weight.detach().clone())
    new.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return new
