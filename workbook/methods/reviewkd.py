"""ReviewKD, knowledge review: each of the teacher's layers is taught by the student's layers from there on upwards."""

from torch import Tensor, cat, nn
from torch.nn import functional as F

from workbook.methods.base import on_features, shapes, wide


def hierarchical_context(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """The mean squared difference of maps, and of their averages on grids of 4x4, 2x2 and 1x1, weighed 1, ½, ¼, ⅛.

    Args:
        student_features, teacher_features: float (batch, channels, height, width); the teacher gets no gradient.

    Returns a scalar >= 0; grids that are no smaller than the maps are left out. ValueError: shapes that differ.

    Source: Chen, Liu, Zhao, Jia 2021, arXiv:2104.09044, the hierarchical context loss (HCL).
    """
    shape, other = tuple(student_features.shape), tuple(teacher_features.shape)
    if len(shape) != 4 or shape != other:
        raise ValueError(f"maps (batch, channels, height, width) must have one shape, got {shape} and {other}")
    student, teacher = wide(student_features), wide(teacher_features.detach())
    total, weights = F.mse_loss(student, teacher), [1.0]
    for grid in (size for size in (4, 2, 1) if size < student.shape[2]):
        weights.append(weights[-1] / 2)
        total = total + weights[-1] * F.mse_loss(*(F.adaptive_avg_pool2d(x, grid) for x in (student, teacher)))
    return total / sum(weights)


class Review(nn.Module):
    """Knowledge review, times `weight`, as the method of `kdlab.distil`, which trains its convolutions, too.

    Args:
        student, teacher: tapped, as many layers of maps each, from the input to the logits.
        shape, width: (channels, height, width) of an image; channels in which layers are merged (ABF).
    """

    def __init__(self, student, teacher, shape, *, width: int = 64, weight: float = 1.0):
        super().__init__()
        pairs, self.weight = shapes(student, teacher, shape), weight
        if any(len(features) != 3 for pair in pairs for features in pair):
            raise ValueError(f"knowledge review wants layers of maps (channels, height, width), got {pairs}")
        self.squeeze = nn.ModuleList(_conv(s[0], width, 1) for s, _ in pairs)
        self.attend = nn.ModuleList(nn.Conv2d(2 * width, 2, 1) for _ in pairs[1:])  # not for the last, which is alone
        self.expand = nn.ModuleList(_conv(width, t[0], 3) for _, t in pairs)
        self.to(next(student.parameters()).device)

    def loss(self, *, student_features: list[Tensor], teacher_features: list[Tensor]) -> Tensor:
        above, total = None, 0.0
        for i in reversed(range(len(self.expand))):
            here = self.squeeze[i](student_features[i])  # (batch, width, height and width of the student's map)
            if above is not None:
                share = self.attend[i](cat([here, above := F.interpolate(above, here.shape[2:])], 1)).sigmoid()
                here = here * share[:, :1] + above * share[:, 1:]
            above, his = here, teacher_features[i]
            mine = F.interpolate(self.expand[i](here), his.shape[2:])
            total = total + hierarchical_context(student_features=mine, teacher_features=his)
        return total

    def forward(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        return on_features(self.loss, student, batch, targets, knobs, self.weight)


def _conv(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding="same", bias=False), nn.BatchNorm2d(after))
