"""Several teachers: the mean of their soft targets, and a live teacher that answers it.

One bank of several is `workbook.task.teachers.average`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdlab.losses import as_logits
from workbook.methods.base import wide


def together(logits: Tensor, *, temperature: float, weights: Sequence[float] | None = None) -> Tensor:
    """T · log of the teachers' mean soft targets: logits whose softmax at this temperature is that mean.

    Averaging logits would let one teacher's large numbers outvote the others; probabilities count each alike.

    Args:
        logits: float (teachers, …, classes), of the same classes in the same order.
        temperature: > 0, and that of the student's training; at another one the mean is only near.
        weights: > 0, one for each teacher; None for equal ones.

    Returns float32 (…, classes), or float64 where the logits are. ValueError: temperature <= 0, or weights that are not
    one > 0 for each teacher.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 1; You, Xu, Xu, Tao 2017, doi:10.1145/3097983.3098135.
    """
    logits = wide(logits)
    share = [1.0] * len(logits) if weights is None else list(weights)
    share = torch.as_tensor(share, dtype=logits.dtype, device=logits.device)
    if len(share) != len(logits) or not (share > 0).all() or not 0 < temperature < float("inf"):
        said = f"there must be a weight > 0 for each of {len(logits)} teachers, and a temperature > 0"
        raise ValueError(f"{said}; got {share.tolist()} and {temperature}")
    log_p = (logits / temperature).log_softmax(-1)
    share = (share / share.sum()).log().view(-1, *[1] * (logits.dim() - 1))
    return temperature * (log_p + share).logsumexp(0)


class Teachers(nn.Module):
    """Several models, asked in each step, that answer as one. Args as in `together`."""

    def __init__(self, teachers: Sequence[nn.Module], *, temperature: float, weights: Sequence[float] | None = None):
        super().__init__()
        self.teachers, self.how = nn.ModuleList(teachers), dict(temperature=temperature, weights=weights)

    def forward(self, images: Tensor) -> Tensor:
        return together(torch.stack([as_logits(teacher(images)) for teacher in self.teachers]), **self.how)
