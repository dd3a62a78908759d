"""CRD, contrastive representation distillation: an image's features go with the teacher's of that image, no other."""

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbook.methods.base import direction, each, on_features, rows, shapes


def contrastive(
    *, student_features: Tensor, teacher_features: Tensor, images: int, temperature: float = 0.1
) -> Tensor:
    """−log h of an image's own pair, − log(1 − h) of its pairs with the others in the batch: a simpler form of CRD.

    h = e^(s·t / temperature) / (e^(s·t / temperature) + N / M) for rows s, t of length 1, computed in log space. The
    paper draws N = 16,384 others from a memory of all images; here N is the batch less one, all fresh.

    Args:
        student_features, teacher_features: float (batch, numbers), as many numbers each, batch >= 2.
        images: M >= 1, how many there are to train on.
        temperature: > 0, the paper's tau; not that of the soft targets.

    Returns a scalar > 0, in nats, averaged over the batch. ValueError: shapes that differ.

    Source: Tian, Krishnan, Isola 2020, arXiv:1910.10699, section 3.1: L_critic and its h.
    """
    student, teacher = (direction(x) for x in rows(student_features, teacher_features, least=2, cut=False))
    if student.shape != teacher.shape:
        raise ValueError(f"embeddings must have one shape, got {tuple(student.shape)} and {tuple(teacher.shape)}")
    score = student @ teacher.T / temperature - math.log((len(student) - 1) / images)  # (batch, batch), h's logit
    own = torch.eye(len(score), dtype=torch.bool, device=score.device)
    return -F.logsigmoid(torch.where(own, score, -score)).sum() / len(score)


class CRD(nn.Module):
    """CRD, times `weight`, as the method of `kdlab.distil`, which trains both sides' linear embeddings, too.

    Args:
        student, teacher: tapped, as many layers each.
        shape: (channels, height, width) of an image.
        images, temperature: as in `contrastive`.
        size: of an embedding.
    """

    def __init__(self, student, teacher, shape, *, images: int, size: int = 128, temperature=0.1, weight: float = 1.0):
        super().__init__()
        device, self.weight, pairs = next(student.parameters()).device, weight, shapes(student, teacher, shape)
        sides = [[nn.Linear(math.prod(features), size) for features in side] for side in zip(*pairs)]
        self.embed = nn.ModuleList(nn.ModuleList(side) for side in sides).to(device)
        self.contrast = each(functools.partial(contrastive, images=images, temperature=temperature))

    def forward(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        def loss(student_features, teacher_features) -> Tensor:
            sides = zip(self.embed, (student_features, teacher_features))
            mine, his = ([g(x.flatten(1)) for g, x in zip(maps, features)] for maps, features in sides)
            return self.contrast(student_features=mine, teacher_features=his)

        return on_features(loss, student, batch, targets, knobs, self.weight)
