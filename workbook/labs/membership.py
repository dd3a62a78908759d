"""Was an image in the training? How well a network's answers tell its own images from others, for lab 32.

It needs answers and labels alone, and does not ask whose they are. The attack is the plainest: no shadow models.
"""

import torch
from torch import Tensor


def evidence(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much each image's class is ahead of all others, log(p / (1 − p)); a network is surer of what it has seen.

    Args: logits float (n, classes), labels int64 (n,). Source: Carlini et al. 2022, arXiv:2112.03570, section IV.C.
    """
    own = logits.gather(1, labels[:, None])
    return own[:, 0] - logits.scatter(1, labels[:, None], -torch.inf).logsumexp(1)


def auc(members: Tensor, others: Tensor) -> float:
    """How often a member, taken at random, has more evidence than another image; ties count half. 0.5 is a guess.

    Args: members, others: float (n,) and (m,), not empty and without NaN; ValueError where they are not so.
    """
    if not (len(members) and len(others)) or torch.cat([members, others]).isnan().any():
        raise ValueError(f"there must be members and others, without NaN; got {len(members)} and {len(others)}")
    difference = members[:, None] - others[None]
    return float((difference > 0).double().mean() + 0.5 * (difference == 0).double().mean())


def matched(labels: Tensor, others: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Places among members and among other images, as many of each class here as there, so that classes tell nothing.

    Args: labels, others: int64 (n,) and (m,), the classes of both. ValueError: they have no class in common.
    """
    draw, here, there = torch.Generator().manual_seed(seed), [], []
    for label in labels.unique():
        both = [torch.where(classes == label)[0] for classes in (labels, others)]
        count = min(map(len, both))
        for kept, places in zip((here, there), both):
            kept.append(places[torch.randperm(len(places), generator=draw)[:count]])
    if not len(torch.cat(here)):
        raise ValueError("members and others have no class in common")
    return torch.cat(here), torch.cat(there)
