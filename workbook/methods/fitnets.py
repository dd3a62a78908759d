"""FitNets, hints for thin deep nets: the student's layer, through a regressor, becomes the teacher's."""

from torch import Tensor, nn
from torch.nn import functional as F

from workbook.methods.base import each, on_features, rows, shapes


def hint(*, student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Half the mean squared difference of regressed student features and teacher features.

    Args:
        student_features, teacher_features: float (batch, …), of the same shape. No gradient flows to the teacher.

    Returns a scalar >= 0. ValueError: shapes that differ.

    Source: Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio 2015, arXiv:1412.6550, eq. 3, divided by the number
    of features.
    """
    if student_features.shape[1:] != teacher_features.shape[1:]:
        given = f"{tuple(student_features.shape[1:])} and {tuple(teacher_features.shape[1:])}"
        raise ValueError(f"a hint compares features of one shape, got {given}; put a `regressor` between them")
    return F.mse_loss(*rows(student_features, teacher_features)) / 2


def regressor(student_shape: tuple[int, ...], teacher_shape: tuple[int, ...]) -> nn.Module:
    """What maps the student's features (channels, height, width) or (numbers,) to the teacher's shape.

    For maps a convolution without padding whose kernel leaves the teacher's height and width, 1x1 where they are equal
    (section 2.2 of the paper); for rows a linear layer. ValueError: shapes that neither can map.
    """
    if len(student_shape) == len(teacher_shape) == 1:
        return nn.Linear(student_shape[0], teacher_shape[0])
    kernel = tuple(s - t + 1 for s, t in zip(student_shape[1:], teacher_shape[1:]))
    if len(student_shape) != 3 or len(teacher_shape) != 3 or min(kernel) < 1:
        said = f"no regressor maps features {student_shape} of the student to {teacher_shape} of the teacher"
        raise ValueError(f"{said}; choose layers where the student's maps are as large or larger")
    return nn.Conv2d(student_shape[0], teacher_shape[0], kernel)


class Hints(nn.Module):
    """Hints, times `weight`, as the soft part of `kdlab.distil(…, method=Hints(…))`, which trains the regressors, too.

    At alpha = 1 this is the paper's first stage, in which no logit is taught.

    Args:
        student, teacher: tapped, as many layers each.
        shape: (channels, height, width) of an image.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, shape: tuple[int, int, int], *, weight: float = 1.0):
        super().__init__()
        device, self.weight = next(student.parameters()).device, weight
        self.regressors = nn.ModuleList(regressor(*pair) for pair in shapes(student, teacher, shape)).to(device)

    def forward(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        def loss(student_features, teacher_features):
            regressed = [regress(x) for regress, x in zip(self.regressors, student_features)]
            return each(hint)(student_features=regressed, teacher_features=teacher_features)

        return on_features(loss, student, batch, targets, knobs, self.weight)
