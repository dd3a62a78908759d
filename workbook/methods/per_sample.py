"""A weight and a temperature for each image: what the teacher says counts more here, and is softened more there."""

import torch
from torch import Tensor

from kdlab import losses
from workbook.methods.base import heated, on_logits


def per_sample_loss(*, student_logits: Tensor, teacher_logits: Tensor, weights: Tensor, temperatures: Tensor) -> Tensor:
    """The weighted mean over the batch of T² · KL(teacher_T ‖ student_T), with each image's own T.

    Args:
        student_logits, teacher_logits: float (batch, classes). No gradient flows to the teacher.
        weights: float or bool (batch,), >= 0; only their proportions count.
        temperatures: float (batch,), > 0.

    Returns a scalar >= 0, in nats; with equal weights and temperatures the soft loss of Hinton et al. ValueError:
    shapes that do not fit, values out of range, or an empty mask.

    Source: weights as in Zhou, Song et al. 2021, arXiv:2102.00650, temperatures as in Li et al. 2023, arXiv:2211.16231,
    who compute or learn theirs.
    """
    images = len(student_logits)
    for name, given in (("weights", weights), ("temperatures", temperatures)):
        if given.shape != (images,) or not (given >= 0).all() or not given.isfinite().all():
            said = f"{name} must be finite and >= 0, one for each of {images} images"
            raise ValueError(f"{said}; got shape {tuple(given.shape)}, {given.tolist()[:5]} …")
    if not temperatures.all():
        raise ValueError("temperatures must be > 0, got 0")
    if not weights.any():
        raise ValueError("the mask is empty: at least one image needs a weight > 0")
    return _term(weights, temperatures, student_logits=student_logits, teacher_logits=teacher_logits)


def _term(weights: Tensor, temperatures: Tensor, **logits: Tensor) -> Tensor:  # unchecked, and 0 for an empty mask
    student, teacher = heated(**logits)
    each = losses.soft_term(student.T[None], teacher.T[None], temperatures.to(student.dtype))  # (batch,)
    weights = weights.to(student.dtype)
    return (weights * each).sum() / weights.sum().clamp_min(torch.finfo(each.dtype).tiny)


class PerSample:
    """Weights and temperatures by image, as the method of `kdlab.distil`; the labels' part counts all images alike.

    Args:
        weights, temperatures: as in `per_sample_loss`, (n,) for the n images of the split, on its device. Without
            weights all count alike, without temperatures the knobs' holds. A batch whose weights are 0 teaches nothing.
    """

    def __init__(self, *, weights: Tensor | None = None, temperatures: Tensor | None = None):
        if weights is None and temperatures is None:
            raise ValueError("give weights, temperatures, or both")
        ones = torch.ones_like(weights if temperatures is None else temperatures, dtype=torch.float32)
        self.weights, self.temperatures = ones if weights is None else weights, temperatures
        known = dict(weights=self.weights, temperatures=ones if temperatures is None else temperatures)
        per_sample_loss(student_logits=ones[:, None], teacher_logits=ones[:, None], **known)  # checks them, once

    def __call__(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        weights, own = self.weights[batch.indices], self.temperatures
        heat = torch.full_like(weights, knobs.temperature, dtype=torch.float32) if own is None else own[batch.indices]
        return on_logits(lambda **logits: _term(weights, heat, **logits), student, batch, targets, knobs)
