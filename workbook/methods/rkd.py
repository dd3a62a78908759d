"""RKD, relational knowledge distillation: distances and angles between the images of a batch become the teacher's."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from workbook.methods.base import direction, each, on_features, rows


def distance(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Huber's loss of all distances between two images, each side divided by its own mean distance.

    Args:
        student_features, teacher_features: float (batch, …), of any shapes, batch >= 2; the teacher gets no gradient.

    Returns a scalar >= 0, the mean over batch² pairs; turning, moving or scaling a side changes nothing.

    Source: Park, Kim, Lu, Cho 2019, arXiv:1904.05068, section 3.2.1; it sums where the authors' code takes the mean.
    """

    def relative(x: Tensor) -> Tensor:
        d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")  # (batch, batch), exact for near ones
        return d / (d.sum() / (len(d) * (len(d) - 1))).clamp_min(1e-12)

    return F.smooth_l1_loss(*map(relative, rows(student_features, teacher_features, least=2)))


def angle(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Huber's loss of the cosines of all angles that three images span; memory grows as batch² · numbers + batch³.

    Arguments, result and what changes nothing are as in `distance`, with batch >= 3. Source: the same, section 3.2.2.
    """

    def cosines(x: Tensor) -> Tensor:
        e = direction(x[None] - x[:, None])  # (batch, batch, numbers): from each image to each
        return e @ e.mT  # (corner, one, other)

    return F.smooth_l1_loss(*map(cosines, rows(student_features, teacher_features, least=3)))


def relational(*, student_features: Tensor, teacher_features: Tensor, distances: float = 25.0, angles: float = 50.0):
    """distances · `distance` + angles · `angle`; the weights 25 and 50 are mdistiller's on CIFAR-100."""
    pair = dict(student_features=student_features, teacher_features=teacher_features)
    return distances * distance(**pair) + (angles * angle(**pair) if angles else 0.0)


def method(student, batch, targets, knobs, *, distances: float = 25.0, angles: float = 50.0) -> dict[str, Tensor]:
    """RKD, summed over pairs of layers, as the soft part of `kdlab.distil(…, method=…)`; both models are tapped."""
    loss = functools.partial(relational, distances=distances, angles=angles)
    return on_features(each(loss), student, batch, targets, knobs, 1.0)
