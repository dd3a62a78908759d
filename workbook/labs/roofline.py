"""The roofline: how fast this machine multiplies and copies at best, and how near to that a model comes.

The timings of models are kdlab.latency's, the figure stands in workbook.plots; here are the peaks, and what a model
moves and starts.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdlab.latency import eager, measure


@dataclass(frozen=True)
class Peaks:
    """What a machine reached: `gflops` in 1e9 float32 operations per second; copying in 1e9 bytes per second, `memory`
    between arrays that fit no cache, `cache` between small ones."""

    gflops: float
    memory: float
    cache: float

    def roof(self, intensity: float, *, cached: bool = True) -> float:
        """The most GFLOP/s at an intensity, in operations per byte, with the bytes out of the cache or of memory."""
        return min(self.gflops, (self.cache if cached else self.memory) * intensity)


def peaks(*, threads: int = 1, seconds: float = 0.3) -> Peaks:
    """Measures the CPU's peaks with torch: float32 matrix products, and copies of 128 MB and of 128 kB.

    Args:
        threads: CPU threads, >= 1.
        seconds: > 0, for each of three sizes of product and each of the copies.

    Returns:
        Peaks, each the median of the fastest kind of call: a product of n x n counts 2·n³ operations, a copy counts the
        bytes read and those written.
    """
    options = dict(threads=threads, warmup=2, min_runs=5, min_seconds=seconds)
    gflops = []
    for n in (256, 512, 1024):
        a, b, into = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
        gflops.append(2 * n**3 / measure(partial(torch.mm, a, b, out=into), **options).median / 1e9)
    copying = []
    for n in (32_000_000, 32_000):  # floats: beyond any cache, and within the second level
        source, target = torch.zeros(n), torch.zeros(n)
        copying.append(2 * source.nbytes / measure(partial(target.copy_, source), **options).median / 1e9)
    return Peaks(max(gflops), *copying)


def traffic(model: nn.Module, shape: tuple[int, int, int], batch: int) -> int:
    """The bytes that eager torch moves in one forward pass, if nothing stays in a cache between two operations.

    Each operation reads its inputs, weights among them, and writes its outputs once; views cost nothing.

    Args:
        model: stays as it was; its eval mode is counted.
        shape: (channels, height, width) of one image.
        batch: images per call, >= 1.
    """
    return _counted(model, shape, batch).moved


def launches(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """How many operations eager torch starts in one forward pass, views left out: one kernel or more on a GPU each.

    Args:
        model: stays as it was; its eval mode is counted.
        shape: (channels, height, width) of one image.
    """
    return _counted(model, shape, 1).started


def _counted(model: nn.Module, shape: tuple[int, int, int], batch: int) -> "_Counter":
    images = torch.zeros(batch, *shape)
    call = eager(model, images)
    with torch.no_grad(), _Counter() as counter:
        call(images)
    return counter


class _Counter(TorchDispatchMode):
    moved = started = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            self.started += 1
            self.moved += sum(leaf.nbytes for leaf in tree_leaves((args, kwargs, result)) if torch.is_tensor(leaf))
        return result
