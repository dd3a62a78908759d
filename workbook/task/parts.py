"""Parts that a data set lacks, drawn from its training pictures by a seed, with every class's share.

How many of a class are drawn stands in kdlab's `data.stratified`.
"""

import torch
from torch import Tensor

from kdlab import data


def split_off(labels: Tensor, share: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """The indices that stay and those that are taken for another part.

    Args:
        labels: int64 (n,), of all pictures.
        share: how much is taken, > 0 and <= 0.5.
        seed: which pictures.

    Returns:
        Two of int64, ascending. Each class of at least two pictures is in both; a class of one stays.

    Raises:
        ValueError: a share out of its range, or no class has two pictures.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"the share of the pictures to split off must be > 0 and <= 0.5, got {share}")
    counts = labels.bincount()
    several = (counts[labels] > 1).nonzero()[:, 0]
    if not len(several):
        raise ValueError("no class has two pictures, one for each part; add some, or bring the parts in folders")
    count = max(round(share * len(several)), int((counts > 1).sum()))
    taken = torch.zeros(len(labels), dtype=torch.bool)
    taken[several[data.stratified(labels[several], count, seed=seed)]] = True
    return (~taken).nonzero()[:, 0], taken.nonzero()[:, 0]


def alone(labels: Tensor, classes: tuple[str, ...]) -> str:
    """Which classes have a single picture, which stays in train, as half a sentence; "" where none has."""
    single = [classes[label] for label in (labels.bincount() == 1).nonzero()[:, 0].tolist()]
    more = f" and {len(single) - 5} more" if len(single) > 5 else ""
    return f"a single picture, kept in train, of {', '.join(single[:5])}{more}" if single else ""
